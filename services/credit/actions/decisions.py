"""A decision on a loan: underwritten on its facts and our copies of the valuations, and kept to be made again.

With each decision the card and the coefficients it was made by are kept, by their hash: it is made again from these,
whatever card and coefficients later releases carry.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import collateral as pledge
from services.credit.actions import groups, models, shadow, underwriting
from services.credit.actions.collateral import Collateral
from services.credit.actions.policy import JUDGEMENT, LIMITS, PRICE, Policy, policy
from services.credit.actions.pricing import Price
from services.credit.actions.scoring import Facts, Judgement
from services.credit.actions.underwriting import Case, Legs, Rulebook, rulebook
from services.credit.tables import Decision, Loan, book, keep_materials, latest_decision, materials_of, valuations_of
from shared import clock, money
from shared.db import found
from shared.errors import NotFoundError
from shared.events.parts import PledgedAsset, Reason
from shared.ids import uuid7
from shared.strict_json import canonical


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
    champion = models.champion(session)
    rules = rulebook(today, champion)
    assets = current_collateral(session, loan)
    _place(loan, assets, today)
    case = _case(session, loan, assets, today, sum_insured, guarantors)
    made = underwriting.underwrite(rules, case)
    inputs, result = underwriting.case_as_json(case), underwriting.as_json(rules, made)
    keep_materials(session, loan.institution, rules.texts())
    decision = Decision(
        id=uuid7(),
        institution=loan.institution,
        loan=loan,
        kind=kind,
        outcome=made.outcome,
        decided_at=clock.now(),
        decided_on=today,
        inputs=inputs,
        result=result,
        inputs_hash=_hash(inputs),
        result_hash=_hash(result),
        artefact_hash=rules.card.sha256,
        model=champion.label(),
        judgement_hash=rules.judged_by.sha256,
        price_hash=rules.priced_by.sha256,
        parameters_digest=rules.judged_by.digest,
    )
    session.add(decision)
    if kind == "application":
        shadow.score_beside(session, decision, rules, case.facts, made.judgement)
    _stand_on(rules.judged_by, loan, assets, made.judgement)
    return Decided(made.judgement, made.price, made.reasons, made.outcome, decision)


def case_now(session: Session, loan: Loan) -> Case:
    """The case of a loan as things stand now, before its legs have answered."""
    today = clock.today()
    assets = current_collateral(session, loan)
    return _case(session, loan, assets, today, None, None)


def kept_rulebook(session: Session, decision: Decision) -> Rulebook:
    """The rulebook a decision was made by, as it was kept with it."""
    hashes = (decision.artefact_hash, decision.judgement_hash, decision.price_hash)
    texts = materials_of(session, hashes)
    card, judged_by, priced_by = (texts[one] for one in hashes)
    return Rulebook(
        underwriting.kept_card(decision.artefact_hash, card), Policy.from_text(judged_by), Policy.from_text(priced_by)
    )


def current_collateral(session: Session, loan: Loan, *, hold: bool = False, pledged: bool = False) -> list[Collateral]:
    """The forests behind a loan on our newest copies of the valuations; with `hold` these stay the newest for now.

    With `pledged` only those count whose lien stands.
    """
    assets = [asset for asset in loan.assets if not pledged or asset.pledge_state == "placed"]
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
    """Make the latest decision on a loan again from what was kept, and say whether every byte is the same."""
    found(session, Loan, loan_id)
    stored = latest_decision(session, loan_id)
    assert stored is not None
    if not stored.judgement_hash:
        raise NotFoundError("nothing was kept with this decision that it could be made again from")
    rules = kept_rulebook(session, stored)
    result = underwriting.as_json(rules, underwriting.underwrite(rules, underwriting.case_from_json(stored.inputs)))
    present = rulebook(stored.decided_on, models.champion(session))
    return {
        "decision_id": stored.id,
        "decided_at": stored.decided_at,
        "same": _hash(result) == stored.result_hash,
        "same_artefact": present.card.sha256 == stored.artefact_hash,
        "same_parameters": (present.judged_by.sha256, present.priced_by.sha256)
        == (stored.judgement_hash, stored.price_hash),
        "same_inputs": _hash(stored.inputs) == stored.inputs_hash,
        "result_hash": stored.result_hash,
        "replayed_hash": _hash(result),
    }


def _place(loan: Loan, assets: list[Collateral], today: date) -> None:
    """Say where the largest part of the collateral lies, for the limits of the book."""
    if any(asset.county for asset in assets):
        largest = max(assets, key=lambda asset: (asset.p50 or 0.0, asset.asset_id))
        loan.county = largest.county
        loan.fire_zone = pledge.fire_zone(policy(today, LIMITS)["fire_zone_degrees"], largest)


def _case(
    session: Session,
    loan: Loan,
    assets: list[Collateral],
    today: date,
    sum_insured: Decimal | None,
    guarantors: Mapping[str, float] | None,
) -> Case:
    legs = Legs(float(sum_insured or 0), None if guarantors is None else dict(guarantors))
    return Case(_facts(session, loan, today, guarantors), tuple(assets), legs)


def _facts(session: Session, loan: Loan, today: date, guarantors: Mapping[str, float] | None) -> Facts:
    whole, beside = book(session, loan, [] if loan.party_id is None else groups.members(session, loan.party_id))
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
        repayment=loan.repayment,
        verifier=loan.verifier,
        book=float(whole),
        beside={dimension: there and (there[0], float(there[1])) for dimension, there in beside.items()},
    )


def _stand_on(judged_by: Policy, loan: Loan, assets: list[Collateral], judgement: Judgement) -> None:
    """Write down, asset by asset, which valuation the loan stands on and what it counted for."""
    for row, asset in zip(loan.assets, assets, strict=True):
        row.county = asset.county
        row.valuation_id = None if asset.valuation_id is None else UUID(asset.valuation_id)
        row.valuation_version = asset.version
        row.value = None if judgement.value is None else pledge.counted_value(judged_by, asset)


def _hash(data: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(data)).hexdigest()
