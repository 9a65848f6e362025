"""Many at once on tight caps: no limit is ever broken, nobody waits in a ring, and the table itself is a wall."""

import threading
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from services.guarantee.actions import capacity
from services.guarantee.actions.guarantees import issue_guarantee, reserve_guarantee, undo_guarantee
from services.guarantee.tables import LIVE, Bucket, Reservation
from shared import db
from tests.guarantee.stories import accepted, asked, declined, guarantee, ready, yuan
from tests.guarantee.test_capacity import WEIGHTS, Caps, wanted
from tests.harness import GUARANTOR

THREADS = 8


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run jobs in threads that start together; their results, or the first error."""
    start, results, errors = threading.Barrier(len(jobs)), [None] * len(jobs), []

    def run(number: int, job: Callable[[], Any]) -> None:
        try:
            start.wait()
            results[number] = job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number, job)) for number, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def transaction(database, action: Callable[[Any], Any]) -> Any:
    with database.sessions.begin() as session:
        db.act_for(session, GUARANTOR)
        return action(session)


def reconciled(database) -> dict[capacity.Place, tuple[int, int]]:
    """Posted and pending of each bucket, after checking them against their reservations and their caps."""
    with database.sessions() as session:
        db.act_for(session, GUARANTOR)
        reservations = session.scalars(select(Reservation).where(Reservation.state.in_(LIVE))).all()
        expected = {place: use for place, use in capacity._totals(reservations).items() if any(use)}
        buckets = session.scalars(select(Bucket)).all()
        assert {(b.kind, b.key): (b.posted, b.pending) for b in buckets if b.posted or b.pending} == expected
        assert all(bucket.posted + bucket.pending <= bucket.cap_effective for bucket in buckets)
        return expected


def test_a_storm_of_every_path_breaks_no_limit_and_never_locks_up(guarantee_db):
    caps = Caps(kinds={"headroom": 1_500, "obligor": 600, "county": 900, "province": 700})
    held: dict[int, list[UUID]] = {number: [] for number in range(THREADS)}
    watching = threading.Event()

    def storm(number: int) -> None:
        random = Random(number)
        for _ in range(40):
            step = random.choice(["reserve", "reserve", "reserve", "post", "void", "released", "amortise"])
            mine = held[number]
            if step == "reserve":
                row = wanted(random.randint(1, 300), f"o{random.randrange(4)}", f"c{random.randrange(2)}")
                if not transaction(
                    guarantee_db, lambda s, r=row: capacity.reserve(s, [capacity.Wish(r)], caps, WEIGHTS)
                ).binding:
                    mine.append(row.id)
            elif mine:
                key = random.choice(mine)
                transaction(
                    guarantee_db,
                    {
                        "post": lambda s, k=key: capacity.post(s, k, WEIGHTS),
                        "amortise": lambda s, k=key: capacity.amortise(s, k, random.randint(0, 200), WEIGHTS),
                    }.get(step, lambda s, k=key, e=step: capacity.end(s, [k], e, WEIGHTS)),
                )

    def watch() -> int:
        seen = 0
        while not watching.is_set():
            over = transaction(
                guarantee_db,
                lambda s: s.scalar(text("SELECT count(*) FROM buckets WHERE posted + pending > cap_legal")),
            )
            assert over == 0
            seen += 1
        return seen

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        at_once(*(lambda n=n: storm(n) for n in range(THREADS)))
    finally:
        watching.set()
        watcher.join()
    assert reconciled(guarantee_db)
    for keys in held.values():
        for key in keys:
            transaction(guarantee_db, lambda s, k=key: capacity.end(s, [k], "void", WEIGHTS))
            transaction(guarantee_db, lambda s, k=key: capacity.end(s, [k], "released", WEIGHTS))
    assert reconciled(guarantee_db) == {}


def test_caps_lowered_in_the_storm_take_back_nothing_that_was_granted(guarantee_db):
    wide, tight = Caps(every=5_000), Caps(every=500)

    def granted_then_posted(number: int) -> int:
        posted = 0
        for _ in range(15):
            row = wanted(60, f"o{number}")
            if not transaction(
                guarantee_db, lambda s, r=row: capacity.reserve(s, [capacity.Wish(r)], wide, WEIGHTS)
            ).binding:
                assert transaction(guarantee_db, lambda s, r=row: capacity.post(s, r.id, WEIGHTS))
                posted += 1
        return posted

    def lower() -> int:
        for number in range(20):
            caps = tight if number % 2 else wide
            transaction(guarantee_db, lambda s, c=caps: capacity.set_caps(s, c))
        return 0

    counts = at_once(*(lambda n=n: granted_then_posted(n) for n in range(4)), lower)
    assert sum(counts) > 0
    reconciled(guarantee_db)


def test_whole_requests_at_once_take_exactly_what_there_is(guarantee_db, sealed):
    # Room for five loans of 1,000,000 in the province's quota, and twelve that want it.
    ready(guarantee_db.sessions, sealed, province_quota=yuan(1_500_000))
    requests = [asked() for _ in range(12)]

    def reserve(request):
        with sealed(guarantee_db.sessions, GUARANTOR) as session:
            reserve_guarantee(session, request)
            session.flush()
            return guarantee(session, request.loan_id)

    rows = at_once(*(lambda r=r: reserve(r) for r in requests))
    kept = [(request, row) for request, row in zip(requests, rows, strict=True) if row.state == "reserved"]
    assert len(kept) == 5
    assert all(row.reasons[0]["code"] == "limit.province" for row in rows if row.state == "refused")

    def issue(request, row):
        with sealed(guarantee_db.sessions, GUARANTOR) as session:
            issue_guarantee(session, accepted(request, row.id))

    def undo(request):
        with sealed(guarantee_db.sessions, GUARANTOR) as session:
            undo_guarantee(session, declined(request.loan_id))

    at_once(*(lambda k=k: issue(*k) for k in kept), *(lambda k=k: undo(k[0]) for k in kept))
    reconciled(guarantee_db)


@pytest.mark.parametrize("rivals", [("post", "post"), ("post", "void"), ("post", "expired"), ("void", "expired")])
def test_of_two_ends_at_once_exactly_one_wins(guarantee_db, rivals):
    for _ in range(10):
        row = wanted(10)
        transaction(guarantee_db, lambda s, r=row: capacity.reserve(s, [capacity.Wish(r)], Caps(), WEIGHTS))

        def take(name, key=row.id):
            if name == "post":
                return transaction(guarantee_db, lambda s: capacity.post(s, key, WEIGHTS))
            return transaction(guarantee_db, lambda s: capacity.end(s, [key], name, WEIGHTS))

        assert sorted(at_once(*(lambda n=name: take(n) for name in rivals))) == [False, True]
    reconciled(guarantee_db)


# -- the naive version ------------------------------------------------------------------------------------------------


def naively(database, table: str, key: UUID, need: int, both_have_read: threading.Barrier) -> bool:
    """Read, check, write, as one would write it first: each is right by itself and both together are wrong."""
    with database.sessions.begin() as session:
        db.act_for(session, GUARANTOR)
        cap, pending = session.execute(
            text(f"SELECT cap_effective, pending FROM {table} WHERE id = :id"), {"id": key}
        ).one()
        both_have_read.wait()
        if pending + need > cap:
            return False
        session.execute(text(f"UPDATE {table} SET pending = pending + :need WHERE id = :id"), {"need": need, "id": key})
        return True


def test_the_table_stops_even_the_naive_version(guarantee_db):
    transaction(guarantee_db, lambda s: capacity.set_caps(s, Caps(every=100)))
    key = transaction(guarantee_db, lambda s: s.scalars(select(Bucket.id)).one())
    barrier = threading.Barrier(2)
    with pytest.raises(IntegrityError, match="within_cap"):
        at_once(*[lambda: naively(guarantee_db, "buckets", key, 60, barrier)] * 2)
