"""Real processes that are killed, stopped and told to end at bad moments."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from deploy.embedded import EmbeddedPostgres
from shared import inbox, kafka
from shared.settings import Settings
from tests.broker.conftest import (
    Broker,
    Process,
    effects,
    eventually,
    ids,
    number,
    on_topic,
    settings_for,
    story,
    unsent,
    withdrawn,
    working,
    write,
    write_story,
)
from tests.broker.effects import TABLE
from tests.conftest import Database, make_database

Start = Callable[..., Process]


def test_a_consumer_killed_before_it_commits_to_the_broker_does_nothing_twice(
    here: Database, configured: Settings, start: Start
) -> None:
    loans = [uuid4() for _ in range(10)]
    write_story(here, loans, 10)
    with working(configured, parts="relay"):
        assert eventually(lambda: unsent(here) == 0)
        assert start("die-before-commit", configured, "40").wait() == -signal.SIGKILL
    applied = number(here, "SELECT count(*) FROM effects")
    assert 40 <= applied < 100
    with working(configured, parts="consume") as worker:
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 100 - applied)
        assert worker.door.consumer.counts["duplicates"] == 0, "the database knows where to go on"
    # Were that forgotten too, everything would come again.
    with here.worker_sessions.begin() as session:
        inbox.start_over(session)
    with working(configured, parts="consume") as worker:
        assert eventually(lambda: worker.door.consumer.counts["duplicates"] == 100)
    assert effects(here) == story(loans, 10)


def test_a_relay_that_slept_finds_its_successor_and_leaves(here: Database, configured: Settings, start: Start) -> None:
    loans = [uuid4() for _ in range(20)]
    write_story(here, loans, 5)
    sleeper = start("fall-asleep", configured, "1")
    with here.worker.connect() as connection:
        stopped = "SELECT count(*) FROM relay_lease WHERE seen_at < clock_timestamp() - interval '1 second'"
        assert eventually(lambda: connection.scalar(text(stopped)))
        assert unsent(here) == 100, "it sent, and fell asleep before it marked anything"
    successor = start("relay", configured)
    with working(configured, parts="consume") as worker:
        assert eventually(lambda: unsent(here) == 0)
        write_story(here, loans, 5, first=6)
        sleeper.send(signal.SIGCONT)
        assert sleeper.wait() != 0
        assert "has taken over" in sleeper.said() or "terminating connection" in sleeper.said()
        write_story(here, loans, 1, first=11)
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 220)
        assert eventually(lambda: unsent(here) == 0)
        assert successor.popen.poll() is None
        assert number(here, "SELECT token FROM relay_lease") == 2
    sent = ids(on_topic(configured))
    assert len(sent) == 220
    assert max(sent.values()) <= 2
    assert effects(here) == story(loans, 11)


def test_a_worker_told_to_end_at_any_moment_ends_well(here: Database, configured: Settings, start: Start) -> None:
    loans = [uuid4() for _ in range(10)]
    write_story(here, loans, 5)
    workers = []
    for moment in (0.0, 0.5, 2.0):
        worker = start("work", configured)
        assert worker.says("worker started"), worker.said()
        time.sleep(moment)
        write_story(here, loans, 1, first=6 + len(workers))
        worker.send(signal.SIGTERM)
        workers.append(worker)
    for worker in workers:
        assert worker.wait() == 0, worker.said()
    with working(configured):
        assert eventually(lambda: number(here, "SELECT count(*) FROM effects") == 80)
        assert eventually(lambda: unsent(here) == 0)
    assert effects(here) == story(loans, 8)


def test_a_worker_without_a_broker_waits_and_ends_when_told(here: Database, start: Start) -> None:
    write(here, withdrawn(uuid4(), "1"))
    worker = start("work", settings_for(here, "127.0.0.1:1"))
    assert worker.says("the broker does not answer"), worker.said()
    assert worker.popen.poll() is None
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0, worker.said()
    assert unsent(here) == 1


def test_a_consumer_that_is_silent_ends_its_process(here: Database, configured: Settings, start: Start) -> None:
    write(here, withdrawn(uuid4(), "1"))
    worker = start("deaf", configured)
    assert worker.says("in the handler"), worker.said()
    assert worker.wait() == 1
    assert "the consumer gives no sign of life" in worker.said()
    assert effects(here) == {}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_sender_used_after_a_fork_says_so_at_once(broker: Broker, configured: Settings) -> None:
    sender = kafka.Sender(configured)
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        try:
            sender.send([])
        except RuntimeError as error:
            sender.close()
            os._exit(7 if "fork" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    sender.close()


# -- the database is restarted ----------------------------------------------------------------------------------------


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A cluster that a test may stop."""
    with tempfile.TemporaryDirectory(prefix="hw-") as folder:
        cluster = EmbeddedPostgres(Path(folder), durable=False, settings={"synchronous_commit": "on"})
        yield cluster.start()
        cluster.stop()


@pytest.mark.parametrize("broker", [pytest.param("embedded", marks=pytest.mark.broker)], indirect=True)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_worker_whose_database_goes_recovers_or_leaves_to_its_supervisor(
    broker: Broker, own_postgres: EmbeddedPostgres, start: Start, how: str
) -> None:
    database = make_database(own_postgres, "credit", "restarted")
    with database.owner.begin() as connection:
        connection.execute(text(TABLE))
    configured = settings_for(database, f"127.0.0.1:{broker.port}")
    loans = [uuid4() for _ in range(20)]
    write_story(database, loans, 5)
    worker = start("work", configured)
    assert eventually(lambda: number(database, "SELECT count(*) FROM effects") > 0)
    database.dispose()
    getattr(own_postgres, how)()
    time.sleep(0.5)
    own_postgres.start()
    write_story(database, loans, 1, first=6)
    end = time.monotonic() + 60
    while number(database, "SELECT count(*) FROM effects") < 120 and time.monotonic() < end:
        if worker.popen.poll() is not None:  # then a supervisor starts another
            assert worker.popen.returncode == 1, worker.said()
            worker = start("work", configured)
        time.sleep(0.1)
    assert effects(database) == story(loans, 6)
    database.dispose()
