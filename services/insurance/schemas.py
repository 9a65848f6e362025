"""What goes in and out of insurance over HTTP."""

from marshmallow import fields, validate

from services.insurance.actions.capacity import ALL
from services.insurance.actions.reasons import COUNTIES
from shared.fields import Base, Moment, Money, PageQuery, Quantity, ReasonSchema, Versioned

COVER_STATES = ["asked", "waiting", "quoted", "refused", "bound", "void"]
POLICY_STATES = ["in_force", "ending", "ended"]
CLAIM_STATES = ["open", "nil", "paid"]


class StepSchema(Base):
    """One step of a computation, so that it can be checked by hand."""

    equation = fields.String(required=True, metadata={"description": "Number in docs/equations/insurance.md, or empty"})
    name = fields.String(required=True)
    of = fields.String(required=True, metadata={"description": "The forest, and the peril where there is one"})
    inputs = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    result = fields.String(required=True)


# -- covers -----------------------------------------------------------------------------------------------------------


class CoverQuery(PageQuery):
    """Which covers."""

    state = fields.String(validate=validate.OneOf(COVER_STATES), load_default=None)
    loan_id = fields.UUID(load_default=None)


class CoverAssetSchema(Base):
    """One forest of a cover."""

    asset_id = fields.UUID(required=True)
    county = fields.String(required=True)
    valuation_version = fields.Integer(required=True)
    tonnes = Quantity(places=3, required=True)
    value = Money(required=True)
    insured_value = Money(required=True, allow_none=True)
    sum_insured = Money(required=True, allow_none=True)


class CoverSummary(Versioned):
    """A bank's question for cover and where it stands."""

    loan_id = fields.UUID(required=True)
    bank = fields.String(required=True)
    obligor = fields.String(required=True)
    county = fields.String(required=True)
    loan_amount = Money(required=True)
    term_months = fields.Integer(required=True)
    state = fields.String(required=True, metadata={"enum": COVER_STATES})
    answer_by = Moment(required=True)
    sum_insured = Money(required=True, allow_none=True)
    annual_premium = Money(required=True, allow_none=True)
    owner_premium = Money(required=True, allow_none=True)
    expected_annual_loss = Money(required=True, allow_none=True)
    deductible = Quantity(places=8, required=True, allow_none=True)
    perils = fields.List(fields.String(), required=True)
    reasons = fields.List(fields.Nested(ReasonSchema), required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = fields.List(fields.String(), required=True)
    quoted_at = Moment(required=True, allow_none=True)
    expires_at = Moment(required=True, allow_none=True)
    created_at = Moment(required=True)
    assets = fields.List(fields.Nested(CoverAssetSchema), required=True)


class CoverResponse(CoverSummary):
    """A cover with every step of its price and the terms its claims will be judged by."""

    terms = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    explanation = fields.List(fields.Nested(StepSchema), required=True)


# -- policies ---------------------------------------------------------------------------------------------------------


class PolicyQuery(PageQuery):
    """Which policies."""

    state = fields.String(validate=validate.OneOf(POLICY_STATES), load_default=None)
    loan_id = fields.UUID(load_default=None)


class PolicyAssetSchema(Base):
    """One insured forest."""

    asset_id = fields.UUID(required=True)
    county = fields.String(required=True)
    tonnes = Quantity(places=3, required=True)
    insured_value = Money(required=True)
    sum_insured = Money(required=True)
    claimed = Money(required=True)


class PolicyResponse(Versioned):
    """A policy, the bank's live interest in it and what claims have left of it."""

    cover_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    bank = fields.String(required=True, metadata={"description": "First loss payee, up to its live interest"})
    state = fields.String(required=True, metadata={"enum": POLICY_STATES})
    sum_insured = Money(required=True)
    annual_premium = Money(required=True)
    owner_premium = Money(required=True)
    deductible = Quantity(places=8, required=True)
    perils = fields.List(fields.String(), required=True)
    terms = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    inception = fields.Date(required=True)
    expiry = fields.Date(required=True)
    ends_on = fields.Date(required=True, metadata={"description": "The first day without cover"})
    interest = Money(required=True, metadata={"description": "What the bank may have at stake at most"})
    balance = Money(
        required=True,
        allow_none=True,
        metadata={"description": "Owed to the bank; null before the loan is drawn"},
    )
    claimed = Money(required=True)
    remaining = Money(required=True)
    return_premium = Money(required=True, allow_none=True)
    lapse_reason = fields.String(required=True, allow_none=True)
    bound_at = Moment(required=True)
    assets = fields.List(fields.Nested(PolicyAssetSchema), required=True)


class LapseRequest(Base):
    """Why a policy is ended; the reason sets the notice period."""

    reason = fields.String(required=True, validate=validate.OneOf(["ordinary", "non_payment"]))


# -- claims -----------------------------------------------------------------------------------------------------------


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
    reversal_id = fields.UUID(required=True)
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


# -- capacities -------------------------------------------------------------------------------------------------------


class CapacityRequest(Base):
    """What the insurer will carry in a county, or in `all` of them together."""

    county = fields.String(required=True, validate=validate.OneOf([ALL, *COUNTIES]))
    cap = Money(required=True, minimum="0.00")


class CapacityResponse(Versioned):
    """A capacity and what is taken of it."""

    county = fields.String(required=True, metadata={"description": "A county's code, or `all`"})
    cap = Money(required=True)
    pending = Money(required=True, metadata={"description": "Held by quotes"})
    posted = Money(required=True, metadata={"description": "Carried by policies"})
    room = Money(required=True)
    set_by = fields.String(required=True, metadata={"enum": ["parameters", "insurer"]})
