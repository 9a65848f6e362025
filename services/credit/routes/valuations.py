"""Our copies of the register's valuations."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.schemas.valuations import VALUATION_PAGE, ValuationQuery
from services.credit.tables import Valuation
from shared.web import Blueprint, page

blp = Blueprint("valuations", __name__, url_prefix="/v1", description="Our copies of the register's valuations")


@blp.query("/valuations", scope="credit:read")
@blp.arguments(ValuationQuery(), location="query")
@blp.response(200, VALUATION_PAGE)
def get_valuations(session: Session, query: dict[str, Any]) -> Any:
    """List our copies of the latest valuations."""
    filters = {"county": query["county"]} if query["county"] is not None else {}
    return page(session, select(Valuation).filter_by(**filters), Valuation.asset_id, query, **filters)
