"""The flow of events: the relay against a bare producer, and commit-to-applied against a bare client."""

import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from sqlalchemy import text

from deploy.embedded import EmbeddedPostgres, TansuBroker
from shared import db, inbox, kafka, outbox, relay
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer, Record
from shared.relay import Relay
from shared.settings import Settings, settings
from tests.bench.harness import Row, Spent, compare, measure_both
from tests.conftest import Database, make_database

EVENTS, ROUNDS = 5_000, 6
PACED, PACE, PACED_ROUNDS = 200, 0.02, 4
FETCH_WAIT = 5
BANK = "bank-bench"
OURS, BARE = "credit.events", "bench.bare"


def event(reason: str = "x" * 900) -> LoanWithdrawn:
    """An event of about a kilobyte."""
    return LoanWithdrawn(loan_id=uuid4(), bank=BANK, insurer="i", guarantor="g", reason=reason)


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure on the embedded broker, a fresh one for each part."""
    database = make_database(postgres, "credit", "bench_events")
    try:
        with _broker() as configured:
            relayed = _relaying(database, configured)
        with _broker() as configured:
            return [*relayed, _latency(database, configured)]
    finally:
        database.dispose()


@contextmanager
def _broker() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder, TansuBroker(Path(folder)) as broker:
        configured = settings(
            {
                "HEARTWOOD_KAFKA_BOOTSTRAP": broker.bootstrap,
                "HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS": "6000",
                "HEARTWOOD_KAFKA_FETCH_WAIT_MS": str(FETCH_WAIT),
            }
        )
        kafka.create_topics(configured)
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        admin.create_topics([NewTopic(BARE, configured.topic_partitions, 1)])
        admin.close()
        yield configured


# -- the relay --------------------------------------------------------------------------------------------------------


def _relaying(database: Database, configured: Settings) -> list[Row]:
    with database.sessions.begin() as session:
        db.act_for(session, BANK)
        for _ in range(EVENTS):
            outbox.put(session, event())
    with database.worker.connect() as connection:
        records = relay._messages(
            connection.execute(relay._UNSENT, {"after": relay._BEFORE_ALL, "batch": EVENTS}).all()
        )
    with database.owner.begin() as connection:
        connection.execute(text("DELETE FROM outbox_unsent"))
    assert len(records) == EVENTS
    ours, bare = Witness(configured, OURS), Witness(configured, BARE)

    def relayed() -> tuple[float, float]:
        with psycopg.connect(database.admin_url.replace("postgresql+psycopg", "postgresql")) as superuser:
            superuser.execute("INSERT INTO outbox_unsent (id, since) SELECT id, now() FROM outbox ORDER BY id")
        sender = kafka.Sender(configured)
        with database.worker.connect() as connection:
            connection.detach()
            token = relay.acquire(connection)
            assert token is not None
            made = Relay(connection, sender, token)
            made.follow("bench")
            spent = Spent()
            assert made.drain() == EVENTS
            costs = spent.per(EVENTS)
            connection.close()
        sender.close()
        ours.demand(EVENTS)
        return costs

    def produced() -> tuple[float, float]:
        producer = KafkaProducer(
            bootstrap_servers=configured.kafka_bootstrap, acks="all", linger_ms=20, batch_size=262_144
        )
        spent = Spent()
        sent = [producer.send(BARE, value=one.value, key=one.key, headers=list(one.headers)) for one in records]
        producer.flush()
        for future in sent:
            future.get(60)
        costs = spent.per(EVENTS)
        producer.close()
        bare.demand(EVENTS)
        return costs

    cpu, wall = measure_both("events: relay against a bare producer", relayed, produced, ROUNDS)
    ours.close()
    bare.close()
    note = (
        f"{EVENTS} events of a kilobyte, 3 partitions, every acknowledgement checked; the relay reads them from"
        " PostgreSQL, writes value and envelope, and marks them, 500 in a statement, two batches in flight; the bare"
        " producer sends the same records, value and 12 headers, ready from memory, linger 20 ms, batches of 256 kB"
    )
    return [
        Row.of(
            "events",
            "relay vs raw kafka-python produce, CPU",
            cpu,
            unit="µs CPU per event",
            goal=0.6,
            target=0.9,
            note=note,
        ),
        Row.of(
            "events",
            "relay vs raw kafka-python produce, wall",
            wall,
            unit="µs wall per event",
            goal=0.5,
            target=0.7,
            note="of the same rounds",
        ),
    ]


class Witness:
    """Reads a topic whole, so as to say what arrived. The end offsets that the embedded broker tells may lag."""

    def __init__(self, configured: Settings, topic: str) -> None:
        self.reader = KafkaConsumer(bootstrap_servers=configured.kafka_bootstrap)
        parts = [TopicPartition(topic, number) for number in range(configured.topic_partitions)]
        self.reader.assign(parts)
        self.reader.seek_to_beginning(*parts)

    def demand(self, count: int) -> None:
        """See exactly so many records arrive, each once."""
        keys: list[bytes] = []
        deadline = time.monotonic() + 30
        while len(keys) < count and time.monotonic() < deadline:
            keys += [one.key for records in self.reader.poll(timeout_ms=200).values() for one in records]
        keys += [one.key for records in self.reader.poll(timeout_ms=200).values() for one in records]
        assert len(keys) == len(set(keys)) == count, f"{len(keys)} records of {len(set(keys))} keys, {count} were sent"

    def close(self) -> None:
        """Let go of the broker."""
        self.reader.close()


# -- from commit to effect --------------------------------------------------------------------------------------------


def _latency(database: Database, configured: Settings) -> Row:
    """Paced events, one at a time: from the commit to the applied transaction, and from send to poll."""
    # What the other measurements left behind is no part of this one: going through it takes longer than an event does.
    gc.collect()
    gc.freeze()
    return compare(
        "events",
        "commit-to-applied vs bare client, p99 latency",
        lambda: _ours(database, configured),
        lambda: _bare(configured),
        unit="ms",
        goal=0.5,
        target=0.77,
        rounds=PACED_ROUNDS,
        note=f"{PACED} events, one each {PACE * 1e3:.0f} ms, fetch wait {FETCH_WAIT} ms on both sides; ours goes from"
        " the commit by outbox, relay, broker and inbox to the commit of the effect; the bare client sends and polls",
    )


def _ours(database: Database, configured: Settings) -> float:
    applied: dict[str, float] = {}
    seen: list[str] = []
    stop = threading.Event()
    consumer = Consumer("credit", {LoanWithdrawn: lambda session, event: seen.append(event.reason)}, lambda event: BANK)

    def receive(records: Sequence[Record], cluster: str) -> None:
        inbox.receive(database.worker_sessions, consumer, records, cluster)
        applied.update(dict.fromkeys(seen, time.perf_counter()))
        seen.clear()

    def offsets(cluster: str) -> dict[tuple[str, int], int]:
        with database.worker_sessions() as session:
            return inbox.offsets(session, cluster)

    group = f"bench-{uuid4()}"
    threads = [
        threading.Thread(target=relay.run, args=(database.worker, lambda: kafka.Sender(configured), stop.is_set)),
        threading.Thread(target=kafka.consume, args=(configured, group, [OURS], offsets, receive, stop.is_set)),
    ]
    for thread in threads:
        thread.start()
    try:
        _await(lambda: _ping(database, applied))
        committed = {}
        for number in range(PACED):
            reason = f"{group}-{number}"
            with database.sessions.begin() as session:
                db.act_for(session, BANK)
                outbox.put(session, event(reason))
            committed[reason] = time.perf_counter()
            time.sleep(PACE)
        _await(lambda: all(reason in applied for reason in committed))
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    return _p99([applied[reason] - moment for reason, moment in committed.items()])


def _ping(database: Database, applied: dict[str, float]) -> bool:
    """Send one and see whether any has arrived: the consumer has joined its group."""
    with database.sessions.begin() as session:
        db.act_for(session, BANK)
        outbox.put(session, event(str(uuid4())))
    time.sleep(0.2)
    return bool(applied)


def _bare(configured: Settings) -> float:
    producer = KafkaProducer(bootstrap_servers=configured.kafka_bootstrap, acks="all")
    reader = KafkaConsumer(bootstrap_servers=configured.kafka_bootstrap, fetch_max_wait_ms=FETCH_WAIT)
    parts = [TopicPartition(BARE, number) for number in range(configured.topic_partitions)]
    reader.assign(parts)
    reader.seek_to_end(*parts)
    for part in parts:
        reader.position(part)
    arrived: dict[bytes, float] = {}
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            for records in reader.poll(timeout_ms=100).values():
                arrived.update(dict.fromkeys([one.key for one in records], time.perf_counter()))

    thread = threading.Thread(target=read)
    thread.start()
    sent: dict[bytes, float] = {}
    try:
        for number in range(PACED):
            key = f"{number}-{uuid4()}".encode()
            sent[key] = time.perf_counter()
            producer.send(BARE, value=b"x" * 1000, key=key)
            time.sleep(PACE)
        _await(lambda: all(key in arrived for key in sent))
    finally:
        done.set()
        thread.join(10)
        producer.close()
        reader.close()
    return _p99([arrived[key] - moment for key, moment in sent.items()])


def _await(condition: Callable[[], Any], patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the events did not arrive")
        time.sleep(0.01)


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98] * 1e3
