"""Accepting an allocation: one person proposes it, another accepts, and it holds room for its loans until banks ask.

A guarantor accepts what was placed with it: with the guarantor of the file that has its own id. Limits are the live
ones, not those of the file. Either every loan gets its room or none does, and the answer names the limits in the way.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import PARAMETERS, capacity, reasons
from services.guarantee.actions.guarantees import borne_of, default_ceiling
from services.guarantee.actions.profile import limits, profile_for_decision
from services.guarantee.actions.schemes import Scheme, scheme
from services.guarantee.allocation.queue_file import WHOLE_BP, Loan, Queue, read_queue
from services.guarantee.formulas.expected_loss import default_acceptable
from services.guarantee.formulas.split import bank_share_sufficient, split
from services.guarantee.tables import Allocation, Guarantee, Profile, Reservation
from shared import approvals, audit, clock, timers
from shared.db import found, locked
from shared.errors import ConflictError, StateError
from shared.events.parts import Reason
from shared.ids import uuid7
from shared.parameters import InForce
from shared.strict_json import canonical

#: How long a proposal waits for a second person.
WAITS = timedelta(days=7)
#: Loans of one acceptance, which is one transaction; and how much that is wrong is told at once.
MOST_LOANS, MOST_TOLD = 5_000, 20


@dataclass(frozen=True)
class Line:
    """One loan that was placed with the guarantor."""

    loan: Loan
    scheme: str
    #: The shares of the scheme in the file, in basis points.
    shares: Mapping[str, int]


def placed_here(made: Allocation) -> list[Line]:
    """What an allocation placed with the current institution, in order of arrival."""
    if made.certificate is None:
        raise StateError("the queue is not placed yet; its job tells how far it has come")
    queue: Queue = read_queue(made.queue)
    loans, schemes = {one.id: one for one in queue.loans}, {one.id: one.shares for one in queue.schemes}
    return [
        Line(loans[row["loan"]], row["scheme"], schemes[row["scheme"]])
        for row in made.certificate["placing"]
        if row["guarantor"] == made.institution
    ]


def propose(session: Session, allocation_id: UUID, loans: Collection[str] | None, maker: str) -> Allocation:
    """Ask a second person to accept what was placed here, or some of it. The same proposal again changes nothing."""
    made = locked(session, Allocation, allocation_id)
    if made.acceptance == "accepted":
        raise StateError("the allocation is accepted already; its loans have their room")
    lines = placed_here(made)
    if loans is not None:
        known = {line.loan.id for line in lines}
        if unknown := sorted(set(loans) - known):
            told = [{"pointer": "/loans", "detail": f"{name} was not placed with you"} for name in unknown[:MOST_TOLD]]
            raise ConflictError("not all of these loans were placed with you", errors=told)
        lines = [line for line in lines if line.loan.id in set(loans)]
    if not lines:
        raise ConflictError(f"the queue placed no loan with a guarantor whose id is {made.institution}")
    if len(lines) > MOST_LOANS:
        raise ConflictError(f"{len(lines)} loans; at most {MOST_LOANS} can be accepted at once, so name some of them")
    _demand_acceptable(session, lines)
    payload = {
        "allocation": str(made.id),
        "certificate_sha256": hashlib.sha256(canonical(made.certificate)).hexdigest(),
        "loans": [[line.loan.id, line.scheme] for line in lines],
    }
    if made.acceptance == "proposed" and made.payload_hash == approvals.payload_hash(payload) and _waits(session, made):
        return made
    approval = approvals.ask(session, "allocation", made.id, payload, maker, clock.now() + WAITS)
    made.acceptance, made.payload_hash, made.proposed_by = "proposed", approval.payload_hash, maker
    made.decided_by = made.decided_at = None
    made.accepted_loans, made.accepted_amount = len(lines), sum(line.loan.amount for line in lines)
    audit.record(session, "propose_allocation", made.id, payload_hash=approval.payload_hash, loans=len(lines))
    return made


def decide(session: Session, allocation_id: UUID, seen_hash: str, approve: bool, checker: str) -> Allocation:
    """Accept or reject as a second person who saw exactly what was proposed; accepting holds room for every loan.

    The same word of the same person again changes nothing.
    """
    made = locked(session, Allocation, allocation_id)
    word = "accepted" if approve else "rejected"
    if (made.acceptance, made.decided_by, made.payload_hash) == (word, checker, seen_hash):
        return made
    if made.acceptance != "proposed":
        raise StateError(f"nothing is proposed: the acceptance is {made.acceptance}")
    approval = approvals.decide(session, "allocation", made.id, seen_hash, checker, approve)
    made.acceptance, made.decided_by, made.decided_at = word, checker, clock.now()
    if approve:
        names = {name for name, _ in approval.payload["loans"]}
        lines = [line for line in placed_here(made) if line.loan.id in names]
        p = PARAMETERS.at(clock.today())
        made.held_until = clock.now() + timedelta(days=p["reservation_validity_days"])
        _hold(session, made, lines, made.held_until, p)
        timers.put(session, "allocation", made.id, made.held_until)
        audit.record(
            session,
            "accept_allocation",
            made.id,
            loans=len(lines),
            amount=made.accepted_amount,
            parameters=p.digest,
            held_until=made.held_until.isoformat(),
        )
    session.flush()
    return made


def give_back(session: Session, allocation_id: UUID) -> None:
    """Expire what an accepted allocation still holds for loans that no bank asked for in time."""
    made = session.get(Allocation, allocation_id, with_for_update=True, populate_existing=True)
    if made is None or made.held_until is None or made.held_until > clock.now():
        return
    held = select(Reservation.id).where(Reservation.allocation_id == made.id, Reservation.state == "pending")
    weights = capacity.Weights.in_force(PARAMETERS.at(clock.today()))
    ended = capacity.end(session, session.scalars(held).all(), "expired", weights)
    audit.record(session, "expire_allocation", made.id, loans=ended)


def proposed(session: Session, allocation_id: UUID) -> dict[str, Any]:
    """What waits for acceptance or was accepted, loan by loan; before any proposal, what was placed here."""
    made = found(session, Allocation, allocation_id)
    lines = placed_here(made) if made.certificate is not None else []
    if made.acceptance != "none":
        statement = select(approvals.Approval).where(
            approvals.Approval.action == "allocation",
            approvals.Approval.subject == made.id,
            approvals.Approval.payload_hash == made.payload_hash,
        )
        asked = session.scalars(statement.order_by(approvals.Approval.id.desc()).limit(1)).one()
        names = {name for name, _ in asked.payload["loans"]}
        lines = [line for line in lines if line.loan.id in names]
    states = session.execute(
        select(Reservation.loan_id, Reservation.state).where(Reservation.allocation_id == made.id)
    ).all()
    by_loan = {str(loan): state for loan, state in states}
    return {
        "acceptance": made.acceptance,
        "payload_hash": made.payload_hash,
        "loans": [
            {
                "loan": line.loan.id, "obligor": line.loan.obligor, "county": line.loan.county,
                "scheme": line.scheme, "amount": line.loan.amount, "state": by_loan.get(line.loan.id.lower()),
            }
            for line in lines
        ],
    }  # fmt: skip


def _waits(session: Session, made: Allocation) -> bool:
    waiting = approvals.pending(session, "allocation", made.id)
    return waiting is not None and waiting.expires_at > clock.now()


# -- what stands in the way -------------------------------------------------------------------------------------------


def _demand_acceptable(session: Session, lines: Sequence[Line]) -> None:
    """Refuse the whole if one of its loans could not be guaranteed whatever room there is."""
    p, profile = PARAMETERS.at(clock.today()), profile_for_decision(session)
    if profile is None:
        raise ConflictError(_told(reasons.NO_PROFILE))
    faults = [
        {"pointer": f"/loans/{line.loan.id}", "detail": detail}
        for line in lines
        for detail in _faults(line, scheme(p, line.scheme), profile, p)
    ]
    asked = {line.loan.id: _id(line.loan) for line in lines}
    faults += [
        {"pointer": f"/loans/{name}", "detail": _told(reasons.ASKED_ALREADY)}
        for name in _taken(session, {name: loan_id for name, loan_id in asked.items() if loan_id is not None})
    ]
    if faults:
        raise ConflictError("not all of these loans can be accepted, so none is", errors=faults[:MOST_TOLD])


def _faults(line: Line, agreed: Scheme | None, profile: Profile, p: InForce) -> Iterator[str]:
    if _id(line.loan) is None:
        yield "the id of the loan is no UUID of a loan at a bank, so no request could ever take its room"
    if agreed is None:
        yield _told(reasons.unknown_scheme(line.scheme))
    else:
        if dict(agreed.shares) != dict(line.shares):
            yield f"the file's shares of {line.scheme} are not those in force"
        if not bank_share_sufficient(agreed.shares.get("bank", 0), p["bank_minimum_share"]):
            yield _told(reasons.bank_share_too_small(agreed, p["bank_minimum_share"], p))
    ceiling, source = default_ceiling(profile, p)
    default = Decimal(line.loan.pd_bp) / WHOLE_BP
    if not default_acceptable(float(default), float(ceiling)):
        yield _told(reasons.default_too_likely(default, ceiling, source))


def _taken(session: Session, loans: Mapping[str, UUID]) -> list[str]:
    """Loans that a bank asked for already, or for which another acceptance holds room."""
    guarantees = select(Guarantee.loan_id).where(Guarantee.loan_id.in_(loans.values()))
    held = select(Reservation.loan_id).where(
        Reservation.loan_id.in_(loans.values()),
        Reservation.allocation_id.is_not(None),
        Reservation.state == "pending",
    )
    taken = {*session.scalars(guarantees), *session.scalars(held)}
    return [name for name, loan_id in loans.items() if loan_id in taken]


def _hold(session: Session, made: Allocation, lines: Sequence[Line], until: datetime, p: InForce) -> None:
    """Reserve room for every loan, or raise with the limits that have none."""
    _demand_acceptable(session, lines)
    profile = profile_for_decision(session)
    assert profile is not None
    agreed = {name: scheme(p, name) for name in {line.scheme for line in lines}}
    wishes = [
        capacity.Wish(_reservation(made, line, until, p), one.household_maximum)
        for line in lines
        if (one := agreed[line.scheme]) is not None
    ]
    weights = capacity.Weights.in_force(p)
    answer = capacity.reserve(session, wishes, limits(profile, p), weights)
    if answer.binding:
        smallest = min((one for one in agreed.values() if one), key=lambda one: one.household_maximum or 2**63)
        told = list(reasons.no_room(answer.binding[:MOST_TOLD], profile, smallest, p))
        raise ConflictError(
            f"these limits have no room for all {len(lines)} loans, so none is accepted: {told[0].zh} {told[0].en}",
            errors=[{"pointer": f"/{reason.code}", "detail": _told(reason)} for reason in told],
        )


def _reservation(made: Allocation, line: Line, until: datetime, p: InForce) -> Reservation:
    loan, parts = line.loan, split(line.loan.amount, line.shares)
    borne, loan_id = borne_of(loan.amount, parts, p), _id(loan)
    assert loan_id is not None
    return Reservation(
        id=uuid7(),
        institution=made.institution,
        loan_id=loan_id,
        allocation_id=made.id,
        obligor=loan.obligor,
        county=loan.county,
        small_or_farmer=loan.weight_bp <= p["small_weight"],
        state="pending",
        amount=loan.amount,
        balance=loan.amount,
        borne=borne,
        province=parts["province"],
        national=parts["national"],
        pool=parts["pool"],
        liability=borne,
        expires_at=until,
    )


def _id(loan: Loan) -> UUID | None:
    """The loan's id at the bank."""
    try:
        return UUID(loan.id)
    except ValueError:
        return None


def _told(reason: Reason) -> str:
    return f"{reason.zh} {reason.en}"
