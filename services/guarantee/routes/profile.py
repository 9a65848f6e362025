"""What a guarantor says of itself."""

from typing import Any

from sqlalchemy.orm import Session

from services.guarantee.actions import profile
from services.guarantee.schemas.profile import ProfileRequest, ProfileResponse
from services.guarantee.tables import Profile
from shared.web import Blueprint

blp = Blueprint("profile", __name__, url_prefix="/v1", description="What a guarantor says of itself")


@blp.query("/profile", scope="guarantee:read")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.response(200, ProfileResponse())
def get_profile(session: Session) -> Profile:
    """Show the guarantor's own profile."""
    return profile.profile_of(session)


@blp.command("POST", "/profile", scope="guarantee:manage", if_match=True)
@blp.arguments(ProfileRequest())
@blp.response(200, ProfileResponse())
def post_profile(session: Session, body: dict[str, Any]) -> Profile:
    """Set the guarantor's whole profile; If-Match is "v0" for the first.

    Caps move with it at once. A cap below its use is kept as an over-limit state that blocks new use.
    """
    return profile.set_profile(session, body)
