"""Ratings of non-permanence: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import ratings
from services.sink.schemas.ratings import RatingRequest, RatingResponse
from services.sink.tables import Asset, Rating
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, caller, page

blp = Blueprint("ratings", __name__, url_prefix="/v1", description="How likely forests are to lose their carbon again")


@blp.command("POST", "/assets/<uuid:asset_id>/ratings", scope="sink:register")
@blp.arguments(RatingRequest())
@blp.response(201, RatingResponse())
def post_rating(session: Session, body: dict[str, Any], asset_id: UUID) -> Rating:
    """Rate a forest; what is issued from now on gives the rated share to the buffer."""
    return ratings.rate_asset(session, asset_id, caller().subject, **body)


@blp.query("/assets/<uuid:asset_id>/ratings", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(RatingResponse(), "RatingPage"))
def get_ratings(session: Session, query: dict[str, Any], asset_id: UUID) -> dict[str, Any]:
    """List a forest's ratings, the last entered first; the latest by its day is in force."""
    found(session, Asset, asset_id)
    return page(session, select(Rating).where(Rating.asset_id == asset_id), Rating.id, query)
