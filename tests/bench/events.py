"""The flow of events: the relay against a bare producer, and commit-to-applied against a bare client."""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer
from sqlalchemy import text

from deploy.embedded import EmbeddedPostgres, TansuBroker
from shared import db, inbox, kafka, outbox, relay
from shared.events.base import encode
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer
from shared.relay import Relay
from shared.settings import Settings, settings
from tests.bench.harness import Row, compare
from tests.conftest import Database, make_database

EVENTS = 10_000
PACED = 150
BANK = "bank-bench"


def event() -> LoanWithdrawn:
    """An event of about a kilobyte."""
    return LoanWithdrawn(loan_id=uuid4(), bank=BANK, insurer="i", guarantor="g", reason="x" * 900)


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure on the embedded broker."""
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder, TansuBroker(Path(folder)) as broker:
        configured = settings(
            {
                "HEARTWOOD_KAFKA_BOOTSTRAP": broker.bootstrap,
                "HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS": "6000",
                "HEARTWOOD_KAFKA_FETCH_WAIT_MS": "5",
            }
        )
        database = make_database(postgres, "credit", "bench_events")
        try:
            return [*_relaying(database, configured), _latency(database, configured)]
        finally:
            database.dispose()


def _fill(database: Database, count: int) -> None:
    with database.sessions.begin() as session:
        db.act_for(session, BANK)
        for _ in range(count):
            outbox.put(session, event())


def _relaying(database: Database, configured: Settings) -> list[Row]:
    def relayed(clock: Callable[[], float]) -> float:
        _fill(database, EVENTS)
        sender = kafka.Sender(configured)
        with database.worker.connect() as connection:
            connection.detach()
            token = relay.acquire(connection)
            assert token is not None
            made = Relay(connection, sender, token)
            made.follow(sender.cluster_id())
            before = clock()
            assert made.drain() == EVENTS
            cost = clock() - before
        sender.close()
        return cost / EVENTS * 1e6

    def produced(clock: Callable[[], float]) -> float:
        value = json.dumps(encode(event())).encode()
        producer = KafkaProducer(
            bootstrap_servers=configured.kafka_bootstrap, acks="all", linger_ms=20, batch_size=262_144
        )
        before = clock()
        sent = [producer.send("credit.events", value=value, key=str(n).encode()) for n in range(EVENTS)]
        for future in sent:
            future.get(60)
        cost = clock() - before
        producer.close()
        return cost / EVENTS * 1e6

    note = f"{EVENTS} events of 1 kB, every acknowledgement checked; the relay also reads and marks them in PostgreSQL"
    return [
        compare(
            "events",
            "relay vs raw kafka-python produce, CPU",
            lambda: relayed(time.process_time),
            lambda: produced(time.process_time),
            unit="µs CPU per event",
            goal=0.6,
            rounds=5,
            note=note,
        ),
        compare(
            "events",
            "relay vs raw kafka-python produce, wall",
            lambda: relayed(time.perf_counter),
            lambda: produced(time.perf_counter),
            unit="µs wall per event",
            goal=0.5,
            rounds=5,
            note=note,
        ),
    ]


def _latency(database: Database, configured: Settings) -> Row:
    """Paced events, one at a time: from the commit to the applied transaction, and from send to poll."""
    with database.owner.begin() as connection:
        connection.execute(text("DELETE FROM outbox_unsent"))

    def ours() -> float:
        arrived: dict[str, float] = {}
        stop = threading.Event()

        def handler(session: object, received: LoanWithdrawn) -> None:
            arrived[received.reason] = 0.0

        consumer = Consumer("credit", {LoanWithdrawn: handler}, lambda received: BANK)

        def receive(records: object, cluster: str) -> None:
            before = set(arrived)
            inbox.receive(database.worker_sessions, consumer, records, cluster)  # type: ignore[arg-type]
            moment = time.perf_counter()
            for reason in set(arrived) - before:
                arrived[reason] = moment

        relaying = threading.Thread(
            target=relay.run, args=(database.worker, lambda: kafka.Sender(configured), stop.is_set), daemon=True
        )
        group = f"bench-{uuid4()}"
        consuming = threading.Thread(
            target=kafka.consume,
            args=(configured, group, ["credit.events"], lambda cluster: {}, receive, stop.is_set),
            daemon=True,
        )
        relaying.start()
        consuming.start()
        _await(lambda: _ping(database, arrived))
        committed = {}
        for n in range(PACED):
            reason = f"{group}-{n}"
            with database.sessions.begin() as session:
                db.act_for(session, BANK)
                outbox.put(
                    session, LoanWithdrawn(loan_id=uuid4(), bank=BANK, insurer="i", guarantor="g", reason=reason)
                )
            committed[reason] = time.perf_counter()
            time.sleep(0.02)
        _await(lambda: all(reason in arrived for reason in committed))
        stop.set()
        relaying.join(15)
        consuming.join(15)
        return _p99([arrived[reason] - moment for reason, moment in committed.items()]) * 1e3

    def bare() -> float:
        topic = "credit.events"
        producer = KafkaProducer(bootstrap_servers=configured.kafka_bootstrap, acks="all")
        reader = KafkaConsumer(
            topic, bootstrap_servers=configured.kafka_bootstrap, fetch_max_wait_ms=5, auto_offset_reset="latest"
        )
        reader.poll(timeout_ms=1000)
        sent: dict[bytes, float] = {}
        arrived: dict[bytes, float] = {}
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                for records in reader.poll(timeout_ms=100).values():
                    for one in records:
                        arrived[one.key] = time.perf_counter()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        time.sleep(0.5)
        for n in range(PACED):
            key = f"{n}-{uuid4()}".encode()
            producer.send(topic, value=b"x" * 1000, key=key).get(10)
            sent[key] = time.perf_counter()
            time.sleep(0.02)
        _await(lambda: all(key in arrived for key in sent))
        done.set()
        thread.join(5)
        producer.close()
        reader.close()
        return _p99([max(0.0, arrived[key] - moment) for key, moment in sent.items()]) * 1e3

    return compare(
        "events",
        "commit-to-applied vs raw client, p99 latency",
        ours,
        bare,
        unit="ms",
        goal=0.5,
        rounds=4,
        note="ours: outbox, relay, broker, inbox and a committed transaction; the raw client sends and polls",
    )


def _ping(database: Database, arrived: dict[str, float]) -> bool:
    """Send one and see whether any has arrived: the consumer has joined its group."""
    with database.sessions.begin() as session:
        db.act_for(session, BANK)
        outbox.put(session, LoanWithdrawn(loan_id=uuid4(), bank=BANK, insurer="i", guarantor="g", reason=str(uuid4())))
    time.sleep(0.2)
    return bool(arrived)


def _await(condition: Callable[[], bool], patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the events did not arrive")
        time.sleep(0.01)


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
