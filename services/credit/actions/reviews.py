"""A person's word beside the machine's: each decision of a person is kept, and a natural person can have one reviewed.

A review is decided by somebody who neither entered the application nor decided on it, with reasons, within a time. One
that overturns a decline carries on as a new application, since every leg was told that the old one ended; it is judged
by the rules of its day, and what stands in the way there no reviewer passes over.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import applications
from services.credit.actions.endings import parties
from services.credit.actions.overrides import answer_review, record_decision
from services.credit.actions.policy import REVIEWS, policy
from services.credit.actions.states import demand, note
from services.credit.tables import Loan, Review, latest_decision, latest_override, locked_loan, review_of
from shared import audit, clock, outbox, timers
from shared.db import found, locked
from shared.errors import ConflictError, ForbiddenError, NotFoundError, StateError
from shared.events.credit import ReviewRequested
from shared.ids import uuid7


def request_review(session: Session, loan_id: UUID, grounds: str, officer: str) -> Review:
    """Note that a natural person wants a person to look at a decline or a referral, and set the day by which."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "referred", "declined")
    if loan.borrower_kind != "natural_person":
        raise StateError("a review is for natural persons; a firm or cooperative applies anew")
    limits = policy(clock.today(), REVIEWS)
    if loan.state == "declined" and loan.updated_at + timedelta(days=limits["review_request_days"]) < clock.now():
        raise StateError(f"a review is asked for within {limits['review_request_days']} days; apply anew")
    if review_of(session, loan.id) is not None:
        raise ConflictError("a review of this decision was asked for already")
    before = latest_override(session, loan.id)
    review = Review(
        id=uuid7(),
        institution=loan.institution,
        loan_id=loan.id,
        state="open",
        grounds=grounds,
        requested_by=officer,
        requested_at=clock.now(),
        due_at=clock.now() + timedelta(days=limits["review_days"]),
        first_decider=None if before is None else before.decided_by,
    )
    session.add(review)
    note(session, loan, "request_review", grounds=grounds, due_at=review.due_at.isoformat())
    timers.put(session, "review", loan.id, review.due_at)
    outbox.put(session, ReviewRequested(**parties(loan), grounds=grounds, due_at=review.due_at))
    return review


def decide_review(
    session: Session, loan_id: UUID, overturn: bool, reason_code: str, explanation: str, reviewer: str
) -> Review:
    """Uphold or overturn a decision, as a person who had no part in it."""
    loan = locked(session, Loan, loan_id)
    review = _open_review(session, loan)
    if reviewer in (loan.applied_by, review.first_decider):
        raise ForbiddenError("whoever entered the application or decided on it cannot review the decision")
    if loan.state == "referred":
        # Nobody but the machine has decided yet, so the review is the decision.
        applications.decide_referral(session, loan.id, overturn, explanation, reviewer, reason_code, stage="review")
        return review
    stood = latest_decision(session, loan.id)
    assert stood is not None
    record_decision(session, loan, stood, "review", overturn, reason_code, reviewer)
    renewed = applications.renew(session, loan, explanation) if overturn else None
    answer_review(session, loan, overturn, reason_code, explanation, reviewer, None if renewed is None else renewed.id)
    return review


def remind(session: Session, loan_id: UUID) -> None:
    """Write down that a review is overdue; one whose loan has gone another way meanwhile lapses."""
    loan = locked_loan(session, loan_id)
    review = None if loan is None else review_of(session, loan_id)
    if loan is None or review is None or review.state != "open":
        return
    if loan.state not in ("referred", "declined"):
        review.state = "lapsed"
        return
    review.overdue_at = clock.now()
    audit.record(session, "review_overdue", loan.id, due_at=review.due_at.isoformat())


def show(session: Session, loan_id: UUID) -> Review:
    """The review of a loan's decision."""
    review = review_of(session, found(session, Loan, loan_id).id)
    if review is None:
        raise NotFoundError("nobody asked for a review of this decision")
    return review


def _open_review(session: Session, loan: Loan) -> Review:
    review = review_of(session, loan.id)
    if review is None:
        raise NotFoundError("nobody asked for a review of this decision")
    if review.state != "open":
        raise StateError(f"the review was {review.state} already")
    return review
