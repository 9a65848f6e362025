"""Prices of room."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.actions import bid_prices
from services.guarantee.schemas.bid_prices import BID_PRICES, BidPricesRequest, BidPricesResponse, ShadowPriceList
from services.guarantee.tables import BidPrices
from shared.fields import PageQuery
from shared.web import Blueprint, caller, page

blp = Blueprint("bid-prices", __name__, url_prefix="/v1", description="Prices of room")


@blp.query("/shadow-prices", scope="guarantee:read")
@blp.response(200, ShadowPriceList())
def get_shadow_prices(session: Session) -> object:
    """Show what a fen of each limit is worth to others, beside what is left of it, the dearest first.

    They are the prices in force, or those of the queue placed last while none are.
    """
    return {"items": bid_prices.shadow_prices(session)}


@blp.query("/bid-prices", scope="guarantee:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, BID_PRICES)
def get_bid_prices(session: Session, query: dict[str, Any]) -> object:
    """List the prices that were set, newest first."""
    return page(session, select(BidPrices), BidPrices.id, query)


@blp.command("POST", "/bid-prices", scope="guarantee:manage")
@blp.arguments(BidPricesRequest())
@blp.doc(responses={404: "NOT_FOUND"})
@blp.response(201, BidPricesResponse())
def post_bid_prices(session: Session, body: dict[str, Any]) -> BidPrices:
    """Weigh requests from a day on by the prices of an allocation, or by none; what was set last counts.

    A request is refused if its loan is worth less than the room it takes. Nothing is weighed before this is set.
    """
    return bid_prices.set_prices(session, body, caller().subject)
