"""A network that delays, drops, half-closes, resets and swallows, between us and a real broker."""

import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from shared import kafka
from shared.relay import BrokerError, Message
from shared.settings import Settings
from tests.broker.conftest import (
    PATIENCE,
    SOON,
    TOPIC,
    Broker,
    effects,
    eventually,
    settings_for,
    story,
    unsent,
    withdrawn,
    working,
    write,
    write_story,
)
from tests.broker.effects import listening
from tests.conftest import Database
from tests.faults.proxy import Mode, Proxy


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    with Proxy(broker.port) as made:
        yield made


@pytest.fixture
def through(here: Database, broker: Broker, proxy: Proxy) -> Settings:
    """Settings that lead through the proxy."""
    return settings_for(here, proxy.bootstrap, broker.wait_ms)


def message(number: int = 0) -> Message:
    return Message(TOPIC, b"key", str(number).encode(), [])


@pytest.mark.parametrize("mode", [Mode.BLACK_HOLE, Mode.DROP, Mode.HALF_CLOSE, Mode.RESET])
def test_a_batch_over_a_spoilt_connection_is_settled_in_time_and_the_sender_lets_go(
    through: Settings, proxy: Proxy, mode: Mode
) -> None:
    before = set(threading.enumerate())
    sender = kafka.Sender(through, delivery_timeout=1.5)
    sender.settle(sender.send([message()]))
    proxy.spoil(mode)
    began = time.monotonic()
    try:
        sender.settle(sender.send([message(n) for n in range(20)]))
        acknowledged = True  # over a new connection, where there can be one
    except BrokerError:
        acknowledged = False
    assert time.monotonic() - began < SOON
    assert not (acknowledged and mode in (Mode.BLACK_HOLE, Mode.RESET))
    began = time.monotonic()
    sender.close()
    assert time.monotonic() - began < SOON
    proxy.spoil(Mode.RESET)
    assert eventually(lambda: {t for t in threading.enumerate() if t.name != "proxy"} <= before)


@pytest.mark.parametrize("mode", [Mode.BLACK_HOLE, Mode.RESET])
def test_a_broker_that_cannot_be_reached_costs_seconds_and_no_threads(
    through: Settings, proxy: Proxy, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_TIMEOUT", 0.5)
    proxy.spoil(mode)
    before = set(threading.enumerate())
    for ask in (kafka.cluster_id, kafka.create_topics, kafka.Sender, lambda s: kafka.latest(s, "sink.valuations")):
        began = time.monotonic()
        with pytest.raises(BrokerError):
            ask(through)
        assert time.monotonic() - began < SOON
    assert {t for t in threading.enumerate() if t.name != "proxy"} <= before


def test_events_pass_through_every_kind_of_trouble(here: Database, through: Settings, proxy: Proxy) -> None:
    loans = [uuid4() for _ in range(20)]
    write_story(here, loans, 1)
    with working(through) as worker:
        counts = worker.door.consumer.counts
        assert eventually(lambda: counts["applied"] == 20)
        for number, (mode, seconds) in enumerate(
            [(Mode.DELAY, 1.0), (Mode.HALF_CLOSE, 0.5), (Mode.BLACK_HOLE, 2.0), (Mode.RESET, 0.5)], 2
        ):
            proxy.spoil(mode)
            write_story(here, loans, 1, first=number)
            time.sleep(seconds)
            proxy.spoil(Mode.RESET)
            proxy.spoil(Mode.PASS)
        assert eventually(lambda: counts["applied"] == 100)
        assert eventually(lambda: unsent(here) == 0)
    assert effects(here) == story(loans, 5)


def test_a_client_that_went_deaf_is_replaced(
    here: Database, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(kafka.KafkaConsumer):  # type: ignore[misc]
        """The first of its kind hands nothing out, as clients have done after a rebalance."""

        made = 0

        def __init__(self, **options: object) -> None:
            super().__init__(**options)
            Deaf.made += 1
            self.deaf = Deaf.made == 1

        def poll(self, **options: object) -> object:
            polled = super().poll(**options)
            if not self.deaf:
                return polled
            for part, rows in polled.items():
                self.seek(part, rows[0].offset)
            return {}

    monkeypatch.setattr(kafka, "KafkaConsumer", Deaf)
    monkeypatch.setattr(kafka, "DEAF", 1.0)
    write(here, withdrawn(uuid4(), "1"))
    with working(configured) as worker:
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 1)
    assert Deaf.made == 2


def test_a_commit_that_fails_in_a_rebalance_is_no_failure(here: Database, configured: Settings) -> None:
    loan, busy, go_on = uuid4(), threading.Event(), threading.Event()
    consumer = listening()
    handle = consumer.handlers[type(withdrawn(loan, ""))]

    def slow(session: object, event: object) -> None:
        handle(session, event)  # type: ignore[arg-type]
        busy.set()
        go_on.wait(PATIENCE)

    consumer.handlers = {type(withdrawn(loan, "")): slow}
    write(here, *(withdrawn(loan, str(n)) for n in range(1, 6)))
    with working(configured, consumer) as first:
        assert busy.wait(PATIENCE)
        with working(configured, parts="consume"):
            time.sleep(2.5)  # the group waits for the first to join again, and then no longer
            go_on.set()
            assert eventually(lambda: first.door.consumer.counts["applied"] == 5)
            write(here, *(withdrawn(loan, str(n)) for n in range(6, 9)))
            assert eventually(lambda: len(effects(here).get(str(loan), [])) == 8)
    assert effects(here) == story([loan], 8)
