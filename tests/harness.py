"""What tests need of the outside: tokens, HTTP clients, records off a topic, and four services in one town.

In a town a list is the broker: `pump` takes what each service's outbox has not sent and hands it to the others'
inboxes, as often, as late and in as wild an order as a test wants, keeping only what Kafka keeps: the order of one key.
"""

import importlib
import json
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Text, cast, select, text
from werkzeug.test import TestResponse

from deploy.issuer import DevelopmentIssuer
from shared import clock, inbox, jobs, timers
from shared.door import Door
from shared.events.base import REGISTRY as TYPES
from shared.events.base import Event, decode, encode
from shared.ids import uuid7
from shared.inbox import Record
from shared.outbox import Envelope, Outbox, OutboxUnsent
from shared.relay import _messages
from shared.settings import Settings, settings
from shared.strict_json import canonical
from tests.conftest import Database
from tests.contracts.conformance import conforming

BUREAU = "bureau-shuozhou"
BANK, OTHER_BANK = "bank-yanmen", "bank-sanggan"
INSURER, OTHER_INSURER = "insurer-jinbei", "insurer-guancen"
GUARANTOR, OTHER_GUARANTOR = "guarantor-shuozhou", "guarantor-sanjin"


@cache
def issuer() -> DevelopmentIssuer:
    """One development issuer for the whole test run."""
    return DevelopmentIssuer(Path(tempfile.mkdtemp(prefix="hw-issuer-")), settings({}))


def token(role: str, institution: str, subject: str | None = None) -> str:
    """A token of the development issuer."""
    return issuer().token(role, institution, subject)


def test_settings(database: Database, **more: str) -> Settings:
    """Settings of a service on a test database; the broker's address answers nobody."""
    urls = {
        "HEARTWOOD_DATABASE_URL": database.app.url.render_as_string(hide_password=False),
        "HEARTWOOD_WORKER_DATABASE_URL": database.worker.url.render_as_string(hide_password=False),
        "HEARTWOOD_JWKS": str(issuer().jwks),
        "HEARTWOOD_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    }
    return settings(urls | more)


test_settings.__test__ = False  # type: ignore[attr-defined]


@dataclass
class Client:
    """An HTTP client that speaks as one person of one institution, with a fresh Idempotency-Key for each POST.

    Every answer must be as the OpenAPI document says.
    """

    http: FlaskClient
    bearer: str

    def get(self, path: str, **query: Any) -> TestResponse:
        """GET with the bearer token."""
        answer = self.http.get(path, query_string=query, headers={"Authorization": f"Bearer {self.bearer}"})
        return conforming(self.http.application, answer)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        """POST JSON; headers by name with underscores for hyphens, e.g. If_Match."""
        sent = {"Authorization": f"Bearer {self.bearer}", "Idempotency-Key": str(uuid4())}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.post(path, json={} if body is None else body, headers=sent)
        return conforming(self.http.application, answer)

    def send(self, path: str, content: bytes, **headers: str) -> TestResponse:
        """POST a file as it is."""
        sent = {"Authorization": f"Bearer {self.bearer}", "Idempotency-Key": str(uuid4())}
        sent |= {"Content-Type": "application/octet-stream"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return conforming(self.http.application, self.http.post(path, data=content, headers=sent))


_apps: dict[tuple[str, str], Flask] = {}


def app(service: str, database: Database) -> Flask:
    """The service's real app on a test database, made once for each database."""
    key = (service, str(database.app.url))
    if key not in _apps:
        made = importlib.import_module(f"services.{service}.app").create_app(test_settings(database))
        made.extensions["heartwood"].sessions.kw["bind"].dispose()
        # The app shares the test's engine, so that the test's end closes every connection.
        made.extensions["heartwood"].sessions.configure(bind=database.app)
        _apps[key] = made
    return _apps[key]


def client(
    service: str, database: Database, role: str = "", institution: str = "", subject: str | None = None
) -> Client:
    """A client of a service's app; without a role, one with a token that does not hold."""
    return Client(app(service, database).test_client(), token(role, institution, subject) if role else "no.token.here")


def record(event: Event, sequence: int = 1, *, offset: int = 0, event_id: Any = None, partition: int = 0) -> Record:
    """The record that a relay would put on the topic for an event."""
    made = Envelope(
        id=event_id or uuid7(),
        type=event.type_name(),
        source=f"/heartwood/{event.TOPIC.split('.')[0]}",
        subject=event.key,
        time=clock.now(),
        sequence=sequence,
        institution="",
        traceparent="",
        request_id="",
    )
    return Record(event.TOPIC, partition, offset, event.key.encode(), canonical(encode(event)), tuple(made.headers()))


def door(service: str) -> Door:
    """The Kafka door of a service."""
    found: Door = importlib.import_module(f"services.{service}.consumers").DOOR
    return found


def deliver(service: str, database: Database, *events: Event, first: int = 1) -> None:
    """Deliver events of one aggregate to a service, numbered from `first`."""
    records = [record(event, number) for number, event in enumerate(events, first)]
    inbox.receive(database.worker_sessions, door(service).consumer, records, "test")


def published(database: Database, *types: type[Event]) -> list[Any]:
    """Events in a service's outbox, oldest first, decoded; of the given types only, if any are given."""
    with database.worker_sessions() as session:
        rows = session.scalars(select(Outbox).order_by(Outbox.id)).all()
    names = {one.type_name() for one in types}
    return [decode(TYPES[row.type], row.payload) for row in rows if not names or row.type in names]


# -- four services in one town ----------------------------------------------------------------------------------------


@dataclass
class Town:
    """Four services, each with its own database, and a list for a broker."""

    databases: dict[str, Database]
    random: Random = field(default_factory=lambda: Random(1))
    #: How often each record is delivered to each consumer.
    copies: int = 1
    log: list[Record] = field(default_factory=list)
    #: What each service has yet to read: for each of its topics and keys, the records in order.
    waiting: dict[str, dict[tuple[str, bytes], list[Record]]] = field(default_factory=dict)

    def client(self, service: str, role: str, institution: str, subject: str | None = None) -> Client:
        """A client of one of the services."""
        return client(service, self.databases[service], role, institution, subject)

    def relay(self, dies: bool = False) -> int:
        """Move every unsent event to the readers' queues; a relay that dies over it leaves them unsent all the same."""
        moved = 0
        for database in self.databases.values():
            with database.worker_sessions.begin() as session:
                rows = session.execute(
                    select(OutboxUnsent.position, cast(Outbox.payload, Text).label("data"), *Outbox.__table__.c)
                    .join(Outbox, Outbox.id == OutboxUnsent.id)
                    .order_by(OutboxUnsent.position)
                ).all()
                if rows and not dies:
                    session.execute(text("DELETE FROM outbox_unsent"))
            for message in (m for row in rows for m in _messages([row]) if m.topic == row.topic):
                self._append(message.topic, message.key, message.value, tuple(message.headers))
                moved += 1
        return moved

    def _append(self, topic: str, key: bytes, value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> None:
        made = Record(topic, 0, sum(r.topic == topic for r in self.log), key, value, headers)
        self.log.append(made)
        for reader in self.databases:
            if topic in door(reader).consumer.topics():
                queue = self.waiting.setdefault(reader, {}).setdefault((topic, key), [])
                queue.extend([made] * self.copies)

    def step(self) -> bool:
        """Deliver one record, of a reader and a key chosen at random; False when none waits."""
        choices = [
            (reader, key)
            for reader, queues in sorted(self.waiting.items())
            for key, queue in sorted(queues.items())
            if queue
        ]
        if not choices:
            return False
        reader, key = self.random.choice(choices)
        one = self.waiting[reader][key].pop(0)
        inbox.receive(self.databases[reader].worker_sessions, door(reader).consumer, [one], "town")
        return True

    def run_timers(self) -> int:
        """Run the deadlines that are due, everywhere."""
        return sum(
            timers.run_due(database.worker_sessions, door(service).timers)
            for service, database in self.databases.items()
        )

    def run_jobs(self) -> None:
        """Do all long work to its end."""
        for service, database in self.databases.items():
            while door(service).jobs and jobs.run_step(database.worker_sessions, door(service).jobs):
                pass

    def pump(self, limit: int = 5000) -> None:
        """Relay and deliver until nothing moves any more."""
        for _ in range(limit):
            self.relay()
            if not self.step() and not self.relay():
                return
        raise AssertionError("the events never come to rest")

    def dead_letters(self) -> dict[str, list[str]]:
        """Reasons of the dead letters of each service that has any."""
        found = {}
        for service, database in self.databases.items():
            with database.worker_sessions() as session:
                reasons = [letter.reason for letter in inbox.dead_letters(session)]
            if reasons:
                found[service] = reasons
        return found


def body(response: TestResponse, status: int = 200) -> Any:
    """The JSON of a response that must have this status; the problem's text if it has another."""
    assert response.status_code == status, f"{response.status_code}: {response.get_data(as_text=True)[:2000]}"
    return json.loads(response.get_data(as_text=True) or "null")
