"""Orders, over HTTP."""

from marshmallow import fields

from services.sink.schemas.common import tonnes
from shared.fields import Base, Moment, Money, Names, Quantity, Text, Versioned

STATES = ["quoted", "paid", "retired", "cancelled", "refunded"]


class OrderRequest(Base):
    """Whole units to be bought of a registrar: so many, or as many as make up for a footprint."""

    registrar = Text(max_length=64, required=True)
    beneficiary = Text(max_length=120, required=True)
    purpose = Text(max_length=200, required=True)
    footprint_id = fields.UUID(load_default=None, allow_none=True)
    tonnes = Quantity(places=0, load_default=None, allow_none=True, minimum="1", maximum="10000000")


class OrderResponse(Versioned):
    """An order; its price is the spot price and a margin, as they were when it was quoted."""

    institution = fields.String(required=True)
    registrar = fields.String(required=True)
    footprint_id = fields.UUID(required=True, allow_none=True)
    beneficiary = fields.String(required=True)
    purpose = fields.String(required=True)
    claimed_tonnes = tonnes(required=True)
    tonnes = tonnes(required=True)
    price_curve = fields.String(required=True)
    spot_price = Money(required=True)
    margin = Quantity(places=4, required=True)
    unit_price = Money(required=True)
    amount = Money(required=True)
    parameters_hash = fields.String(required=True)
    unverified_parameters = Names(required=True)
    state = fields.String(required=True, metadata={"enum": STATES})
    payment_reference = fields.String(required=True, allow_none=True)
    refund_reference = fields.String(required=True, allow_none=True)
    certificate_code = fields.String(required=True, allow_none=True)
    quoted_at = Moment(required=True)
    valid_until = Moment(required=True)
    paid_at = Moment(required=True, allow_none=True)
    retired_at = Moment(required=True, allow_none=True)


class ReceiptRequest(Base):
    """Money that came in, and the reference of the payment."""

    amount = Money(required=True)
    reference = Text(max_length=64, required=True)


class RefundRequest(Base):
    """The reference of the payment that went back."""

    reference = Text(max_length=64, required=True)
