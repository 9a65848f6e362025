"""What a loan would score, without applying."""

from typing import Any

from sqlalchemy.orm import Session

from services.credit.actions import reading
from services.credit.actions.models import champion_for_question
from services.credit.schemas.scores import ScoreRequest, ScoreResponse
from services.credit.tables import valuations_of
from shared.web import Blueprint, caller

blp = Blueprint("scores", __name__, url_prefix="/v1", description="What a loan would score, without applying")


@blp.question("/score", scope="credit:read")
@blp.arguments(ScoreRequest())
@blp.response(200, ScoreResponse())
def post_score(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Score an application that nobody has made.

    Keeps nothing and needs no Idempotency-Key. The database is read if forests are named, and every few seconds to
    know which card decides; limits of the bank's book are not judged.
    """
    champion = champion_for_question(session, caller().institution)
    return reading.what_if(body, lambda asset_ids: valuations_of(session, asset_ids), champion)
