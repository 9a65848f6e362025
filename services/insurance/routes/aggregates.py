"""How much stands together."""

from typing import Any

from sqlalchemy.orm import Session

from services.insurance.actions import aggregates
from services.insurance.schemas.aggregates import AggregateLimitRequest, AggregateLimitResponse, AggregateList
from services.insurance.tables import AggregateLimit
from shared.web import Blueprint, caller

blp = Blueprint("insurance-aggregates", __name__, url_prefix="/v1", description="How much stands together.")


@blp.query("/aggregates", scope="insurance:read")
@blp.response(200, AggregateList())
def get_aggregates(session: Session) -> dict[str, Any]:
    """List the limits and what is in force against each."""
    return {"items": aggregates.carried_under(session)}


@blp.command("POST", "/aggregate-limits", scope="insurance:underwrite")
@blp.arguments(AggregateLimitRequest())
@blp.response(200, AggregateLimitResponse())
def post_aggregate_limit(session: Session, body: dict[str, Any]) -> AggregateLimit:
    """Set the most that may be insured within a distance of any forest, in a zone, with a bank or a guarantor."""
    return aggregates.set_limit(session, body, caller().subject)
