"""Liens and units, over HTTP."""

from marshmallow import fields

from services.sink.schemas.common import tonnes
from shared.fields import Base, Moment, PageQuery, Text, Versioned


class PledgeResponse(Versioned):
    """A lien of the caller's bank."""

    asset_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    tonnes = tonnes(required=True)
    rank = fields.Integer(required=True)
    state = fields.String(required=True, metadata={"enum": ["placed", "frozen", "released", "enforced"]})
    valuation_version = fields.Integer(required=True)
    loan_until = fields.Date(required=True)
    reason = fields.String(required=True, allow_none=True)
    placed_at = Moment(required=True)
    changed_at = Moment(required=True)


class PledgeQuery(PageQuery):
    """Which pledges."""

    loan_id = fields.UUID(load_default=None)
    asset_id = fields.UUID(load_default=None)


class IssuanceRequest(Base):
    """Credits that the programme issued; `origin` is the programme's own id of the issuance and issues once."""

    asset_id = fields.UUID(required=True)
    origin = Text(max_length=128, required=True)
    vintage_from = fields.Date(required=True)
    vintage_to = fields.Date(required=True)
    tonnes = tonnes(required=True, minimum="0.001")


class IssuanceResponse(Base):
    """Credits issued for a vintage."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    origin = fields.String(required=True)
    vintage_from = fields.Date(required=True)
    vintage_to = fields.Date(required=True)
    tonnes = tonnes(required=True)
    issued_at = Moment(required=True)


class RetirementRequest(Base):
    """Credits to be used up, and why."""

    asset_id = fields.UUID(required=True)
    tonnes = tonnes(required=True, minimum="0.001")
    reason = Text(max_length=200, min_length=3, required=True)


class RetirementResponse(Base):
    """Credits that were used up."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    tonnes = tonnes(required=True)
    reason = fields.String(required=True)
    retired_at = Moment(required=True)


class UnitsQuery(PageQuery):
    """Issuances or retirements of which asset."""

    asset_id = fields.UUID(load_default=None)
