"""Events on their way out: written in the caller's transaction, relayed in order per aggregate, never lost.

The database numbers the events: a trigger takes the aggregate's row in `outbox_sequences`, so that two transactions
of one aggregate number, and therefore commit, one after the other. What is still to be sent stands in
`outbox_unsent`; the events themselves never change.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, FetchedValue, Identity, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared import bulk, clock, trace
from shared.db import Id, Institution, Moment, Plumbing, table_of, tenant
from shared.errors import InvalidError
from shared.events.base import Event, encode, write_moment
from shared.ids import uuid7


class Outbox(Plumbing):
    """One event, as it happened."""

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("topic", "key", "sequence"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    topic: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    sequence: Mapped[int] = mapped_column(BigInteger, FetchedValue(), nullable=False)
    type: Mapped[str] = mapped_column(String(128))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    occurred_at: Mapped[Moment]
    traceparent: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    state_topic: Mapped[str | None] = mapped_column(String(64))

    # The application may write events but not read them, so nothing is read back on insert.
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012


class OutboxSequence(Plumbing):
    """The last number given to an aggregate."""

    __tablename__ = "outbox_sequences"

    topic: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)


class OutboxUnsent(Plumbing):
    """An event that no broker has acknowledged yet. Positions of one aggregate rise with its sequence."""

    __tablename__ = "outbox_unsent"
    __table_args__ = (Index("ix_outbox_unsent_id", "id", unique=True),)

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id: Mapped[UUID]
    since: Mapped[Moment]


#: The largest value that goes onto a topic: less than any broker refuses by default, headers included. [B]
LARGEST = 900_000


def put(session: Session, event: Event) -> Outbox:
    """Add an event to the caller's transaction. Never flushes, commits or opens anything.

    Raises an InvalidError for one that no broker would take: the relay could not pass over it.
    """
    row = Outbox(**_row(session, event)[0])
    session.add(row)
    return row


def put_all(session: Session, events: Sequence[Event]) -> None:
    """Write many events together, after those that wait in the session: bulk work makes no objects."""
    write(session, ready(session, events))


def ready(session: Session, events: Iterable[Event]) -> list[dict[str, Any]]:
    """Events as rows, on account of what goes on now; to be written together with those of other causes."""
    return [row | {"payload": text} for row, text in (_row(session, event) for event in events)]


def write(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows that were made ready, in their order."""
    bulk.insert_mappings(session, table_of(Outbox), rows)


def _row(session: Session, event: Event) -> tuple[dict[str, Any], bulk.Json]:
    """The row of an event, and its payload as it is written."""
    payload = encode(event)
    text = orjson.dumps(payload)
    # What the relay sends is a little longer: the database writes a space after each colon and comma.
    size = len(text) + text.count(b":") + text.count(b",")
    if size > LARGEST:
        raise InvalidError(f"this would be an event {event.type_name()} of {size} bytes; {LARGEST} are the most")
    row = {
        "id": uuid7(),
        "institution": tenant(session),
        "topic": event.TOPIC,
        "key": event.key,
        "type": event.type_name(),
        "payload": payload,
        "occurred_at": clock.now(),
        "traceparent": trace.traceparent(),
        "request_id": trace.request_id(),
        "state_topic": event.STATE_TOPIC,
    }
    return row, bulk.Json(text.decode())


class Envelope(NamedTuple):
    """A CloudEvent 1.0 in the Kafka binary binding: headers say what, the value is the data."""

    id: UUID
    type: str
    source: str
    subject: str
    time: datetime
    sequence: int
    institution: str
    traceparent: str
    request_id: str

    def headers(self) -> list[tuple[str, bytes]]:
        """The envelope as Kafka headers."""
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(self.id).encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_subject", self.subject.encode()),
            ("ce_time", write_moment(self.time).encode()),
            ("ce_partitionkey", self.subject.encode()),
            ("ce_sequence", str(self.sequence).encode()),
            ("ce_institution", self.institution.encode()),
            ("ce_traceparent", self.traceparent.encode()),
            ("ce_requestid", self.request_id.encode()),
            ("content-type", b"application/json"),
        ]

    @classmethod
    def read(cls, headers: list[tuple[str, bytes]]) -> "Envelope":
        """Read the envelope from Kafka headers; a ValueError says what is missing or wrong."""
        found = {}
        for name, value in headers:
            if name.startswith("ce_"):
                found[name[3:]] = (value or b"").decode("utf-8")
        missing = [n for n in ("specversion", "id", "type", "source", "subject", "time", "sequence") if n not in found]
        if missing:
            raise ValueError(f"no CloudEvents attribute {', '.join(missing)} in the headers")
        if found["specversion"] != "1.0":
            raise ValueError(f"CloudEvents version {found['specversion']}, 1.0 is expected")
        sequence = int(found["sequence"])
        if not 1 <= sequence < 2**63:
            raise ValueError("a sequence is a whole number from 1 to 2^63 - 1")
        return cls(
            id=UUID(found["id"]),
            type=found["type"],
            source=found["source"],
            subject=found["subject"],
            time=datetime.fromisoformat(found["time"]),
            sequence=sequence,
            institution=found.get("institution", ""),
            traceparent=found.get("traceparent", ""),
            request_id=found.get("requestid", ""),
        )


def envelope(row: Outbox) -> Envelope:
    """The envelope of an outbox row."""
    return Envelope(
        id=row.id,
        type=row.type,
        source="/heartwood/" + row.topic.partition(".")[0],
        subject=row.key,
        time=row.occurred_at,
        sequence=row.sequence,
        institution=row.institution,
        traceparent=row.traceparent,
        request_id=row.request_id,
    )


def rules(service: str) -> list[str]:
    """SQL of the triggers, grants and row-level security of the outbox."""
    return [
        """CREATE FUNCTION outbox_number() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
           SET search_path = pg_catalog, public AS $$
        BEGIN
          INSERT INTO outbox_sequences AS s (topic, key, last) VALUES (NEW.topic, NEW.key, 1)
          ON CONFLICT (topic, key) DO UPDATE SET last = s.last + 1 RETURNING s.last INTO NEW.sequence;
          RETURN NEW;
        END $$""",
        """CREATE FUNCTION outbox_enqueue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
           SET search_path = pg_catalog, public AS $$
        BEGIN
          INSERT INTO outbox_unsent (id, since) VALUES (NEW.id, clock_timestamp());
          RETURN NULL;
        END $$""",
        "CREATE TRIGGER number BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION outbox_number()",
        "CREATE TRIGGER enqueue AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION outbox_enqueue()",
        "ALTER TABLE outbox ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE outbox FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own_institution ON outbox FOR INSERT"
        " WITH CHECK (institution = nullif(current_setting('app.institution', true), ''))",
        f"CREATE POLICY relay_reads ON outbox FOR SELECT TO {service}_worker USING (true)",
        f"GRANT INSERT ON outbox TO {service}_app, {service}_worker",
        f"GRANT SELECT ON outbox, outbox_sequences TO {service}_worker",
        f"GRANT SELECT, INSERT, DELETE ON outbox_unsent TO {service}_worker",
        f"GRANT SELECT ON outbox_unsent TO {service}_app",
    ]
