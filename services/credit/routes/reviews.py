"""Reviews by a person, and what persons decided beside the machine."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import reviews
from services.credit.schemas.reviews import (
    OVERRIDE_PAGE,
    REVIEW_PAGE,
    OverrideQuery,
    ReviewDecisionRequest,
    ReviewQuery,
    ReviewRequest,
    ReviewResponse,
)
from services.credit.tables import Override, Review, overrides
from shared.web import Blueprint, caller, page

blp = Blueprint("reviews", __name__, url_prefix="/v1", description="What persons decide beside the machine")


@blp.command("POST", "/loans/<uuid:loan_id>/review", scope="credit:apply")
@blp.arguments(ReviewRequest())
@blp.response(201, ReviewResponse())
def post_review(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Ask, for a natural person, that a person looks at a decline or a referral."""
    return reviews.request_review(session, loan_id, body["grounds"], caller().subject)


@blp.query("/loans/<uuid:loan_id>/review", scope="credit:read")
@blp.response(200, ReviewResponse())
def get_review(session: Session, loan_id: UUID) -> Any:
    """Show the review of a loan's decision."""
    return reviews.show(session, loan_id)


@blp.command("POST", "/loans/<uuid:loan_id>/review/decision", scope="credit:decide")
@blp.arguments(ReviewDecisionRequest())
@blp.response(200, ReviewResponse())
def post_review_decision(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Uphold or overturn a decision, as a person who had no part in it; overturned, the loan goes on."""
    overturn = body["decision"] == "overturn"
    return reviews.decide_review(session, loan_id, overturn, body["reason_code"], body["explanation"], caller().subject)


@blp.query("/reviews", scope="credit:read")
@blp.arguments(ReviewQuery(), location="query")
@blp.response(200, REVIEW_PAGE)
def get_reviews(session: Session, query: dict[str, Any]) -> Any:
    """List reviews, newest first."""
    filters = {} if query["state"] is None else {"state": query["state"]}
    return page(session, select(Review).filter_by(**filters), Review.id, query, **filters)


@blp.query("/overrides", scope="credit:read")
@blp.arguments(OverrideQuery(), location="query")
@blp.response(200, OVERRIDE_PAGE)
def get_overrides(session: Session, query: dict[str, Any]) -> Any:
    """List what persons decided beside the machine, newest first, with what became of each loan."""
    against = query["against_machine"]
    return page(session, overrides(against_machine=against), Override.id, query, against_machine=against)
