"""The consumer: one transaction for a batch of events against one for each, on the real inbox, and against raw SQL."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import psycopg

from deploy.embedded import EmbeddedPostgres
from shared import inbox, watchers
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer, Record
from tests.bench.harness import Row, Spent, measure_both
from tests.conftest import Database, make_database
from tests.harness import record

EVENTS, BATCH, ROUNDS = 200, 100, 6
BANK = "bank-bench"
TABLES = ("inbox", "inbox_sequences", "watchers")


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure wall time and CPU."""
    database = make_database(postgres, "credit", "bench_consumer")
    try:
        with _superuser(database) as connection:
            for table in TABLES:
                connection.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)")  # type: ignore[call-overload]
        cpu, wall = measure_both(
            "consumer: batches against single events",
            lambda: _receive(database, BATCH),
            lambda: _receive(database, 1),
            ROUNDS,
        )
        raw, _ = measure_both(
            "consumer: the inbox against raw psycopg",
            lambda: _receive(database, BATCH),
            lambda: _write(database),
            ROUNDS,
        )
    finally:
        database.dispose()
    note = (
        f"inbox.receive on {EVENTS} new events of {EVENTS} aggregates whose handler writes one row: {BATCH} events"
        " in a transaction against one event in a transaction, the disk synced for each commit on both sides"
    )
    return [
        Row.of(
            "consumer",
            "one commit per batch vs one per event, wall",
            wall,
            unit="µs wall per event",
            goal=4.0,
            target=7.0,
            note=note,
        ),
        Row.of(
            "consumer",
            "one commit per batch vs one per event, client CPU",
            cpu,
            unit="µs CPU per event",
            goal=2.0,
            target=4.0,
            note="of the same rounds",
        ),
        Row.of(
            "consumer",
            "inbox vs raw psycopg writing as many rows, client CPU",
            raw,
            unit="µs CPU per event",
            goal=None,
            note=f"for information: the raw side only writes the {len(TABLES)} rows of each event that ours does, by"
            f" `executemany`, in one transaction for {BATCH} events; it decodes nothing, checks no number and locks no"
            " aggregate",
        ),
    ]


def _receive(database: Database, batch: int) -> tuple[float, float]:
    consumer = Consumer(
        "credit", {LoanWithdrawn: lambda session, event: watchers.watch(session, event.loan_id)}, lambda event: BANK
    )
    records = [
        record(LoanWithdrawn(loan_id=uuid4(), bank=BANK, insurer="i", guarantor="g", reason="x" * 900), offset=offset)
        for offset in range(EVENTS)
    ]
    spent = Spent()
    for part in _parts(records, batch):
        inbox.receive(database.worker_sessions, consumer, part, "bench")
    costs = spent.per(EVENTS)
    assert consumer.counts == {"applied": EVENTS}
    return costs


def _write(database: Database) -> tuple[float, float]:
    """The same rows, by the least code that can write them."""
    ids = [str(uuid4()) for _ in range(EVENTS)]
    with _superuser(database) as connection, connection.cursor() as cursor:
        spent = Spent()
        for start in range(0, EVENTS, BATCH):
            part = ids[start : start + BATCH]
            with connection.transaction():
                cursor.executemany(
                    "INSERT INTO bare_inbox VALUES (%s, 'credit.events', %s, 1, 'LoanWithdrawn', now())",
                    [(one, one) for one in part],
                )
                cursor.executemany(
                    "INSERT INTO bare_inbox_sequences VALUES ('credit.events', %s, 1)", [(one,) for one in part]
                )
                cursor.executemany("INSERT INTO bare_watchers VALUES (%s, 'bank-bench')", [(one,) for one in part])
        return spent.per(EVENTS)


def _superuser(database: Database) -> "psycopg.Connection[Any]":
    return psycopg.connect(database.admin_url.replace("postgresql+psycopg", "postgresql"), autocommit=True)


def _parts(records: list[Record], size: int) -> Iterable[list[Record]]:
    return (records[start : start + size] for start in range(0, len(records), size))
