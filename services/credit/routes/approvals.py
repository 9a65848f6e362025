"""What waits for a second person."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.schemas.approvals import APPROVAL_PAGE
from shared.approvals import Approval
from shared.fields import PageQuery
from shared.web import Blueprint, page

blp = Blueprint("approvals", __name__, url_prefix="/v1", description="What waits for a second person")


@blp.query("/approvals", scope="credit:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, APPROVAL_PAGE)
def get_approvals(session: Session, query: dict[str, Any]) -> Any:
    """List what waits for a second person."""
    return page(session, select(Approval).where(Approval.state == "open"), Approval.id, query)
