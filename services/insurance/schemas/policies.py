"""Policies: how they are shown and ended."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.insurance.schemas.common import StepSchema
from shared.fields import Base, Moment, Money, PageQuery, Quantity, Text, Versioned, Whole

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
    reinstated = Money(required=True)


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
    reinstated = Money(required=True)
    remaining = Money(required=True)
    return_premium = Money(required=True, allow_none=True)
    return_split = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, allow_none=True,
        metadata={"description": "What is given back, to those who paid; CNY"},
    )  # fmt: skip
    premium_split = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "Who pays; CNY"}
    )
    breached_at = Moment(required=True, allow_none=True)
    breach = fields.String(required=True, allow_none=True)
    lapse_reason = fields.String(required=True, allow_none=True)
    bound_at = Moment(required=True)
    assets = fields.List(fields.Nested(PolicyAssetSchema), required=True)


class LapseRequest(Base):
    """Why a policy is ended; the reason sets the notice period."""

    reason = fields.String(required=True, validate=validate.OneOf(["ordinary", "non_payment"]))


class BreachRequest(Base):
    """How the owner broke the policy."""

    reason = Text(required=True, max_length=200)


class SumRequest(Base):
    """What one forest is insured for from today on."""

    asset_id = fields.UUID(required=True)
    sum_insured = Money(required=True)


class EndorsementRequest(Base):
    """Other sums after a revaluation, up or down."""

    assets = fields.List(fields.Nested(SumRequest()), required=True, validate=validate.Length(min=1, max=50))

    @validates_schema(skip_on_field_errors=True)
    def refuse_twice(self, data: dict[str, Any], **_: Any) -> None:
        """A forest has one sum."""
        if len({one["asset_id"] for one in data["assets"]}) != len(data["assets"]):
            raise ValidationError("A forest stands here twice.", "assets")


class RenewalRequest(Base):
    """How much longer a policy is to last."""

    months = Whole(required=True, minimum=1, maximum=120)


class ReinstatementRequest(Base):
    """Of which forest the sum that claims took is insured again."""

    asset_id = fields.UUID(required=True)


class EndorsementResponse(Base):
    """A change of a policy and what it costs."""

    number = fields.Integer(required=True)
    kind = fields.String(required=True, metadata={"enum": ["revaluation", "renewal", "reinstatement"]})
    effective_on = fields.Date(required=True)
    expiry = fields.Date(required=True)
    sum_insured_before = Money(required=True)
    sum_insured = Money(required=True)
    annual_premium_before = Money(required=True)
    annual_premium = Money(required=True)
    premium_change = fields.String(required=True, metadata={"description": "CNY; below 0 it is given back"})
    split = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    explanation = fields.List(fields.Nested(StepSchema()), required=True)
    made_by = fields.String(required=True)
    made_at = Moment(required=True)


class EndorsementList(Base):
    """The changes of a policy, oldest first."""

    items = fields.List(fields.Nested(EndorsementResponse()), required=True)


class InstalmentsRequest(Base):
    """In how many parts a year's premium is paid."""

    count = Whole(required=True, minimum=2, maximum=12)


class PremiumPaymentRequest(Base):
    """Which instalment was paid."""

    number = Whole(required=True, minimum=1, maximum=12)


class InstalmentResponse(Base):
    """A part of the premium."""

    number = fields.Integer(required=True)
    due_on = fields.Date(required=True)
    amount = Money(required=True)
    split = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    paid_on = fields.Date(required=True, allow_none=True)


class InstalmentList(Base):
    """The parts of the premium in their order."""

    items = fields.List(fields.Nested(InstalmentResponse()), required=True)


class CertificateResponse(Base):
    """What a third party may rely on: the policy as it stands, in both languages, with the hash of its content."""

    content = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)
    sha256 = fields.String(required=True, metadata={"description": "Of the content as canonical JSON"})
