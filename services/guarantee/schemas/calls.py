"""Calls, their payment, recoveries and journal."""

from marshmallow import fields, validate

from services.guarantee.schemas.common import SharesSchema
from shared.fields import Base, Moment, Money, PageQuery, Quantity, Query, Text, Versioned, page_of

CALL_STATES = ("open", "paid", "cancelled")


class CallResponse(Versioned):
    """The bank's claim on a guarantee."""

    guarantee_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    bank = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": list(CALL_STATES)})
    balance = Money(required=True)
    shares = fields.Nested(SharesSchema(), required=True)
    payable = Money(required=True)
    paid = Money(required=True, allow_none=True)
    recovered = Money(required=True)
    recovered_for_guarantors = Money(required=True)
    subrogated_claim = Money(required=True)
    defaulted_on = fields.Date(required=True)
    opened_at = Moment(required=True)
    paid_at = Moment(required=True, allow_none=True)
    reference = fields.String(required=True)


class CallQuery(PageQuery):
    """Which calls."""

    state = fields.String(validate=validate.OneOf(CALL_STATES), load_default=None)
    loan_id = fields.UUID(load_default=None)


class PaymentRequest(Base):
    """The payment of a call: always what is payable, never a part."""

    reference = Text(max_length=64, load_default="")


class RecoveryResponse(Base):
    """A recovery and whom it went back to."""

    id = fields.UUID(required=True)
    call_id = fields.UUID(required=True)
    source = fields.String(required=True)
    amount = Money(required=True)
    costs = Money(required=True)
    net = Money(required=True)
    shares = fields.Nested(SharesSchema(), required=True)
    shared_at = Moment(required=True)


class JournalRowSchema(Base):
    """One amount from the credit of one account to the debit of another."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True)
    source = fields.UUID(required=True)
    debit = fields.String(required=True)
    credit = fields.String(required=True)
    amount = Money(required=True)
    booked_at = Moment(required=True)
    hash = fields.String(required=True)


class JournalQuery(Query):
    """Up to which moment; all of it if none is named."""

    at = Moment(load_default=None)


class BalanceSchema(Base):
    """Debit less credit of one account; all of them sum to zero."""

    account = fields.String(required=True)
    balance = Quantity(places=2, minimum=None, required=True)


class JournalResponse(Base):
    """The double-entry journal of a call, and whether it is as it was written."""

    intact = fields.Boolean(required=True)
    rows = fields.List(fields.Nested(JournalRowSchema()), required=True)
    balances = fields.List(fields.Nested(BalanceSchema()), required=True)


CALLS = page_of(CallResponse(), "CallPage")
RECOVERIES = page_of(RecoveryResponse(), "RecoveryPage")
