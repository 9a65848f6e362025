"""Index covers: what each kind pays for, what it costs, and how badly it would miss the loss, before anybody buys it.

The years are simulated from the rates of the same tariff that prices indemnity, so the two stand side by side. What is
sold is exactly what was shown: a cover is bound by the hash of its terms, premium and basis risk.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, policies, pricing, reasons
from services.insurance.formulas import basis_risk, index_years
from services.insurance.formulas import premium as formulas
from services.insurance.formulas.event_sets import damage_bins
from services.insurance.formulas.payout import tier_payout
from services.insurance.formulas.subsidy import return_premium
from services.insurance.tables import (
    IndexCover,
    Policy,
    Valuation,
    latest_valuations,
    lock_assets,
    sum_insured_elsewhere,
)
from shared import approvals, audit, clock, money, timers
from shared.db import locked
from shared.errors import ConflictError, InvalidError, StateError
from shared.ids import uuid7
from shared.parameters import InForce

#: What is observed of trees is sold beside a policy; a price floor is priced only.
SOLD = ("area_index", "remote_sensing", "annual_aggregate")
KINDS = (*SOLD, "price_floor")
_BINS = 200
#: What each kind insures, in words that a wording takes over.
QUANTITIES = {
    "area_index": (
        "受灾面积占承保面积的比例；不以碳损失量或碳排放量为赔付依据。",
        "The damaged share of the insured area; neither carbon lost from living trees nor carbon emitted is paid for.",
    ),
    "remote_sensing": (
        "活立木碳储量较目标的短少吨数（遥感反演）；活立木损失的碳与排放的碳是两个不同的量，本保险只保前者。",
        "Tonnes that the carbon of living trees falls short of a target, as seen by remote sensing. Carbon lost from"
        " living trees and carbon emitted are two quantities; this cover pays for the first only.",
    ),
    "annual_aggregate": (
        "保险期间内活立木累计损失的碳（吨），达到约定阈值即为保险事件；不以排放的碳为赔付依据。",
        "Carbon lost from living trees over the whole time of cover; the event is that the sum reaches a threshold."
        " Carbon emitted is not what is paid for.",
    ),
    "price_floor": (
        "碳汇单位的市场价格低于约定底价的差额；与林木损失无关。",
        "The market price of carbon units below an agreed floor; losses of trees are not paid for.",
    ),
}


def whatif(request: Mapping[str, Any]) -> dict[str, Any]:
    """Price an index cover and simulate its basis risk; nothing is kept. Raises InvalidError."""
    p = PARAMETERS.at(clock.today())
    steps, kind, limit = pricing.Steps(), request["kind"], money.fen(request["limit"])
    simulation = p["index_simulation"]
    years, rng = simulation["years"], np.random.default_rng(simulation["seed"])
    needed = {"area_index": ("value",), "remote_sensing": ("value", "target_t"),
              "annual_aggregate": ("value", "target_t"), "price_floor": ("tonnes", "floor")}  # fmt: skip
    missing = [name for name in needed[kind] if request[name] is None]
    if missing:
        raise InvalidError(
            f"a cover of the kind {kind} needs {', '.join(missing)}",
            errors=[{"pointer": f"/{name}", "detail": "This kind of cover needs it."} for name in missing],
        )
    if kind == "price_floor":
        losses, payouts = _price_years(request, limit, p, years, rng, steps)
    else:
        losses, payouts = _damage_years(request, limit, p, years, rng, steps)
    expected, sd = float(payouts.mean()), float(payouts.std(ddof=1))
    margin = formulas.risk_margin(float(p["risk_margin_loading"]), np.array([sd**2]))
    loadings: dict[str, Any] = {name: float(p[f"{name}_rate"]) for name in ("expense", "commission", "tax", "profit")}
    gross = formulas.gross_premium(expected, margin, **loadings)
    annual = int(formulas.premium(gross, p["minimum_premium"]))
    steps.note("(I10)", "risk_margin", float(margin), loading=p["risk_margin_loading"], sd_of_payout=sd)
    steps.note("(I12)", "gross_premium", float(gross), expected_payout=expected, risk_margin=float(margin), **loadings)
    steps.note("(I13)", "premium", annual, gross_premium=float(gross), minimum_premium=p["minimum_premium"])
    line = formulas.market_spread(expected / limit, **p["market_spread"])
    steps.note("(I16)", "market_spread", line, expected_loss=expected / limit, **p["market_spread"])
    zh, en = QUANTITIES[kind]
    lost = bool(losses.any())
    return {
        "kind": kind,
        "quantity_zh": zh,
        "quantity_en": en,
        "limit": request["limit"],
        "annual_premium": money.from_fen(annual),
        "expected_payout": money.yuan(expected / 100),
        "expected_loss": money.yuan(float(losses.mean()) / 100),
        "rate_on_line": f"{formulas.rate_on_line(annual, limit):.8f}",
        "market_line": f"{line:.8f}",
        "basis_risk": {
            "missed_loss_probability": f"{basis_risk.missed_loss_probability(losses, payouts):.8f}",
            "false_payout_probability": f"{basis_risk.false_payout_probability(losses, payouts):.8f}",
            "uncovered_share": f"{basis_risk.uncovered_share(losses, payouts):.8f}" if lost else None,
        },
        "simulated_years": years,
        "seed": simulation["seed"],
        "explanation": steps.rows,
        "parameters_digest": p.digest,
        "unverified_parameters": list(p.unverified),
    }


def _damage_years(
    request: Mapping[str, Any], limit: int, p: InForce, years: int, rng: np.random.Generator, steps: pricing.Steps
) -> tuple[pricing.Array, pricing.Array]:
    """Losses of the forest and payments of the index, by year."""
    tariff = pricing.Tariff(p)
    scores = np.array(tariff.scores(request["hazards"]))
    rates = formulas.peril_rate(tariff.base, scores, tariff.reference, tariff.exponent)
    frequency = formulas.event_frequency(rates, tariff.mean)
    damages, year_of = [], []
    for k, peril in enumerate(tariff.perils):
        counts = rng.poisson(frequency[k], years)
        year_of.append(np.repeat(np.arange(years), counts))
        damages.append(rng.choice(damage_bins(tariff.mean[k], tariff.sd[k], _BINS), counts.sum()))
        steps.note("(I8)", "event_frequency", float(frequency[k]), of=peril, peril_rate=float(rates[k]),
                   damage_mean=tariff.mean[k])  # fmt: skip
    shares = index_years.damaged_shares(np.concatenate(damages), np.concatenate(year_of), years)
    error = float(p["index_observation_sd"])
    seen = index_years.observed_shares(shares, error, rng.standard_normal(years))
    steps.note("(I136)", "observed_shares", float(seen.mean()), damaged_share=float(shares.mean()), error_sd=error)
    losses = float(money.fen(request["value"])) * shares
    if request["kind"] == "area_index":
        table = [(float(at), float(paid)) for at, paid in p["area_index_steps"]]
        payouts = index_years.area_index_payouts(seen, limit, table)
        steps.note("(I137)", "area_index_payouts", float(payouts.mean()), limit=limit, steps=table)
        return losses, payouts
    target = float(request["target_t"])
    if request["kind"] == "annual_aggregate":
        tiers = [(at, round(limit * paid)) for at, paid in _tiers(p)]
        tonnes, where = np.unique(target * seen, return_inverse=True)
        payouts = np.array([tier_payout(lost, tiers) for lost in tonnes.tolist()], dtype=np.float64)[where]
        steps.note("(I61)", "tier_payout", float(payouts.mean()), carbon_t=target, tiers=tiers)
        return losses, payouts
    price = p["shortfall_price"] if request["unit_price"] is None else money.fen(request["unit_price"])
    payouts = index_years.shortfall_payouts(target, target * (1 - seen), price, limit)
    steps.note("(I138)", "shortfall_payouts", float(payouts.mean()), target_t=target, price=price, limit=limit)
    return losses, payouts


def _price_years(
    request: Mapping[str, Any], limit: int, p: InForce, years: int, rng: np.random.Generator, steps: pricing.Steps
) -> tuple[pricing.Array, pricing.Array]:
    """What the owner's own price falls below the floor, and what the index of the market pays, by year."""
    floor, tonnes = money.fen(request["floor"]), float(request["tonnes"])
    spot = money.fen(request["spot_price"] or request["floor"])
    market, own = p["price_volatility"]["market"], p["price_volatility"]["own"]
    prices = index_years.lognormal_prices(spot, market, 1.0, rng.standard_normal(years))
    realised = index_years.lognormal_prices(1.0, own, 1.0, rng.standard_normal(years)) * prices
    payouts = index_years.price_floor_payouts(prices, floor, tonnes, limit)
    steps.note("(I140)", "lognormal_prices", float(prices.mean()), spot=spot, volatility=market, own_volatility=own)
    steps.note("(I139)", "price_floor_payouts", float(payouts.mean()), floor=floor, tonnes=tonnes, limit=limit)
    return np.maximum(floor - realised, 0) * tonnes, payouts


def _tiers(p: InForce) -> list[tuple[float, float]]:
    """Tonnes lost and the share of the limit that is owed from there on."""
    return [(times * p["annual_threshold_t"], float(paid)) for times, paid in p["annual_tiers"]]


# -- selling ----------------------------------------------------------------------------------------------------------


def quote_index_cover(session: Session, request: Mapping[str, Any]) -> IndexCover:
    """Price an index cover on a forest of a policy in force, for a year and no longer than the policy stands.

    Raises InvalidError or ConflictError, and StateError before the loan is drawn.
    """
    policy = _policy_of(session, request["policy_id"])
    asset = next((one for one in policy.assets if one.asset_id == request["asset_id"]), None)
    if asset is None:
        raise InvalidError("a cover of the kind that is asked for insures a forest of the policy")
    p = PARAMETERS.at(clock.today())
    valuation = latest_valuations(session, [asset.asset_id])[asset.asset_id]
    _demand_trees(session, policy, valuation, request["kind"], request["limit"], p)
    value = pricing.insurable_value(valuation, p["insured_value_quantile"])
    target = request["target_t"] or asset.tonnes
    asked = {"kind": request["kind"], "limit": request["limit"], "value": value, "hazards": valuation.hazards,
             "target_t": target, "unit_price": request["unit_price"]}  # fmt: skip
    price = whatif(asked)
    terms: dict[str, Any] = {"source": request["source"], "observation_days": p["index_observation_days"]}
    if request["kind"] == "area_index":
        terms["steps"] = p["area_index_steps"]
    elif request["kind"] == "annual_aggregate":
        terms["tiers"] = _tiers(p)
    else:
        agreed = request["unit_price"]
        terms |= {"target_t": str(target), "price": p["shortfall_price"] if agreed is None else money.fen(agreed)}
    starts, year_end = clock.today(), policies.months_later(clock.today(), 12)
    ends, days = min(year_end, policy.ends_on), (year_end - starts).days
    annual = money.fen(price["annual_premium"])
    premium = return_premium(annual, days, days - (ends - starts).days)
    now = clock.now()
    cover = IndexCover(
        id=uuid7(),
        institution=policy.institution,
        policy_id=policy.id,
        loan_id=policy.loan_id,
        bank=policy.bank,
        asset_id=asset.asset_id,
        kind=request["kind"],
        state="quoted",
        most=request["limit"],
        paid=Decimal("0.00"),
        annual_premium=price["annual_premium"],
        premium=money.from_fen(premium),
        expected_payout=price["expected_payout"],
        expected_loss=price["expected_loss"],
        terms=terms,
        quantity={"zh": price["quantity_zh"], "en": price["quantity_en"]},
        basis_risk=price["basis_risk"],
        explanation=price["explanation"],
        parameters_digest=price["parameters_digest"],
        unverified_parameters=sorted({*price["unverified_parameters"], *p.unverified}),
        price_hash="",
        starts_on=starts,
        ends_on=ends,
        quoted_at=now,
        expires_at=now + timedelta(days=p["quote_validity_days"]),
        triggers=[],
    )
    cover.price_hash = approvals.payload_hash(_shown(cover))
    session.add(cover)
    session.flush()
    audit.record(session, "quote_index_cover", cover.id, policy=str(policy.id), kind=cover.kind,
                 premium=str(cover.premium), price=cover.price_hash)  # fmt: skip
    return cover


def bind_index_cover(session: Session, cover_id: UUID, price_hash: str, who: str) -> IndexCover:
    """Put in force what was shown: its hash says that terms, premium and basis risk were read."""
    cover = locked(session, IndexCover, cover_id)
    if cover.state != "quoted":
        raise StateError(f"the cover is {cover.state}; only one that is quoted can be bound")
    if cover.price_hash != price_hash:
        raise ConflictError("what was shown is another price, or another basis risk; read the cover and bind its hash")
    if cover.expires_at <= clock.now() or cover.starts_on != clock.today():
        raise StateError("the quote was for a day that is over; ask for another")
    policy = _policy_of(session, cover.policy_id)
    p = PARAMETERS.at(clock.today())
    valuation = latest_valuations(session, [cover.asset_id])[cover.asset_id]
    _demand_trees(session, policy, valuation, cover.kind, cover.most, p)
    cover.state, cover.bound_at, cover.bound_by = "in_force", clock.now(), who
    cover.ends_on = min(cover.ends_on, policy.ends_on)
    timers.put(session, "index_cover_end", cover.id, policies.start_of(cover.ends_on))
    audit.record(session, "bind_index_cover", cover.id, policy=str(policy.id), price=cover.price_hash)
    session.flush()
    return cover


def end_index_cover(session: Session, cover_id: UUID) -> None:
    """The time of cover is over: the trees are free for another; what was observed in it may still be paid."""
    cover = locked(session, IndexCover, cover_id)
    cover.state = "ended"
    audit.record(session, "end_index_cover", cover.id, paid=str(cover.paid))


def _policy_of(session: Session, policy_id: UUID) -> Policy:
    policy = policies.named_policy(session, policy_id)
    if policy.state != "in_force" or policy.breached_at is not None:
        raise StateError("the policy is broken, or not in force")
    if policy.balance is None:
        raise StateError("the loan is not drawn yet, so nobody knows the bank's interest that an index would pay")
    return policy


def _demand_trees(
    session: Session, policy: Policy, valuation: Valuation, kind: str, limit: Decimal, p: InForce
) -> None:
    """Refuse to insure the same trees twice: all covers of a forest together stay within what can be insured of it."""
    lock_assets(session, [valuation.asset_id])
    twice = select(IndexCover.id).where(
        IndexCover.asset_id == valuation.asset_id, IndexCover.policy_id == policy.id, IndexCover.kind == kind,
        IndexCover.state == "in_force",
    )  # fmt: skip
    if session.scalar(twice) is not None:
        raise ConflictError(f"a cover of the kind {kind} stands on this forest already")
    own = next(one.sum_insured for one in policy.assets if one.asset_id == valuation.asset_id)
    carried = own + sum_insured_elsewhere(session, valuation.asset_id, policy.cover_id)
    most = pricing.sum_limit(valuation, p)
    if carried + limit > most:
        why = reasons.duplicate_cover(valuation.county, limit, carried, most)
        raise ConflictError(f"{why.zh} {why.en}")


def _shown(cover: IndexCover) -> dict[str, Any]:
    """What whoever buys has seen, as it is hashed."""
    return {
        "policy": str(cover.policy_id), "asset": str(cover.asset_id), "kind": cover.kind, "limit": str(cover.most),
        "premium": str(cover.premium), "terms": cover.terms, "basis_risk": cover.basis_risk,
        "starts_on": cover.starts_on.isoformat(), "ends_on": cover.ends_on.isoformat(),
    }  # fmt: skip
