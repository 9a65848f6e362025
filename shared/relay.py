"""The relay: sends the outbox to the broker, in order per aggregate, one active relay for each service.

Ownership is an advisory lock on one connection, and a fencing token: every batch proves the token before it is sent
and again in the statement that marks it sent, on the connection that holds the lock. A holder that stops giving signs
of life is disconnected by the one that waits, and finds its marking refused when it wakes.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import structlog
from sqlalchemy import BigInteger, Connection, Engine, Select, String, Text, bindparam, cast, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared import clock
from shared.db import Moment, Plumbing, table_of
from shared.inbox import DeadLetter, _bytes
from shared.outbox import LARGEST, Outbox, OutboxUnsent, envelope

log = structlog.get_logger(__name__)


class RelayLease(Plumbing):
    """Who relays, under which token, last seen when, to which cluster."""

    __tablename__ = "relay_lease"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[int] = mapped_column(BigInteger)
    backend: Mapped[int]
    seen_at: Mapped[Moment]
    cluster_id: Mapped[str] = mapped_column(String(64))


_BEFORE_ALL = -(2**63)
_ENVELOPE = [column for column in table_of(Outbox).c if column.name != "payload"]
_TOKEN = select(RelayLease.token).where(RelayLease.id == 1).scalar_subquery().label("token")
_UNSENT = (
    # The data as the database writes them: reading them, only to write them again, would be a third of the work.
    select(OutboxUnsent.position, _TOKEN, cast(Outbox.payload, Text).label("data"), *_ENVELOPE)
    .join(Outbox, Outbox.id == OutboxUnsent.id)
    .where(OutboxUnsent.position > bindparam("after", type_=BigInteger))
    .order_by(OutboxUnsent.position)
    .limit(bindparam("batch"))
)
_DEAD = (
    select(_TOKEN, *table_of(DeadLetter).c)
    .where(DeadLetter.published_at.is_(None))
    .order_by(DeadLetter.id)
    .limit(bindparam("batch"))
)


class Message(NamedTuple):
    """What goes onto a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Broker(Protocol):
    """The sending side of a broker."""

    def cluster_id(self) -> str:
        """Identity of the cluster that answers."""

    def send(self, messages: Sequence[Message]) -> Any:
        """Start sending; returns a token for settle()."""

    def settle(self, sent: Any) -> None:
        """Wait until every message is acknowledged, or raise."""


class LostOwnershipError(RuntimeError):
    """Another relay has taken over; this one must stop at once."""


LOCK = "heartwood.relay"
#: Batches in one drain.
ROUND = 20


class Relay:
    """One holder's view of the outbox."""

    def __init__(
        self, connection: Connection, broker: Broker, token: int, batch: int = 500, sent: Counter[str] | None = None
    ) -> None:
        self.connection, self.broker, self.token, self.batch = connection, broker, token, batch
        #: Events that the broker took, by type.
        self.sent = Counter() if sent is None else sent

    def drain(self) -> int:
        """Send what is unsent, oldest first, two batches in flight; says how many were acknowledged.

        Begins at the oldest unsent event each time, so that one which committed late is never passed over, and comes
        back after ROUND batches, so that the caller can look up. If anything fails, nothing after it is marked either.
        """
        in_flight: list[tuple[Sequence[Any], Any]] = []
        last, total = _BEFORE_ALL, 0
        for number in itertools.count():
            rows: Sequence[Any] = self._unsent(last) if number < ROUND else []
            if rows:
                last = rows[-1].position
                in_flight.append((rows, self.broker.send(_messages(rows))))
            if in_flight and (len(in_flight) > 2 or len(rows) < self.batch):
                taken, sent = in_flight.pop(0)
                self.broker.settle(sent)
                self._mark([row.position for row in taken])
                self.sent.update(row.type for row in taken)
                total += len(taken)
            if len(rows) < self.batch and not in_flight:
                break
        return total + self._publish_dead_letters()

    def follow(self, cluster_id: str) -> bool:
        """Show a sign of life, and take note of the cluster; on another than before, all is to be sent again."""
        with self.connection.begin():
            known = self.connection.scalar(select(RelayLease.cluster_id).where(RelayLease.id == 1))
            if known == cluster_id:
                self._beat()
                return False
            if known:
                # Before all that is unsent now, and so below zero: of one aggregate, what was sent once is older than
                # what was not, and the state topics must end with the newest.
                self.connection.execute(
                    text(
                        "INSERT INTO outbox_unsent (position, id, since) OVERRIDING SYSTEM VALUE"
                        " SELECT least(1, (SELECT min(position) FROM outbox_unsent)) - row_number()"
                        " OVER (ORDER BY o.topic DESC, o.key DESC, o.sequence DESC), o.id, clock_timestamp()"
                        " FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM outbox_unsent u WHERE u.id = o.id)"
                    )
                )
                self.connection.execute(text("UPDATE dead_letters SET published_at = NULL"))
            self._beat(cluster_id)
        return bool(known)

    def _unsent(self, after: int = _BEFORE_ALL) -> Sequence[Any]:
        return self._read(_UNSENT, after=after, batch=self.batch)

    def _read(self, statement: Select[Any], **values: int) -> Sequence[Any]:
        """What is to be sent next, with the proof that it is still ours to send: read, not written."""
        with self.connection.begin():
            rows = self.connection.execute(statement, values).all()
        if rows and rows[0].token != self.token:
            raise LostOwnershipError("another relay has taken over")
        return rows

    def _mark(self, positions: list[int]) -> None:
        with self.connection.begin():
            self._beat()
            self.connection.execute(
                text("DELETE FROM outbox_unsent WHERE position = ANY(:positions)"), {"positions": positions}
            )

    def _beat(self, cluster_id: str | None = None) -> None:
        _beat(self.connection, self.token, cluster_id)

    def _publish_dead_letters(self) -> int:
        """Copy dead letters to their `.dead` topics, whole, with the reason in the headers."""
        letters = self._read(_DEAD, batch=100)
        if letters:
            self.broker.settle(self.broker.send([_dead_message(letter) for letter in letters]))
            with self.connection.begin():
                self._beat()
                self.connection.execute(
                    text("UPDATE dead_letters SET published_at = :now WHERE id = ANY(:ids)"),
                    {"ids": [letter.id for letter in letters], "now": clock.now()},
                )
        return len(letters)


def _beat(connection: Connection, token: int, cluster_id: str | None = None) -> None:
    """Show a sign of life and prove the token, in one statement."""
    held = connection.execute(
        text(
            "UPDATE relay_lease SET seen_at = clock_timestamp(), cluster_id = coalesce(:c, cluster_id)"
            " WHERE id = 1 AND token = :t"
        ),
        {"t": token, "c": cluster_id},
    )
    if held.rowcount != 1:
        raise LostOwnershipError("another relay has taken over")


def _messages(rows: Sequence[Any]) -> list[Message]:
    messages = []
    for row in rows:
        key, value, headers = row.key.encode(), row.data.encode(), envelope(row).headers()
        messages.append(Message(row.topic, key, value, headers))
        if row.state_topic:
            messages.append(Message(row.state_topic, key, value, headers))
    return messages


def _dead_message(letter: Any) -> Message:
    headers = [(name, _bytes(value) or b"") for name, value in letter.headers]
    headers += [
        ("dead_reason", letter.reason.encode()),
        ("dead_partition", str(letter.partition).encode()),
        ("dead_offset", str(letter.offset).encode()),
        ("dead_id", str(letter.id).encode()),
    ]
    value = letter.value
    if value is not None and len(value) > LARGEST:
        # One too large for the broker would stop every dead letter behind it.
        headers.append(("dead_value", f"{len(value)} bytes, kept in the database alone".encode()))
        value = None
    return Message(f"{letter.topic}.dead", letter.key, value, headers)


def acquire(connection: Connection, patience: float = 30.0) -> int | None:
    """Try to become the relay on this connection; the new token, or None while another one holds it.

    A holder that gave no sign of life for `patience` seconds is disconnected; the next try finds the lock free.
    """
    with connection.begin():
        if connection.scalar(select(func.pg_try_advisory_lock(func.hashtext(LOCK)))):
            return int(
                connection.execute(
                    text(
                        "INSERT INTO relay_lease AS l (id, token, backend, seen_at, cluster_id)"
                        " VALUES (1, 1, pg_backend_pid(), clock_timestamp(), '')"
                        " ON CONFLICT (id) DO UPDATE SET token = l.token + 1, backend = pg_backend_pid(),"
                        " seen_at = clock_timestamp() RETURNING token"
                    )
                ).scalar_one()
            )
        silent = connection.execute(
            text(
                "SELECT backend FROM relay_lease"
                " WHERE id = 1 AND seen_at < clock_timestamp() - make_interval(secs => :p)"
            ),
            {"p": patience},
        ).scalar()
        if silent:
            log.warning("disconnecting a silent relay", backend=silent)
            connection.execute(text("SELECT pg_terminate_backend(:b)"), {"b": silent})
    return None


def oldest_unsent(session: Session) -> float:
    """Age in seconds of the oldest event that no broker has acknowledged; 0 if there is none."""
    since = session.scalar(select(func.min(OutboxUnsent.since)))
    return max(0.0, (clock.now() - since).total_seconds()) if since else 0.0


def unsent(session: Session) -> int:
    """How many events no broker has acknowledged."""
    return session.scalar(select(func.count()).select_from(OutboxUnsent)) or 0


def run(
    engine: Engine,
    make_broker: Callable[[], Any],
    stopping: Callable[[], bool],
    idle: float = 0.01,
    patience: float = 30.0,
    sent: Counter[str] | None = None,
) -> None:
    """Relay until told to stop, counting in `sent` what the broker took. A broker that fails is replaced and the unsent
    go again; a database that fails ends this relay, and the caller starts another.
    """
    with engine.connect() as connection:
        # The lock lives as long as this connection: it must not go back to a pool with the lock still on it.
        connection.detach()
        while (token := acquire(connection, patience)) is None:
            if stopping():
                return
            time.sleep(0.2)
        # What the relay writes from here on need not wait for the disk. The token is on it, for it was taken before. A
        # crash of the database takes back the last writes in the order they were made, never one without those after
        # it: what a mark, or the numbering for another cluster, loses is done again, and every inbox passes over the
        # duplicates.
        with connection.begin():
            connection.execute(text("SET synchronous_commit = off"))
        pause = 0.1
        while not stopping():
            # Also while no broker answers, or a successor would take this one for dead.
            with connection.begin():
                _beat(connection, token)
            broker = None
            try:
                broker = make_broker()
                relay = Relay(connection, broker, token, sent=sent)
                checked, rest = 0.0, idle
                while not stopping():
                    if time.monotonic() - checked > 1.0:
                        if relay.follow(broker.cluster_id()):
                            log.warning("another cluster answers: sending every event again")
                            break  # with a new sender: topics and the producer's identity were those of the old one
                        checked = time.monotonic()
                    if relay.drain():
                        rest = idle
                    else:
                        # Look often while events come, seldom while none do: each look is a few round trips.
                        time.sleep(rest)
                        rest = min(rest * 1.5, max(idle, LONGEST_REST))
                    pause = 0.1
            except BrokerError as error:
                log.warning("the broker does not answer", error=str(error)[:200])
                _rest(pause, stopping)
                pause = min(pause * 2, 5.0)
            finally:
                if broker is not None:
                    broker.close()


def _rest(seconds: float, stopping: Callable[[], bool]) -> None:
    """Sleep, but not through the order to stop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopping():
        time.sleep(min(0.1, seconds))


#: How long the relay rests at most between two looks into an outbox that stays empty. [s]
LONGEST_REST = 0.1


class BrokerError(RuntimeError):
    """The broker did not take, or did not acknowledge, what was sent."""


def rules(service: str) -> list[str]:
    """SQL grants: only the worker relays."""
    return [f"GRANT SELECT, INSERT, UPDATE ON relay_lease TO {service}_worker"]
