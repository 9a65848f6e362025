"""Reviews by a person, and what persons decided beside the machine."""

from marshmallow import fields, validate

from services.credit.schemas.common import rate
from services.credit.tables.reviews import GROUNDS, PERSONS_REASONS
from shared.fields import Base, Moment, PageQuery, Text, page_of

REVIEW_STATES = ("open", "upheld", "overturned", "lapsed")


class ReviewRequest(Base):
    """A natural person's wish that a person looks at the decision; what else the person says is a document."""

    grounds = fields.String(required=True, validate=validate.OneOf(GROUNDS))


class ReviewDecisionRequest(Base):
    """What the reviewer decided, and why."""

    decision = fields.String(required=True, validate=validate.OneOf(["uphold", "overturn"]))
    reason_code = fields.String(required=True, validate=validate.OneOf(PERSONS_REASONS))
    explanation = Text(
        required=True, max_length=1000, min_length=20, metadata={"description": "Told to the borrower; names nobody"}
    )


class ReviewQuery(PageQuery):
    """Which reviews to list."""

    state = fields.String(load_default=None, validate=validate.OneOf(REVIEW_STATES))


class ReviewResponse(Base):
    """A review: what was asked, by when it is due, what came of it."""

    id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    state = fields.String(required=True, metadata={"enum": list(REVIEW_STATES)})
    grounds = fields.String(required=True)
    requested_by = fields.String(required=True)
    requested_at = Moment(required=True)
    due_at = Moment(required=True)
    overdue_at = Moment(required=True, allow_none=True)
    first_decider = fields.String(required=True, allow_none=True, metadata={"description": "Null: only the machine"})
    decided_by = fields.String(required=True, allow_none=True)
    decided_at = Moment(required=True, allow_none=True)
    reason_code = fields.String(required=True, allow_none=True)
    explanation = fields.String(required=True, allow_none=True)
    new_loan_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "The application that goes on in place of a declined"}
    )


class OverrideQuery(PageQuery):
    """Which decisions of persons to list."""

    against_machine = fields.Boolean(load_default=None, truthy={"true"}, falsy={"false"})


class OverrideResponse(Base):
    """A person's decision beside the machine's, and what became of the loan."""

    id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    decision_id = fields.UUID(required=True)
    stage = fields.String(required=True, metadata={"enum": ["referral", "review", "approval"]})
    machine_outcome = fields.String(required=True, metadata={"enum": ["approve", "refer", "decline"]})
    outcome = fields.String(required=True, metadata={"enum": ["proceed", "decline"]})
    against_machine = fields.Boolean(required=True)
    reason_code = fields.String(required=True)
    score = fields.Integer(required=True)
    default_probability = rate(required=True)
    artefact_hash = fields.String(required=True)
    decided_by = fields.String(required=True)
    decided_at = Moment(required=True)
    loan_state = fields.String(required=True)
    loan_outcome = fields.String(required=True, allow_none=True)
    defaulted_on = fields.Date(required=True, allow_none=True)


REVIEW_PAGE = page_of(ReviewResponse(), "ReviewPage")
OVERRIDE_PAGE = page_of(OverrideResponse(), "OverridePage")
