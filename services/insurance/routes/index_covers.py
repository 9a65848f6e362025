"""Covers that pay by an index: shown, bound, observed, paid without an adjuster."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.insurance.actions import index_covers, index_triggers
from services.insurance.routes.common import filtered
from services.insurance.schemas.index_covers import (
    IndexBindingRequest,
    IndexCoverQuery,
    IndexCoverRequest,
    IndexCoverResponse,
    ObservationQuery,
    ObservationRequest,
    ObservationResponse,
)
from services.insurance.tables import IndexCover, IndexObservation
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, caller

blp = Blueprint("insurance-index-covers", __name__, url_prefix="/v1", description="Covers that pay by an index.")


@blp.command("POST", "/index-covers", scope="insurance:underwrite")
@blp.arguments(IndexCoverRequest())
@blp.response(201, IndexCoverResponse())
def post_index_cover(session: Session, body: dict[str, Any]) -> IndexCover:
    """Quote an index cover beside a policy, and show its basis risk before anybody buys it."""
    return index_covers.quote_index_cover(session, body)


@blp.query("/index-covers", scope="insurance:read")
@blp.arguments(IndexCoverQuery(), location="query")
@blp.response(200, page_of(IndexCoverResponse(), "IndexCoverPage"))
def get_index_covers(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List index covers, newest first."""
    return filtered(session, IndexCover, query, "state", "policy_id", "asset_id")


@blp.query("/index-covers/<uuid:index_cover_id>", scope="insurance:read")
@blp.response(200, IndexCoverResponse())
def get_index_cover(session: Session, index_cover_id: UUID) -> IndexCover:
    """Show an index cover with every observation's threshold and payment."""
    return found(session, IndexCover, index_cover_id)


@blp.command("POST", "/index-covers/<uuid:index_cover_id>/binding", scope="insurance:underwrite")
@blp.arguments(IndexBindingRequest())
@blp.response(200, IndexCoverResponse())
def post_binding(session: Session, body: dict[str, Any], index_cover_id: UUID) -> IndexCover:
    """Bind exactly what was shown, by its hash."""
    return index_covers.bind_index_cover(session, index_cover_id, body["price_hash"], caller().subject)


@blp.command("POST", "/index-observations", scope="insurance:claims")
@blp.arguments(ObservationRequest())
@blp.response(200, ObservationResponse())
def post_observation(session: Session, body: dict[str, Any]) -> IndexObservation:
    """Deliver an observation: it is kept, and what it sets off is paid at once; the same one again changes nothing."""
    return index_triggers.observe(session, body, caller().subject)


@blp.query("/index-observations", scope="insurance:read")
@blp.arguments(ObservationQuery(), location="query")
@blp.response(200, page_of(ObservationResponse(), "ObservationPage"))
def get_observations(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List observations, newest first."""
    return filtered(session, IndexObservation, query, "asset_id", "kind")
