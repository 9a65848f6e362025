"""Zero-carbon accounts, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.accounts import ENTRIES, KINDS
from services.sink.actions.parameters import COUNTIES
from services.sink.schemas.common import tonnes
from shared.fields import Base, Moment, PageQuery, ReasonSchema, Text, Versioned, Whole


class AccountRequest(Base):
    """An account of the caller's institution."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    name = Text(max_length=120, required=True)
    county = fields.String(required=True, validate=validate.OneOf(COUNTIES))


class AccountResponse(Versioned):
    """An account."""

    kind = fields.String(required=True, metadata={"enum": list(KINDS)})
    name = fields.String(required=True)
    county = fields.String(required=True)
    opened_at = Moment(required=True)


class EntryRequest(Base):
    """A line of an account: what it draws on can be drawn on once."""

    kind = fields.String(required=True, validate=validate.OneOf(ENTRIES))
    year = Whole(required=True, minimum=2000, maximum=2200)
    tonnes = tonnes(load_default=None, allow_none=True, minimum="0.001", maximum="1000000000")
    footprint_id = fields.UUID(load_default=None, allow_none=True)
    adoption_id = fields.UUID(load_default=None, allow_none=True)
    order_id = fields.UUID(load_default=None, allow_none=True)
    note = Text(max_length=200, load_default=None, allow_none=True)


class EntryResponse(Versioned):
    """A line of an account; a struck one counts for nothing."""

    account_id = fields.UUID(required=True)
    year = fields.Integer(required=True)
    kind = fields.String(required=True, metadata={"enum": list(ENTRIES)})
    tonnes = tonnes(required=True)
    footprint_id = fields.UUID(required=True, allow_none=True)
    adoption_id = fields.UUID(required=True, allow_none=True)
    order_id = fields.UUID(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    entered_at = Moment(required=True)
    voided_at = Moment(required=True, allow_none=True)
    void_reason = fields.String(required=True, allow_none=True)


class VoidingRequest(Base):
    """Why a line is wrong."""

    reason = Text(max_length=200, min_length=3, required=True)


class BalanceSchema(Base):
    """A year: zero-carbon when allowances and retired units cover the emissions; reductions are told, not counted."""

    year = fields.Integer(required=True)
    emissions = tonnes(required=True)
    reductions = tonnes(required=True)
    allowances = tonnes(required=True)
    retired = tonnes(required=True)
    uncovered = tonnes(required=True)
    surplus = tonnes(required=True)
    zero_carbon = fields.Boolean(required=True)
    ex_ante = fields.Boolean(required=True)
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)


class BalancesResponse(Base):
    """The years of an account, latest first."""

    items = fields.List(fields.Nested(BalanceSchema()), required=True)


class EntryQuery(PageQuery):
    """Lines of which year."""

    year = fields.Integer(load_default=None, validate=validate.Range(min=2000, max=2200))
