"""What cover would cost, without asking for it."""

from typing import Any

from sqlalchemy.orm import Session

from services.insurance.actions import capital, exposures, index_covers
from services.insurance.actions.models import champions_for_question
from services.insurance.schemas.prices import IndexPriceRequest, IndexPriceResponse, PriceRequest, PriceResponse
from services.insurance.tables import latest_surveys, latest_valuations
from shared.web import Blueprint, caller

blp = Blueprint("insurance-prices", __name__, url_prefix="/v1", description="What cover would cost.")


@blp.question("/price", scope="insurance:read")
@blp.arguments(PriceRequest())
@blp.response(200, PriceResponse())
def post_price(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Price cover that nobody has asked for.

    Keeps nothing and needs no Idempotency-Key. The price is made on the path of a quote; what the book already carries
    on a forest is not judged.
    """
    priced_by = champions_for_question(session, caller().institution)
    return exposures.whatif(
        body,
        lambda ids: latest_valuations(session, list(ids)) if ids else {},
        lambda ids: latest_surveys(session, list(ids)) if ids else {},
        priced_by,
        lambda: capital.of_insurer(session, caller().institution),
    )


@blp.question("/index-price", scope="insurance:read")
@blp.arguments(IndexPriceRequest())
@blp.response(200, IndexPriceResponse())
def post_index_price(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Price an index cover and show its basis risk before anybody buys it; keeps nothing."""
    return index_covers.whatif(body)
