"""How much the insurer will carry."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import capacity
from services.insurance.schemas.capacities import CapacityRequest, CapacityResponse
from services.insurance.tables import Capacity
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("insurance-capacities", __name__, url_prefix="/v1", description="How much the insurer will carry.")


@blp.query("/capacities", scope="insurance:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(CapacityResponse(), "CapacityPage"))
def get_capacities(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List what the insurer will carry by county and in all, and what is taken of it."""
    return page(session, select(Capacity), Capacity.id, query)


@blp.command("POST", "/capacities", scope="insurance:underwrite")
@blp.arguments(CapacityRequest())
@blp.response(200, CapacityResponse())
def post_capacity(session: Session, body: dict[str, Any]) -> Capacity:
    """Set what the insurer will carry in a county, or in `all` of them together."""
    return capacity.set_capacity(session, body["county"], body["cap"])
