"""Price curves: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import prices
from services.sink.schemas.prices import ApprovalRequest, PriceCurveRequest, PriceCurveResponse
from services.sink.tables import PriceCurve
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, caller, page

blp = Blueprint("prices", __name__, url_prefix="/v1", description="What a tonne is worth")


@blp.command("POST", "/price-curves", scope="sink:value")
@blp.arguments(PriceCurveRequest())
@blp.response(201, PriceCurveResponse())
def post_price_curve(session: Session, body: dict[str, Any]) -> tuple[PriceCurve, dict[str, str]]:
    """Propose a price curve; a second person approves it."""
    curve = prices.propose_curve(session, body, caller().subject)
    return curve, {"Location": f"/v1/price-curves/{curve.id}"}


@blp.query("/price-curves", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(PriceCurveResponse(), "PriceCurvePage"))
def get_price_curves(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List price curves, newest first."""
    return page(session, select(PriceCurve), PriceCurve.id, query)


@blp.query("/price-curves/<uuid:curve_id>", scope="sink:read")
@blp.response(200, PriceCurveResponse())
def get_price_curve(session: Session, curve_id: UUID) -> PriceCurve:
    """Show a price curve."""
    return found(session, PriceCurve, curve_id)


@blp.command("POST", "/price-curves/<uuid:curve_id>/approval", scope="sink:approve")
@blp.arguments(ApprovalRequest())
@blp.response(200, PriceCurveResponse())
def post_price_curve_approval(session: Session, body: dict[str, Any], curve_id: UUID) -> PriceCurve:
    """Approve or reject a price curve as a second person; approval values the register anew."""
    return prices.decide_curve(session, curve_id, body["payload_hash"], caller().subject, body["approve"])
