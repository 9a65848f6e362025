"""Claims: which are asked for, how they are shown."""

from marshmallow import fields, validate

from services.insurance.schemas.common import StepSchema
from shared.fields import Moment, Money, PageQuery, ReasonSchema, Versioned

CLAIM_STATES = ["open", "nil", "paid"]
CLAIM_ORIGINS = ["reversal", "index"]


class ClaimQuery(PageQuery):
    """Which claims."""

    state = fields.String(validate=validate.OneOf(CLAIM_STATES), load_default=None)
    loan_id = fields.UUID(load_default=None)
    policy_id = fields.UUID(load_default=None)


class ClaimResponse(Versioned):
    """A loss, what is payable on it and why, and to whom it was paid."""

    policy_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    bank = fields.String(required=True)
    asset_id = fields.UUID(required=True)
    origin = fields.String(required=True, metadata={"enum": CLAIM_ORIGINS})
    reversal_id = fields.UUID(
        required=True, metadata={"description": "The register's reversal, or the observation of an index"}
    )
    peril = fields.String(required=True)
    occurred_on = fields.Date(required=True)
    state = fields.String(required=True, metadata={"enum": CLAIM_STATES})
    loss = Money(required=True)
    payable = Money(required=True)
    reasons = fields.List(fields.Nested(ReasonSchema), required=True)
    explanation = fields.List(fields.Nested(StepSchema), required=True)
    opened_at = Moment(required=True)
    paid_at = Moment(required=True, allow_none=True)
    to_bank = Money(required=True, allow_none=True)
    to_owner = Money(required=True, allow_none=True)
    withheld = Money(
        required=True, allow_none=True, metadata={"description": "Not paid because the owner broke the policy"}
    )
    subrogated = Money(
        required=True, allow_none=True, metadata={"description": "What the insurer may claim back from the owner"}
    )
