"""Capacity: held in two phases, pending from the quote and posted from the binding, never above the cap.

The rows of an insurer are made and locked in the order of their counties, so two covers never wait for each other in a
ring.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, reasons
from services.insurance.tables import Capacity, CapacityHold
from shared import audit, clock, money
from shared.db import tenant
from shared.errors import ConflictError
from shared.events.parts import Reason
from shared.ids import uuid7
from shared.parameters import InForce

#: The capacity over all counties together.
ALL = "all"


def reserve(session: Session, cover_id: UUID, by_county: Mapping[str, Decimal], p: InForce) -> list[Reason]:
    """Hold capacity for a quote in each county and in total, or say what lacks and hold nothing."""
    needed = dict(by_county) | {ALL: sum(by_county.values(), Decimal(0))}
    rows = _locked(session, needed, p)
    lacking = [
        reasons.capacity_exceeded(county, amount, rows[county].room)
        for county, amount in sorted(needed.items())
        if rows[county].room < amount
    ]
    if lacking:
        return lacking
    for county, amount in sorted(needed.items()):
        rows[county].pending += amount
        session.add(
            CapacityHold(cover_id=cover_id, county=county, institution=tenant(session), amount=amount, state="pending")
        )
    return []


def post(session: Session, cover_id: UUID) -> None:
    """Turn what a quote holds into what a policy carries."""
    holds = _holds(session, cover_id, "pending")
    rows = _locked(session, holds)
    for county, hold in holds.items():
        rows[county].pending -= hold.amount
        rows[county].posted += hold.amount
        hold.state = "posted"


def change(session: Session, cover_id: UUID, by_county: Mapping[str, Decimal]) -> list[Reason]:
    """Move what a policy carries in each county and in total, or say what lacks and move nothing."""
    moved = dict(by_county) | {ALL: sum(by_county.values(), Decimal(0))}
    holds = _holds(session, cover_id, "posted")
    rows = _locked(session, moved)
    lacking = [
        reasons.capacity_exceeded(county, amount, rows[county].room)
        for county, amount in sorted(moved.items())
        if amount > rows[county].room
    ]
    if not lacking:
        for county, amount in moved.items():
            rows[county].posted += amount
            holds[county].amount += amount
    return lacking


def release(session: Session, cover_id: UUID) -> None:
    """Give back whatever a cover holds; a second time changes nothing."""
    holds = _holds(session, cover_id, "pending", "posted")
    rows = _locked(session, holds)
    for county, hold in holds.items():
        if hold.state == "pending":
            rows[county].pending -= hold.amount
        else:
            rows[county].posted -= hold.amount
        hold.state = "released"


def set_capacity(session: Session, county: str, cap: Decimal) -> Capacity:
    """Set what the insurer will carry in a county or in total; never below what it carries and has quoted already."""
    row = _locked(session, [county], PARAMETERS.at(clock.today()))[county]
    if cap < row.pending + row.posted:
        raise ConflictError(
            f"{row.posted} CNY is in force and {row.pending} CNY is quoted here; the capacity cannot be less"
        )
    row.cap, row.set_by = cap, "insurer"
    audit.record(session, "set_capacity", row.id, county=county, cap=str(cap))
    session.flush()
    return row


def _locked(session: Session, counties: Iterable[str], p: InForce | None = None) -> dict[str, Capacity]:
    """The capacity rows, locked in order; those that are missing are made from the parameters if these are given."""
    wanted = sorted(set(counties))
    if not wanted:
        return {}
    session.flush()
    known = set(session.scalars(select(Capacity.county).where(Capacity.county.in_(wanted))))
    for county in wanted:
        if county not in known and p is not None:
            cap = money.from_fen(p[_parameter(county)])
            session.execute(
                insert(Capacity)
                .values(
                    id=uuid7(), institution=tenant(session), county=county, cap=cap, pending=Decimal(0),
                    posted=Decimal(0), set_by="parameters", version=1,
                )
                .on_conflict_do_nothing(index_elements=["institution", "county"])
            )  # fmt: skip
    rows = session.scalars(
        select(Capacity)
        .where(Capacity.county.in_(wanted))
        .order_by(Capacity.county)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = {row.county: row for row in rows}
    for county, row in found.items():
        if p is not None and row.set_by == "parameters":
            # Read again, so that a decision under a cap nobody set says which parameter it rests on.
            p[_parameter(county)]
    return found


def _parameter(county: str) -> str:
    return "total_capacity" if county == ALL else "county_capacity"


def _holds(session: Session, cover_id: UUID, *states: str) -> dict[str, CapacityHold]:
    session.flush()
    rows = session.scalars(
        select(CapacityHold)
        .where(CapacityHold.cover_id == cover_id, CapacityHold.state.in_(states))
        .order_by(CapacityHold.county)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.county: row for row in rows}
