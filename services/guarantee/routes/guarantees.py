"""Guarantees and refusals."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.guarantee.schemas.guarantees import GUARANTEES, GuaranteeQuery, GuaranteeResponse
from services.guarantee.tables import Guarantee
from shared.db import found
from shared.web import Blueprint, page

blp = Blueprint("guarantees", __name__, url_prefix="/v1", description="Guarantees and refusals")


@blp.query("/guarantees", scope="guarantee:read")
@blp.arguments(GuaranteeQuery(), location="query")
@blp.response(200, GUARANTEES)
def get_guarantees(session: Session, query: dict[str, Any]) -> object:
    """List guarantees and refusals, newest first."""
    statement = select(Guarantee)
    if query["state"] is not None:
        statement = statement.where(Guarantee.state == query["state"])
    if query["loan_id"] is not None:
        statement = statement.where(Guarantee.loan_id == query["loan_id"])
    return page(session, statement, Guarantee.id, query, state=query["state"], loan_id=query["loan_id"])


@blp.query("/guarantees/<uuid:guarantee_id>", scope="guarantee:read")
@blp.response(200, GuaranteeResponse())
def get_guarantee(session: Session, guarantee_id: UUID) -> Guarantee:
    """Show a guarantee with the limits and reasons behind the decision."""
    return found(session, Guarantee, guarantee_id)
