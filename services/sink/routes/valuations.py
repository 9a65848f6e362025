"""What forests are worth: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import valuations
from services.sink.actions.valuations import Reproduction
from services.sink.schemas.valuations import ReproductionResponse, ValuationResponse
from services.sink.tables import Asset, Valuation
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("valuations", __name__, url_prefix="/v1", description="What forests are worth, and the proof of it")


@blp.command("POST", "/assets/<uuid:asset_id>/valuations", scope="sink:value")
@blp.response(201, ValuationResponse())
def post_valuation(session: Session, asset_id: UUID) -> tuple[Valuation, dict[str, str]]:
    """Value a forest today and tell every underwriter."""
    valuation = valuations.request_valuation(session, asset_id)
    return valuation, {"Location": f"/v1/valuations/{valuation.id}"}


@blp.query("/assets/<uuid:asset_id>/valuations", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(ValuationResponse(), "ValuationPage"))
def get_valuations(session: Session, query: dict[str, Any], asset_id: UUID) -> dict[str, Any]:
    """List a forest's valuations, newest first."""
    found(session, Asset, asset_id)
    statement = select(Valuation).where(Valuation.asset_id == asset_id)
    return page(session, statement, Valuation.id, query)


@blp.query("/valuations/<uuid:valuation_id>", scope="sink:read")
@blp.response(200, ValuationResponse())
def get_valuation(session: Session, valuation_id: UUID) -> Valuation:
    """Show a valuation with its inputs, outputs and their hashes."""
    return found(session, Valuation, valuation_id)


@blp.command("POST", "/valuations/<uuid:valuation_id>/reproduction", scope="sink:read")
@blp.response(200, ReproductionResponse())
def post_reproduction(session: Session, valuation_id: UUID) -> Reproduction:
    """Derive a valuation again from its inputs and compare the bytes."""
    return valuations.reproduce(session, valuation_id)
