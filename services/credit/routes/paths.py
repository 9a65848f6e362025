"""A path to yes for a loan that was referred or declined."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import reading
from services.credit.actions.models import champion_for_question
from services.credit.schemas.paths import PathResponse
from services.credit.schemas.scores import ScoreRequest
from services.credit.tables import valuations_of
from shared.web import Blueprint, caller

blp = Blueprint("paths", __name__, url_prefix="/v1", description="Which changes of a request would be approved")


@blp.query("/loans/<uuid:loan_id>/path", scope="credit:read")
@blp.response(200, PathResponse())
def get_path(session: Session, loan_id: UUID) -> Any:
    """Show the smallest changes with which the application would be approved today, or that there are none.

    Each was underwritten again by the rules of the decision. Only what the borrower may choose is changed.
    """
    return reading.path_of(session, loan_id)


@blp.question("/score/path", scope="credit:read")
@blp.arguments(ScoreRequest())
@blp.response(200, PathResponse())
def post_path(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Show the smallest changes with which a what-if would be approved. Keeps nothing, like the what-if itself."""
    champion = champion_for_question(session, caller().institution)
    return reading.path_of_question(body, lambda asset_ids: valuations_of(session, asset_ids), champion)
