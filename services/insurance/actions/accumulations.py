"""The book's bad years as a job: events over the forests insured today, some years a step, kept and read back."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.accumulation import book as books
from services.insurance.accumulation import exchange, pictures
from services.insurance.accumulation.book import Arrays, Book
from services.insurance.accumulation.metrics import metrics
from services.insurance.accumulation.refusal import RowError
from services.insurance.accumulation.simulation import Catalogue, PerilModel
from services.insurance.actions import PARAMETERS, models, pricing, reinsurance
from services.insurance.actions.policies import NOTHING
from services.insurance.formulas.balance_sheets import tail_means
from services.insurance.formulas.exceedance import thin_return_period
from services.insurance.formulas.premium import event_frequency
from services.insurance.tables import (
    Accumulation,
    AccumulationBlock,
    Cover,
    Policy,
    latest_valuations,
)
from shared import clock, jobs, money, spreadsheets
from shared.db import found, tenant
from shared.errors import NotFoundError, StateError
from shared.jobs import Job
from shared.parameters import InForce
from shared.strict_json import canonical

#: Years of one step.
BLOCK = 2_000
PICTURES = ("exceedance", "waterfall", "map")
ASSUMED = (
    "The bank is owed what credit last told, before a loan is drawn its whole amount.",
    "Chance of a default after a loss: p + (1 - p)·s, by the share s of the pledge that is lost (I145). No loan data.",
    "The guarantor's side carries its share by scheme of a parameter; guarantees in force are not told to the insurer.",
    "Calls and the bank's losses are expectations after the event, before anything is recovered from the forests.",
    "A loan hit twice in a year counts twice.",
)
YEARS_RESULT = ("year", "ground_up", "aggregate", "occurrence")


# -- the events -------------------------------------------------------------------------------------------------------


def catalogue_of(p: InForce, seed: int, years: int) -> Catalogue:
    """The events of the region over so many years, the same for every book."""
    region, footprints = p["event_region"], p["event_footprint"]
    perils = tuple(
        PerilModel(
            name=name,
            damage_mean=p["damage_mean"][name],
            damage_sd=p["damage_sd"][name],
            damage_shared=p["event_damage_shared"][name],
            highest_frequency=p["event_highest_frequency"][name],
            **footprints[name],
        )
        for name in p["perils"]
    )
    corners = (region["west"], region["south"], region["east"], region["north"])
    return _catalogue(seed, years, corners, perils)


@lru_cache(4)
def _catalogue(
    seed: int, years: int, region: tuple[float, float, float, float], perils: tuple[PerilModel, ...]
) -> Catalogue:
    return Catalogue(seed, years, region, perils)


# -- the book ---------------------------------------------------------------------------------------------------------


def book_of(session: Session, p: InForce) -> dict[str, Any]:
    """The policies that stand today, less what claims took of them, and where their forests lie."""
    policies = session.scalars(
        select(Policy)
        .where(Policy.state.in_(("in_force", "ending")), Policy.ends_on > clock.today())
        .order_by(Policy.id)
    ).all()
    policies = [one for one in policies if one.remaining > 0]
    covers = {one.id: one for one in session.scalars(select(Cover).where(Cover.id.in_([q.cover_id for q in policies])))}
    assets = [(number, asset) for number, one in enumerate(policies) for asset in one.assets]
    valuations = latest_valuations(session, (asset.asset_id for _, asset in assets))
    unplaced = [str(a.asset_id) for _, a in assets if valuations[a.asset_id].longitude is None]
    if unplaced:
        raise StateError(
            f"nothing is known of where {len(unplaced)} insured forests lie, {unplaced[0]} first; "
            "have the register send their valuations again"
        )
    frequencies = frequencies_of(
        [pricing.insured_of(valuations[a.asset_id], a.sum_insured) for _, a in assets], p, models.champions(session)
    )
    programme = reinsurance.in_force(session, clock.today())
    return {
        "programme": programme.contracts if programme else [],
        "policies": [_policy(one, covers[one.cover_id], p) for one in policies],
        "forests": [
            {
                # A forest that two policies insure is struck once, and each policy pays its part.
                "id": f"{policies[number].id}/{asset.asset_id}",
                "place": str(asset.asset_id),
                "policy": number,
                "county": asset.county,
                "value": str(max(asset.insured_value, asset.sum_insured)),
                "sum_insured": str(asset.sum_insured - asset.claimed),
                "longitude": str(valuations[asset.asset_id].longitude),
                "latitude": str(valuations[asset.asset_id].latitude),
                "area_ha": str(valuations[asset.asset_id].area_ha),
                "frequencies": rates,
            }
            for (number, asset), rates in zip(assets, frequencies, strict=True)
            if asset.claimed < asset.sum_insured
        ],
    }


def frequencies_of(insured: Sequence[pricing.Insured], p: InForce, priced_by: Mapping[str, Any]) -> list[list[float]]:
    """How often each peril comes to each forest, as its price has it. [1/yr]"""
    if not insured:
        return []
    tariff = pricing.Tariff(p, priced_by)
    rates, _ = pricing.rates_of(tariff, insured, pricing.Steps())
    found: list[list[float]] = event_frequency(rates, tariff.mean).tolist()
    return found


def _policy(policy: Policy, cover: Cover, p: InForce) -> dict[str, Any]:
    shares = p["guarantee_share"]
    return {
        "id": str(policy.id),
        "bank": policy.bank,
        "guarantor": cover.guarantor or "",
        "scheme": cover.scheme or "",
        "deductible": str(policy.deductible),
        "remaining": str(policy.remaining),
        "balance": str(policy.interest if policy.balance is None else policy.balance),
        "default_probability": str(cover.default_probability or 0),
        # Nobody guarantees a scheme that is not known here.
        "guarantee_share": str(shares.get(cover.scheme, 0)) if cover.guarantor else "0",
        "small_fire_mu": str(policy.terms["small_fire_exclusion_mu"]),
        "pest_threshold": str(policy.terms["pest_threshold_degree"]),
    }


# -- the run ----------------------------------------------------------------------------------------------------------


def start(session: Session, years: int | None, seed: int | None, maker: str) -> Accumulation:
    """Freeze the book as it stands and start the job that strikes it; nothing to strike is refused."""
    p = PARAMETERS.at(clock.today())
    usual = p["accumulation_years"]
    years, seed = years or usual["usual"], usual["seed"] if seed is None else seed
    content = book_of(session, p)
    if not content["forests"]:
        raise StateError("no policy is in force")
    _book(content, catalogue_of(p, seed, years))
    job = jobs.start(session, "accumulate", years)
    made = Accumulation(
        id=job.id,
        institution=tenant(session),
        on=clock.today(),
        seed=seed,
        years=years,
        policies=len(content["policies"]),
        forests=len(content["forests"]),
        sum_insured=sum((money.amount(one["sum_insured"]) for one in content["forests"]), NOTHING),
        book=content,
        book_digest=hashlib.sha256(canonical(content)).hexdigest(),
        parameters_digest=p.digest,
        unverified_parameters=list(p.unverified),
        created_by=maker,
        created_at=clock.now(),
    )
    session.add(made)
    return made


def step(session: Session, job: Job) -> None:
    """Strike the book through the next years; the last step says what all of them say."""
    made = found(session, Accumulation, job.id)
    p = _parameters(made.on, made.parameters_digest)
    first, last = job.done + 1, min(job.done + BLOCK, job.total)
    book = _book(made.book, catalogue_of(p, made.seed, made.years))
    session.add(
        AccumulationBlock(
            accumulation_id=made.id,
            number=job.done // BLOCK,
            institution=made.institution,
            first_year=first,
            arrays=books.packed(book.years(first, last)),
        )
    )
    job.done = last
    if job.done >= job.total:
        session.flush()
        whole = arrays(session, made.id)
        made.metrics = shown(book.labels, whole, p["accumulation_return_periods"])
        made.result_digest = books.digest(whole)
        made.finished_at = clock.now()


def _parameters(on: date, digest: str) -> InForce:
    p = PARAMETERS.at(on)
    if p.digest != digest:
        raise StateError("the parameters are not those that the run began with; start another")
    return p


def _book(content: Mapping[str, Any], catalogue: Catalogue) -> Book:
    try:
        return Book(content, catalogue)
    except RowError as error:
        forest = content["forests"][error.row - 2]["place"] if 0 <= error.row - 2 < len(content["forests"]) else ""
        raise StateError(f"the book cannot be struck: forest {forest}, {error.field}: {error.reason}") from None
    except ValueError as error:
        raise StateError(f"the book cannot be struck: {error}") from None


def arrays(session: Session, accumulation_id: UUID, *names: str) -> Arrays:
    """All years of a run, or some of their arrays."""
    blocks = session.scalars(
        select(AccumulationBlock.arrays)
        .where(AccumulationBlock.accumulation_id == accumulation_id)
        .order_by(AccumulationBlock.number)
        .execution_options(yield_per=1)
    )
    return books.combined([books.unpacked(block, *names) for block in blocks])


def shown(labels: Sequence[tuple[str, str]], whole: Arrays, periods: Sequence[float]) -> list[dict[str, Any]]:
    """What the years say of each row, amounts as text in CNY."""
    return [_as_text(one) for one in metrics(labels, whole["aggregate"], whole["occurrence"], periods)]


def _as_text(found: Any) -> Any:
    """Numbers of a report as amounts; counts and flags as they are."""
    if isinstance(found, dict):
        return {k: v if k in ("return_period", "thin") else _as_text(v) for k, v in found.items()}
    if isinstance(found, list):
        return [_as_text(one) for one in found]
    return str(money.yuan(found)) if isinstance(found, float) else found


def latest(session: Session) -> Accumulation | None:
    """The institution's newest finished run."""
    return session.scalars(
        select(Accumulation).where(Accumulation.finished_at.is_not(None)).order_by(Accumulation.id.desc()).limit(1)
    ).first()


def finished(session: Session, accumulation_id: UUID) -> Accumulation:
    """A run with all of its years; what is not there yet is not found."""
    made = found(session, Accumulation, accumulation_id)
    if made.finished_at is None:
        raise NotFoundError("the run is not through yet; see its job")
    return made


def balance_sheets(session: Session, accumulation_id: UUID, most: int = 20) -> dict[str, Any]:
    """The insurer's worst years and events on all three balance sheets: what falls together."""
    made = finished(session, accumulation_id)
    p = PARAMETERS.at(made.on)
    whole = arrays(session, made.id)
    labels = [(one["of"], one["name"]) for one in made.metrics or ()]
    insurer = whole["aggregate"][0]
    others = whole["aggregate"][[labels.index(("sheet", name)) for name in books.SHEETS]]
    together = []
    for period in p["accumulation_return_periods"]:
        if period <= made.years:
            worst = int(made.years / period + 1e-6)
            means = tail_means(insurer, np.vstack([insurer, others]), worst)
            together.append(
                {
                    "return_period": float(period),
                    "thin": thin_return_period(period, made.years),
                    **_sheet(dict(zip(("insurer", *books.SHEETS), means.tolist(), strict=True))),
                }
            )
    usual = np.vstack([insurer, others]).mean(axis=1).tolist()
    order = np.argsort(-whole["gross"], kind="stable")[:most]
    perils = p["perils"]
    events = [
        {
            "event": str(int(whole["event"][number])),
            "year": int(whole["year"][number]),
            "peril": perils[int(whole["peril"][number])],
            **_sheet(
                {"insurer": float(whole["gross"][number])} | {name: float(whole[name][number]) for name in books.SHEETS}
            ),
        }
        for number in order
    ]
    return {
        "accumulation": made.id,
        "mean": _sheet(dict(zip(("insurer", *books.SHEETS), usual, strict=True))),
        "worst_years_of_the_insurer": together,
        "worst_events": events,
        "assumed": list(ASSUMED),
    }


def _sheet(amounts: Mapping[str, float]) -> dict[str, str]:
    return {name: str(money.yuan(amount)) for name, amount in amounts.items()}


def picture(session: Session, accumulation_id: UUID, name: str) -> str:
    """One of the pictures of a run, as SVG."""
    made = finished(session, accumulation_id)
    whole = arrays(session, made.id, "aggregate", "occurrence", "ground_up", "by_forest")
    labels = [(one["of"], one["name"]) for one in made.metrics or ()]
    if name == "exceedance":
        return pictures.exceedance(labels, whole, made.years)
    return pictures.waterfall(labels, whole) if name == "waterfall" else pictures.aggregates(
        made.book, whole, made.years
    )  # fmt: skip


def years_file(session: Session, accumulation_id: UUID, format_: str) -> bytes:
    """The year loss table: ground-up, what the policies pay, and the largest event of each year."""
    made = finished(session, accumulation_id)
    whole = arrays(session, made.id, "aggregate", "occurrence", "ground_up")
    columns = (whole["ground_up"], whole["aggregate"][0], whole["occurrence"][0])
    lines = (
        [str(year), *(str(money.yuan(amount)) for amount in row)]
        for year, row in enumerate(zip(*(one.tolist() for one in columns), strict=True), 1)
    )
    return spreadsheets.written(format_, YEARS_RESULT, lines)


def exchange_file(session: Session, accumulation_id: UUID, table: str) -> bytes:
    """The book or the results of a run in the field's open formats."""
    made = finished(session, accumulation_id)
    whole = arrays(session, made.id, "aggregate", "gross", "year", "event") if table == "ord_splt" else {}
    return exchange.written(table, made.book, made.metrics or (), whole)
