"""The consumer: one transaction for a batch of events against one for each, on the real inbox."""

from collections.abc import Iterable
from uuid import uuid4

from deploy.embedded import EmbeddedPostgres
from shared import inbox, watchers
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer, Record
from tests.bench.harness import Row, Spent, measure_both
from tests.conftest import Database, make_database
from tests.harness import record

EVENTS, BATCH, ROUNDS = 200, 100, 6
BANK = "bank-bench"


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure wall time and CPU."""
    database = make_database(postgres, "credit", "bench_consumer")
    try:
        cpu, wall = measure_both(
            "consumer: batches against single events",
            lambda: _receive(database, BATCH),
            lambda: _receive(database, 1),
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


def _parts(records: list[Record], size: int) -> Iterable[list[Record]]:
    return (records[start : start + size] for start in range(0, len(records), size))
