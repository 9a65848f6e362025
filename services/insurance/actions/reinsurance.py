"""Reinsurance as contract data: proposed, approved by another person, in force from its day."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.accumulation.reinsurance import ProgrammeError, check, contract_of
from services.insurance.tables import ReinsuranceProgramme
from shared import approvals, audit, clock
from shared.db import locked, tenant
from shared.errors import InvalidError, StateError
from shared.ids import uuid7

#: How long a proposal waits for a second person.
WAITS = timedelta(days=30)


def propose(
    session: Session, name: str, starts_on: date, contracts: Sequence[Mapping[str, Any]], maker: str
) -> ReinsuranceProgramme:
    """Enter a programme for another person to approve; one that contradicts itself is refused with its contract."""
    rows = [{key: str(v) if isinstance(v, Decimal) else v for key, v in one.items()} for one in contracts]
    try:
        check([contract_of(row) for row in rows])
    except ProgrammeError as error:
        at = next((n for n, row in enumerate(rows) if row["name"] == error.contract), 0)
        raise InvalidError(
            "these contracts are no programme",
            errors=[{"pointer": f"/contracts/{at}", "detail": error.reason}],
        ) from None
    programme_id = uuid7()
    payload = {"programme": str(programme_id), "name": name, "starts_on": starts_on.isoformat(), "contracts": rows}
    approval = approvals.ask(session, "reinsurance", programme_id, payload, maker, clock.now() + WAITS)
    made = ReinsuranceProgramme(
        id=programme_id,
        institution=tenant(session),
        name=name,
        starts_on=starts_on,
        contracts=rows,
        state="proposed",
        payload_hash=approval.payload_hash,
        proposed_by=maker,
        created_at=clock.now(),
    )
    session.add(made)
    audit.record(session, "propose_reinsurance", made.id, payload_hash=made.payload_hash)
    session.flush()
    return made


def decide(session: Session, programme_id: UUID, seen_hash: str, approve: bool, checker: str) -> ReinsuranceProgramme:
    """Approve or reject a programme as a second person who saw exactly it."""
    made = locked(session, ReinsuranceProgramme, programme_id)
    if made.state != "proposed":
        raise StateError(f"the programme is {made.state} already")
    approvals.decide(session, "reinsurance", made.id, seen_hash, checker, approve)
    made.state, made.decided_by, made.decided_at = "approved" if approve else "rejected", checker, clock.now()
    session.flush()
    return made


def in_force(session: Session, on: date) -> ReinsuranceProgramme | None:
    """The programme of a day: of those approved that have begun, the one that began last."""
    return session.scalars(
        select(ReinsuranceProgramme)
        .where(ReinsuranceProgramme.state == "approved", ReinsuranceProgramme.starts_on <= on)
        .order_by(ReinsuranceProgramme.starts_on.desc(), ReinsuranceProgramme.decided_at.desc())
        .limit(1)
    ).first()
