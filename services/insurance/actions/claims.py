"""Claims: opened by a reversal on an insured forest or by a notice, paid once, to the bank first and then to the owner.

Which policy pays is a matter of dates: one that stood on the day of the event. A reversal that reached the insurer
after the quote and before the binding never makes a claim; it refuses the binding instead (covers.bind_cover).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, index_triggers, payments, reasons, suspicions
from services.insurance.actions.pricing import Steps
from services.insurance.formulas.payout import indemnity
from services.insurance.formulas.terms import fire_covered, pest_event
from services.insurance.tables import Claim, Policy, PolicyAsset, Reversal, lock_assets
from shared import audit, clock, money, outbox, watchers
from shared.db import locked
from shared.errors import StateError
from shared.events.insurance import ClaimOpened
from shared.events.parts import Reason
from shared.events.sink import Peril, ReversalReported
from shared.ids import uuid7

log = structlog.get_logger(__name__)
MU_PER_HA = 15


@dataclass(frozen=True)
class Damage:
    """What an event did to a forest, as the register measured it or an adjuster says; values in fen."""

    peril: str
    before: int
    after: int
    event_area_ha: Decimal
    severity: Decimal


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
    """Open one claim; the policy's row is locked, so what it has left cannot change meanwhile.

    A claim that was notified of the same event is not opened a second time: it now rests on what the register measured.
    """
    known = select(Claim.id).where(
        Claim.policy_id == policy.id, Claim.reversal_id == event.reversal_id, Claim.asset_id == event.asset_id
    )
    if session.scalar(known) is not None:
        return
    quantile = policy.terms["insured_value_quantile"]
    damage = Damage(
        peril=event.peril,
        before=money.fen(getattr(event.value_before, quantile)),
        after=money.fen(getattr(event.value_after, quantile)),
        event_area_ha=event.event_area_ha,
        severity=event.severity,
    )
    claim = same_event(session, policy, event.asset_id, event.peril, event.occurred_on, origin="notice")
    if claim is None:
        claim = new_claim(policy, event.asset_id, event.peril, event.occurred_on, "reversal", event.reversal_id)
    else:
        claim.reversal_id = event.reversal_id
        if claim.state == "paid" or claim.rejected:
            audit.record(session, "confirm_claim", claim.id, reversal=str(event.reversal_id), state=claim.state)
            return
    enter_assessment(session, policy, claim, damage)


def new_claim(
    policy: Policy, asset_id: UUID, peril: str, occurred_on: date, origin: str, rests_on: UUID | None
) -> Claim:
    """A claim of which nothing is known yet but what happened when; it rests on itself if on nothing else."""
    claim_id = uuid7()
    return Claim(
        id=claim_id,
        institution=policy.institution,
        policy_id=policy.id,
        loan_id=policy.loan_id,
        bank=policy.bank,
        asset_id=asset_id,
        origin=origin,
        reversal_id=rests_on or claim_id,
        peril=peril,
        occurred_on=occurred_on,
        state="notified",
        loss=money.from_fen(0),
        payable=money.from_fen(0),
        reserve=money.from_fen(0),
        recovered=money.from_fen(0),
        explanation=[],
        reasons=[],
        flags=[],
        rejected=False,
        opened_at=clock.now(),
    )


def same_event(
    session: Session, policy: Policy, asset_id: UUID, peril: str, day: date, origin: str | None = None
) -> Claim | None:
    """The claim on the same forest for the same peril within the days that count as one event, locked."""
    apart = timedelta(days=PARAMETERS.at(clock.today())["same_event_days"])
    query = select(Claim).where(
        Claim.policy_id == policy.id, Claim.asset_id == asset_id, Claim.peril == peril,
        Claim.occurred_on >= day - apart, Claim.occurred_on <= day + apart,
    )  # fmt: skip
    if origin is not None:
        # A notice that the register has confirmed rests on that event and on no other.
        query = query.where(Claim.origin == origin, Claim.reversal_id == Claim.id)
    return session.scalars(query.order_by(Claim.id).limit(1).with_for_update()).first()


def enter_assessment(session: Session, policy: Policy, claim: Claim, damage: Damage) -> None:
    """Say what is payable on a claim, and set it aside; what an earlier assessment took of the sum is given back."""
    asset = session.get_one(PolicyAsset, (policy.id, claim.asset_id), populate_existing=True)
    asset.claimed -= claim.payable
    policy.claimed -= claim.payable
    steps = Steps()
    claim.loss, claim.payable, against = _assess(policy, asset, damage, steps)
    claim.reserve = claim.payable
    claim.state = "open" if claim.payable > 0 else "nil"
    claim.explanation, claim.reasons = steps.rows, reasons.as_json(against)
    claim.flags = reasons.as_json(suspicions.of(session, policy, claim))
    session.add(claim)
    asset.claimed += claim.payable
    policy.claimed += claim.payable
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
            peril=cast(Peril, claim.peril),
            loss=claim.loss,
            payable=claim.payable,
        ),
    )
    audit.record(
        session, "open_claim", claim.id, policy=str(policy.id), reversal=str(claim.reversal_id), loss=str(claim.loss),
        payable=str(claim.payable), flags=[one["code"] for one in claim.flags],
    )  # fmt: skip
    session.flush()


def _assess(policy: Policy, asset: PolicyAsset, damage: Damage, steps: Steps) -> tuple[Decimal, Decimal, list[Reason]]:
    """Loss of a forest and what is payable on it under the policy's terms, with the reasons where that is nothing."""
    terms, of = policy.terms, str(asset.asset_id)
    loss = max(damage.before - damage.after, 0)
    steps.note("", "loss", loss, of=of, quantile=terms["insured_value_quantile"], value_before=damage.before,
               value_after=damage.after)  # fmt: skip
    if loss == 0:
        return money.from_fen(0), money.from_fen(0), [reasons.no_loss()]
    against = _exclusions(terms, damage, of, steps)
    if against:
        return money.from_fen(loss), money.from_fen(0), against
    total, used = money.fen(asset.sum_insured), money.fen(asset.used)
    deductible = float(terms["deductible_share"])
    payable = indemnity(loss, total, damage.before, deductible, used)
    steps.note(
        "(I53)", "indemnity", payable, of=of, loss=loss, sum_insured=total, carbon_value=damage.before,
        deductible_share=deductible, paid_before=used,
    )  # fmt: skip
    if payable == 0:
        nothing_left = reasons.sum_used_up(asset.sum_insured)
        against = [nothing_left if used >= total else reasons.below_deductible(money.from_fen(loss))]
    return money.from_fen(loss), money.from_fen(payable), against


def _exclusions(terms: Mapping[str, str], damage: Damage, of: str, steps: Steps) -> list[Reason]:
    """What the wording excludes: a small fire, judged on the whole event, and slight pest damage."""
    if damage.peril == "fire":
        area, excluded = damage.event_area_ha * MU_PER_HA, Decimal(terms["small_fire_exclusion_mu"])
        covered = fire_covered(float(area), float(excluded))
        steps.note("(I50)", "fire_covered", covered, of=of, event_area_mu=area, excluded_mu=excluded)
        return [] if covered else [reasons.small_fire(area, excluded)]
    if damage.peril == "pest":
        threshold = Decimal(terms["pest_threshold_degree"])
        covered = pest_event(float(damage.severity), float(threshold))
        steps.note("(I51)", "pest_event", covered, of=of, loss_degree=damage.severity, threshold_degree=threshold)
        return [] if covered else [reasons.slight_pest(damage.severity, threshold)]
    return []


def pay_claim(session: Session, claim_id: UUID) -> Claim:
    """Pay an open claim once: to the bank up to its live interest, the rest to the owner; the two sum to the total."""
    claim = locked(session, Claim, claim_id)
    if claim.state != "open":
        raise StateError(f"the claim is {claim.state}; only an open one can be paid")
    if claim.needs_clearance:
        raise StateError("the claim is flagged, and nobody but its adjuster has looked at it; another person clears it")
    payments.settle(session, claim, locked(session, Policy, claim.policy_id))
    return claim
