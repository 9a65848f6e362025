"""What forests are worth, over HTTP."""

from marshmallow import fields

from services.sink.schemas.common import tonnes
from shared.fields import Base, Moment, Money, Quantity, ReasonSchema


class PresentValueSchema(Base):
    """Distribution of the present value, issued units included; what an earlier engine did not tell is null."""

    mean = Money(required=True)
    p05 = Money(required=True)
    p10 = Money(required=True)
    p25 = Money(required=True, allow_none=True)
    p50 = Money(required=True)
    p75 = Money(required=True, allow_none=True)
    p90 = Money(required=True)
    p95 = Money(required=True)
    expected_shortfall = Money(required=True, allow_none=True)


class SensitivitySchema(Base):
    """Mean value where one thing alone is other than assumed, on the same draws: a share for price and survival, the
    rate itself for the discount rate.
    """

    of = fields.String(required=True, metadata={"enum": ["price", "discount_rate", "survival"]})
    to = Quantity(places=4, minimum=None, required=True)
    mean = Money(required=True)


class RemovalsSchema(Base):
    """Tonnes issuable at one verification."""

    verified_on = fields.Date(required=True)
    mean = tonnes(required=True)
    p10 = tonnes(required=True)
    p50 = tonnes(required=True)
    p90 = tonnes(required=True)


class VarianceSharesSchema(Base):
    """Where the uncertainty comes from."""

    growth = Quantity(places=8, required=True)
    sampling = Quantity(places=8, required=True)
    model = Quantity(places=8, required=True)
    reversal = Quantity(places=8, required=True)
    price = Quantity(places=8, required=True)


class ValuationResponse(Base):
    """What an asset's carbon was worth on a day. `inputs` and `outputs` are the very text that was hashed."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    cause = fields.String(required=True)
    as_of = fields.Date(required=True)
    valid_until = fields.Date(required=True)
    methodology = fields.String(required=True)
    inputs = fields.String(required=True)
    inputs_hash = fields.String(required=True)
    parameters_hash = fields.String(required=True)
    engine_version = fields.String(required=True)
    seed = fields.Integer(required=True)
    outputs = fields.String(required=True)
    outputs_hash = fields.String(required=True)
    price_curve = fields.String(required=True)
    spot_price = Money(required=True)
    present_value = fields.Nested(PresentValueSchema(), required=True)
    removals = fields.List(fields.Nested(RemovalsSchema()), required=True)
    variance_shares = fields.Nested(VarianceSharesSchema(), required=True)
    issued_value = Money(required=True, allow_none=True)
    sensitivities = fields.List(fields.Nested(SensitivitySchema()), required=True)
    uncertainty_deduction = Quantity(places=8, required=True)
    buffer = Quantity(places=8, required=True)
    buffer_basis = fields.String(required=True, metadata={"enum": ["rating", "programme"]})
    forecast_tonnes = tonnes(required=True)
    liquidity_haircut = Quantity(places=8, required=True)
    unverified_parameters = fields.List(fields.String(), required=True)
    valued_at = Moment(required=True)


class ReproductionResponse(Base):
    """Whether a valuation comes out again, byte for byte."""

    valuation_id = fields.UUID(required=True)
    reproduced = fields.Boolean(required=True)
    inputs_hash = fields.String(required=True)
    outputs_hash = fields.String(required=True)
    outputs_hash_now = fields.String(
        required=True, allow_none=True, metadata={"description": "null where this engine cannot read those inputs"}
    )
    engine_version = fields.String(required=True)
    engine_version_now = fields.String(required=True)
    parameters_hash = fields.String(required=True)
    parameters_unchanged = fields.Boolean(required=True)
    reason = fields.Nested(ReasonSchema(), required=True)
