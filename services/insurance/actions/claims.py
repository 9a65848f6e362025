"""Claims: opened by a reversal on an insured forest, paid once, to the bank first and then to the owner.

Which policy pays is a matter of dates: one that stood on the day of the event. A reversal that reached the insurer
after the quote and before the binding never makes a claim; it refuses the binding instead (covers.bind_cover).
"""

from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.insurance.actions import index_triggers, payments, reasons
from services.insurance.actions.pricing import Steps
from services.insurance.formulas.payout import indemnity
from services.insurance.formulas.terms import fire_covered, pest_event
from services.insurance.tables import Claim, Policy, PolicyAsset, Reversal, lock_assets
from shared import audit, clock, money, outbox, watchers
from shared.db import locked, tenant
from shared.errors import StateError
from shared.events.insurance import ClaimOpened
from shared.events.parts import Reason
from shared.events.sink import ReversalReported
from shared.ids import uuid7

log = structlog.get_logger(__name__)
MU_PER_HA = 15


def hear_reversal(session: Session, event: ReversalReported) -> None:
    """Remember a damaged forest and open the claims of every insurer that covers it."""
    lock_assets(session, [event.asset_id])
    session.execute(
        insert(Reversal)
        .values(
            asset_id=event.asset_id,
            reversal_id=event.reversal_id,
            peril=event.peril,
            occurred_on=event.occurred_on,
            received_at=clock.now(),
        )
        .on_conflict_do_nothing()
    )
    for _ in watchers.each(session, event.asset_id):
        open_claims(session, event)
        index_triggers.observe_reversal(session, event)


def open_claims(session: Session, event: ReversalReported) -> None:
    """Open the claims of the current insurer's policies that stood on the forest that day."""
    candidates = session.scalars(
        select(Policy.id)
        .join(PolicyAsset, PolicyAsset.policy_id == Policy.id)
        .where(
            PolicyAsset.asset_id == event.asset_id,
            Policy.inception <= event.occurred_on,
            Policy.ends_on > event.occurred_on,
        )
        .order_by(Policy.id)
    ).all()
    for policy_id in candidates:
        policy = locked(session, Policy, policy_id)
        if policy.covers(event.occurred_on) and event.peril in policy.perils:
            _open_claim(session, policy, event)
        else:
            log.info("the policy does not cover this", policy=str(policy.id), peril=event.peril)


def _open_claim(session: Session, policy: Policy, event: ReversalReported) -> None:
    """Open one claim; the policy's row is locked, so what it has left cannot change meanwhile."""
    known = select(Claim.id).where(
        Claim.policy_id == policy.id, Claim.reversal_id == event.reversal_id, Claim.asset_id == event.asset_id
    )
    if session.scalar(known) is not None:
        return
    asset = session.get_one(PolicyAsset, (policy.id, event.asset_id), populate_existing=True)
    steps = Steps()
    loss, payable, against = _assess(policy, asset, event, steps)
    claim = Claim(
        id=uuid7(),
        institution=tenant(session),
        policy_id=policy.id,
        loan_id=policy.loan_id,
        bank=policy.bank,
        asset_id=event.asset_id,
        origin="reversal",
        reversal_id=event.reversal_id,
        peril=event.peril,
        occurred_on=event.occurred_on,
        state="open" if payable > 0 else "nil",
        loss=loss,
        payable=payable,
        explanation=steps.rows,
        reasons=reasons.as_json(against),
        opened_at=clock.now(),
    )
    session.add(claim)
    asset.claimed += payable
    policy.claimed += payable
    outbox.put(
        session,
        ClaimOpened(
            loan_id=claim.loan_id,
            bank=claim.bank,
            insurer=claim.institution,
            claim_id=claim.id,
            policy_id=policy.id,
            asset_id=claim.asset_id,
            reversal_id=claim.reversal_id,
            peril=event.peril,
            loss=loss,
            payable=payable,
        ),
    )
    audit.record(
        session, "open_claim", claim.id, policy=str(policy.id), reversal=str(event.reversal_id), loss=str(loss),
        payable=str(payable),
    )  # fmt: skip
    session.flush()


def _assess(
    policy: Policy, asset: PolicyAsset, event: ReversalReported, steps: Steps
) -> tuple[Decimal, Decimal, list[Reason]]:
    """Loss of a forest and what is payable on it under the policy's terms, with the reasons where that is nothing."""
    terms, of = policy.terms, str(asset.asset_id)
    quantile = terms["insured_value_quantile"]
    before, after = (money.fen(getattr(value, quantile)) for value in (event.value_before, event.value_after))
    loss = max(before - after, 0)
    steps.note("", "loss", loss, of=of, quantile=quantile, value_before=before, value_after=after)
    if loss == 0:
        return money.from_fen(0), money.from_fen(0), [reasons.no_loss()]
    against = _exclusions(terms, event, steps)
    if against:
        return money.from_fen(loss), money.from_fen(0), against
    total, used, deductible = money.fen(asset.sum_insured), money.fen(asset.claimed), float(terms["deductible_share"])
    payable = indemnity(loss, total, before, deductible, used)
    steps.note(
        "(I53)", "indemnity", payable, of=of, loss=loss, sum_insured=total, carbon_value=before,
        deductible_share=deductible, paid_before=used,
    )  # fmt: skip
    if payable == 0:
        nothing_left = reasons.sum_used_up(asset.sum_insured)
        against = [nothing_left if used >= total else reasons.below_deductible(money.from_fen(loss))]
    return money.from_fen(loss), money.from_fen(payable), against


def _exclusions(terms: dict[str, str], event: ReversalReported, steps: Steps) -> list[Reason]:
    """What the wording excludes: a small fire, judged on the whole event, and slight pest damage."""
    of = str(event.asset_id)
    if event.peril == "fire":
        area, excluded = event.event_area_ha * MU_PER_HA, Decimal(terms["small_fire_exclusion_mu"])
        covered = fire_covered(float(area), float(excluded))
        steps.note("(I50)", "fire_covered", covered, of=of, event_area_mu=area, excluded_mu=excluded)
        return [] if covered else [reasons.small_fire(area, excluded)]
    if event.peril == "pest":
        threshold = Decimal(terms["pest_threshold_degree"])
        covered = pest_event(float(event.severity), float(threshold))
        steps.note("(I51)", "pest_event", covered, of=of, loss_degree=event.severity, threshold_degree=threshold)
        return [] if covered else [reasons.slight_pest(event.severity, threshold)]
    return []


def pay_claim(session: Session, claim_id: UUID) -> Claim:
    """Pay an open claim once: to the bank up to its live interest, the rest to the owner; the two sum to the total."""
    claim = locked(session, Claim, claim_id)
    if claim.state != "open":
        raise StateError(f"the claim is {claim.state}; only an open one can be paid")
    payments.settle(session, claim, locked(session, Policy, claim.policy_id))
    return claim
