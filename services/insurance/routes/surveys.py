"""What was found at the sites of forests."""

from typing import Any

from sqlalchemy.orm import Session

from services.insurance.actions import surveys
from services.insurance.routes.common import filtered
from services.insurance.schemas.surveys import SurveyQuery, SurveyRequest, SurveyResponse
from services.insurance.tables import SiteSurvey
from shared.fields import page_of
from shared.web import Blueprint, caller

blp = Blueprint("insurance-surveys", __name__, url_prefix="/v1", description="What was found at the sites of forests.")


@blp.command("POST", "/site-surveys", scope="insurance:underwrite")
@blp.arguments(SurveyRequest())
@blp.response(201, SurveyResponse())
def post_survey(session: Session, body: dict[str, Any]) -> SiteSurvey:
    """Enter what was found at a site; every quote after it, by event or over HTTP, is priced with it."""
    return surveys.enter_survey(session, body, caller().subject)


@blp.query("/site-surveys", scope="insurance:read")
@blp.arguments(SurveyQuery(), location="query")
@blp.response(200, page_of(SurveyResponse(), "SurveyPage"))
def get_surveys(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List surveys, newest first."""
    return filtered(session, SiteSurvey, query, "asset_id")
