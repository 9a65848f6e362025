"""The relay: sends the outbox to the broker, in order per aggregate, one active relay for each service.

Ownership is an advisory lock on one connection, and a fencing token: every batch proves the token before it is sent
and again in the statement that marks it sent, on the connection that holds the lock. A holder that stops giving signs
of life is disconnected by the one that waits, and finds its marking refused when it wakes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from sqlalchemy import BigInteger, Connection, Engine, String, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared import clock
from shared.db import Moment, Plumbing
from shared.inbox import DeadLetter, _bytes
from shared.outbox import Outbox, OutboxUnsent, envelope
from shared.strict_json import canonical

log = structlog.get_logger(__name__)


class RelayLease(Plumbing):
    """Who relays, under which token, last seen when, to which cluster."""

    __tablename__ = "relay_lease"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[int] = mapped_column(BigInteger)
    backend: Mapped[int]
    seen_at: Mapped[Moment]
    cluster_id: Mapped[str] = mapped_column(String(64))


@dataclass(frozen=True)
class Message:
    """What goes onto a topic."""

    topic: str
    key: bytes
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


class Relay:
    """One holder's view of the outbox."""

    def __init__(self, connection: Connection, broker: Broker, token: int, batch: int = 500) -> None:
        self.connection, self.broker, self.token, self.batch = connection, broker, token, batch
        self.sent = 0

    def drain(self) -> int:
        """Send all that is unsent, oldest first, two batches in flight; says how many were acknowledged.

        Begins at the oldest unsent event each time, so that one which committed late is never passed over. If
        anything fails, nothing after it is marked either.
        """
        self._prove()
        in_flight: list[tuple[list[Any], Any]] = []
        position, total = 0, 0
        while True:
            rows = self._unsent(position)
            if rows:
                position = rows[-1].position
                in_flight.append(([row.id for row in rows], self.broker.send(_messages(rows))))
            if in_flight and (len(in_flight) > 2 or len(rows) < self.batch):
                ids, sent = in_flight.pop(0)
                self.broker.settle(sent)
                self._mark(ids)
                total += len(ids)
            if len(rows) < self.batch and not in_flight:
                break
        self.sent += total
        return total + self._publish_dead_letters()

    def follow(self, cluster_id: str) -> bool:
        """Take note of the cluster; on another one than before, everything is to be sent again."""
        with self.connection.begin():
            known = self.connection.scalar(select(RelayLease.cluster_id).where(RelayLease.id == 1))
            if known == cluster_id:
                return False
            if known:
                self.connection.execute(
                    text(
                        "INSERT INTO outbox_unsent (id, since) SELECT o.id, o.occurred_at FROM outbox o"
                        " WHERE NOT EXISTS (SELECT 1 FROM outbox_unsent u WHERE u.id = o.id)"
                        " ORDER BY o.topic, o.key, o.sequence"
                    )
                )
                self.connection.execute(text("UPDATE dead_letters SET published_at = NULL"))
            self._beat(cluster_id)
        return bool(known)

    def _unsent(self, after: int) -> list[Any]:
        with self.connection.begin():
            return list(
                self.connection.execute(
                    select(OutboxUnsent.position, *Outbox.__table__.c)
                    .join(Outbox, Outbox.id == OutboxUnsent.id)
                    .where(OutboxUnsent.position > after)
                    .order_by(OutboxUnsent.position)
                    .limit(self.batch)
                )
            )

    def _mark(self, ids: list[Any]) -> None:
        with self.connection.begin():
            self._beat()
            self.connection.execute(text("DELETE FROM outbox_unsent WHERE id = ANY(:ids)"), {"ids": ids})

    def _prove(self) -> None:
        with self.connection.begin():
            self._beat()

    def _beat(self, cluster_id: str | None = None) -> None:
        """Show a sign of life and prove the token, in one statement."""
        held = self.connection.execute(
            text(
                "UPDATE relay_lease SET seen_at = clock_timestamp(), cluster_id = coalesce(:c, cluster_id)"
                " WHERE id = 1 AND token = :t"
            ),
            {"t": self.token, "c": cluster_id},
        )
        if held.rowcount != 1:
            raise LostOwnershipError("another relay has taken over")

    def _publish_dead_letters(self) -> int:
        """Copy dead letters to their `.dead` topics, whole, with the reason in the headers."""
        with self.connection.begin():
            letters = list(
                self.connection.execute(
                    select(*DeadLetter.__table__.c)
                    .where(DeadLetter.published_at.is_(None))
                    .order_by(DeadLetter.id)
                    .limit(100)
                )
            )
        if letters:
            self.broker.settle(self.broker.send([_dead_message(letter) for letter in letters]))
            with self.connection.begin():
                self._beat()
                self.connection.execute(
                    text("UPDATE dead_letters SET published_at = :now WHERE id = ANY(:ids)"),
                    {"ids": [letter.id for letter in letters], "now": clock.now()},
                )
        return len(letters)


def _messages(rows: Sequence[Any]) -> list[Message]:
    messages = []
    for row in rows:
        value, headers = canonical(row.payload), envelope(row).headers()
        messages.append(Message(row.topic, row.key.encode(), value, headers))
        if row.state_topic:
            messages.append(Message(row.state_topic, row.key.encode(), value, headers))
    return messages


def _dead_message(letter: Any) -> Message:
    headers = [(name, _bytes(value) or b"") for name, value in letter.headers]
    headers += [
        ("dead_reason", letter.reason.encode()),
        ("dead_partition", str(letter.partition).encode()),
        ("dead_offset", str(letter.offset).encode()),
        ("dead_id", str(letter.id).encode()),
    ]
    return Message(f"{letter.topic}.dead", letter.key or b"", letter.value, headers)


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


def run(
    engine: Engine,
    make_broker: Callable[[], Any],
    stopping: Callable[[], bool],
    idle: float = 0.02,
    patience: float = 30.0,
) -> None:
    """Relay until told to stop. A broker that fails is replaced and the unsent go again; a database that fails ends
    this relay, and the supervisor starts another.
    """
    with engine.connect() as connection:
        # The lock lives as long as this connection: it must not go back to a pool with the lock still on it.
        connection.detach()
        while (token := acquire(connection, patience)) is None:
            if stopping():
                return
            time.sleep(0.2)
        pause = 0.1
        while not stopping():
            broker = None
            try:
                broker = make_broker()
                relay = Relay(connection, broker, token)
                checked = 0.0
                while not stopping():
                    if time.monotonic() - checked > 1.0:
                        if relay.follow(broker.cluster_id()):
                            log.warning("another cluster answers: sending every event again")
                        checked = time.monotonic()
                    if not relay.drain():
                        time.sleep(idle)
                    pause = 0.1
            except BrokerError as error:
                log.warning("the broker does not answer", error=str(error)[:200])
                time.sleep(pause)
                pause = min(pause * 2, 5.0)
            finally:
                if broker is not None:
                    broker.close()


class BrokerError(RuntimeError):
    """The broker did not take, or did not acknowledge, what was sent."""


def rules(service: str) -> list[str]:
    """SQL grants: only the worker relays."""
    return [f"GRANT SELECT, INSERT, UPDATE ON relay_lease TO {service}_worker"]
