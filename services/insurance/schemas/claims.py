"""Claims: which are asked for, how they are shown."""

from marshmallow import fields, validate

from services.insurance.schemas.common import StepSchema
from services.insurance.schemas.prices import INSURED_PERILS
from shared.fields import Base, Flag, Moment, Money, Names, PageQuery, Quantity, ReasonSchema, Text, Versioned

CLAIM_STATES = ["notified", "open", "nil", "paid"]
CLAIM_ORIGINS = ["reversal", "index", "notice"]
PROCEEDS = ["subrogation", "salvage", "third_party"]


class ClaimQuery(PageQuery):
    """Which claims."""

    state = fields.String(validate=validate.OneOf(CLAIM_STATES), load_default=None)
    loan_id = fields.UUID(load_default=None)
    policy_id = fields.UUID(load_default=None)


class ClaimNoticeRequest(Base):
    """What an owner or a bank tells of a loss."""

    policy_id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    peril = fields.String(required=True, validate=validate.OneOf(INSURED_PERILS))
    occurred_on = fields.Date(required=True)
    estimate = Money(required=True, metadata={"description": "Of the loss, as it is told"})
    note = Text(required=True, max_length=400)


class AssessmentRequest(Base):
    """What an adjuster found."""

    value_before = Money(required=True)
    value_after = Money(required=True, minimum="0.00")
    severity = Quantity(places=8, maximum="1", required=True)
    event_area_ha = Quantity(
        places=4, maximum="10000000", required=True, metadata={"description": "Of the whole event, not of this forest"}
    )


class ClearanceRequest(Base):
    """Whether a flagged claim is paid, and why."""

    accept = Flag(required=True)
    comment = Text(required=True, max_length=400)


class ProceedsRequest(Base):
    """Money that came back on a claim."""

    kind = fields.String(required=True, validate=validate.OneOf(PROCEEDS))
    amount = Money(required=True)
    reference = Text(required=True, max_length=64)
    received_on = fields.Date(required=True)


class ProceedsSchema(Base):
    """Money that came back, as it was entered."""

    kind = fields.String(required=True, metadata={"enum": PROCEEDS})
    amount = Money(required=True)
    reference = fields.String(required=True)
    received_on = fields.Date(required=True)
    made_by = fields.String(required=True)
    made_at = Moment(required=True)


class ProceedsList(Base):
    """What came back on a claim, in the order of its entry."""

    items = fields.List(fields.Nested(ProceedsSchema()), required=True)


class RunOffQuery(Base):
    """How the claims are grouped."""

    months = fields.Integer(validate=validate.OneOf([3, 6, 12]), load_default=12)
    periods = fields.Integer(validate=validate.Range(min=2, max=20), load_default=5)


class RunOffOrigin(Base):
    """A period of losses and how it runs off."""

    starts_on = fields.Date(required=True)
    paid = fields.List(
        Money(allow_none=True), required=True,
        metadata={"description": "In all, net of what came back, at the end of each period; null in the future"},
    )  # fmt: skip
    latest = Money(required=True)
    case_reserve = Money(required=True)
    earned_premium = Money(required=True)
    chain_ladder_ultimate = Money(required=True)
    chain_ladder_reserve = fields.String(required=True, metadata={"description": "CNY"})
    bornhuetter_ferguson_reserve = fields.String(required=True, metadata={"description": "CNY"})


class RunOffResponse(Base):
    """The run-off triangle and the reserves by chain ladder and Bornhuetter-Ferguson, case reserves beside them."""

    as_of = fields.Date(required=True)
    months = fields.Integer(required=True)
    origins = fields.List(fields.Nested(RunOffOrigin()), required=True)
    factors = Names(required=True)
    assumed_factors = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "Numbers of the factors that nothing could be learnt for"},
    )
    expected_loss_ratio = fields.String(required=True)
    case_reserve = Money(required=True)
    chain_ladder_reserve = fields.String(required=True, metadata={"description": "CNY"})
    bornhuetter_ferguson_reserve = fields.String(required=True, metadata={"description": "CNY"})
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)


class ClaimResponse(Versioned):
    """A loss, what is payable on it and why, and to whom it was paid."""

    policy_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    bank = fields.String(required=True)
    asset_id = fields.UUID(required=True)
    origin = fields.String(required=True, metadata={"enum": CLAIM_ORIGINS})
    reversal_id = fields.UUID(
        required=True, metadata={"description": "The register's reversal, an observation, or its own id"}
    )
    peril = fields.String(required=True)
    occurred_on = fields.Date(required=True)
    state = fields.String(required=True, metadata={"enum": CLAIM_STATES})
    loss = Money(required=True)
    payable = Money(required=True)
    reserve = Money(required=True, metadata={"description": "Set aside until it is paid"})
    recovered = Money(required=True)
    flags = fields.List(
        fields.Nested(ReasonSchema), required=True, metadata={"description": "What looks odd; a person judges it"}
    )
    note = fields.String(required=True, allow_none=True)
    assessed_by = fields.String(required=True, allow_none=True)
    cleared_by = fields.String(required=True, allow_none=True)
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
