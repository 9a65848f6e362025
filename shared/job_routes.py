"""Routes of long work, the same in every service that has any."""

from uuid import UUID

from marshmallow import fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared import jobs
from shared.db import found
from shared.fields import Moment, PageQuery, Versioned, page_of
from shared.jobs import Job
from shared.web import Blueprint, page


class JobResponse(Versioned):
    """A piece of long work and how far it has come."""

    kind = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": ["running", "finished", "failed", "cancelled"]})
    done = fields.Integer(required=True)
    total = fields.Integer(required=True)
    log = fields.List(fields.Dict(), required=True)
    created_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)


def job_routes(service: str) -> Blueprint:
    """The blueprint of /v1/jobs for a service."""
    blp = Blueprint("jobs", __name__, url_prefix="/v1", description="Long work")

    @blp.query("/jobs", scope=f"{service}:read")
    @blp.arguments(PageQuery(), location="query")
    @blp.response(200, page_of(JobResponse(), "JobPage"))
    def get_jobs(session: Session, query: dict[str, object]) -> object:
        """List long work, newest first."""
        return page(session, select(Job), Job.id, query)

    @blp.query("/jobs/<uuid:job_id>", scope=f"{service}:read")
    @blp.response(200, JobResponse())
    def get_job(session: Session, job_id: UUID) -> Job:
        """Show how far a piece of long work has come."""
        return found(session, Job, job_id)

    @blp.command("POST", "/jobs/<uuid:job_id>/cancellation", scope=f"{service}:jobs")
    @blp.response(200, JobResponse())
    def post_cancellation(session: Session, job_id: UUID) -> Job:
        """Stop after the current step; what is done stays done."""
        return jobs.cancel(session, job_id)

    @blp.command("POST", "/jobs/<uuid:job_id>/resumption", scope=f"{service}:jobs")
    @blp.response(200, JobResponse())
    def post_resumption(session: Session, job_id: UUID) -> Job:
        """Go on with cancelled or failed work where it stopped."""
        return jobs.resume(session, job_id)

    return blp
