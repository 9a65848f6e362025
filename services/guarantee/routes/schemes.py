"""Sharing schemes."""

from sqlalchemy.orm import Session

from services.guarantee.actions import schemes
from services.guarantee.schemas.schemes import SchemeList
from shared.web import Blueprint

blp = Blueprint("schemes", __name__, url_prefix="/v1", description="Sharing schemes")


@blp.query("/schemes", scope="guarantee:read")
@blp.response(200, SchemeList())
def get_schemes(session: Session) -> object:
    """List the sharing schemes in force."""
    return {"items": schemes.schemes()}
