"""What looks odd about a claim: flags for a person, each a fact with its dates. None of them refuses a claim."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, reasons
from services.insurance.tables import Claim, Endorsement, Policy, Reversal
from shared import clock
from shared.events.parts import Reason


def of(session: Session, policy: Policy, claim: Claim) -> list[Reason]:
    """Every flag of a claim as things stand."""
    rules = PARAMETERS.at(clock.today())["claim_flags"]
    found = []
    days = (claim.opened_at.astimezone(clock.BUSINESS).date() - claim.occurred_on).days
    if claim.origin == "notice" and days > rules["notice_days"]:
        found.append(reasons.late_notice(days, rules["notice_days"]))
    early = (claim.occurred_on - policy.inception).days
    if early <= rules["early_days"]:
        found.append(reasons.early_loss(early))
    raised = session.scalars(
        select(Endorsement.effective_on)
        .where(
            Endorsement.policy_id == policy.id,
            Endorsement.sum_insured > Endorsement.sum_insured_before,
            Endorsement.effective_on <= claim.occurred_on,
            Endorsement.effective_on >= claim.occurred_on - timedelta(days=rules["early_days"]),
        )
        .order_by(Endorsement.number.desc())
    ).first()
    if raised is not None:
        found.append(reasons.raised_before_loss(raised, claim.occurred_on))
    before = session.scalar(
        select(func.count())
        .select_from(Claim)
        .where(
            Claim.policy_id == policy.id,
            Claim.origin != "index",
            Claim.id != claim.id,
            Claim.occurred_on > claim.occurred_on - timedelta(days=365),
        )
    )
    if before and before + 1 >= rules["claims_a_year"]:
        found.append(reasons.many_claims(before + 1))
    if claim.origin == "notice" and claim.reversal_id == claim.id and not _in_register(session, claim):
        found.append(reasons.not_in_register())
    return found


def _in_register(session: Session, claim: Claim) -> bool:
    """Whether the register knows of damage to the forest by this peril on about that day."""
    apart = timedelta(days=PARAMETERS.at(clock.today())["same_event_days"])
    query = select(Reversal.reversal_id).where(
        Reversal.asset_id == claim.asset_id, Reversal.peril == claim.peril,
        Reversal.occurred_on.between(claim.occurred_on - apart, claim.occurred_on + apart),
    )  # fmt: skip
    return session.scalar(query.limit(1)) is not None
