"""Guarantees and the decisions behind them."""

from marshmallow import fields, validate

from services.guarantee.schemas.common import Fen, SharesSchema, SignedFen
from shared.fields import Base, Moment, Money, PageQuery, Quantity, ReasonSchema, Versioned, page_of

STATES = ("reserved", "refused", "expired", "issued", "called", "paid", "released")


class MeasureSchema(Base):
    """One limit that a decision looked at."""

    kind = fields.String(required=True)
    key = fields.String(required=True)
    need = Fen(required=True)
    room = Fen(required=True)


class BidLimit(Base):
    """What of the price one limit makes up."""

    kind = fields.String(required=True)
    key = fields.String(required=True)
    worth = SignedFen(required=True)


class BidSchema(Base):
    """What the loan and its room were worth by the guarantor's bid prices."""

    bid_prices_id = fields.UUID(required=True)
    value = SignedFen(required=True)
    price = SignedFen(required=True)
    limits = fields.List(fields.Nested(BidLimit()), required=True)


class GuaranteeResponse(Versioned):
    """The guarantee of one loan."""

    loan_id = fields.UUID(required=True)
    bank = fields.String(required=True)
    obligor = fields.String(required=True)
    county = fields.String(required=True)
    scheme = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": list(STATES)})
    amount = Money(required=True)
    balance = Money(required=True)
    planned_balance = Money(
        required=True, allow_none=True, metadata={"description": "What should be owed today by the loan's schedule"}
    )
    guaranteed = Money(required=True)
    shares = fields.Nested(SharesSchema(), required=True)
    term_months = fields.Integer(required=True)
    default_probability = Quantity(places=8, required=True)
    loss_given_default = Quantity(places=8, required=True)
    small_or_farmer = fields.Boolean(required=True)
    fee = Money(required=True)
    fee_rate = Quantity(places=8, required=True)
    type = fields.String(required=True)
    requested_at = Moment(required=True)
    expires_at = Moment(required=True, allow_none=True)
    issued_on = fields.Date(required=True, allow_none=True)
    matures_on = fields.Date(required=True, allow_none=True)
    claim_until = fields.Date(required=True, allow_none=True)
    profile_version = fields.Integer(required=True, allow_none=True)
    parameters_hash = fields.String(required=True)
    unverified_parameters = fields.List(fields.String(), required=True)
    measures = fields.List(fields.Nested(MeasureSchema()), required=True)
    bid = fields.Nested(BidSchema(), required=True, allow_none=True)
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    warnings = fields.List(fields.Nested(ReasonSchema()), required=True)


class GuaranteeQuery(PageQuery):
    """Which guarantees."""

    state = fields.String(validate=validate.OneOf(STATES), load_default=None)
    loan_id = fields.UUID(load_default=None)


GUARANTEES = page_of(GuaranteeResponse(), "GuaranteePage")
