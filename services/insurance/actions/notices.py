"""Claims that an owner or a bank notifies: checked against the cover, reserved, assessed, cleared by another person.

A notice pays nothing by itself. The register's own measurement of the same event takes its place when it comes, so an
event is one claim whoever tells of it first.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.insurance.actions import claims, endorsements, policies, reasons, suspicions
from services.insurance.formulas.payout import indemnity
from services.insurance.tables import Claim, Policy, PolicyAsset
from shared import audit, clock, money
from shared.db import locked
from shared.errors import ConflictError, ForbiddenError, InvalidError, StateError
from shared.events.parts import Reason


def notify_claim(session: Session, given: Mapping[str, Any]) -> Claim:
    """Enter a notice and what is set aside for it. Raises ConflictError where no cover stood, or the event is known."""
    policy = policies.named_policy(session, given["policy_id"])
    asset = next((one for one in policy.assets if one.asset_id == given["asset_id"]), None)
    if asset is None:
        raise InvalidError("a cover of the kind that is claimed on does not insure this forest")
    if given["occurred_on"] > clock.today():
        raise InvalidError("the day of the loss lies in the future")
    against = not_covered(policy, given["occurred_on"], given["peril"])
    if against:
        raise ConflictError(endorsements.said(against))
    known = claims.same_event(session, policy, asset.asset_id, given["peril"], given["occurred_on"])
    if known is not None:
        raise ConflictError(f"the event is known as claim {known.id} of {known.occurred_on}; one event is one claim")
    claim = claims.new_claim(policy, asset.asset_id, given["peril"], given["occurred_on"], "notice", None)
    claim.note, claim.loss = given["note"], given["estimate"]
    claim.reserve = _reserve(policy, asset, given["estimate"])
    claim.flags = reasons.as_json(suspicions.of(session, policy, claim))
    session.add(claim)
    session.flush()
    audit.record(session, "notify_claim", claim.id, policy=str(policy.id), peril=claim.peril,
                 occurred_on=claim.occurred_on.isoformat(), reserve=str(claim.reserve))  # fmt: skip
    return claim


def not_covered(policy: Policy, day: date, peril: str) -> list[Reason]:
    """Every reason why a policy does not answer for a peril on a day."""
    found = []
    if day < policy.inception:
        found.append(reasons.before_inception(policy.inception, day))
    if day >= policy.ends_on:
        found.append(reasons.after_end(policy.ends_on, day))
    if peril not in policy.perils:
        found.append(reasons.peril_not_insured(peril))
    return found


def _reserve(policy: Policy, asset: PolicyAsset, estimate: Decimal) -> Decimal:
    """What a loss as it is told would pay after the terms: average, deductible, what is left of the sum. [CNY]"""
    value = max(money.fen(asset.insured_value), money.fen(asset.sum_insured))
    deductible = float(policy.terms["deductible_share"])
    told = min(money.fen(estimate), value)
    return money.from_fen(indemnity(told, money.fen(asset.sum_insured), value, deductible, money.fen(asset.used)))


def assess_claim(session: Session, claim_id: UUID, given: Mapping[str, Any], adjuster: str) -> Claim:
    """Say as an adjuster what a notified event did to the forest; the policy's terms say what of it is payable."""
    claim, policy = _claim_and_policy(session, claim_id)
    if claim.origin != "notice" or claim.state == "paid" or claim.rejected or claim.reversal_id != claim.id:
        raise StateError("only a notice that is neither paid nor rejected, and that the register has not measured")
    if given["value_after"] > given["value_before"]:
        raise InvalidError("the forest is worth more than the whole it was worth before")
    claim.assessed_by, claim.cleared_by = adjuster, None
    damage = claims.Damage(
        peril=claim.peril,
        before=money.fen(given["value_before"]),
        after=money.fen(given["value_after"]),
        event_area_ha=given["event_area_ha"],
        severity=given["severity"],
    )
    claims.enter_assessment(session, policy, claim, damage)
    return claim


def clear_claim(session: Session, claim_id: UUID, accept: bool, comment: str, who: str) -> Claim:
    """Clear a flagged claim for payment, or reject it, as somebody other than its adjuster."""
    claim, policy = _claim_and_policy(session, claim_id)
    if not claim.needs_clearance or claim.state == "notified":
        raise StateError("nothing waits for clearance here")
    if claim.assessed_by == who:
        raise ForbiddenError("the person who assessed this claim cannot clear it; ask a colleague")
    claim.cleared_by = who
    if not accept:
        asset = session.get_one(PolicyAsset, (policy.id, claim.asset_id), populate_existing=True)
        asset.claimed -= claim.payable
        policy.claimed -= claim.payable
        claim.state, claim.rejected = "nil", True
        claim.payable = claim.reserve = money.from_fen(0)
        claim.reasons = reasons.as_json([reasons.notice_rejected()])
    audit.record(session, "clear_claim", claim.id, accept=accept, comment=comment)
    session.flush()
    return claim


def _claim_and_policy(session: Session, claim_id: UUID) -> tuple[Claim, Policy]:
    """A claim and its policy, locked: the policy is read first, as the consumer of events does."""
    claim = locked(session, Claim, claim_id)
    return claim, locked(session, Policy, claim.policy_id)
