"""Events on their way in: one effect per event, in order per aggregate, in the transaction of the handler.

Whatever the broker does (twice, late, out of order, from the beginning again), an event is applied when its number
is the next one of its aggregate. A lower number has been applied: a duplicate. A higher one waits in `inbox_parked`
until the gap is filled. The position to go on from is kept in the same transaction.

A lower number under an id that is newer than all that were dealt with is no duplicate: its sender was restored to an
earlier moment and deals its numbers again. It is contested, and becomes a dead letter for a person to judge.

A refused event becomes a dead letter and its successors go on. Behind one that cannot be read they wait: it may be of
a version that this program does not know yet, and `replay` fills the gap once it does.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, LargeBinary, String, UniqueConstraint, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from shared import audit, clock
from shared.db import Id, Moment, Plumbing, act_for, is_lost, is_passing, table_of
from shared.errors import RefusalError
from shared.events.base import REGISTRY, Event, EventError, decode
from shared.ids import uuid7
from shared.outbox import Envelope
from shared.trace import tracing

log = structlog.get_logger(__name__)

#: What to do when an event of this type arrives; runs under the tenant that `tenant_of` names.
Handler = Callable[[Session, Any], None]


@dataclass(frozen=True, eq=False)
class Incoming:
    """An event with its envelope, as a handler of batches is given it."""

    envelope: Envelope
    event: Any

    @property
    def actor(self) -> str:
        """Who is said to have done what follows from this event."""
        return f"event:{self.envelope.id}"

    @contextmanager
    def cause(self, session: Session) -> Iterator[None]:
        """Do what follows on account of this event: its trace, and its name as the actor of every deed."""
        before = session.info.get("actor")
        with tracing(self.envelope.traceparent, self.envelope.request_id, self.envelope.type):
            session.info["actor"] = self.actor
            yield
        if before is not None:
            session.info["actor"] = before


@dataclass(frozen=True)
class Batched:
    """A handler that takes events of its types together, as many as came one right after the other for one tenant.

    It leaves what it would leave if it were given them one by one, in their order.
    """

    handle: Callable[[Session, Sequence[Incoming]], None]


class Inbox(Plumbing):
    """An event that had its effect here."""

    __tablename__ = "inbox"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    sequence: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(128))
    applied_at: Mapped[Moment]


class InboxSequence(Plumbing):
    """The last number of an aggregate that was dealt with here."""

    __tablename__ = "inbox_sequences"

    topic: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)
    #: The greatest id among those dealt with; ids rise with time. Unknown where nothing came since it is kept.
    newest: Mapped[UUID | None]


class InboxParked(Plumbing):
    """An event that came before its predecessor."""

    __tablename__ = "inbox_parked"
    __table_args__ = (UniqueConstraint("topic", "key", "sequence"),)

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    sequence: Mapped[int] = mapped_column(BigInteger)
    record: Mapped[dict[str, Any]] = mapped_column(JSONB)
    parked_at: Mapped[Moment]


class ConsumerOffset(Plumbing):
    """Where to go on reading, and on which cluster that number means anything."""

    __tablename__ = "consumer_offsets"

    topic: Mapped[str] = mapped_column(String(64), primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True)
    cluster_id: Mapped[str] = mapped_column(String(64))
    next_offset: Mapped[int] = mapped_column(BigInteger)


class DeadLetter(Plumbing):
    """An event that could not be applied, whole: bytes, headers and the reason."""

    __tablename__ = "dead_letters"

    id: Mapped[Id]
    topic: Mapped[str] = mapped_column(String(64))
    partition: Mapped[int]
    offset: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    value: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[list[Any]] = mapped_column(JSONB)
    reason: Mapped[str]
    at: Mapped[Moment]
    published_at: Mapped[Moment | None]
    replayed_at: Mapped[Moment | None]


@dataclass(frozen=True)
class Record:
    """What came off a topic, undecoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def as_json(self) -> dict[str, Any]:
        """The record as JSON data, bytes in base64."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": _b64(self.key),
            "value": _b64(self.value),
            "headers": [[_storable(name), _b64(value)] for name, value in self.headers],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Record":
        """Read back what as_json wrote."""
        return cls(
            data["topic"],
            data["partition"],
            data["offset"],
            _bytes(data["key"]),
            _bytes(data["value"]),
            tuple((name, _bytes(value) or b"") for name, value in data["headers"]),
        )


@dataclass
class Consumer:
    """One service's side of the conversation: what it does with which event, and for whom."""

    service: str
    handlers: Mapping[type[Event], Handler | Batched]
    #: The institution of this service that an event concerns, or "" when it concerns none in particular.
    tenant_of: Callable[[Event], str]
    counts: Counter[str] = field(default_factory=Counter)

    def topics(self) -> list[str]:
        """The topics this consumer has handlers for."""
        return sorted({event.TOPIC for event in self.handlers})


class UndecodableError(ValueError):
    """The record is no event of a declared type."""


class Reached(NamedTuple):
    """How far an aggregate has come: its last number, and the greatest id of an event that was dealt with."""

    last: int
    newest: UUID | None

    def by(self, envelope: Envelope) -> "Reached":
        """Having dealt with one more event; never backwards."""
        return Reached(max(self.last, envelope.sequence), max(self.newest or envelope.id, envelope.id))

    def contests(self, event_id: UUID) -> bool:
        """Whether an event that comes under a number dealt with before was never seen here.

        Everything dealt with is no newer than the newest. What is newer was made after it, by a sender that has
        forgotten that it dealt this number already.
        """
        return self.newest is not None and event_id > self.newest


class Waiting(NamedTuple):
    """A parked event, as the batch that may free it holds it."""

    id: UUID
    record: Record


def read(record: Record) -> tuple[Envelope, Event]:
    """Decode a record. An undeclared type, a bad envelope or bad data raises UndecodableError."""
    try:
        envelope = Envelope.read(list(record.headers))
        declared = REGISTRY.get(envelope.type)
        if declared is None:
            raise UndecodableError(f"no event type {envelope.type} is declared")
        if record.topic not in (declared.TOPIC, declared.STATE_TOPIC):
            raise UndecodableError(f"{envelope.type} does not belong on {record.topic}")
        event = decode(declared, json.loads((record.value or b"").decode("utf-8")))
        if event.key != envelope.subject:
            raise UndecodableError(f"the subject {envelope.subject} is not the event's {declared.KEY}")
        return envelope, event
    except UndecodableError:
        raise
    except (EventError, ValueError, RecursionError) as error:
        raise UndecodableError(str(error)[:500]) from None


def receive(
    sessions: sessionmaker[Session],
    consumer: Consumer,
    records: Sequence[Record],
    cluster_id: str = "",
    pause: Callable[[int], None] = lambda attempt: None,
    attempts: int = 5,
) -> None:
    """Apply records in the order given. When this returns, each had its effect, waits for a predecessor, or is a dead
    letter, and the offsets say so. Raises only if the database is away or the program is wrong; then nothing moved.
    """
    try:
        with sessions.begin() as session:
            counts = _apply(session, consumer, records, cluster_id)
        consumer.counts.update(counts)
        return
    except Exception as error:
        if is_lost(error) or not (isinstance(error, RefusalError) or is_passing(error)):
            raise
    for record in records:
        _receive_one(sessions, consumer, record, cluster_id, pause, attempts)
        receive_waiting(sessions, consumer, pause, attempts)


def receive_waiting(
    sessions: sessionmaker[Session],
    consumer: Consumer,
    pause: Callable[[int], None] = lambda attempt: None,
    attempts: int = 5,
) -> int:
    """Apply the parked events whose turn has come, each alone: a replay or a dead letter may have filled the gap
    before them. Says how many there were.
    """
    found = 0
    while True:
        with sessions.begin() as session:
            overtaken = session.execute(
                text(
                    "DELETE FROM inbox_parked p USING inbox_sequences s"
                    " WHERE p.topic = s.topic AND p.key = s.key AND p.sequence <= s.last"
                    " RETURNING p.event_id, p.record, s.last, s.newest"
                )
            ).all()
            known = _known(session, [one.event_id for one in overtaken])
            for one in overtaken:
                if one.event_id not in known and Reached(one.last, one.newest).contests(one.event_id):
                    consumer.counts[_contest(session, Record.from_json(one.record))] += 1
            due = session.execute(
                select(InboxParked.event_id, InboxParked.record)
                .join(
                    InboxSequence, (InboxSequence.topic == InboxParked.topic) & (InboxSequence.key == InboxParked.key)
                )
                .where(InboxParked.sequence == InboxSequence.last + 1)
                .order_by(InboxParked.parked_at)
                .limit(100)
            ).all()
        if not due:
            return found
        for one in due:
            _receive_one(sessions, consumer, Record.from_json(one.record), None, pause, attempts)
        with sessions.begin() as session:
            session.execute(delete(InboxParked).where(InboxParked.event_id.in_([one.event_id for one in due])))
        found += len(due)


def _receive_one(
    sessions: sessionmaker[Session],
    consumer: Consumer,
    record: Record,
    cluster_id: str | None,
    pause: Callable[[int], None],
    attempts: int,
) -> None:
    """Take one record alone, repeating what may pass; what does not pass becomes a dead letter."""
    for attempt in range(1, attempts + 1):
        try:
            with sessions.begin() as session:
                counts = _apply(session, consumer, [record], cluster_id, alone=True)
            consumer.counts.update(counts)
            return
        except RefusalError as error:
            reason = f"{type(error).__name__}: {error.detail}"
            break
        except Exception as error:
            if is_lost(error) or not is_passing(error):
                raise
            reason = f"still failing after {attempt} attempts: {type(error).__name__}"
            consumer.counts["retried"] += 1
            pause(attempt)
    with sessions.begin() as session:
        envelope, _ = read(record)
        aggregate = (record.topic, envelope.subject)
        # Another consumer of the group may have succeeded in the meantime.
        reached = _lock_sequences(session, {aggregate})[aggregate]
        late = reached.last >= envelope.sequence and not reached.contests(envelope.id)
        outcome = "duplicates" if late else _bury(session, record, reason)
        _advance(session, {aggregate: reached.by(envelope)})
        _move(session, [record], cluster_id)
    consumer.counts[outcome] += 1


def _apply(
    session: Session, consumer: Consumer, records: Sequence[Record], cluster_id: str | None, *, alone: bool = False
) -> Counter[str]:
    """Apply a batch inside one transaction; what became of the records. Parked successors follow at once unless the
    record is to stand or fall alone.
    """
    counts: Counter[str] = Counter()
    readable: list[tuple[Record, Envelope, Event]] = []
    for record in records:
        if record.value is None:
            counts["tombstones"] += 1
            continue
        try:
            envelope, event = read(record)
        except UndecodableError as error:
            counts[_bury(session, record, str(error))] += 1
            continue
        readable.append((record, envelope, event))

    reached = _lock_sequences(session, {(record.topic, envelope.subject) for record, envelope, _ in readable})
    before = dict(reached)
    parked = {} if alone else _parked(session, reached)
    known = _known(session, [e.id for _, e, _ in readable] + [r.id for rows in parked.values() for r in rows.values()])
    done: list[dict[str, Any]] = []
    run = _Run(session, consumer, done, counts)

    def take(envelope: Envelope, event: Event) -> None:
        """Apply the next event of its aggregate; one that was adopted from a state topic had its effect before."""
        if envelope.id in known:
            counts["duplicates"] += 1
        else:
            run.take(Incoming(envelope, event))
            known.add(envelope.id)
        aggregate = (event.TOPIC, envelope.subject)
        reached[aggregate] = reached[aggregate].by(envelope)

    for record, envelope, event in readable:
        aggregate = (record.topic, envelope.subject)
        at = reached[aggregate]
        if envelope.sequence <= at.last:
            contested = envelope.id not in known and at.contests(envelope.id)
            counts[_contest(session, record) if contested else "duplicates"] += 1
        elif envelope.sequence > at.last + 1:
            counts[outcome := _park(session, record, envelope)] += 1
            if outcome == "parked":
                parked.setdefault(aggregate, {})[envelope.sequence] = Waiting(envelope.id, record)
        else:
            take(envelope, event)
            while (waiting := parked.get(aggregate, {}).pop(reached[aggregate].last + 1, None)) is not None:
                take(*read(waiting.record))
                session.execute(delete(InboxParked).where(InboxParked.event_id == waiting.id))
    run.end()
    if done:
        session.execute(_APPLIED, done)
    _advance(session, {aggregate: at for aggregate, at in reached.items() if at != before[aggregate]})
    _move(session, records, cluster_id)
    audit.seal(session)
    return counts


class _Run:
    """Events on their way to their handlers, in order; those that one handler takes together are gathered."""

    def __init__(self, session: Session, consumer: Consumer, done: list[dict[str, Any]], counts: Counter[str]) -> None:
        self.session, self.consumer, self.done, self.counts = session, consumer, done, counts
        self.gathered: list[Incoming] = []
        self.whose: tuple[Batched, str] | None = None

    def take(self, one: Incoming) -> None:
        """Hand an event to its handler, or keep it for the batch it goes with."""
        handler = self.consumer.handlers.get(type(one.event))
        if handler is None:
            self.counts["skipped"] += 1
            return
        tenant = self.consumer.tenant_of(one.event)
        if isinstance(handler, Batched):
            if self.whose != (handler, tenant):
                self.end()
                self.whose = (handler, tenant)
            self.gathered.append(one)
            return
        self.end()
        act_for(self.session, tenant)
        with one.cause(self.session):
            handler(self.session, one.event)
            self.session.flush()
        self._applied([one])

    def end(self) -> None:
        """Hand over what was gathered."""
        if self.whose is None:
            return
        handler, tenant = self.whose
        gathered, self.gathered, self.whose = self.gathered, [], None
        act_for(self.session, tenant)
        with gathered[-1].cause(self.session):
            handler.handle(self.session, gathered)
            self.session.flush()
        self._applied(gathered)

    def _applied(self, taken: Sequence[Incoming]) -> None:
        self.counts["applied"] += len(taken)
        self.done += [
            {
                "event_id": one.envelope.id,
                "topic": one.event.TOPIC,
                "key": one.envelope.subject,
                "sequence": one.envelope.sequence,
                "type": one.envelope.type,
                "applied_at": clock.now(),
            }
            for one in taken
        ]


def _lock_sequences(session: Session, aggregates: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Reached]:
    """Lock the aggregates' rows, in one order everywhere, and read how far they have come."""
    wanted = sorted(aggregates)
    if not wanted:
        return {}
    topics, keys = [t for t, _ in wanted], [k for _, k in wanted]
    session.execute(
        text(
            "INSERT INTO inbox_sequences (topic, key, last)"
            " SELECT t, k, 0 FROM unnest(CAST(:topics AS text[]), CAST(:keys AS text[])) AS a(t, k)"
            " ORDER BY t, k ON CONFLICT DO NOTHING"
        ),
        {"topics": topics, "keys": keys},
    )
    rows = session.execute(
        text(
            "SELECT s.topic, s.key, s.last, s.newest FROM inbox_sequences s"
            " JOIN unnest(CAST(:topics AS text[]), CAST(:keys AS text[])) AS a(t, k) ON s.topic = a.t AND s.key = a.k"
            " ORDER BY s.topic, s.key FOR UPDATE OF s"
        ),
        {"topics": topics, "keys": keys},
    )
    return {(topic, key): Reached(last, newest) for topic, key, last, newest in rows}


def _parked(session: Session, aggregates: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[int, Waiting]]:
    keys = {key for _, key in aggregates}
    if not keys:
        return {}
    found: dict[tuple[str, str], dict[int, Waiting]] = {}
    for row in session.scalars(select(InboxParked).where(InboxParked.key.in_(keys))):
        found.setdefault((row.topic, row.key), {})[row.sequence] = Waiting(row.event_id, Record.from_json(row.record))
    return found


def _known(session: Session, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these events had their effect here already."""
    if not ids:
        return set()
    return set(session.scalars(text("SELECT event_id FROM inbox WHERE event_id = ANY(:ids)"), {"ids": list(ids)}))


def _park(session: Session, record: Record, envelope: Envelope) -> str:
    """Let an event wait; the outcome to count. Another one may wait under its number."""
    parked = session.execute(
        insert(InboxParked)
        .values(
            event_id=envelope.id,
            topic=record.topic,
            key=envelope.subject,
            sequence=envelope.sequence,
            record=record.as_json(),
            parked_at=clock.now(),
        )
        .on_conflict_do_nothing()
        .returning(InboxParked.event_id)
    ).all()
    if parked:
        return "parked"
    waits = session.get(InboxParked, envelope.id) is not None
    return "duplicates" if waits else _contest(session, record)


def _advance(session: Session, reached: Mapping[tuple[str, str], Reached]) -> None:
    """Note how far each aggregate has come; never backwards."""
    if not reached:
        return
    wanted = sorted(reached)
    session.execute(
        text(
            "INSERT INTO inbox_sequences AS s (topic, key, last, newest) SELECT * FROM unnest("
            "CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:numbers AS bigint[]), CAST(:ids AS uuid[]))"
            " ON CONFLICT (topic, key) DO UPDATE"
            " SET last = greatest(s.last, excluded.last), newest = greatest(s.newest, excluded.newest)"
        ),
        {
            "topics": [t for t, _ in wanted],
            "keys": [k for _, k in wanted],
            "numbers": [reached[a].last for a in wanted],
            "ids": [reached[a].newest for a in wanted],
        },
    )


def _move(session: Session, records: Sequence[Record], cluster_id: str | None) -> None:
    """Store the offsets to go on from, in the transaction of the effects; None when they did not come off a topic."""
    if cluster_id is None or not records:
        return
    ends: dict[tuple[str, int], int] = {}
    for record in records:
        ends[record.topic, record.partition] = max(record.offset + 1, ends.get((record.topic, record.partition), 0))
    session.execute(
        _MOVE,
        [
            {"topic": topic, "partition": partition, "cluster_id": cluster_id, "next_offset": offset}
            for (topic, partition), offset in sorted(ends.items())
        ],
    )


_APPLIED = insert(table_of(Inbox))
_MOVED = insert(table_of(ConsumerOffset))
_MOVE = _MOVED.on_conflict_do_update(
    index_elements=["topic", "partition"],
    set_={"cluster_id": _MOVED.excluded.cluster_id, "next_offset": _MOVED.excluded.next_offset},
)


def offsets(session: Session, cluster_id: str) -> dict[tuple[str, int], int]:
    """Where to go on reading, on this cluster; a partition that is missing starts at its beginning."""
    rows = session.scalars(select(ConsumerOffset).where(ConsumerOffset.cluster_id == cluster_id))
    return {(row.topic, row.partition): row.next_offset for row in rows}


# -- the state topic ------------------------------------------------------------------------------------------------


def adopt(sessions: sessionmaker[Session], consumer: Consumer, records: Iterable[Record], batch: int = 500) -> int:
    """Let a new consumer start from a state topic, the latest event of each aggregate; says how many had an effect.

    Only ids are noted, no numbers: numbers count what came on the event's own topic, and that is read from its
    beginning all the same. There the adopted event is known by its id, and the older ones before it meet handlers
    that pass over what is older than what they have. So this may run at any time, beside the consumer, and again.
    """
    adopted = 0
    waiting = list(records)
    for start in range(0, len(waiting), batch):
        with sessions.begin() as session:
            adopted += _adopt(session, consumer, waiting[start : start + batch])
    return adopted


def _adopt(session: Session, consumer: Consumer, records: Sequence[Record]) -> int:
    readable: list[tuple[Envelope, Event]] = []
    for record in records:
        try:
            readable.append(read(record))
        except UndecodableError as error:
            # Its original is on the event topic, and becomes a dead letter there.
            log.warning("not adopted", topic=record.topic, offset=record.offset, reason=str(error))
    reached = _lock_sequences(session, {(event.TOPIC, envelope.subject) for envelope, event in readable})
    known = _known(session, [envelope.id for envelope, _ in readable])
    done: list[dict[str, Any]] = []
    run = _Run(session, consumer, done, consumer.counts)
    for envelope, event in readable:
        if envelope.id not in known and envelope.sequence > reached[event.TOPIC, envelope.subject].last:
            run.take(Incoming(envelope, event))
    run.end()
    if done:
        session.execute(_APPLIED, done)
    audit.seal(session)
    return len(done)


# -- dead letters -----------------------------------------------------------------------------------------------------


def _bury(session: Session, record: Record, reason: str) -> str:
    """Keep the record as a dead letter, unless it is one already; the outcome to count."""
    whole = record.as_json()
    kept = select(DeadLetter.id).where(
        DeadLetter.topic == record.topic,
        DeadLetter.key.is_not_distinct_from(record.key),
        DeadLetter.value.is_not_distinct_from(record.value),
        DeadLetter.headers == whole["headers"],
    )
    if session.scalar(kept.limit(1)) is not None:
        return "duplicates"
    session.add(
        DeadLetter(
            id=uuid7(),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=whole["headers"],
            reason=_storable(reason),
            at=clock.now(),
        )
    )
    session.flush()
    log.warning("dead letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
    return "dead"


def _contest(session: Session, record: Record) -> str:
    """Keep an event whose number was dealt with under another id; the outcome to count."""
    kept = _bury(
        session,
        record,
        "its number was dealt with before, under an earlier id: its sender has forgotten that it dealt it, as after a"
        " restore to an earlier moment",
    )
    return "contested" if kept == "dead" else kept


def dead_letters(session: Session, limit: int = 100) -> Sequence[DeadLetter]:
    """The latest dead letters that were not replayed."""
    return session.scalars(
        select(DeadLetter).where(DeadLetter.replayed_at.is_(None)).order_by(DeadLetter.id.desc()).limit(limit)
    ).all()


def replay(session: Session, consumer: Consumer, letter_id: UUID) -> str:
    """Apply one dead letter now, in the caller's transaction; a second replay changes nothing. Says what happened.

    Events that waited behind it follow by `receive_waiting`, which the worker calls every second.
    """
    letter = session.get(DeadLetter, letter_id, with_for_update=True)
    if letter is None:
        raise RefusalError(f"no dead letter has the id {letter_id}")
    if letter.replayed_at is not None:
        return "replayed before"
    record = Record(
        letter.topic,
        letter.partition,
        letter.offset,
        letter.key,
        letter.value,
        tuple((name, _bytes(value) or b"") for name, value in letter.headers),
    )
    try:
        envelope, event = read(record)
    except UndecodableError as error:
        raise RefusalError(f"still unreadable: {error}") from None
    aggregate = (record.topic, envelope.subject)
    reached = _lock_sequences(session, {aggregate})[aggregate]
    if envelope.sequence > reached.last + 1:
        raise RefusalError(
            f"number {reached.last + 1} of {envelope.subject} comes first; this one is number {envelope.sequence}"
        )
    if session.get(Inbox, envelope.id) is not None:
        outcome = "applied before"
    else:
        done: list[dict[str, Any]] = []
        run = _Run(session, consumer, done, consumer.counts)
        run.take(Incoming(envelope, event))
        run.end()
        if done:
            session.execute(_APPLIED, done)
        _advance(session, {aggregate: reached.by(envelope)})
        outcome = "applied" if done else "nothing to do"
    letter.replayed_at = clock.now()
    audit.seal(session)
    return outcome


def oldest_parked(session: Session) -> float:
    """Seconds that the longest-waiting event has waited for its predecessor; 0 if none waits."""
    oldest = session.scalar(select(func.min(InboxParked.parked_at)))
    return (clock.now() - oldest).total_seconds() if oldest else 0.0


def parked(session: Session) -> int:
    """How many events wait for a predecessor."""
    return session.scalar(select(func.count()).select_from(InboxParked)) or 0


def dead(session: Session) -> int:
    """How many dead letters were not replayed."""
    return session.scalar(select(func.count()).select_from(DeadLetter).where(DeadLetter.replayed_at.is_(None))) or 0


def start_over(session: Session) -> None:
    """Forget the offsets, so that every topic is read from its beginning; numbers make that harmless."""
    session.execute(update(ConsumerOffset).values(next_offset=0))


def _storable(name: str) -> str:
    """A text that PostgreSQL takes: NUL and lone surrogates spelt out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _b64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


def _bytes(text_: str | None) -> bytes | None:
    return None if text_ is None else base64.b64decode(text_)


def rules(service: str) -> list[str]:
    """SQL grants: only the worker touches the inbox."""
    tables = "inbox, inbox_sequences, inbox_parked, consumer_offsets, dead_letters"
    return [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {service}_worker"]
