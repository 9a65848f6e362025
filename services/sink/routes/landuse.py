"""Forest land taken by projects: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import landuse
from services.sink.actions.landuse import LandUseFacts
from services.sink.schemas.landuse import LandUseRequest, LandUseResponse, LandUseWithdrawalRequest
from services.sink.schemas.orders import ReceiptRequest
from services.sink.tables import LandUseCompensation
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("landuse", __name__, url_prefix="/v1", description="What projects owe for forest land")


@blp.command("POST", "/land-use-compensations", scope="sink:value")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(LandUseRequest())
@blp.response(201, LandUseResponse())
def post_land_use(session: Session, body: dict[str, Any]) -> tuple[LandUseCompensation, dict[str, str]]:
    """Assess what a project owes for the forest land it takes."""
    row = landuse.assess(session, LandUseFacts(**body))
    return row, {"Location": f"/v1/land-use-compensations/{row.id}"}


@blp.query("/land-use-compensations", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(LandUseResponse(), "LandUsePage"))
def get_land_uses(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own assessments, newest first."""
    return page(session, select(LandUseCompensation), LandUseCompensation.id, query)


@blp.query("/land-use-compensations/<uuid:land_use_id>", scope="sink:read")
@blp.response(200, LandUseResponse())
def get_land_use(session: Session, land_use_id: UUID) -> LandUseCompensation:
    """Show an assessment."""
    return found(session, LandUseCompensation, land_use_id)


@blp.command("POST", "/land-use-compensations/<uuid:land_use_id>/receipt", scope="sink:register", if_match=True)
@blp.arguments(ReceiptRequest())
@blp.response(200, LandUseResponse())
def post_land_use_receipt(session: Session, body: dict[str, Any], land_use_id: UUID) -> LandUseCompensation:
    """Record that the fee was paid."""
    return landuse.record_receipt(session, land_use_id, body["amount"], body["reference"])


@blp.command("POST", "/land-use-compensations/<uuid:land_use_id>/discharge", scope="sink:register", if_match=True)
@blp.response(200, LandUseResponse())
def post_land_use_discharge(session: Session, land_use_id: UUID) -> LandUseCompensation:
    """Retire units of equal value, all or none, when the procedure is handled."""
    return landuse.discharge(session, land_use_id)


@blp.command("POST", "/land-use-compensations/<uuid:land_use_id>/withdrawal", scope="sink:value", if_match=True)
@blp.arguments(LandUseWithdrawalRequest())
@blp.response(200, LandUseResponse())
def post_land_use_withdrawal(session: Session, body: dict[str, Any], land_use_id: UUID) -> LandUseCompensation:
    """Drop an assessment that nothing was paid for."""
    return landuse.withdraw(session, land_use_id, body["reason"])
