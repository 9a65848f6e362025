"""Deadlines: a timer is one more message at the Kafka door, set in the transaction that makes it necessary."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import String, UniqueConstraint, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from shared import audit, clock
from shared.db import Id, Institution, Moment, Plumbing, act_for, is_passing, private_table, table_of, tenant
from shared.ids import uuid7
from shared.trace import tracing

log = structlog.get_logger(__name__)

#: How long a timer whose handler failed waits.
RETRY = timedelta(minutes=1)

#: What to do when a deadline of this kind passes for a subject; runs under the tenant that set it.
TimerHandler = Callable[[Session, UUID], None]


class Timer(Plumbing):
    """A moment at which something is to be done unless it was cancelled."""

    __tablename__ = "timers"
    __table_args__ = (UniqueConstraint("kind", "subject"),)

    id: Mapped[Id]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(64))
    subject: Mapped[UUID]
    due_at: Mapped[Moment] = mapped_column(index=True)


def put(session: Session, kind: str, subject: UUID, due_at: datetime) -> None:
    """Set a timer, or move it if it is set."""
    session.execute(
        _PUT,
        {"id": uuid7(), "institution": tenant(session), "kind": kind, "subject": subject, "due_at": due_at},
    )


_NEW = insert(table_of(Timer))
_PUT = _NEW.on_conflict_do_update(index_elements=["kind", "subject"], set_={"due_at": _NEW.excluded.due_at})


def put_all(session: Session, kind: str, due: Mapping[UUID, datetime]) -> None:
    """Set, or move, a timer of one kind for each of many subjects."""
    whose = tenant(session)
    rows = [{"id": uuid7(), "institution": whose, "kind": kind, "subject": s, "due_at": d} for s, d in due.items()]
    if rows:
        session.execute(_PUT, rows)


def cancel_all(session: Session, kind: str, subjects: Iterable[UUID]) -> None:
    """Cancel the timers of one kind for many subjects."""
    if gone := list(subjects):
        session.execute(delete(Timer).where(Timer.kind == kind, Timer.subject.in_(gone)))


def cancel(session: Session, subject: UUID, *kinds: str) -> None:
    """Cancel the timers of these kinds for a subject; those that are not set do not matter."""
    session.execute(delete(Timer).where(Timer.subject == subject, Timer.kind.in_(kinds)))


def run_due(sessions: sessionmaker[Session], handlers: Mapping[str, TimerHandler], limit: int = 100) -> int:
    """Run the timers that are due, each in a transaction of its own under its institution; says how many."""
    ran = 0
    while ran < limit:
        with sessions() as session:
            due = session.execute(
                select(Timer.id, Timer.institution, Timer.kind, Timer.subject)
                .where(Timer.due_at <= clock.now(), Timer.kind.in_(handlers))
                .order_by(Timer.due_at)
                .limit(1)
            ).first()
        if due is None:
            return ran
        try:
            _run(sessions, due, handlers[due.kind])
        except Exception as error:
            if is_passing(error):
                raise
            _put_off(sessions, due, error)
        ran += 1
    return ran


def overdue(session: Session) -> float:
    """Seconds by which the oldest deadline is late that nobody saw to; 0 if none is."""
    oldest = session.scalar(select(func.min(Timer.due_at)))
    return max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0


def _run(sessions: sessionmaker[Session], due: Any, handler: TimerHandler) -> None:
    with sessions.begin() as session:
        act_for(session, due.institution)
        # The subject's row is locked by the handler; the timer's by this delete. Whoever comes second finds none, and
        # a timer that was moved in the meantime is not due any more.
        taken = delete(Timer).where(Timer.id == due.id, Timer.due_at <= clock.now())
        if session.execute(taken).rowcount:  # type: ignore[attr-defined]
            session.info["actor"] = f"timer:{due.kind}"
            with tracing():
                handler(session, due.subject)
                audit.seal(session)
                log.info("timer", kind=due.kind, subject=str(due.subject))


def _put_off(sessions: sessionmaker[Session], due: Any, error: Exception) -> None:
    """Let a timer whose handler fails wait, so that it neither is lost nor stands in the way of the others."""
    log.error("timer failed, tried again later", kind=due.kind, subject=str(due.subject), exc_info=error)
    with sessions.begin() as session:
        act_for(session, due.institution)
        late = update(Timer).where(Timer.id == due.id, Timer.due_at <= clock.now())
        session.execute(late.values(due_at=clock.now() + RETRY))


def rules(service: str) -> list[str]:
    """SQL: timers are private; the worker sees when each is due."""
    return private_table(service, "timers", worker_reads=True)
