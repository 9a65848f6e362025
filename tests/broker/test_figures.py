"""How long an event takes, and how fast the relay is against a bare producer; printed (`pytest -s`), never asserted."""

import statistics
import time
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from sqlalchemy import text

from shared import kafka
from shared.relay import Relay, _messages, acquire
from shared.settings import Settings
from tests.broker.conftest import Broker, eventually, number, unsent, withdrawn, working, write, write_story
from tests.conftest import Database

EVENTS = 200
MANY = 5_000


def test_latency_from_commit_to_effect(
    broker: Broker, here: Database, configured: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with working(configured) as worker:
        write(here, withdrawn(uuid4(), "warm"))
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 1)
        committed = {}
        for _ in range(EVENTS):
            loan = uuid4()
            write(here, withdrawn(loan, "1"))
            committed[str(loan)] = time.time()
            time.sleep(0.01)
        assert eventually(lambda: number(here, "SELECT count(*) FROM effects") == EVENTS + 1)
    with here.worker.connect() as connection:
        applied = dict(connection.execute(text("SELECT key, extract(epoch FROM at)::float8 FROM effects")).all())
    took = sorted(1000 * (applied[loan] - at) for loan, at in committed.items())
    with capsys.disabled():
        print(
            f"\n{broker.name}: commit to effect, {EVENTS} events at about {EVENTS / _span(committed):.0f}/s:"
            f" p50 {statistics.median(took):.1f} ms, p99 {took[int(EVENTS * 0.99) - 1]:.1f} ms"
        )


def _span(moments: dict[str, float]) -> float:
    return max(moments.values()) - min(moments.values())


def test_throughput_of_the_relay(
    broker: Broker, here: Database, configured: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    write_story(here, [uuid4() for _ in range(MANY // 10)], 10)
    sender = kafka.Sender(configured)
    bare = KafkaProducer(bootstrap_servers=configured.kafka_bootstrap, acks="all", linger_ms=20, batch_size=262_144)
    with here.worker.connect() as connection:
        connection.detach()
        token = acquire(connection)
        assert token is not None
        relay = Relay(connection, sender, token)
        messages = _messages(relay._unsent()) * (MANY // relay.batch)
        sender.settle(sender.send(messages[:100]))
        bare.send(messages[0].topic, b"warm").get(10)

        cpu, began = time.process_time(), time.monotonic()
        for future in [bare.send(m.topic, m.value, m.key, list(m.headers)) for m in messages]:
            future.get(30)
        bare_wall, bare_cpu = time.monotonic() - began, time.process_time() - cpu
        cpu, began = time.process_time(), time.monotonic()
        sent = 0
        while sent < MANY:
            sent += relay.drain()
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
    assert unsent(here) == 0
    sender.close()
    bare.close(timeout=5)
    size = sum(len(m.value or b"") + sum(len(n) + len(v) for n, v in m.headers) for m in messages) / len(messages)
    with capsys.disabled():
        print(
            f"\n{broker.name}: relay {MANY / wall:.0f} events/s of {size:.0f} B,"
            f" bare producer {MANY / bare_wall:.0f}/s: {bare_wall / wall:.2f} of its speed, {bare_cpu / cpu:.2f} in CPU"
        )
