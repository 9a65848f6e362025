"""Losses of carbon: the HTTP door."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import reversals
from services.sink.actions.reversals import Loss
from services.sink.schemas.reversals import ReversalQuery, ReversalRequest, ReversalResponse, ReversalsResponse
from services.sink.tables import Reversal
from shared.fields import page_of
from shared.web import Blueprint, page

blp = Blueprint("reversals", __name__, url_prefix="/v1", description="Losses of carbon")


@blp.command("POST", "/reversals", scope="sink:report")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(ReversalRequest())
@blp.response(201, ReversalsResponse())
def post_reversal(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Report a fire or another peril that took carbon; each forest it hit is valued anew."""
    what, area_ha, care = (body["peril"], body["occurred_on"]), body["event_area_ha"], body["avoidable"]
    if body["geometry"] is not None:
        rows = reversals.report_polygon_reversal(session, *what, body["geometry"], body["severity"], avoidable=care)
    elif body["county"] is not None:
        by_county = (area_ha, body["county"], body["severity"])
        rows = reversals.report_county_reversal(session, *what, *by_county, avoidable=care)
    else:
        losses = [Loss(**loss) for loss in body["assets"]]
        rows = reversals.report_reversal(session, *what, area_ha, losses, avoidable=care)
    return {"event_id": rows[0].event_id, "items": rows}


@blp.query("/reversals", scope="sink:read")
@blp.arguments(ReversalQuery(), location="query")
@blp.response(200, page_of(ReversalResponse(), "ReversalPage"))
def get_reversals(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List reversals, newest first."""
    statement = select(Reversal)
    if query["asset_id"]:
        statement = statement.where(Reversal.asset_id == query["asset_id"])
    return page(session, statement, Reversal.id, query, asset_id=query["asset_id"])
