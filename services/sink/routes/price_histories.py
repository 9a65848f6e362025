"""Price histories: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import price_histories
from services.sink.schemas.price_histories import PriceHistoryQuery, PriceHistoryRequest, PriceHistoryResponse
from services.sink.tables import PriceHistory
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, caller, page

blp = Blueprint("price_histories", __name__, url_prefix="/v1", description="What a tonne has cost")


@blp.command("POST", "/price-histories", scope="sink:value")
@blp.arguments(PriceHistoryRequest())
@blp.response(201, PriceHistoryResponse())
def post_price_history(session: Session, body: dict[str, Any]) -> tuple[PriceHistory, dict[str, str]]:
    """Fit a price curve to a dated series and propose it; a second person approves the curve."""
    history = price_histories.enter_history(session, body, caller().subject)
    return history, {"Location": f"/v1/price-histories/{history.id}"}


@blp.query("/price-histories", scope="sink:read")
@blp.arguments(PriceHistoryQuery(), location="query")
@blp.response(200, page_of(PriceHistoryResponse(), "PriceHistoryPage"))
def get_price_histories(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List price histories, newest first."""
    statement = select(PriceHistory)
    if query["curve_id"]:
        statement = statement.where(PriceHistory.curve_id == query["curve_id"])
    return page(session, statement, PriceHistory.id, query, curve_id=query["curve_id"])


@blp.query("/price-histories/<uuid:history_id>", scope="sink:read")
@blp.response(200, PriceHistoryResponse())
def get_price_history(session: Session, history_id: UUID) -> PriceHistory:
    """Show a price history with its fit."""
    return found(session, PriceHistory, history_id)
