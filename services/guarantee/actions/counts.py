"""The two counts of a guarantor's book, which the report sets side by side.

`kept` are the balances that the service keeps up to date: buckets, reservations and calls. `anew` is summed without
them, from the guarantees and the journal. What an accepted allocation holds has no guarantee yet, so there both read
the reservation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from services.guarantee.actions.capacity import Place, Use
from services.guarantee.actions.guarantees import ZERO, borne_of
from services.guarantee.formulas import call as calls
from services.guarantee.formulas import liability
from services.guarantee.formulas.amortisation import amortised_use
from services.guarantee.formulas.split import PARTIES, split
from services.guarantee.tables import Bucket, Call, Guarantee, JournalRow, Recovery, Reservation
from shared import money
from shared.parameters import InForce

#: States of a guarantee in which it is in force: its reservation is posted.
IN_FORCE = ("issued", "called", "paid")


@dataclass
class Count:
    """What one way of counting found. [fen]"""

    uses: dict[Place, Use] = field(default_factory=dict)
    #: By name of a figure.
    sums: dict[str, int] = field(default_factory=dict)
    #: Liability in force of others, and of small and farming obligors; how many obligors there are of either kind.
    liability: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    small_obligors: int = 0
    obligors: int = 0

    def use(self, kind: str, key: str = "") -> Use:
        """What is posted and pending under one limit."""
        return self.uses.get((kind, key), (0, 0))

    def book(self, lines: Sequence["Line"], small_household: int) -> None:
        """Sum the book in force: the three views, and what small and farming borrowers have of it."""
        names = ("view.gross", "view.net", "view.cash_back", "support.all", "support.small", "support.small_household")
        self.sums |= dict.fromkeys((*names, "support.all.loans", "support.small.loans", "carbon.pledged"), 0)
        households: dict[str, int] = {}
        for one in lines:
            households[one.obligor] = households.get(one.obligor, 0) + one.balance
        for one in lines:
            parts = split(one.balance, one.shares_bp)
            gross = one.balance - parts["bank"]
            added = {"view.gross": gross, "view.net": parts["primary"], "support.all": gross, "support.all.loans": 1}
            added["carbon.pledged"] = kg(one.tonnes)
            added["view.cash_back"] = sum(parts[party] for party in calls.REIMBURSERS)
            if one.small:
                added |= {"support.small": gross, "support.small.loans": 1}
                if households[one.obligor] <= small_household:
                    added["support.small_household"] = gross
            for name, amount in added.items():
                self.sums[name] += amount
        self.obligors = len(households)
        self.small_obligors = len({one.obligor for one in lines if one.small})


class Line(NamedTuple):
    """A guarantee in force."""

    obligor: str
    small: bool
    balance: int
    shares_bp: dict[str, int]
    tonnes: Decimal | None


def kg(tonnes: Decimal | None) -> int:
    """Tonnes as whole kg; none where none are known."""
    return int((tonnes or ZERO).scaleb(3))


def kept_uses(session: Session) -> dict[Place, Use]:
    """What the buckets say is posted and pending."""
    rows = session.execute(select(Bucket.kind, Bucket.key, Bucket.posted, Bucket.pending))
    return {(kind, key): (posted, pending) for kind, key, posted, pending in rows}


def kept(session: Session, p: InForce) -> Count:
    """From the balances that the service keeps: buckets, reservations, calls."""
    made = Count(kept_uses(session))
    small = p["policy_mix"]["small_household"]
    lines = session.execute(
        select(
            Reservation.obligor,
            Reservation.small_or_farmer,
            Reservation.balance,
            Guarantee.shares_bp,
            Guarantee.pledged_tonnes,
        )
        .join(Guarantee, Guarantee.id == Reservation.id)
        .where(Reservation.state == "posted")
    )
    made.book([Line(*line) for line in lines], small)
    by_kind = session.execute(
        select(Reservation.small_or_farmer, func.sum(Reservation.liability))
        .where(Reservation.state == "posted")
        .group_by(Reservation.small_or_farmer)
    )
    made.liability |= {small_or_farmer: int(weighed) for small_or_farmer, weighed in by_kind}
    counts = {
        "compensation.open": (Call.payable, Call.state == "open"),
        "compensation.paid": (Call.paid, Call.state == "paid"),
        "compensation.recovered": (Call.recovered_for_guarantors, Call.id.is_not(None)),
        "compensation.subrogated": (Call.subrogated_claim, Call.id.is_not(None)),
    } | {
        f"receivable.{party}": (getattr(Call, f"share_{party}"), Call.state != "cancelled")
        for party in calls.REIMBURSERS
    }
    called = session.execute(select(*(func.sum(case((where, what), else_=0)) for what, where in counts.values()))).one()
    made.sums |= {name: money.fen(one or ZERO) for name, one in zip(counts, called, strict=True)}
    returned = session.execute(
        select(*(func.sum(getattr(Recovery, f"share_{party}")) for party in calls.REIMBURSERS))
    ).one()
    for party, one in zip(calls.REIMBURSERS, returned, strict=True):
        made.sums[f"receivable.{party}"] -= money.fen(one or ZERO)
    released = session.scalar(
        select(func.sum(Guarantee.amount - Guarantee.share_bank)).where(
            Guarantee.state == "released", Guarantee.issued_on.is_not(None)
        )
    )
    made.sums["compensation.released"] = money.fen(released or ZERO)
    return made


@dataclass
class _Taken:
    """What one loan takes of the limits, worked out of what was agreed."""

    obligor: str
    county: str
    small: bool
    posted: bool
    #: Borne, and the reimbursers' parts, at today's balance. [fen]
    borne: int
    parts: dict[str, int]


def anew(session: Session, p: InForce) -> Count:
    """From the guarantees and the journal, without any of the balances that are kept."""
    made = Count()
    columns = [getattr(Guarantee, f"share_{party}") for party in PARTIES]
    guarantees = session.execute(
        select(
            *(Guarantee.obligor, Guarantee.county, Guarantee.small_or_farmer, Guarantee.state, Guarantee.amount),
            *(Guarantee.balance, Guarantee.shares_bp, Guarantee.pledged_tonnes, *columns),
        ).where(Guarantee.state.in_(("reserved", *IN_FORCE)))
    ).all()
    taken, lines = list(_allocated(session)), []
    for obligor, county, small, state, amount, balance, shares_bp, tonnes, *shares in guarantees:
        whole, left = money.fen(amount), money.fen(balance)
        parts = {party: money.fen(part) for party, part in zip(PARTIES, shares, strict=True)}
        borne = amortised_use(borne_of(whole, parts, p), left, whole)
        now = {party: amortised_use(parts[party], left, whole) for party in calls.REIMBURSERS}
        taken.append(_Taken(obligor, county, small, state != "reserved", borne, now))
        if state != "reserved":
            lines.append(Line(obligor, small, left, shares_bp, tonnes))
    made.book(lines, p["policy_mix"]["small_household"])
    _weigh(made, taken, p)
    _journal(session, made)
    ended = session.execute(
        select(Guarantee.amount, Guarantee.shares_bp)
        .join(Reservation, Reservation.id == Guarantee.id)
        .where(Reservation.state == "released")
    )
    made.sums["compensation.released"] = sum(calls.gross_payment(money.fen(one), bp) for one, bp in ended)
    return made


def _allocated(session: Session) -> Iterator[_Taken]:
    """What accepted allocations hold, for which there is no guarantee yet: only the reservation knows of it."""
    held = session.execute(
        select(
            *(Reservation.obligor, Reservation.county, Reservation.small_or_farmer, Reservation.borne),
            *(getattr(Reservation, party) for party in calls.REIMBURSERS),
        ).where(Reservation.state == "pending", Reservation.allocation_id.is_not(None))
    )
    for obligor, county, small, borne, *parts in held:
        yield _Taken(obligor, county, small, False, borne, dict(zip(calls.REIMBURSERS, parts, strict=True)))


def _weigh(made: Count, taken: Sequence[_Taken], p: InForce) -> None:
    """Weigh each loan by its obligor's total and add up what it takes of every limit."""
    totals: dict[str, int] = {}
    for one in taken:
        totals[one.obligor] = totals.get(one.obligor, 0) + one.borne
    for one in taken:
        weight = liability.liability_weight(
            totals[one.obligor], one.small, p["small_threshold"], p["small_weight"], p["full_weight"]
        )
        weighed = liability.weighted_liability(one.borne, weight)
        made.liability[one.small] += weighed if one.posted else 0
        for place, use in (
            *((place, weighed) for place in (("headroom", ""), ("obligor", one.obligor), ("county", one.county))),
            *((place, one.parts[place[0]]) for place in (("province", ""), ("national", ""), ("pool", one.county))),
        ):
            posted, pending = made.uses.get(place, (0, 0))
            made.uses[place] = (posted + use, pending) if one.posted else (posted, pending + use)


def _journal(session: Session, made: Count) -> None:
    """Sum the journal by call: what is still owed, paid, came back and is left of the claim."""
    by_call: dict[UUID, dict[str, int]] = {}
    made.sums |= {f"receivable.{party}": 0 for party in calls.REIMBURSERS}
    booked = select(
        JournalRow.call_id, JournalRow.kind, JournalRow.debit, JournalRow.credit, func.sum(JournalRow.amount)
    )
    for call, kind, debit, credit, amount in session.execute(
        booked.group_by(JournalRow.call_id, JournalRow.kind, JournalRow.debit, JournalRow.credit)
    ):
        sums, fen = by_call.setdefault(call, {}), money.fen(amount)
        sums[kind] = sums.get(kind, 0) + fen
        for account, sign in ((debit, 1), (credit, -1)):
            if account in calls.REIMBURSERS:
                made.sums[f"receivable.{account}"] += sign * fen
    names = ("open", "paid", "recovered", "subrogated")
    made.sums |= {f"compensation.{name}": 0 for name in names}
    for sums in by_call.values():
        paid, back = sums.get("payment", 0), sums.get("recovery", 0)
        owed = 0 if paid or "cancellation" in sums else sums.get("call", 0)
        for name, found in zip(names, (owed, paid, back, calls.subrogated_claim(paid, back)), strict=True):
            made.sums[f"compensation.{name}"] += found
