"""Covers: which are asked for, how they are shown."""

from marshmallow import fields, validate

from services.insurance.schemas.common import StepSchema
from services.insurance.schemas.prices import PricingSchema
from shared.fields import Base, Moment, Money, PageQuery, Quantity, ReasonSchema, Text, Versioned

COVER_STATES = ["asked", "waiting", "referred", "quoted", "refused", "bound", "void"]


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

    pricing = fields.Nested(
        PricingSchema(), required=True, allow_none=True, metadata={"description": "Null before a quote"}
    )
    referral = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, allow_none=True,
        metadata={"description": "What two people have to agree to: each forest's sum, the premium, the rate"},
    )  # fmt: skip
    proposal_hash = fields.String(
        required=True, allow_none=True, metadata={"description": "Of what a first person proposed"}
    )
    terms = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    explanation = fields.List(fields.Nested(StepSchema), required=True)


class ProposalRequest(Base):
    """Why a referred cover should be quoted as it is priced."""

    comment = Text(max_length=1000, load_default="")


class ApprovalRequest(Base):
    """A second person's word on exactly the proposal they saw."""

    payload_hash = fields.String(
        required=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z", error="A SHA-256 in small hexadecimal digits.")
    )
    approve = fields.Boolean(required=True, truthy={True}, falsy={False})
