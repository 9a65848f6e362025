"""The price of a loan, figure by figure."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import price_trace
from services.credit.schemas.prices import PriceResponse
from shared.web import Blueprint

blp = Blueprint("prices", __name__, url_prefix="/v1", description="The price of a loan, figure by figure")


@blp.query("/loans/<uuid:loan_id>/price", scope="credit:read")
@blp.response(200, PriceResponse())
def get_price(session: Session, loan_id: UUID) -> Any:
    """Show a loan's price: each figure with its equation and the dated coefficients it read."""
    return price_trace.price_of(session, loan_id)
