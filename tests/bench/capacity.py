"""Room under limits: reservations of sixteen clients against bare transactions that write as many rows; one decision.

Every reservation is for a new obligor under the same headroom, county, province and pool, so all clients meet in the
same rows, on both sides. The quota of the province ends within the run. Afterwards every limit is counted again: one
passed by a fen fails the run.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import event, text

from deploy.embedded import EmbeddedPostgres
from services.guarantee.actions import bid_prices, capacity
from services.guarantee.tables import BidPrices, Reservation
from shared import clock, db
from shared.ids import uuid7
from tests.bench.harness import Row, Spent, compare, measure_both
from tests.conftest import Database, make_database
from tests.harness import GUARANTOR

CLIENTS, EACH, ROUNDS, DECISIONS = 16, 25, 6, 20_000
WEIGHTS = capacity.Weights(500, 7_500, 10_000)
#: What each reservation takes of the province, and what there is: the last of them are refused.
PROVINCE = 30
CAPS = {"province": PROVINCE * CLIENTS * EACH * ROUNDS}


class _Caps:
    def cap(self, kind: str, key: str) -> int:
        return CAPS.get(kind, 10**12)

    def known(self) -> list[capacity.Place]:
        return []


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure reservations a second, and one decision by prices."""
    database = make_database(postgres, "guarantee", "bench_capacity")
    try:
        return [_reservations(postgres, database), _decision()]
    finally:
        database.dispose()


def _reservations(postgres: EmbeddedPostgres, database: Database) -> Row:
    _reserve(database)
    statements = _statements(database)
    with database.owner.begin() as connection:
        connection.execute(text("CREATE TABLE bare_limits (LIKE buckets INCLUDING ALL)"))
        connection.execute(text("INSERT INTO bare_limits SELECT * FROM buckets"))
        connection.execute(text("CREATE TABLE bare_rows (LIKE reservations INCLUDING ALL)"))
        connection.execute(text("GRANT SELECT, INSERT, UPDATE ON bare_limits, bare_rows TO guarantee_app"))
        shared = connection.scalars(text("SELECT id FROM buckets WHERE kind <> 'obligor' ORDER BY id")).all()
    url = database.url(postgres, "app").replace("postgresql+psycopg", "postgresql")
    connections = [psycopg.connect(url) for _ in range(CLIENTS)]

    def ours() -> tuple[float, float]:
        return _together(lambda _: _reserve(database))

    def bare() -> tuple[float, float]:
        return _together(lambda number: _write(connections[number], shared))

    try:
        _, walls = measure_both("capacity: 16 clients", ours, bare, ROUNDS)
    finally:
        for connection_ in connections:
            connection_.close()
    granted = _granted(database)
    note = (
        "ours locks the limits in order, reads the obligor's reservations, measures them at the weight of their total,"
        f" checks, updates {len(shared)} limits, inserts one and the reservation: {statements} statements and one"
        " commit, row-level security included; the bare side updates as many rows of the same table by their keys and"
        f" inserts as many, with nothing read, computed or checked; of {CLIENTS * EACH * ROUNDS:,} asked for,"
        f" {granted:,} were granted and 0 limits passed"
    )
    return Row.of(
        "capacity", "reservation vs bare transaction of as many rows, 16 clients, wall", walls,
        unit="µs wall per reservation", goal=0.5, note=note,
    )  # fmt: skip


def _together(one: Callable[[int], None]) -> tuple[float, float]:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            for _ in range(EACH):
                one(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    spent = Spent()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return spent.per(CLIENTS * EACH)


def _reserve(database: Database) -> None:
    with database.sessions.begin() as session:
        db.act_for(session, GUARANTOR)
        row = Reservation(
            id=uuid7(), institution=GUARANTOR, loan_id=uuid7(), allocation_id=None, obligor=str(uuid7()), county="c",
            small_or_farmer=True, state="pending", amount=100, balance=100, borne=80, province=PROVINCE, national=0,
            pool=10, liability=80, expires_at=clock.now() + timedelta(hours=1),
        )  # fmt: skip
        capacity.reserve(session, [capacity.Wish(row)], _Caps(), WEIGHTS)


def _write(connection: "psycopg.Connection[Any]", shared: Sequence[UUID]) -> None:
    obligor = str(uuid7())
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bare_limits (id, institution, kind, key, cap_legal, cap_effective, posted, pending)"
            " VALUES (%s, %s, 'obligor', %s, 1000, 1000, 0, 60)",
            (uuid7(), GUARANTOR, obligor),
            prepare=True,
        )
        for key in shared:
            cursor.execute("UPDATE bare_limits SET pending = pending + 1 WHERE id = %s", (key,), prepare=True)
        cursor.execute(
            "INSERT INTO bare_rows (id, institution, loan_id, obligor, county, small_or_farmer, state, amount, balance,"
            " borne, province, national, pool, liability, expires_at)"
            " VALUES (%s, %s, %s, %s, 'c', true, 'pending', 100, 100, 80, 30, 0, 10, 80, now())",
            (uuid7(), GUARANTOR, uuid7(), obligor),
            prepare=True,
        )


def _granted(database: Database) -> int:
    """How many were granted; every limit is counted again, and none may be passed."""
    with database.sessions() as session:
        db.act_for(session, GUARANTOR)
        passed = session.scalar(text("SELECT count(*) FROM buckets WHERE posted + pending > cap_legal"))
        assert passed == 0, f"{passed} limits were passed"
        count, used = session.execute(text("SELECT count(*), sum(province) FROM reservations")).one()
        assert used <= CAPS["province"], "the province's quota was passed"
        held = session.scalar(text("SELECT pending FROM buckets WHERE kind = 'province'"))
        assert used == held, "the limit and the reservations under it differ"
        return int(count)


def _statements(database: Database) -> int:
    """Statements of one reservation."""
    count = 0

    def one_more(*_: Any) -> None:
        nonlocal count
        count += 1

    event.listen(database.app, "before_cursor_execute", one_more)
    _reserve(database)
    event.remove(database.app, "before_cursor_execute", one_more)
    return count


def _decision() -> Row:
    """One request weighed by the prices of eight limits."""
    kinds = [("headroom", ""), ("county", "c"), ("obligor", "o"), ("province", ""), ("national", ""), ("bank", "b")]
    by = BidPrices(
        scale=Decimal("0.97"),
        objective={"amount": "1", "carbon": "0.5", "el": "3"},
        prices=[
            *({"kind": kind, "key": key, "price": "0.25"} for kind, key in [*kinds, ("pool", "c")]),
            {"kind": "loss_rate", "key": "", "price": "0.001", "cap_pd_bp": 400},
        ],
    )
    parts = {"primary": 40_000_000, "province": 30_000_000, "national": 0, "bank": 20_000_000, "pool": 10_000_000}
    asked = bid_prices.Asked(100_000_000, 20_000_000, 0.03, 0.4, 30_000_000, parts, "o", "c", "b")

    def ours() -> float:
        spent = Spent()
        for _ in range(DECISIONS):
            bid_prices.bid(by, asked)
        return spent.per(DECISIONS)[0]

    return compare(
        "capacity", "one request weighed by prices of eight limits vs 50 µs", ours, lambda: 50.0,
        unit="µs CPU per decision", goal=1.0, note="no database: value, uses, price and what each limit makes up of it",
    )  # fmt: skip
