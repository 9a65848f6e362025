"""Policies: how they are shown and ended."""

from marshmallow import fields, validate

from shared.fields import Base, Moment, Money, PageQuery, Quantity, Versioned

POLICY_STATES = ["in_force", "ending", "ended"]


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
