"""Two real brokers, one interface: the embedded one and an Apache Kafka; a database that shows every effect."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import text

from deploy.embedded import EmbeddedPostgres, TansuBroker, free_port
from deploy.kafka import apache
from shared import db, outbox
from shared.door import Door
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer, Record
from shared.settings import Settings
from shared.worker import Worker
from tests.broker.effects import BANK, TABLE, listening
from tests.conftest import Database, empty, make_database
from tests.harness import test_settings

ROOT = Path(__file__).parents[2]
TOPIC = "credit.events"


class Embedded:
    """The broker of the embedded stack: every start is another, empty cluster."""

    name, keeps, wait_ms = "embedded", False, 5

    def __init__(self, place: Path) -> None:
        self.server = TansuBroker(place)

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def kill(self) -> None:
        self.server.kill()

    def replace(self) -> None:
        self.server.kill()
        self.server.start()

    @property
    def port(self) -> int:
        return self.server.port

    def forget(self) -> None:
        self.server.kill()


class Apache:
    """An Apache Kafka: it keeps its log, and is started once for all tests."""

    name, keeps, wait_ms = "apache", True, 500

    def __init__(self, place: Path) -> None:
        self.server, self.place, self.port, self.clusters = apache.ApacheKafka(ROOT / apache.LIBRARIES), place, 0, 0

    def start(self) -> None:
        self.port = self.port or free_port()
        self.server.start(self.port, self.place / str(self.clusters))

    def stop(self) -> None:
        self.server.stop()

    def kill(self) -> None:
        self.server.kill()

    def replace(self) -> None:
        self.server.kill()
        self.clusters += 1
        self.start()

    def forget(self) -> None:
        """Leave nothing to the next test."""
        self.start()
        admin = KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.port}")
        topics = [topic for topic in admin.list_topics() if not topic.startswith("__")]
        if topics:
            admin.delete_topics(topics)
        admin.close()


Broker = Embedded | Apache


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[Apache]:
    reason = apache.available()
    if reason is not None:
        pytest.skip(f"no Apache Kafka here: {reason}")
    with tempfile.TemporaryDirectory(prefix="hw-kafka-") as folder:
        made = Apache(Path(folder))
        made.start()
        yield made
        made.stop()


EMBEDDED = pytest.param("embedded", marks=pytest.mark.broker)
APACHE = pytest.param("apache", marks=[pytest.mark.broker, pytest.mark.apache, pytest.mark.xdist_group("apache")])


@pytest.fixture(params=[EMBEDDED, APACHE])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running, empty broker."""
    if request.param == "apache":
        made = request.getfixturevalue("apache_kafka")
        yield made
        made.forget()
    else:
        with tempfile.TemporaryDirectory(prefix="hw-broker-") as folder:
            embedded = Embedded(Path(folder))
            embedded.start()
            yield embedded
            embedded.forget()


@pytest.fixture(scope="session")
def _broker_database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    made = make_database(postgres, "credit", "test_broker")
    with made.owner.begin() as connection:
        connection.execute(text(TABLE))
    yield made
    made.dispose()


@pytest.fixture
def here(_broker_database: Database, postgres: EmbeddedPostgres) -> Iterator[Database]:
    """The database of a service that writes down every effect."""
    yield _broker_database
    empty(_broker_database, postgres)


@pytest.fixture
def configured(broker: Broker, here: Database) -> Settings:
    """Settings of that service on that broker."""
    return settings_for(here, f"127.0.0.1:{broker.port}", broker.wait_ms)


def settings_for(database: Database, bootstrap: str, wait_ms: int = 5, **more: str) -> Settings:
    return test_settings(
        database,
        HEARTWOOD_KAFKA_BOOTSTRAP=bootstrap,
        HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS="2000",
        HEARTWOOD_KAFKA_FETCH_WAIT_MS=str(wait_ms),
        **more,
    )


# -- events and their effects -----------------------------------------------------------------------------------------


def withdrawn(loan: UUID, what: str) -> LoanWithdrawn:
    return LoanWithdrawn(loan_id=loan, bank=BANK, insurer="i", guarantor="g", reason=what)


def write(database: Database, *events: Any) -> None:
    """Put events into the outbox, in one transaction."""
    with database.sessions.begin() as session:
        db.act_for(session, BANK)
        for event in events:
            outbox.put(session, event)


def write_story(database: Database, loans: list[UUID], each: int, first: int = 1) -> None:
    """Numbered events of many loans, interleaved, a transaction for each round."""
    for number in range(first, first + each):
        write(database, *(withdrawn(loan, str(number)) for loan in loans))


def effects(database: Database) -> dict[str, list[str]]:
    """What happened for each loan, in order."""
    found: dict[str, list[str]] = {}
    with database.worker.connect() as connection:
        for key, what in connection.execute(text("SELECT key, what FROM effects ORDER BY id")):
            found.setdefault(key, []).append(what)
    return found


def story(loans: list[UUID], each: int) -> dict[str, list[str]]:
    """What should have happened."""
    return {str(loan): [str(number) for number in range(1, each + 1)] for loan in loans}


def number(database: Database, query: str) -> int:
    with database.worker.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def unsent(database: Database) -> int:
    return number(database, "SELECT count(*) FROM outbox_unsent")


#: Far longer than anything takes: a wait ends by what it waits for, and a slow machine fails no test. [s]
PATIENCE = 120.0
#: What is bounded by a timeout of its own ends well before this; what waits for the broker does not. [s]
SOON = 25.0


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until something holds; its last value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.03)
    return value


# -- running parts ----------------------------------------------------------------------------------------------------


@contextmanager
def working(
    configured: Settings, consumer: Consumer | None = None, *, parts: str = "relay consume wake"
) -> Iterator[Worker]:
    """Parts of a real worker, in threads of this process; a part that fails fails the test."""
    worker = Worker("credit", configured, Door(consumer or listening()))
    threads = [
        threading.Thread(target=worker._guard, args=(part, getattr(worker, f"_{part}")), name=f"test-{part}")
        for part in parts.split()
    ]
    for thread in threads:
        thread.start()
    try:
        yield worker
    finally:
        worker.stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        worker.engine.dispose()
    assert not any(thread.is_alive() for thread in threads)
    if worker.failure is not None:
        raise worker.failure


class Process:
    """A process of the project's own, with a role from tests/broker/processes.py; what it prints is kept."""

    def __init__(self, role: str, configured: Settings, *arguments: str) -> None:
        environment = {
            **os.environ,
            "HEARTWOOD_WORKER_DATABASE_URL": configured.worker_database_url,
            "HEARTWOOD_KAFKA_BOOTSTRAP": configured.kafka_bootstrap,
            "HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS": str(configured.kafka_session_timeout_ms),
            "HEARTWOOD_KAFKA_FETCH_WAIT_MS": str(configured.kafka_fetch_wait_ms),
            "HEARTWOOD_METRICS_PORT": str(configured.metrics_port),
            "PYTHONUNBUFFERED": "1",
        }
        self.output = tempfile.NamedTemporaryFile(prefix="hw-process-", suffix=".log")  # noqa: SIM115
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.broker.processes", role, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=self.output,
            stderr=self.output,
        )

    def said(self) -> str:
        return Path(self.output.name).read_text()

    def says(self, what: str) -> bool:
        eventually(lambda: what in self.said() or self.popen.poll() is not None)
        return what in self.said()

    def send(self, signal_: signal.Signals) -> None:
        self.popen.send_signal(signal_)

    def wait(self) -> int:
        return self.popen.wait(PATIENCE)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def end(self) -> None:
        if self.popen.poll() is None:
            self.kill()
        self.output.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Start a process that ends with the test."""
    started: list[Process] = []

    def make(role: str, configured: Settings, *arguments: str) -> Process:
        started.append(Process(role, configured, *arguments))
        return started[-1]

    yield make
    for process in started:
        process.end()


# -- the broker from outside ------------------------------------------------------------------------------------------


def on_topic(configured: Settings, topic: str = TOPIC) -> list[Record]:
    """Everything on a topic, by partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=configured.kafka_bootstrap, auto_offset_reset="earliest")
    parts = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(parts)
    ends = consumer.end_offsets(parts)
    consumer.seek_to_beginning(*parts)
    found = []
    while any(consumer.position(part) < ends[part] for part in parts):
        for rows in consumer.poll(timeout_ms=200).values():
            found += [Record(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in rows]
    consumer.close()
    return sorted(found, key=lambda r: (r.partition, r.offset))


@contextmanager
def producing(configured: Settings) -> Iterator[KafkaProducer]:
    """A bare producer, for what no relay of ours would send."""
    producer = KafkaProducer(
        bootstrap_servers=configured.kafka_bootstrap, allow_auto_create_topics=False, max_request_size=8_000_000
    )
    try:
        yield producer
    finally:
        producer.close(timeout=5)


def ids(records: list[Record]) -> Counter[bytes]:
    """How often each event is on the topic."""
    return Counter(dict(record.headers)["ce_id"] for record in records)
