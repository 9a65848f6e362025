"""From the outbox over a real broker to the effect: each event once, in order, whatever the broker does meanwhile."""

import threading
import time
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from sqlalchemy import text

from shared import inbox, kafka
from shared.events import TOPICS
from shared.relay import BrokerError, Relay, acquire
from shared.settings import Settings
from tests.broker.conftest import (
    SOON,
    Broker,
    effects,
    eventually,
    ids,
    number,
    on_topic,
    producing,
    story,
    unsent,
    withdrawn,
    working,
    write,
    write_story,
)
from tests.conftest import Database


def test_topics_have_their_final_partitions_and_the_state_topic_is_compacted(
    broker: Broker, configured: Settings
) -> None:
    kafka.create_topics(configured)
    kafka.create_topics(configured)
    admin = KafkaAdminClient(bootstrap_servers=configured.kafka_bootstrap)
    expected = {*TOPICS, *(f"{topic}.dead" for topic in TOPICS), "sink.valuations"}
    described = {topic["name"]: topic for topic in admin.describe_topics(sorted(expected))}
    assert set(described) == expected
    assert {len(topic["partitions"]) for topic in described.values()} == {configured.topic_partitions}
    if broker.name == "apache":  # the embedded broker does not tell
        settings = {
            topic: {name: entry["value"] for name, entry in config.items()}
            for topic, config in admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in sorted(expected)]
            )["topic"].items()
        }
        assert settings.pop("sink.valuations") == {"cleanup.policy": "compact"}
        assert {entry["retention.ms"] for entry in settings.values()} == {"-1"}
    admin.close()


def test_each_event_has_its_effect_once_and_in_order(here: Database, configured: Settings) -> None:
    loans = [uuid4() for _ in range(40)]
    write_story(here, loans, 5)
    with working(configured) as worker:
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 200)
        write_story(here, loans, 5, first=6)
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 400)
    assert effects(here) == story(loans, 10)
    assert unsent(here) == 0
    assert set(ids(on_topic(configured)).values()) == {1}


def test_events_that_come_twice_have_one_effect(here: Database, configured: Settings) -> None:
    loans = [uuid4() for _ in range(20)]
    write_story(here, loans, 5)
    with working(configured, parts="relay"):
        assert eventually(lambda: unsent(here) == 0)
    with producing(configured) as producer:
        for record in on_topic(configured):
            producer.send(record.topic, record.value, record.key, list(record.headers), record.partition)
    with working(configured) as worker:
        counts = worker.door.consumer.counts
        assert eventually(lambda: counts["duplicates"] == 100)
        assert counts["applied"] == 100
    assert effects(here) == story(loans, 5)


def test_only_what_the_broker_acknowledged_is_marked(broker: Broker, here: Database, configured: Settings) -> None:
    class Doomed(kafka.Sender):
        """Its broker is killed while the second batch is on its way."""

        settled = 0

        def settle(self, sent: object) -> None:
            self.settled += 1
            if self.settled == 2:
                broker.kill()
            super().settle(sent)

    loans = [uuid4() for _ in range(100)]
    write_story(here, loans, 10)
    sender = Doomed(configured, delivery_timeout=2.0)
    with here.worker.connect() as connection:
        connection.detach()
        token = acquire(connection)
        assert token is not None
        relay = Relay(connection, sender, token, batch=50)
        relay.follow(sender.cluster_id())
        with pytest.raises(BrokerError):
            relay.drain()
        sender.close()
    assert 500 < unsent(here) < 1000
    with here.worker.connect() as connection:
        marked = {
            str(row.id).encode()
            for row in connection.execute(text("SELECT id FROM outbox WHERE id NOT IN (SELECT id FROM outbox_unsent)"))
        }
    broker.start()
    if broker.keeps:
        kept = ids(on_topic(configured))
        assert marked <= set(kept)
    with working(configured) as worker:
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 1000)
    assert effects(here) == story(loans, 10)
    sent = on_topic(configured)
    assert len(ids(sent)) == 1000, "what goes again goes under its old id"
    numbers = {(record.key, dict(record.headers)["ce_sequence"]) for record in sent}
    assert len(numbers) == 1000


def test_writes_go_on_while_the_broker_is_down(broker: Broker, here: Database, configured: Settings) -> None:
    loans = [uuid4() for _ in range(10)]
    write_story(here, loans, 2)
    with working(configured) as worker:
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 20)
        broker.stop()
        began = time.monotonic()
        write_story(here, loans, 2, first=3)
        assert time.monotonic() - began < SOON, "a write waited for the broker"
        time.sleep(2.0)
        write_story(here, loans, 2, first=5)
        assert unsent(here) == 40
        broker.start()
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 60)
    assert effects(here) == story(loans, 6)


def test_an_empty_cluster_in_its_place_is_filled_again(broker: Broker, here: Database, configured: Settings) -> None:
    loans = [uuid4() for _ in range(30)]
    write_story(here, loans, 10)
    with working(configured) as worker:
        counts = worker.door.consumer.counts
        assert eventually(lambda: counts["applied"] == 300)
        first = kafka.cluster_id(configured)
        broker.replace()
        write_story(here, loans, 3, first=11)
        assert eventually(lambda: counts["applied"] == 390)
        assert eventually(lambda: unsent(here) == 0)
        second = kafka.cluster_id(configured)
        assert second != first
        with here.worker_sessions() as session:
            assert eventually(lambda: sum(inbox.offsets(session, second).values()) >= 390)
    assert effects(here) == story(loans, 13)
    sent = on_topic(configured)
    assert len(ids(sent)) == 390
    assert number(here, "SELECT count(*) FROM inbox_parked") == 0


@pytest.mark.parametrize("partitions", [2, 5])
def test_a_cluster_with_another_number_of_partitions_is_read_whole(
    broker: Broker, here: Database, configured: Settings, partitions: int
) -> None:
    loans = [uuid4() for _ in range(20)]
    write_story(here, loans, 2)
    with working(configured) as worker:
        counts = worker.door.consumer.counts
        assert eventually(lambda: counts["applied"] == 40)
        # Whoever makes the topics of the next cluster makes them so, but for the embedded broker: it may make one
        # itself, with four, when a client asks for it first.
        object.__setattr__(configured, "topic_partitions", partitions)
        broker.replace()
        write_story(here, loans, 2, first=3)
        assert eventually(lambda: counts["applied"] == 80)
        assert eventually(lambda: unsent(here) == 0)
        sent = on_topic(configured)
        assert eventually(lambda: _offsets(here, configured) == {r.partition: r.offset + 1 for r in sent})
        write_story(here, loans, 1, first=5)
        assert eventually(lambda: counts["applied"] == 100)
    assert effects(here) == story(loans, 5)
    with producing(configured) as producer:
        assert len(producer.partitions_for(sent[0].topic)) in ({partitions} if broker.keeps else {partitions, 4})


def _offsets(database: Database, configured: Settings) -> dict[int, int]:
    with database.worker_sessions() as session:
        known = inbox.offsets(session, kafka.cluster_id(configured))
    return {part: offset for (_, part), offset in known.items()}


def test_two_consumers_of_a_group_share_the_work_and_a_rebalance_loses_nothing(
    here: Database, configured: Settings
) -> None:
    loans = [uuid4() for _ in range(60)]
    with working(configured) as first:
        write_story(here, loans, 3)
        assert eventually(lambda: first.door.consumer.counts["applied"] == 180)
        rounds, enough = [3], threading.Event()

        def go_on() -> None:
            while not enough.wait(0.15):
                rounds.append(rounds[-1] + 1)
                write_story(here, loans, 1, first=rounds[-1])

        writer = threading.Thread(target=go_on)
        writer.start()
        try:
            with working(configured, parts="consume") as second:
                assert eventually(lambda: second.door.consumer.counts["applied"] > 0)
                shared = first.door.consumer.counts["applied"]
                assert eventually(lambda: first.door.consumer.counts["applied"] > shared)
        finally:
            enough.set()
            writer.join()
        everything = 60 * rounds[-1]
        assert eventually(lambda: number(here, "SELECT count(*) FROM effects") >= everything)
        assert first.door.consumer.counts["applied"] + second.door.consumer.counts["applied"] == everything
    assert effects(here) == story(loans, rounds[-1])


def test_a_consumer_that_is_told_to_stop_stops_soon(here: Database, configured: Settings) -> None:
    write(here, withdrawn(uuid4(), "1"))
    with working(configured) as worker:
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 1)
        began = time.monotonic()
    assert time.monotonic() - began < SOON


def test_the_checksums_are_computed_in_c() -> None:
    from kafka.record import util

    assert util.crc32c_c is not None, "install kafka-python[crc32c]: without it the client takes ten times the time"
