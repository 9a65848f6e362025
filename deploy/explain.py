"""The whole trail of a request, a loan, a forest or an event through all four services: who did what, what was told
and who has heard it, and what is still awaited. It only looks, as each service's worker.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from shared import db
from shared.door import Door
from shared.events import REGISTRY
from shared.inbox import Record
from shared.outbox import Envelope

#: Lines of a trail at most: that of a price curve that moved a whole register has no end.
LONGEST = 1000
NOT_YET = "not yet"

# An id may be that of an event, of what events are about, of anything in their data, or of the request behind them.
_EVENTS = text(
    "SELECT o.id, o.institution, o.key, o.sequence, o.type, o.occurred_at, o.request_id, u.id IS NOT NULL AS unsent"
    " FROM outbox o LEFT JOIN outbox_unsent u ON u.id = o.id"
    " WHERE o.key = :id OR o.request_id = :id OR CAST(o.id AS text) = :id"
    " OR jsonb_path_exists(o.payload, '$.* ? (@ == $id)', jsonb_build_object('id', CAST(:id AS text)))"
    " ORDER BY o.id LIMIT :longest"
)
_DEEDS = text(
    "SELECT institution, at, actor, action, subject, request_id, detail FROM audit_entries"
    " WHERE subject = :id OR request_id = ANY(:requests) ORDER BY number LIMIT :longest"
)
_TIMERS = text("SELECT kind, due_at FROM timers WHERE CAST(subject AS text) = :id ORDER BY due_at")


@dataclass
class Told:
    """An event, and by service what became of it with those who take note of it: seconds until it had its effect, or
    why it had none yet.
    """

    at: datetime
    service: str
    institution: str
    request_id: str
    name: str
    key: str
    sequence: int
    heard: dict[str, float | str] = field(default_factory=dict)


@dataclass
class Deed:
    """What somebody did."""

    at: datetime
    service: str
    institution: str
    request_id: str
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


@dataclass
class Trail:
    """All that has to do with an id, in the order in which it happened, and what is still awaited."""

    steps: list[Told | Deed]
    waits: list[str]


def explain(engines: Mapping[str, Engine], wanted: str) -> Trail:
    """Follow an id of a request, or of whatever events and deeds are about; nobody knows it: an empty trail.

    `engines` are those of the workers, by service. At most LONGEST steps, the oldest.
    """
    with ExitStack() as opened:
        sessions = {service: opened.enter_context(db.sessions(engine)()) for service, engine in engines.items()}
        for session in sessions.values():
            session.execute(text("SET TRANSACTION READ ONLY"))
        events: dict[UUID, Told] = {}
        waits: list[str] = []
        for service, session in sessions.items():
            for row in session.execute(_EVENTS, {"id": wanted, "longest": LONGEST}):
                name = REGISTRY[row.type].__name__ if row.type in REGISTRY else row.type
                told = Told(row.occurred_at, service, row.institution, row.request_id, name, row.key, row.sequence)
                told.heard = {s: NOT_YET for s in sessions if REGISTRY.get(row.type) in _door(s).consumer.handlers}
                events[row.id] = told
                if row.unsent:
                    waits.append(f"{service}: no broker has taken {name} {row.sequence} of {row.key}")
        requests = {wanted, *(one.request_id for one in events.values())} - {""}
        deeds: list[Deed] = []
        for service, session in sessions.items():
            waits += _received(service, session, events)
            due = session.execute(_TIMERS, {"id": wanted})
            waits += [f"{service}: {row.kind} is due at {row.due_at:%Y-%m-%d %H:%M:%S} UTC" for row in due]
            deeds += _deeds(service, session, wanted, requests)
    for one in events.values():
        late = [service for service, when in one.heard.items() if when == NOT_YET]
        waits += [f"{service}: has not heard {one.name} {one.sequence} of {one.key}" for service in late]
    steps: list[Told | Deed] = [*events.values(), *deeds]
    return Trail(sorted(steps, key=lambda step: step.at)[:LONGEST], waits)


def _door(service: str) -> Door:
    found: Door = importlib.import_module(f"services.{service}.consumers").DOOR
    return found


def _received(service: str, session: Session, events: Mapping[UUID, Told]) -> Iterator[str]:
    """Note what a service did with these events; yields what it could not do."""
    ids = {"ids": list(events)}
    for row in session.execute(text("SELECT event_id, applied_at FROM inbox WHERE event_id = ANY(:ids)"), ids):
        one = events[row.event_id]
        one.heard[service] = round((row.applied_at - one.at).total_seconds(), 3)
    for row in session.execute(text("SELECT event_id, parked_at FROM inbox_parked WHERE event_id = ANY(:ids)"), ids):
        one = events[row.event_id]
        one.heard[service] = "waits for its predecessor"
        yield f"{service}: {one.name} {one.sequence} waits for its predecessor since {row.parked_at:%H:%M:%S} UTC"
    letters = text("SELECT * FROM dead_letters WHERE replayed_at IS NULL AND key = ANY(:keys)")
    for row in session.execute(letters, {"keys": [one.key.encode() for one in events.values()]}):
        stored = {"topic": row.topic, "partition": row.partition, "offset": row.offset, "key": None, "value": None}
        try:
            event_id = Envelope.read(list(Record.from_json({**stored, "headers": row.headers}).headers)).id
        except ValueError:
            continue  # nobody can say which event it was
        if event_id in events:
            events[event_id].heard[service] = "dead"
            yield f"{service}: dead letter {row.id} ({events[event_id].name}): {row.reason}"


def _deeds(service: str, session: Session, wanted: str, requests: set[str]) -> Iterator[Deed]:
    """The deeds of every institution, each read under its own name: the walls between them stand for us as well."""
    for institution in session.scalars(text("SELECT institution FROM audit_heads ORDER BY institution")).all():
        db.act_for(session, institution)
        found = session.execute(_DEEDS, {"id": wanted, "requests": list(requests), "longest": LONGEST})
        for row in found:
            yield Deed(row.at, service, row.institution, row.request_id, row.actor, row.action, row.subject, row.detail)
