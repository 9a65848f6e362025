"""Room under the limits, in two phases: reserve, then post or end. The one place that locks and writes buckets.

Every path (reserve, post, void, expire, amortise, release, new caps) takes the same locks in one order, once: the
obligors' buckets by id, then the rest by id. So two of them never wait for each other in a ring, and whoever holds an
obligor's bucket is alone with that obligor's reservations. Checks count what is pending, and only `reserve` can refuse.

The weight of an obligor's business depends on its total, so all its reservations are measured again whenever the total
changes: a new loan that lifts the total over the threshold lifts the older ones too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from services.guarantee.formulas.amortisation import amortised_use
from services.guarantee.formulas.liability import liability_weight, weighted_liability
from services.guarantee.tables import LIVE, Bucket, Reservation
from shared import clock
from shared.db import tenant
from shared.ids import uuid7
from shared.parameters import InForce

#: Kind and key of a bucket.
Place = tuple[str, str]
#: Posted and pending. [fen]
Use = tuple[int, int]

Ending = Literal["void", "expired", "released"]
#: The state in which a reservation must be to end so.
_ENDS: Mapping[str, str] = {"void": "pending", "expired": "pending", "released": "posted"}


class Caps(Protocol):
    """Knows the cap of every bucket."""

    def cap(self, kind: str, key: str) -> int:
        """The cap of one bucket. [fen]"""

    def known(self) -> list[Place]:
        """Buckets that exist whether or not anything is in them."""


@dataclass(frozen=True)
class Weights:
    """How an obligor's total becomes liability."""

    threshold: int
    small_bp: int
    full_bp: int

    @classmethod
    def in_force(cls, p: InForce) -> "Weights":
        """The weights of a date."""
        return cls(p["small_threshold"], p["small_weight"], p["full_weight"])


@dataclass(frozen=True)
class Measure:
    """What a reservation needs of one limit and what there was, in fen."""

    kind: str
    key: str
    need: int
    room: int

    @property
    def fits(self) -> bool:
        """Whether the limit leaves room for the need."""
        return self.need <= self.room


@dataclass(frozen=True)
class Answer:
    """What became of a wish for room: every limit looked at, the tightest first, and what the obligor had before."""

    measures: list[Measure]
    borne_before: int

    @property
    def binding(self) -> list[Measure]:
        """The limits that have no room for it; none if it was granted."""
        return [measure for measure in self.measures if not measure.fits]


@dataclass(frozen=True)
class Wish:
    """A reservation that is wanted, and the most that its scheme allows one household. [fen]"""

    reservation: Reservation
    household_maximum: int | None = None


@dataclass
class _Book:
    """The live reservations of some obligors and every bucket they touch, locked."""

    buckets: dict[Place, Bucket]
    reservations: list[Reservation]
    before: dict[Place, Use] = field(default_factory=dict)


# -- the phases -------------------------------------------------------------------------------------------------------


def reserve(
    session: Session,
    wishes: Sequence[Wish],
    caps: Caps,
    weights: Weights,
    ending: Mapping[UUID, Ending] | None = None,
) -> Answer:
    """Hold room for all that is wanted in all its buckets, or for none of it and say which limits have no room.

    What is `ending` gives its room back first, whatever the answer: reservations whose time is over, and what was held
    for the same loan before.
    """
    ending = ending or {}
    wanted = [wish.reservation for wish in wishes]
    book = _locked_book(session, {one.obligor for one in wanted} | _obligors(session, ending), wanted)
    for (kind, key), bucket in book.buckets.items():
        bucket.cap_legal = caps.cap(kind, key)
    for one in book.reservations:
        if one.id in ending:
            _end(one, ending[one.id])
    before = _uses(book.reservations, weights)
    households = _by_obligor(book.reservations, lambda one: one.balance)
    measures = []
    for wish in wishes:
        one = wish.reservation
        if wish.household_maximum is not None:
            room = max(wish.household_maximum - households.get(one.obligor, 0), 0)
            measures.append(Measure("household", one.obligor, one.amount, room))
        households[one.obligor] = households.get(one.obligor, 0) + one.amount
    borne_before = sum(map(_borne, book.reservations))
    after = _uses([*book.reservations, *wanted], weights)
    for place, bucket in sorted(book.buckets.items()):
        was = sum(before.get(place, (0, 0)))
        need = sum(after.get(place, (0, 0))) - was
        if need > 0:
            taken_by_others = bucket.posted + bucket.pending - sum(book.before.get(place, (0, 0)))
            measures.append(Measure(*place, need=need, room=max(bucket.cap_legal - taken_by_others - was, 0)))
    answer = Answer(sorted(measures, key=lambda measure: measure.room - measure.need), borne_before)
    if not answer.binding:
        session.add_all(wanted)
        book.reservations += wanted
    _write(book, weights, granting=True)
    return answer


def post(session: Session, reservation_id: UUID, weights: Weights) -> bool:
    """Turn what is pending into use; False if the reservation has ended, is posted already, or its time is over.

    Needs no room: what was reserved can be posted even under caps that were lowered since.
    """
    book, reservation = _locked_with(session, reservation_id)
    if reservation is None or reservation.state != "pending" or reservation.expires_at <= clock.now():
        return False
    reservation.state = "posted"
    _write(book, weights)
    return True


def end(session: Session, ids: Collection[UUID], state: Ending, weights: Weights) -> int:
    """Give all room back: void or expire what is pending, release what is posted; how many were in that state."""
    if not ids:
        return 0
    book = _locked_book(session, _obligors(session, ids))
    ended = sum(_end(one, state) for one in book.reservations if one.id in ids)
    _write(book, weights)
    return ended


def amortise(session: Session, reservation_id: UUID, balance: int, weights: Weights) -> bool:
    """Let use fall with the balance, pro rata; it never rises again. False if nothing is posted. [fen]"""
    book, reservation = _locked_with(session, reservation_id)
    if reservation is None or reservation.state != "posted":
        return False
    reservation.balance = min(reservation.balance, balance)
    _write(book, weights)
    return True


def set_caps(session: Session, caps: Caps) -> list[Bucket]:
    """Move every cap of the current institution; says which buckets are now over their limit."""
    _insert_missing(session, caps.known())
    everything = select(Bucket).where(Bucket.institution == tenant(session))
    over = []
    for part in (everything.where(Bucket.kind == "obligor"), everything.where(Bucket.kind != "obligor")):
        for bucket in session.scalars(
            part.order_by(Bucket.id).with_for_update().execution_options(populate_existing=True)
        ):
            bucket.cap_legal = caps.cap(bucket.kind, bucket.key)
            bucket.cap_effective = max(bucket.cap_legal, bucket.posted + bucket.pending)
            over += [bucket] if bucket.over_limit else []
    return over


# -- locks ------------------------------------------------------------------------------------------------------------


def _locked_book(session: Session, obligors: Collection[str], wanted: Iterable[Reservation] = ()) -> _Book:
    """Lock the obligors' buckets, then every other bucket of their live reservations and of those wanted."""
    places = {place for one in wanted for place, use in _parts(one).items() if use}
    own = {("obligor", obligor) for obligor in obligors}
    _insert_missing(session, own | places)
    buckets = _lock(session, own)
    reservations = session.scalars(
        select(Reservation)
        .where(
            Reservation.institution == tenant(session),
            Reservation.obligor.in_(obligors),
            Reservation.state.in_(LIVE),
        )
        .order_by(Reservation.id)
        .execution_options(populate_existing=True)
    ).all()
    for one in reservations:
        places |= {place for place, use in _parts(one).items() if use}
    buckets |= _lock(session, places - own)
    return _Book(buckets, list(reservations), _totals(reservations))


def _locked_with(session: Session, reservation_id: UUID) -> tuple[_Book, Reservation | None]:
    """The book that a reservation stands in, locked; no reservation if it has ended."""
    book = _locked_book(session, _obligors(session, [reservation_id]))
    return book, next((one for one in book.reservations if one.id == reservation_id), None)


def _obligors(session: Session, ids: Collection[UUID]) -> set[str]:
    """Whose reservations these are."""
    if not ids:
        return set()
    return set(session.scalars(select(Reservation.obligor).where(Reservation.id.in_(ids))))


def _insert_missing(session: Session, places: Collection[Place]) -> None:
    """Make rows for buckets that nothing was ever in, empty, so that they can be locked; in one order everywhere."""
    if not places:
        return
    kinds, keys = zip(*sorted(set(places)), strict=True)
    ids = [uuid7() for _ in kinds]
    session.execute(_INSERT, {"ids": ids, "institution": tenant(session), "kinds": list(kinds), "keys": list(keys)})


#: One statement for any number of rows, so that it is made once.
_INSERT = text(
    "INSERT INTO buckets (id, institution, kind, key, cap_legal, cap_effective, posted, pending)"
    " SELECT id, :institution, kind, key, 0, 0, 0, 0"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:keys AS text[])) AS new (id, kind, key)"
    " ON CONFLICT DO NOTHING"
)


def _lock(session: Session, places: Collection[Place]) -> dict[Place, Bucket]:
    """Lock buckets in the order of their ids."""
    if not places:
        return {}
    rows = session.scalars(
        select(Bucket)
        .where(Bucket.institution == tenant(session), tuple_(Bucket.kind, Bucket.key).in_(sorted(places)))
        .order_by(Bucket.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {(bucket.kind, bucket.key): bucket for bucket in rows}


# -- measuring --------------------------------------------------------------------------------------------------------


def _borne(reservation: Reservation) -> int:
    """What the guarantor answers for at the current balance, unweighted. [fen]"""
    return amortised_use(reservation.borne, reservation.balance, reservation.amount)


def _parts(reservation: Reservation) -> dict[Place, int]:
    """What a reservation takes of each bucket now, the weighted ones by its liability as last measured. [fen]"""
    balance, amount, liability = reservation.balance, reservation.amount, reservation.liability
    return {
        ("headroom", ""): liability,
        ("obligor", reservation.obligor): liability,
        ("county", reservation.county): liability,
        ("province", ""): amortised_use(reservation.province, balance, amount),
        ("national", ""): amortised_use(reservation.national, balance, amount),
        ("pool", reservation.county): amortised_use(reservation.pool, balance, amount),
    }


def _totals(reservations: Sequence[Reservation]) -> dict[Place, Use]:
    """Posted and pending in each bucket. [fen]"""
    totals: dict[Place, Use] = {}
    for one in reservations:
        for place, use in _parts(one).items():
            posted, pending = totals.get(place, (0, 0))
            totals[place] = (posted + use, pending) if one.state == "posted" else (posted, pending + use)
    return totals


def _uses(reservations: Sequence[Reservation], weights: Weights) -> dict[Place, Use]:
    """Measure reservations at the weight of their obligor's total, then add them up. [fen]"""
    totals = _by_obligor(reservations, _borne)
    for one in reservations:
        total = totals[one.obligor]
        weight = liability_weight(total, one.small_or_farmer, weights.threshold, weights.small_bp, weights.full_bp)
        one.liability = weighted_liability(_borne(one), weight)
    return _totals(reservations)


def _by_obligor(reservations: Iterable[Reservation], amount: Callable[[Reservation], int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for one in reservations:
        totals[one.obligor] = totals.get(one.obligor, 0) + amount(one)
    return totals


def _end(reservation: Reservation, state: Ending) -> bool:
    """End a reservation of a book; False if it is not in the state to end so."""
    if reservation.state != _ENDS[state]:
        return False
    reservation.state, reservation.balance = state, 0
    return True


def _write(book: _Book, weights: Weights, *, granting: bool = False) -> None:
    """Bring the buckets to what the reservations use now.

    What grants room never lifts an effective cap: were its check ever wrong, the table's own CHECK would stop it.
    """
    after = _uses(book.reservations, weights)
    for place, bucket in book.buckets.items():
        was, now = book.before.get(place, (0, 0)), after.get(place, (0, 0))
        bucket.posted += now[0] - was[0]
        bucket.pending += now[1] - was[1]
        use = bucket.posted + bucket.pending
        bucket.cap_effective = max(bucket.cap_legal, min(use, bucket.cap_effective) if granting else use)
