"""Footprints: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import footprints
from services.sink.actions.footprints import FootprintFacts, Journey
from services.sink.schemas.footprints import FootprintQuery, FootprintRequest, FootprintResponse
from services.sink.tables import Footprint
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, page

blp = Blueprint("footprints", __name__, url_prefix="/v1", description="What events, organisations and people emit")


@blp.command("POST", "/footprints", scope="sink:compensate")
@blp.arguments(FootprintRequest())
@blp.response(201, FootprintResponse())
def post_footprint(session: Session, body: dict[str, Any]) -> tuple[Footprint, dict[str, str]]:
    """Estimate the footprint of an event, an organisation or a person, and keep it."""
    journeys = [Journey(**journey) for journey in body.pop("journeys")]
    row = footprints.estimate(session, FootprintFacts(journeys=journeys, **body))
    return row, {"Location": f"/v1/footprints/{row.id}"}


@blp.query("/footprints", scope="sink:read")
@blp.arguments(FootprintQuery(), location="query")
@blp.response(200, page_of(FootprintResponse(), "FootprintPage"))
def get_footprints(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own footprints, newest first."""
    statement = select(Footprint)
    if query["kind"]:
        statement = statement.where(Footprint.kind == query["kind"])
    return page(session, statement, Footprint.id, query, kind=query["kind"])


@blp.query("/footprints/<uuid:footprint_id>", scope="sink:read")
@blp.response(200, FootprintResponse())
def get_footprint(session: Session, footprint_id: UUID) -> Footprint:
    """Show one of the caller's own footprints with all it rests on."""
    return found(session, Footprint, footprint_id)
