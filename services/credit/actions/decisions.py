"""A decision on a loan: judged on its facts and our copies of the valuations, priced, and stored to be made again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import collateral as pledge
from services.credit.actions import pricing, reasons, scoring
from services.credit.actions.collateral import Collateral
from services.credit.actions.policy import JUDGEMENT, PRICE, Policy, policy, scorecard
from services.credit.actions.pricing import Price, PriceInputs
from services.credit.actions.scoring import Facts, Judgement
from services.credit.tables import Decision, Loan, book, latest_decision, valuations_of
from shared import clock, money
from shared.db import found
from shared.events.parts import PledgedAsset, Reason
from shared.ids import uuid7


@dataclass(frozen=True)
class Decided:
    """A judgement with its price, as it was stored; no price while the collateral is not valued."""

    judgement: Judgement
    price: Price | None
    reasons: tuple[Reason, ...]
    outcome: str
    decision: Decision


def decide(
    session: Session, loan: Loan, kind: str, sum_insured: Decimal | None, guarantors: Mapping[str, float] | None
) -> Decided:
    """Judge and price a locked loan as things stand now, store how, and let the loan stand on it.

    Before the legs have answered, no cover is counted and the guarantors bear the share that was applied for.
    """
    today = clock.today()
    assets = current_collateral(session, loan)
    if any(asset.county for asset in assets):
        loan.county = max(assets, key=lambda asset: (asset.p50 or 0.0, asset.asset_id)).county
    facts = _facts(session, loan, today, guarantors)
    judged_by, card = policy(today, JUDGEMENT), scorecard()
    judgement = scoring.judge(judged_by, card, facts, assets)
    inputs = scoring.inputs_as_json(facts, assets)
    made: Price | None = None
    if judgement.value is not None:
        bearing = {"primary": facts.guaranteed_share} if guarantors is None else guarantors
        price_inputs = _price_inputs(loan, judgement, assets, sum_insured, bearing)
        made = pricing.price(policy(today, PRICE), price_inputs)
        inputs["price"] = pricing.inputs_as_json(price_inputs)
    outcome, told = _with_price(policy(today, PRICE), judgement, made, judged_by["most_reasons"])
    result = _result(judgement, made, outcome, told)
    decision = Decision(
        id=uuid7(),
        institution=loan.institution,
        loan=loan,
        kind=kind,
        outcome=outcome,
        decided_at=clock.now(),
        decided_on=today,
        inputs=inputs,
        result=result,
        inputs_hash=_hash(inputs),
        result_hash=_hash(result),
        artefact_hash=card.sha256,
        parameters_digest=judged_by.digest,
    )
    session.add(decision)
    _stand_on(judged_by, loan, assets, judgement)
    return Decided(judgement, made, told, outcome, decision)


def current_collateral(session: Session, loan: Loan, *, hold: bool = False, pledged: bool = False) -> list[Collateral]:
    """The forests behind a loan on our newest copies of the valuations; with `hold` these stay the newest for now.

    With `pledged` a forest whose lien was struck out does not count.
    """
    assets = [asset for asset in loan.assets if not (pledged and asset.pledge_state == "released")]
    known = valuations_of(session, [asset.asset_id for asset in assets], hold=hold)
    return [pledge.collateral(asset.asset_id, asset.tonnes, known.get(asset.asset_id)) for asset in assets]


def pledged_assets(loan: Loan) -> tuple[PledgedAsset, ...]:
    """The pledges as events tell them; one that was never valued says version 0 and value 0."""
    return tuple(
        PledgedAsset(
            asset_id=asset.asset_id,
            valuation_version=asset.valuation_version or 0,
            county=asset.county or "",
            tonnes=asset.tonnes,
            value=asset.value if asset.value is not None else Decimal("0.00"),
        )
        for asset in loan.assets
    )


def unverified(on: date) -> tuple[str, ...]:
    """Coefficients behind a judgement and its price that nobody checked against a source."""
    return tuple(sorted({*policy(on, JUDGEMENT).unverified, *policy(on, PRICE).unverified}))


def replay(session: Session, loan_id: UUID) -> dict[str, Any]:
    """Make the latest decision on a loan again from what was stored, and say whether every byte is the same."""
    found(session, Loan, loan_id)
    stored = latest_decision(session, loan_id)
    assert stored is not None
    facts, assets = scoring.inputs_from_json(stored.inputs)
    judged_by, card = policy(stored.decided_on, JUDGEMENT), scorecard()
    judgement = scoring.judge(judged_by, card, facts, assets)
    made = None
    if "price" in stored.inputs:
        made = pricing.price(policy(stored.decided_on, PRICE), PriceInputs(**stored.inputs["price"]))
    outcome, told = _with_price(policy(stored.decided_on, PRICE), judgement, made, judged_by["most_reasons"])
    result = _result(judgement, made, outcome, told)
    return {
        "decision_id": stored.id,
        "decided_at": stored.decided_at,
        "same": _hash(result) == stored.result_hash,
        "same_artefact": card.sha256 == stored.artefact_hash,
        "same_parameters": judged_by.digest == stored.parameters_digest,
        "same_inputs": _hash(stored.inputs) == stored.inputs_hash,
        "result_hash": stored.result_hash,
        "replayed_hash": _hash(result),
    }


def _facts(session: Session, loan: Loan, today: date, guarantors: Mapping[str, float] | None) -> Facts:
    whole, there = book(session, loan.county, loan.id) if loan.county else (None, None)
    share = float(loan.guaranteed_share) if guarantors is None else round(sum(guarantors.values()), 8)
    return Facts(
        on=today.isoformat(),
        amount=money.fen(loan.amount),
        term_months=loan.term_months,
        industry=loan.features["industry"],
        employees=loan.features["employees"],
        new_business=loan.features["new_business"],
        revolving=loan.features["revolving"],
        guaranteed_share=share,
        natural_person=loan.borrower_kind == "natural_person",
        book=None if whole is None else float(whole),
        county_book=None if there is None else float(there),
        county=loan.county,
    )


def _price_inputs(
    loan: Loan,
    judgement: Judgement,
    assets: list[Collateral],
    sum_insured: Decimal | None,
    guarantors: Mapping[str, float],
) -> PriceInputs:
    return PriceInputs(
        amount=money.fen(loan.amount),
        term_months=loan.term_months,
        default_probability=judgement.default_probability,
        default_probability_without_fire=judgement.default_probability_without_fire,
        default_probability_given_fire=judgement.default_probability_given_fire,
        fire_probability=judgement.fire_probability,
        carbon_value=sum(pledge.present_values(assets, "p50")),
        sum_insured=float(sum_insured or 0),
        guarantors=dict(guarantors),
    )


def _with_price(
    prices: Policy, judgement: Judgement, made: Price | None, most_reasons: int
) -> tuple[str, tuple[Reason, ...]]:
    """A rate above what the bank offers turns an approval into a question for a person."""
    if made is None or made.annual_rate <= prices["maximum_rate"]:
        return judgement.outcome, judgement.reasons
    told = (reasons.rate_too_high(made.annual_rate, prices["maximum_rate"]), *judgement.reasons)[:most_reasons]
    return ("refer" if judgement.outcome == "approve" else judgement.outcome), told


def _result(judgement: Judgement, made: Price | None, outcome: str, told: tuple[Reason, ...]) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "reasons": reasons.as_json(told),
        "judgement": scoring.as_json(judgement),
        "price": None if made is None else pricing.as_json(made),
    }


def _stand_on(judged_by: Policy, loan: Loan, assets: list[Collateral], judgement: Judgement) -> None:
    """Write down, asset by asset, which valuation the loan stands on and what it counted for."""
    for row, asset in zip(loan.assets, assets, strict=True):
        row.county = asset.county
        row.valuation_id = None if asset.valuation_id is None else UUID(asset.valuation_id)
        row.valuation_version = asset.version
        row.value = None if judgement.value is None else pledge.counted_value(judged_by, asset)


def _hash(data: dict[str, Any]) -> str:
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
