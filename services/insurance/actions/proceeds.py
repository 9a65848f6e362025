"""What comes back after a claim was paid: from the owner by subrogation, from salvage, from who did the damage."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.tables import Claim, Proceeds
from shared import audit, clock
from shared.db import locked
from shared.errors import ConflictError, InvalidError, StateError
from shared.ids import uuid7


def enter_proceeds(session: Session, claim_id: UUID, given: Mapping[str, Any], who: str) -> Claim:
    """Enter what came back, once for each slip; never more than was paid, nor from the owner more than it owes."""
    claim = locked(session, Claim, claim_id)
    rows = proceeds_of(session, claim.id)
    known = next((row for row in rows if row.reference == given["reference"]), None)
    if known is not None:
        if (known.kind, known.amount, known.received_on) != tuple(
            given[name] for name in ("kind", "amount", "received_on")
        ):
            raise ConflictError(f"the slip {known.reference} is entered with another amount, kind or day")
        return claim
    if claim.state != "paid":
        raise StateError(f"the claim is {claim.state}; nothing was paid that could come back")
    if given["received_on"] > clock.today():
        raise InvalidError("the day of the receipt lies in the future")
    owed = {"subrogation": (claim.subrogated or Decimal(0)) - _sum(rows, "subrogation")}
    paid = (claim.to_bank or Decimal(0)) + (claim.to_owner or Decimal(0))
    most = min(owed.get(given["kind"], paid), paid - claim.recovered)
    if given["amount"] > most:
        raise ConflictError(f"no more than {most} CNY can still come back on this claim as {given['kind']}")
    session.add(
        Proceeds(id=uuid7(), institution=claim.institution, claim_id=claim.id, **given, made_by=who,
                 made_at=clock.now())
    )  # fmt: skip
    claim.recovered += given["amount"]
    audit.record(session, "enter_proceeds", claim.id, kind=given["kind"], amount=str(given["amount"]),
                 reference=given["reference"])  # fmt: skip
    session.flush()
    return claim


def proceeds_of(session: Session, claim_id: UUID) -> list[Proceeds]:
    """What came back on a claim, in the order of its entry."""
    return list(session.scalars(select(Proceeds).where(Proceeds.claim_id == claim_id).order_by(Proceeds.id)))


def _sum(rows: list[Proceeds], kind: str) -> Decimal:
    return sum((row.amount for row in rows if row.kind == kind), Decimal(0))
