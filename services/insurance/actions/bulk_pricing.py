"""Many prices at once: a file of forests, or the book on what is in force another day, in batches that can go on.

A row is priced as one policy of one forest on the path of a quote, all rows of a batch together. Batches commit one by
one, so a job that is killed repeats nothing.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, endorsements, exposures, models, policies, pricing
from services.insurance.actions.reasons import COUNTIES
from services.insurance.peril_model import ServedModel
from services.insurance.tables import BulkPricing, BulkPricingBatch, Policy, latest_surveys, latest_valuations
from shared import bulk, clock, jobs, money, spreadsheets
from shared.bulk import Json
from shared.db import found, tenant
from shared.errors import InvalidError, RefusalError, StateError
from shared.jobs import Job
from shared.parameters import InForce
from shared.spreadsheets import cell_fault
from shared.strict_json import canonical

PERILS = ("fire", "pest", "drought", "frost_snow", "wind", "flood")
REQUIRED = ("reference", "county", "value", "sum_insured")
COLUMNS = (*REQUIRED, *PERILS, "species", *pricing.MEASURED, *pricing.NAMED)
RESULT = (
    "row", "reference", "sum_insured", "annual_premium", *pricing.PAYERS, "expected_annual_loss", "technical_rate",
    "deviation", "errors",
)  # fmt: skip
BOOK_RESULT = ("row", "reference", "sum_insured", "before", "annual_premium", "change", "errors")
_COLUMNS = spreadsheets.Columns(COLUMNS, REQUIRED)
_EXAMPLE = ("PARCEL-0001", "youyu", "1000000.00", "900000.00", "0.4", "0.3", "0.5", "0.5", "0.2", "0.1",
            "larix_principis", "25", "12", "2.5", "8", "north", "low", "yes")  # fmt: skip
#: Rows of one file, and rows in one transaction; policies take longer than rows.
MOST_ROWS, BATCH, BOOK_BATCH = 200_000, 5_000, 250
#: Largest file. [bytes]
MAX_FILE = 64 * 1024 * 1024
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,8})?", re.ASCII)
#: Greatest number of a measured factor.
_MOST = {"age_years": 1000.0, "slope_deg": 90.0, "access_km": 1000.0, "fire_weather": 200.0}
_WORDS = {
    "aspect": ("north", "east", "south", "west", "flat"),
    "fuel": ("low", "medium", "high"),
    "fire_break": ("yes", "no"),
}


# -- a file -----------------------------------------------------------------------------------------------------------


def start_file(session: Session, file: BinaryIO, format_: str, charset: str, maker: str) -> BulkPricing:
    """Take a file apart and start its job; one that no row can be read from is refused."""
    rows: list[list[Any]] = []
    for row in spreadsheets.read(file, format_, charset, _COLUMNS):
        if row.blank:
            continue
        told = "; ".join(f"{where}: {what}" for where, what in row.errors[:3])
        rows.append([row.number, [str(row.content.get(name, "")).strip()[:100] for name in COLUMNS], told])
        if len(rows) > MOST_ROWS:
            raise spreadsheets.refused(f"has more than {MOST_ROWS} rows; send it in parts")
    if not rows:
        raise spreadsheets.refused("has a header and no rows")
    return _start(session, "file", rows, BATCH, PARAMETERS.at(clock.today()), maker, clock.today())


def step_file(session: Session, job: Job) -> None:
    """Price the next batch of a file; its cursor is the number of the next one."""
    made = found(session, BulkPricing, job.id)
    batch = session.get_one(BulkPricingBatch, (job.id, int(job.cursor or 0)))
    p = PARAMETERS.at(date.fromisoformat(job.input["on"]))
    results = price_rows(p, batch.content)
    batch.results, batch.content = results, []
    _advance(session, job, made, batch.number, results, p)


def price_rows(p: InForce, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """What each row costs, or what is wrong with it: number, reference and figures in the order of RESULT."""
    tariff = pricing.Tariff(p)
    good: list[dict[str, Any]] = []
    errors: dict[int, list[Any]] = {}
    for number, cells, told in rows:
        row, wrong = (None, told) if told else _read(dict(zip(COLUMNS, cells, strict=True)), tariff, p)
        if row is None:
            errors[number] = [number, "" if told else _reference(cells[0]), wrong]
        else:
            good.append(row | {"number": number})
    results = {one[0]: one for one in _priced(tariff, good)} | errors
    return [results[number] for number, *_ in rows]


def _reference(cell: str) -> str:
    return "" if cell_fault(cell, free=True) else cell[:64]


def _read(cells: Mapping[str, str], tariff: pricing.Tariff, p: InForce) -> tuple[dict[str, Any] | None, str]:
    """A row as numbers, or what is wrong with it."""
    wrong: list[str] = []
    reference = cells["reference"]
    if not reference or cell_fault(reference, free=True):
        wrong.append("/reference: give a name of your own that is no formula")
    if cells["county"] not in COUNTIES:
        wrong.append("/county: is not known")
    value, wanted = (_amount(name, cells[name], wrong) for name in ("value", "sum_insured"))
    limit = money.from_fen(int(money.fen(value) * p["maximum_sum_insured_share"]))
    if not wrong and wanted > limit:
        wrong.append(f"/sum_insured: is above the limit of {limit} CNY on this value")
    ceiling = float(p["maximum_hazard_score"])
    scores = []
    for k, peril in enumerate(tariff.perils):
        score = _number(peril, cells[peril], 1.0, wrong) if cells[peril] else float(tariff.reference[k])
        if score > ceiling:
            wrong.append(f"/{peril}: {score} is above the highest insurable {ceiling}")
        scores.append(score)
    traits: dict[str, Any] = {n: _number(n, cells[n], _MOST[n], wrong) for n in pricing.MEASURED if cells[n]}
    for name in pricing.NAMED:
        if cells[name] and cells[name] not in _WORDS[name]:
            wrong.append(f"/{name}: is none of {', '.join(_WORDS[name])}")
        traits |= {name: cells[name]} if cells[name] else {}
    if wrong:
        return None, "; ".join(wrong[:3])
    return {
        "reference": reference[:64], "sum": money.fen(wanted), "scores": scores, "species": cells["species"],
        "traits": traits,
    }, ""  # fmt: skip


def _amount(name: str, cell: str, wrong: list[str]) -> Decimal:
    try:
        amount = money.amount(cell)
    except ValueError:
        amount = Decimal(0)
    if not 0 < amount <= Decimal("999999999999.99"):
        wrong.append(f"/{name}: an amount above 0 such as 1000.00 is expected")
        return Decimal(0)
    return amount


def _number(name: str, cell: str, most: float, wrong: list[str]) -> float:
    if _DECIMAL.fullmatch(cell) is None or float(cell) > most:
        wrong.append(f"/{name}: a number from 0 to {most:g} is expected")
        return 0.0
    return float(cell)


def _priced(tariff: pricing.Tariff, rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    if not rows:
        return []
    sums = np.array([row["sum"] for row in rows], dtype=np.float64)
    relativities = tariff.many_relativities([row["species"] for row in rows], [row["traits"] for row in rows])
    many = pricing.price_many(tariff, sums, np.array([row["scores"] for row in rows]), relativities)
    return [[row["number"], row["reference"], *figures, ""] for row, figures in zip(rows, many.as_text(), strict=True)]


# -- the book ---------------------------------------------------------------------------------------------------------


def start_book(session: Session, on: date, maker: str) -> BulkPricing:
    """Price every policy in force anew on the parameters in force on a day, beside what it pays."""
    if "base_rate" not in PARAMETERS.at(on).entries:
        raise InvalidError(f"no rates are in force on {on}")
    ids = session.scalars(select(Policy.id).where(Policy.state == "in_force").order_by(Policy.id)).all()
    if not ids:
        raise StateError("no policy is in force")
    rows = [[number, str(policy_id), ""] for number, policy_id in enumerate(ids, 1)]
    return _start(session, "book", rows, BOOK_BATCH, PARAMETERS.at(on), maker, on)


def step_book(session: Session, job: Job) -> None:
    """Price the next policies of the book anew."""
    made = found(session, BulkPricing, job.id)
    batch = session.get_one(BulkPricingBatch, (job.id, int(job.cursor or 0)))
    p = PARAMETERS.at(date.fromisoformat(job.input["on"]))
    priced_by = models.champions(session)
    results = [_again(session, number, UUID(policy_id), p, priced_by) for number, policy_id, _ in batch.content]
    batch.results, batch.content = results, []
    _advance(session, job, made, batch.number, results, p)


def _again(
    session: Session, number: int, policy_id: UUID, p: InForce, priced_by: Mapping[str, ServedModel]
) -> list[Any]:
    policy = found(session, Policy, policy_id)
    valuations = latest_valuations(session, (asset.asset_id for asset in policy.assets))
    surveys = latest_surveys(session, (asset.asset_id for asset in policy.assets))
    sites = [
        exposures.valued_site(valuations[one.asset_id], one.sum_insured, p, surveys.get(one.asset_id))
        for one in policy.assets
    ]
    terms = pricing.Terms(deductible_share=float(policy.deductible))
    price = pricing.price([site.insured for site in sites], p, pricing.Steps(), terms, priced_by)
    change = price.annual_premium / policy.annual_premium - 1
    against = exposures.against(sites, policy.ends_on, p)
    return [number, str(policy.id), str(policy.sum_insured), str(policy.annual_premium), str(price.annual_premium),
            f"{change:.6f}", "; ".join(one.code for one in against)]  # fmt: skip


def start_renewal(session: Session, expiring_by: date, months: int, maker: str) -> BulkPricing:
    """Renew every policy in force that expires by a day, each as if it were renewed alone."""
    query = select(Policy.id).where(Policy.state == "in_force", Policy.expiry <= expiring_by).order_by(Policy.id)
    ids = session.scalars(query).all()
    if not ids:
        raise StateError(f"no policy in force expires by {expiring_by}")
    rows = [[number, str(policy_id), ""] for number, policy_id in enumerate(ids, 1)]
    p = PARAMETERS.at(clock.today())
    return _start(session, "renewal", rows, BOOK_BATCH, p, maker, clock.today(), months=months, by=maker)


def step_renewal(session: Session, job: Job) -> None:
    """Renew the next policies; one that cannot be is told with its reason, and the others go on."""
    made = found(session, BulkPricing, job.id)
    batch = session.get_one(BulkPricingBatch, (job.id, int(job.cursor or 0)))
    results = [
        _renewed(session, number, UUID(policy_id), job.input["months"], job.input["by"])
        for number, policy_id, _ in batch.content
    ]
    batch.results, batch.content = results, []
    _advance(session, job, made, batch.number, results, PARAMETERS.at(clock.today()))


def _renewed(session: Session, number: int, policy_id: UUID, months: int, maker: str) -> list[Any]:
    before = found(session, Policy, policy_id).annual_premium
    try:
        # A renewal refuses before it changes anything.
        policy = endorsements.renew_policy(session, policy_id, months, maker)
    except RefusalError as refusal:
        return [number, str(policy_id), str(refusal)]
    change = policy.annual_premium / before - 1
    return [number, str(policy.id), str(policy.sum_insured), str(before), str(policy.annual_premium), f"{change:.6f}",
            ""]  # fmt: skip


# -- both -------------------------------------------------------------------------------------------------------------


def results(session: Session, pricing_id: UUID, format_: str) -> bytes:
    """What became of every row so far, in its order."""
    made = found(session, BulkPricing, pricing_id)
    header = RESULT if made.kind == "file" else BOOK_RESULT
    batches = session.scalars(
        select(BulkPricingBatch.results)
        .where(BulkPricingBatch.pricing_id == made.id)
        .order_by(BulkPricingBatch.number)
        .execution_options(yield_per=1)
    )
    lines = (
        [str(cell) for cell in (row if len(row) == len(header) else _padded(row, header))]
        for batch in batches
        for row in batch or ()
    )
    return spreadsheets.written(format_, header, lines)


def template(format_: str) -> bytes:
    """A file with every column and one example row, to be filled in and sent back."""
    return spreadsheets.written(format_, COLUMNS, [_EXAMPLE])


def _padded(row: Sequence[Any], header: Sequence[str]) -> list[Any]:
    """A refused row: number, reference, nothing, and what is wrong with it."""
    return [*row[:2], *[""] * (len(header) - 3), row[2]]


def _start(
    session: Session, kind: str, rows: list[list[Any]], size: int, p: InForce, maker: str, on: date, **given: Any
) -> BulkPricing:
    job = jobs.start(session, f"price_{kind}", len(rows), on=on.isoformat(), **given)
    made = BulkPricing(
        id=job.id,
        institution=tenant(session),
        kind=kind,
        rows=len(rows),
        parameters_digest=p.digest,
        created_by=maker,
        created_at=clock.now(),
    )
    session.add(made)
    session.flush()
    batches = (
        (job.id, number, made.institution, Json(canonical(rows[at : at + size]).decode()))
        for number, at in enumerate(range(0, len(rows), size))
    )
    bulk.insert(
        session, BulkPricingBatch.__table__, ("pricing_id", "number", "institution", "content"), batches  # type: ignore[arg-type]
    )  # fmt: skip
    return made


def _advance(
    session: Session, job: Job, made: BulkPricing, number: int, rows: Sequence[Sequence[Any]], p: InForce
) -> None:
    refused = sum(len(row) == 3 for row in rows)
    made.priced += len(rows) - refused
    made.refused += refused
    made.unverified_parameters = sorted({*made.unverified_parameters, *p.unverified})
    job.done += len(rows)
    job.cursor = str(number + 1)
    if job.done >= job.total:
        session.flush()
        made.finished_at = clock.now()
        made.summary = _summary(session, made)


def _summary(session: Session, made: BulkPricing) -> dict[str, str]:
    """Totals of what was priced, and for a book how the changes are distributed."""
    query = select(BulkPricingBatch.results).where(BulkPricingBatch.pricing_id == made.id)
    rows = [row for batch in session.scalars(query) for row in batch or () if len(row) > 3]
    if made.kind == "file":
        return {
            "sum_insured": str(sum((Decimal(row[2]) for row in rows), Decimal(0))),
            "annual_premium": str(sum((Decimal(row[3]) for row in rows), Decimal(0))),
        }
    changes = np.array([float(row[5]) for row in rows])
    before, after = (str(sum((Decimal(row[at]) for row in rows), policies.NOTHING)) for at in (3, 4))
    return {
        "before": before,
        "annual_premium": after,
        "up": str(int((changes > 0).sum())),
        "down": str(int((changes < 0).sum())),
        **{f"change_p{q:02d}": f"{float(np.quantile(changes, q / 100)):.6f}" for q in (5, 25, 50, 75, 95)},
    }
