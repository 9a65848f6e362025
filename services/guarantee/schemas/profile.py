"""What a guarantor says of itself."""

from marshmallow import fields, validate

from shared import money
from shared.fields import Base, Moment, Money, Quantity, Text, Versioned


class CountySchema(Base):
    """What a guarantor says of one county."""

    county = Text(required=True, max_length=64)
    cap = Money(minimum="0.00", allow_none=True, load_default=None)
    pool_balance = Money(minimum="0.00", required=True)


class ProfileRequest(Base):
    """The whole profile of a guarantor."""

    net_assets = Money(minimum="0.00", required=True)
    equity_in_guarantors = Money(minimum="0.00", load_default=money.yuan(0))
    other_liability = Money(minimum="0.00", load_default=money.yuan(0))
    leverage_class = fields.Integer(strict=True, load_default=10, validate=validate.OneOf([10, 15]))
    province_quota = Money(minimum="0.00", required=True)
    national_quota = Money(minimum="0.00", required=True)
    default_probability_ceiling = Quantity(places=8, maximum="1", allow_none=True, load_default=None)
    counties = fields.List(fields.Nested(CountySchema()), required=True, validate=validate.Length(max=200))


class ProfileResponse(Versioned):
    """The profile of a guarantor."""

    net_assets = Money(required=True)
    equity_in_guarantors = Money(required=True)
    other_liability = Money(required=True)
    leverage_class = fields.Integer(required=True)
    province_quota = Money(required=True)
    national_quota = Money(required=True)
    default_probability_ceiling = Quantity(places=8, required=True, allow_none=True)
    counties = fields.List(fields.Nested(CountySchema()), required=True)
    set_at = Moment(required=True)
