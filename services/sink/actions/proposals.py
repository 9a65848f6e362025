"""Issuances by four eyes: one person enters what the programme issued, another one has the units minted."""

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.units import demand_issuable, issue_credits
from services.sink.tables import Issuance
from shared import approvals, audit, clock
from shared.approvals import Approval
from shared.errors import NotFoundError
from shared.ids import uuid7

ACTION = "issuance"


def propose_issuance(
    session: Session,
    maker: str,
    *,
    asset_id: UUID,
    origin: str,
    vintage_from: date,
    vintage_to: date,
    tonnes: Decimal,
) -> Approval:
    """Enter what the programme issued for a vintage; refused at once where it could not be issued today."""
    demand_issuable(session, asset_id, origin, vintage_from, vintage_to, tonnes)
    payload = {
        "asset_id": str(asset_id),
        "origin": origin,
        "vintage_from": vintage_from.isoformat(),
        "vintage_to": vintage_to.isoformat(),
        "tonnes": str(tonnes),
    }
    expires = clock.now() + timedelta(days=PARAMETERS.at(clock.today())["issuance.approval_days"])
    asked = approvals.ask(session, ACTION, uuid7(), payload, maker, expires)
    audit.record(session, "propose_issuance", asset_id, proposal=str(asked.subject), payload_hash=asked.payload_hash)
    session.flush()
    return asked


def approve_issuance(session: Session, proposal_id: UUID, seen_hash: str, checker: str) -> Issuance:
    """Approve a proposed issuance as another person, and mint its units."""
    said = _decided(session, proposal_id, seen_hash, checker, approve=True).payload
    return issue_credits(
        session,
        UUID(said["asset_id"]),
        said["origin"],
        date.fromisoformat(said["vintage_from"]),
        date.fromisoformat(said["vintage_to"]),
        Decimal(said["tonnes"]),
    )


def reject_issuance(session: Session, proposal_id: UUID, seen_hash: str, checker: str) -> Approval:
    """Reject a proposed issuance as another person; nothing is minted."""
    decided = _decided(session, proposal_id, seen_hash, checker, approve=False)
    session.flush()
    return decided


def _decided(session: Session, proposal_id: UUID, seen_hash: str, checker: str, *, approve: bool) -> Approval:
    asked = select(Approval.id).where(Approval.action == ACTION, Approval.subject == proposal_id)
    if session.scalar(asked.limit(1)) is None:
        raise NotFoundError(f"no issuance proposal has the id {proposal_id}")
    return approvals.decide(session, ACTION, proposal_id, seen_hash, checker, approve)
