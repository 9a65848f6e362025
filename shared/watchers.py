"""Which institutions an outside event concerns: a valuation names a forest, and the banks behind it must be found.

The table says nothing more than that: the worker reads it across institutions, then acts for each in turn.
"""

from collections.abc import Iterable, Iterator
from uuid import UUID

from sqlalchemy import String, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db import TENANT, Plumbing, acting_for, table_of, tenant


class Watcher(Plumbing):
    """An institution that wants to know what happens to a subject."""

    __tablename__ = "watchers"

    subject: Mapped[UUID] = mapped_column(primary_key=True)
    institution: Mapped[str] = mapped_column(String(64), primary_key=True)


def watch(session: Session, *subjects: UUID) -> None:
    """Let the current institution hear of these subjects from now on."""
    rows = [{"subject": subject, "institution": tenant(session)} for subject in sorted(set(subjects))]
    session.execute(_WATCH, rows)


_WATCH = insert(table_of(Watcher)).on_conflict_do_nothing()


def each(session: Session, subject: UUID) -> Iterator[str]:
    """Act for each institution that watches a subject, one after the other. Only the worker's role may."""
    watching = session.scalars(
        select(Watcher.institution).where(Watcher.subject == subject).order_by(Watcher.institution)
    ).all()
    for institution in watching:
        with acting_for(session, institution):
            yield institution


def watched(session: Session, subjects: Iterable[UUID]) -> set[UUID]:
    """Which of these subjects anybody watches. Only the worker's role may ask."""
    return set(session.scalars(select(Watcher.subject).where(Watcher.subject.in_(list(subjects)))))


def banks(session: Session, subjects: Iterable[UUID]) -> dict[str, list[UUID]]:
    """Who watches which of these subjects, both in order. Only the worker's role may ask."""
    watched: dict[str, list[UUID]] = {}
    query = select(Watcher.institution, Watcher.subject).where(Watcher.subject.in_(list(subjects)))
    for institution, subject in session.execute(query.order_by(Watcher.institution, Watcher.subject)):
        watched.setdefault(institution, []).append(subject)
    return watched


def rules(service: str) -> list[str]:
    """SQL: the application adds its own institution only; the worker reads all."""
    return [
        "ALTER TABLE watchers ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE watchers FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_institution ON watchers FOR INSERT WITH CHECK (institution = {TENANT})",
        f"CREATE POLICY worker_reads ON watchers FOR SELECT TO {service}_worker USING (true)",
        f"GRANT INSERT ON watchers TO {service}_app, {service}_worker",
        f"GRANT SELECT ON watchers TO {service}_worker",
    ]
