"""The bureau's programme: the HTTP door."""

from typing import Any

from sqlalchemy.orm import Session

from services.sink.actions import programme
from services.sink.schemas.programme import ParametersResponse, TargetsResponse
from shared.web import Blueprint

blp = Blueprint("programme", __name__, url_prefix="/v1", description="What the programme sets, and how far it is")


@blp.query("/programme/parameters", scope="sink:read")
@blp.response(200, ParametersResponse())
def get_programme_parameters(session: Session) -> dict[str, Any]:
    """Show the programme's parameters in force today: compensation standard, quota, price subsidy and the rest."""
    return {"items": programme.parameters()}


@blp.query("/programme/targets", scope="sink:read")
@blp.response(200, TargetsResponse())
def get_programme_targets(session: Session) -> dict[str, Any]:
    """Show the programme's targets against what the register holds."""
    return {"items": programme.targets(session)}
