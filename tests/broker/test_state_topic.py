"""A new consumer starts from the compacted topic, and the numbers of the event topic are none the worse for it."""

import dataclasses
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared import inbox, kafka
from shared.events.sink import CarbonAssetValued
from shared.inbox import Consumer
from shared.settings import Settings
from tests.broker.conftest import Broker, effects, eventually, number, producing, unsent, working, write
from tests.broker.effects import note
from tests.conftest import Database
from tests.shared.test_events import made

STATE = "sink.valuations"


def valued(asset: UUID, version: int) -> CarbonAssetValued:
    valuation: CarbonAssetValued = dataclasses.replace(made(CarbonAssetValued), asset_id=asset, version=version)
    return valuation


def remembering() -> Consumer:
    """Keep the latest valuation of each asset, as every underwriter does: an older one is passed over."""

    def handler(session: Session, event: CarbonAssetValued) -> None:
        newest = session.scalar(text("SELECT max(what::int) FROM effects WHERE key = :k"), {"k": str(event.asset_id)})
        if newest is None or event.version > newest:
            note(session, str(event.asset_id), str(event.version))

    return Consumer("credit", {CarbonAssetValued: handler}, lambda event: "")


def test_a_new_consumer_is_filled_from_the_state_topic_and_goes_on_from_the_events(
    here: Database, configured: Settings
) -> None:
    assets = [uuid4() for _ in range(20)]
    gone = assets[0]
    for version in range(1, 6):
        write(here, *(valued(asset, version) for asset in assets))
    with working(configured, remembering(), parts="relay"):
        assert eventually(lambda: unsent(here) == 0)
    with producing(configured) as producer:
        producer.send(STATE, None, str(gone).encode()).get(10)
    latest = kafka.latest(configured, STATE)
    assert {record.key for record in latest} == {str(asset).encode() for asset in assets[1:]}

    consumer = remembering()
    assert inbox.adopt(here.worker_sessions, consumer, latest) == 19
    assert inbox.adopt(here.worker_sessions, consumer, latest) == 0
    assert effects(here) == {str(asset): ["5"] for asset in assets[1:]}
    assert number(here, "SELECT max(last) FROM inbox_sequences") == 0

    with working(configured, remembering()) as worker:
        counts = worker.door.consumer.counts
        assert eventually(lambda: counts["applied"] + counts["duplicates"] == 100)
        assert counts["duplicates"] == 19
        write(here, *(valued(asset, 6) for asset in assets))
        assert eventually(lambda: counts["applied"] == 101)
    assert effects(here) == {str(gone): ["1", "2", "3", "4", "5", "6"]} | {
        str(asset): ["5", "6"] for asset in assets[1:]
    }
    assert number(here, "SELECT min(last) FROM inbox_sequences") == 6
    assert inbox.adopt(here.worker_sessions, consumer, kafka.latest(configured, STATE)) == 0


def test_the_state_topic_of_a_new_cluster_ends_with_the_newest(
    broker: Broker, here: Database, configured: Settings
) -> None:
    asset = uuid4()
    write(here, valued(asset, 1), valued(asset, 2))
    with working(configured, remembering(), parts="relay"):
        assert eventually(lambda: unsent(here) == 0)
    broker.replace()
    write(here, valued(asset, 3))  # unsent when the other two come to be sent again
    with working(configured, remembering()) as worker:
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 3)
        assert worker.door.consumer.counts["parked"] == 0
        assert eventually(lambda: unsent(here) == 0)
    (record,) = kafka.latest(configured, STATE)
    assert inbox.read(record)[1].version == 3  # type: ignore[attr-defined]
