"""Projects of the national registry: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import projects
from services.sink.schemas.units import ProjectQuery, ProjectRequest, ProjectResponse, ProjectStepRequest
from services.sink.tables import Project
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, page

blp = Blueprint("projects", __name__, url_prefix="/v1", description="Projects of the national registry")


@blp.command("POST", "/projects", scope="sink:register")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(ProjectRequest())
@blp.response(201, ProjectResponse())
def post_project(session: Session, body: dict[str, Any]) -> tuple[Project, dict[str, str]]:
    """Enter a project that is in public notice, with its forests."""
    project = projects.enter_project(session, **body)
    return project, {"Location": f"/v1/projects/{project.id}"}


@blp.query("/projects", scope="sink:read")
@blp.arguments(ProjectQuery(), location="query")
@blp.response(200, page_of(ProjectResponse(), "ProjectPage"))
def get_projects(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List projects, newest first."""
    chosen = select(Project)
    if query["state"] is not None:
        chosen = chosen.where(Project.state == query["state"])
    return page(session, chosen, Project.id, query, state=query["state"])


@blp.query("/projects/<uuid:project_id>", scope="sink:read")
@blp.response(200, ProjectResponse())
def get_project(session: Session, project_id: UUID) -> Project:
    """Show a project and its steps."""
    return found(session, Project, project_id)


@blp.command("POST", "/projects/<uuid:project_id>/steps", scope="sink:register", if_match=True)
@blp.arguments(ProjectStepRequest())
@blp.response(201, ProjectResponse())
def post_project_step(session: Session, body: dict[str, Any], project_id: UUID) -> Project:
    """Take a project to its next public state, with a date and evidence."""
    return projects.advance_project(session, project_id, **body)
