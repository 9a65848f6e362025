"""How the models do."""

from typing import Any

from sqlalchemy.orm import Session

from services.credit.actions import shadow
from services.credit.schemas.models import AgreementResponse, WindowQuery
from shared.web import Blueprint

blp = Blueprint("monitoring", __name__, url_prefix="/v1", description="How the models of default do")


@blp.query("/models/reports/agreement", scope="credit:read")
@blp.arguments(WindowQuery(), location="query")
@blp.response(200, AgreementResponse())
def get_agreement(session: Session, query: dict[str, Any]) -> Any:
    """Show how far the challenger, which decides nothing, agrees with the champion on the applications of late."""
    return shadow.agreement(session, query["days"])
