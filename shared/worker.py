"""`heartwood work <service>`: relay, consumer, timers and jobs of one service in one process.

Each is a thread that runs until told to stop. One that fails ends the whole process with an error, and the supervisor
starts it again: going on with a part missing would lose money quietly.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from shared import idempotency, inbox, jobs, kafka, relay, schema, timers
from shared.db import engine, is_passing, sessions
from shared.door import Door
from shared.health import serve_health
from shared.inbox import Record
from shared.relay import BrokerError
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: A consumer that gives no sign of life for so long is taken for dead. [s]
SILENCE = 300.0
#: What is still at work so long after the order to stop is left to its fate: all of it may be cut anywhere. [s]
STOPPING = 10.0
#: An outbox older than this means that events do not reach the broker. [s]
OUTBOX_AGE_LIMIT = 300.0


class StoppedError(Exception):
    """The order to stop came while waiting to try again."""


class Worker:
    """One service's worker."""

    def __init__(self, service: str, settings: Settings, door: Door) -> None:
        self.service, self.settings, self.door = service, settings, door
        self.engine = engine(settings.worker_database_url, pool_size=8)
        self.sessions = sessions(self.engine)
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.heard = time.monotonic()
        #: Records on the broker that were not read yet; None while nobody knows.
        self.behind: int | None = None
        #: Events that the broker took, by type.
        self.sent: Counter[str] = Counter()

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; the exit code says whether it ended well."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        schema.demand_current(self.service, self.engine)
        if self.settings.metrics_port:
            registry = CollectorRegistry()
            registry.register(_Figures(self))
            serve_health(self.settings.host, self.settings.metrics_port, registry, self._ready)
        parts: list[tuple[str, Callable[[], None]]] = [
            ("relay", self._relay),
            ("consumer", self._consume),
            ("parked", self._wake),
            ("timers", self._timers),
            ("jobs", self._jobs),
            ("upkeep", self._upkeep),
        ]
        threads = [threading.Thread(target=self._guard, args=part, name=part[0], daemon=True) for part in parts]
        for thread in threads:
            thread.start()
        log.info("worker started", service=self.service)
        while not self.stop.wait(1.0):
            if time.monotonic() - self.heard > SILENCE:
                self._fail(RuntimeError("the consumer gives no sign of life"))
        end = time.monotonic() + STOPPING
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        self.engine.dispose()
        if self.failure is not None:
            log.error("worker failed", service=self.service, error=repr(self.failure), exc_info=self.failure)
            return 1
        log.info("worker stopped", service=self.service)
        return 0

    def _ready(self) -> dict[str, Any]:
        """Say whether events can come and go."""
        try:
            with self.sessions() as session:
                age = relay.oldest_unsent(session)
        except SQLAlchemyError as error:
            return {"ready": False, "database": type(error).__name__}
        heard = time.monotonic() - self.heard
        ready = age < OUTBOX_AGE_LIMIT and heard < SILENCE and self.failure is None
        return {"ready": ready, "outbox_oldest_age_seconds": round(age, 3), "consumer_silent_seconds": round(heard, 3)}

    def _guard(self, name: str, part: Callable[[], None]) -> None:
        try:
            part()
        except StoppedError:
            log.info("stopped in the middle of a repetition", part=name)
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.stop.set()

    def _stopping(self) -> bool:
        return self.stop.is_set()

    def _relay(self) -> None:
        """Relay; when the database went away, stand in line again with a connection that lives."""

        def relaying() -> bool:
            relay.run(self.engine, lambda: kafka.Sender(self.settings), self._stopping, sent=self.sent)
            return True

        self._repeat(relaying, 0.0)

    def _consume(self) -> None:
        while not self._stopping():
            try:
                kafka.consume(
                    self.settings,
                    f"heartwood-{self.service}",
                    self.door.consumer.topics(),
                    self._offsets,
                    self._receive,
                    self._stopping,
                    self._beat,
                    self._count_behind,
                )
            except BrokerError as error:
                self._beat()
                self.behind = None
                log.warning("the broker does not answer", error=str(error)[:200])
                self.stop.wait(1.0)
            except DBAPIError as error:
                if not is_passing(error):
                    raise
                self._beat()
                log.warning("the database does not say where to go on", error=type(error).__name__)
                self.stop.wait(1.0)

    def _offsets(self, cluster: str) -> dict[tuple[str, int], int]:
        with self.sessions() as session:
            return inbox.offsets(session, cluster)

    def _receive(self, records: Sequence[Record], cluster: str) -> None:
        """Apply a batch; while the database is away, wait for it, and give up to the supervisor in the end."""
        for attempt in range(1, 31):
            try:
                inbox.receive(self.sessions, self.door.consumer, records, cluster, self._pause)
                return
            except DBAPIError as error:
                if not is_passing(error) or attempt == 30:
                    self._fail(error)  # for good: _consume must not take it for a moment's absence
                    raise
                log.warning("the database does not answer", attempt=attempt)
                self._beat()
                self._wait(min(0.2 * 2**attempt, 5.0))

    def _pause(self, attempt: int) -> None:
        self._beat()
        self._wait(0.02 * 4**attempt)

    def _wait(self, seconds: float) -> None:
        """Wait before a repetition. An order to stop ends the batch here, undone: it comes again after the start, while
        repeating without rest would soon make a dead letter of an event that has nothing wrong with it.
        """
        if self.stop.wait(seconds):
            raise StoppedError

    def _wake(self) -> None:
        """Apply parked events whose turn has come without an event of their aggregate arriving."""

        def pause(attempt: int) -> None:
            self._wait(0.02 * 4**attempt)

        self._repeat(lambda: inbox.receive_waiting(self.sessions, self.door.consumer, pause) > 0, 1.0)

    def _beat(self) -> None:
        self.heard = time.monotonic()

    def _count_behind(self, records: int) -> None:
        self.behind = records

    def _timers(self) -> None:
        self._repeat(lambda: timers.run_due(self.sessions, self.door.timers) > 0, 0.25)

    def _jobs(self) -> None:
        if self.door.jobs:
            self._repeat(lambda: jobs.run_step(self.sessions, self.door.jobs), 0.5)

    def _upkeep(self) -> None:
        """Keep the promise of how long answers are kept."""

        def forget() -> bool:
            idempotency.forget_old_of_all(self.sessions)
            return False

        self._repeat(forget, 3600.0)

    def _repeat(self, step: Callable[[], bool], idle: float) -> None:
        """Do a step over and over; rest when there was nothing to do; wait when the fault may pass."""
        unlucky = 0
        while not self._stopping():
            began = time.monotonic()
            try:
                if not step():
                    self.stop.wait(idle)
                unlucky = 0
            except DBAPIError as error:
                # A step may go well for hours before it fails: the relay's only ends then.
                unlucky = unlucky + 1 if time.monotonic() - began < 60 else 1
                if not is_passing(error) or unlucky > 30:
                    raise
                log.warning("to be repeated", error=type(error).__name__)
                self.stop.wait(min(0.05 * 2**unlucky, 5.0))


class _Figures:
    """What the worker tells Prometheus, read when asked."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def collect(self) -> Any:
        """Counts of what happened to events, and the ages that should stay near zero."""
        counts = dict(self.worker.door.consumer.counts)
        events = CounterMetricFamily("heartwood_events", "Events received, by what became of them", labels=["outcome"])
        for outcome, count in sorted(counts.items()):
            events.add_metric([outcome], count)
        yield events
        sent = CounterMetricFamily("heartwood_events_sent", "Events that the broker took, by type", labels=["type"])
        for kind, count in sorted(dict(self.worker.sent).items()):
            sent.add_metric([kind], count)
        yield sent
        if self.worker.behind is not None:
            yield _gauge("heartwood_consumer_records_behind", "Records that wait on the broker", self.worker.behind)
        try:
            with self.worker.sessions() as session:
                unsent, oldest_unsent = relay.unsent(session), relay.oldest_unsent(session)
                parked, oldest_parked = inbox.parked(session), inbox.oldest_parked(session)
                dead, overdue, failed = inbox.dead(session), timers.overdue(session), jobs.failed(session)
        except SQLAlchemyError:
            return  # the rest is unknown while the database is away
        yield _gauge("heartwood_outbox_unsent", "Events that no broker has taken", unsent)
        yield _gauge("heartwood_outbox_oldest_age_seconds", "Age of the oldest unsent event", oldest_unsent)
        yield _gauge("heartwood_inbox_parked", "Events that wait for a predecessor", parked)
        yield _gauge("heartwood_inbox_parked_oldest_age_seconds", "Age of the oldest of them", oldest_parked)
        yield _gauge("heartwood_dead_letters", "Events that could not be applied and were not replayed", dead)
        yield _gauge("heartwood_timers_overdue_seconds", "How late the oldest deadline is", overdue)
        yield _gauge("heartwood_jobs_failed", "Long work that stopped and waits for a person", failed)


def _gauge(name: str, says: str, value: float) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, says)
    gauge.add_metric([], value)
    return gauge
