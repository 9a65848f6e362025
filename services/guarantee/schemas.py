"""What goes in and out of the guarantee service over HTTP."""

from typing import Any

from marshmallow import fields, validate

from shared import money
from shared.fields import Base, Moment, Money, PageQuery, Quantity, ReasonSchema, Text, Versioned, page_of

KINDS = ("headroom", "obligor", "county", "province", "national", "pool")
STATES = ("reserved", "refused", "expired", "issued", "called", "paid", "released")
CALL_STATES = ("open", "paid", "cancelled")


class Fen(Money):
    """An amount kept as whole fen, shown as money."""

    def _serialize(self, nested_obj: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return super()._serialize(None if nested_obj is None else money.from_fen(nested_obj), attr, obj, **kwargs)


# -- profile and headroom ---------------------------------------------------------------------------------------------


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


class BucketResponse(Base):
    """One limit: what it allows, what is taken, what is left."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": list(KINDS)})
    key = fields.String(required=True)
    cap = Fen(required=True, attribute="cap_legal")
    cap_effective = Fen(required=True)
    posted = Fen(required=True)
    pending = Fen(required=True)
    room = Fen(required=True)
    over_limit = fields.Boolean(required=True)


class BucketQuery(PageQuery):
    """Which buckets."""

    kind = fields.String(validate=validate.OneOf(KINDS), load_default=None)
    key = Text(max_length=128, load_default=None)
    over_limit = fields.Boolean(load_default=None, truthy={"true"}, falsy={"false"})


# -- guarantees -------------------------------------------------------------------------------------------------------


class SharesSchema(Base):
    """Who bears what; the parts sum to the whole."""

    primary = Money(required=True)
    province = Money(required=True)
    national = Money(required=True)
    bank = Money(required=True)
    pool = Money(required=True)


class MeasureSchema(Base):
    """One limit that a decision looked at."""

    kind = fields.String(required=True)
    key = fields.String(required=True)
    need = Fen(required=True)
    room = Fen(required=True)


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
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    warnings = fields.List(fields.Nested(ReasonSchema()), required=True)


class GuaranteeQuery(PageQuery):
    """Which guarantees."""

    state = fields.String(validate=validate.OneOf(STATES), load_default=None)
    loan_id = fields.UUID(load_default=None)


# -- calls ------------------------------------------------------------------------------------------------------------


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


class BalanceSchema(Base):
    """Debit less credit of one account; all of them sum to zero."""

    account = fields.String(required=True)
    balance = Quantity(places=2, minimum=None, required=True)


class JournalResponse(Base):
    """The double-entry journal of a call."""

    rows = fields.List(fields.Nested(JournalRowSchema()), required=True)
    balances = fields.List(fields.Nested(BalanceSchema()), required=True)


# -- schemes ----------------------------------------------------------------------------------------------------------


class SchemeResponse(Base):
    """A sharing scheme in force; every one of them is synthetic when used for a carbon loan."""

    name = fields.String(required=True)
    shares = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    base = fields.String(required=True)
    order = fields.String(required=True)
    household_maximum = Fen(required=True, allow_none=True)
    in_force_from = fields.Date(required=True)
    source = fields.String(required=True)
    verified = fields.String(required=True, metadata={"enum": ["read", "secondary", "no"]})
    note = fields.String(required=True)


class SchemeList(Base):
    """The schemes in force."""

    items = fields.List(fields.Nested(SchemeResponse()), required=True)


BUCKETS = page_of(BucketResponse(), "BucketPage")
GUARANTEES = page_of(GuaranteeResponse(), "GuaranteePage")
CALLS = page_of(CallResponse(), "CallPage")
RECOVERIES = page_of(RecoveryResponse(), "RecoveryPage")
