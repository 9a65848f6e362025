"""Long work: a row with progress, done in small committed steps, cancelled or resumed at any of them."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import String, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from shared import audit, clock
from shared.db import Id, Institution, Moment, Plumbing, Versioned, act_for, is_passing, locked, private_table, tenant
from shared.errors import RefusalError, StateError
from shared.ids import uuid7
from shared.trace import tracing

log = structlog.get_logger(__name__)

#: Does the next piece of a job: moves `done` and `cursor`, sets `total`; the job is finished when done == total.
Step = Callable[[Session, "Job"], None]


class Job(Versioned, Plumbing):
    """One piece of long work. A step and its progress commit together, so a killed job goes on where it was."""

    __tablename__ = "jobs"

    id: Mapped[Id]
    institution: Mapped[Institution]
    kind: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), index=True)
    done: Mapped[int]
    total: Mapped[int]
    cursor: Mapped[str] = mapped_column(String(128))
    input: Mapped[dict[str, Any]] = mapped_column(JSONB)
    log: Mapped[list[Any]] = mapped_column(JSONB)
    created_by: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]

    def note(self, **entry: Any) -> None:
        """Add a line to the job's log: a refused row with its field, say."""
        self.log = [*self.log, entry][-1000:]


def start(session: Session, kind: str, total: int, **given: Any) -> Job:
    """Enter a job; the worker takes it up."""
    job = Job(
        id=uuid7(),
        institution=tenant(session),
        kind=kind,
        state="running",
        done=0,
        total=total,
        cursor="",
        input=given,
        log=[],
        created_by=session.info.get("actor", "system"),
        created_at=clock.now(),
        finished_at=None,
    )
    session.add(job)
    audit.record(session, f"start_{kind}", job.id)
    return job


def cancel(session: Session, job_id: UUID) -> Job:
    """Stop a job after its current step; what is done stays done."""
    job = locked(session, Job, job_id)
    if job.state != "running":
        raise StateError(f"the job is {job.state}; only a running one can be cancelled")
    job.state = "cancelled"
    audit.record(session, "cancel_job", job.id)
    return job


def resume(session: Session, job_id: UUID) -> Job:
    """Go on with a cancelled or failed job where it stopped."""
    job = locked(session, Job, job_id)
    if job.state not in ("cancelled", "failed"):
        raise StateError(f"the job is {job.state}; only a cancelled or failed one can be resumed")
    job.state, job.finished_at = "running", None
    audit.record(session, "resume_job", job.id)
    return job


def run_step(sessions: sessionmaker[Session], steps: Mapping[str, Step]) -> bool:
    """Do one step of the oldest running job; says whether there was one."""
    with sessions.begin() as session:
        oldest = session.execute(
            select(Job.id, Job.institution).where(Job.state == "running", Job.kind.in_(steps)).order_by(Job.id).limit(1)
        ).first()
    if oldest is None:
        return False
    try:
        with sessions.begin() as session:
            act_for(session, oldest.institution)
            job = session.get(Job, oldest.id, with_for_update={"skip_locked": True})
            if job is None or job.state != "running":
                return False
            session.info["actor"] = f"job:{job.id}"
            with tracing():
                steps[job.kind](session, job)
                if job.done >= job.total:
                    job.state, job.finished_at = "finished", clock.now()
                audit.seal(session)
    except Exception as error:
        if is_passing(error):
            raise
        _fail(sessions, oldest, error)
    return True


def _fail(sessions: sessionmaker[Session], failing: Any, error: Exception) -> None:
    """Stop a job that cannot go on and say why; a person resumes it when the reason is gone."""
    reason = error.detail if isinstance(error, RefusalError) else f"internal error ({type(error).__name__})"
    log.warning("job failed", job=str(failing.id), reason=reason, exc_info=error)
    with sessions.begin() as session:
        act_for(session, failing.institution)
        job = session.get_one(Job, failing.id, with_for_update=True)
        if job.state == "running":
            job.state, job.finished_at = "failed", clock.now()
            job.note(error=reason)


def failed(session: Session) -> int:
    """How many jobs, of all institutions, stopped by a fault and wait for a person."""
    return session.scalar(select(func.count()).select_from(Job).where(Job.state == "failed")) or 0


def rules(service: str) -> list[str]:
    """SQL: jobs are private; the worker sees which are waiting."""
    return private_table(service, "jobs", worker_reads=True)
