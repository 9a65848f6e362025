"""Queues that were placed as a whole."""

from marshmallow import fields, validate

from services.guarantee.schemas.common import Fen
from shared.fields import Base, Flag, Moment, Quantity, Query, Text, page_of


class AllocationQuery(Query):
    """How to place a queue."""

    seed = fields.Integer(load_default=1, validate=validate.Range(0, 2**31 - 1))
    what_if = Text(
        max_length=200,
        load_default=None,
        metadata={"description": "Also under other limits, by commas: net_assets:-20, quota:50 or cut_off:GUARANTOR"},
    )


class AllocationResponse(Base):
    """How far the placing of a queue has come; a job of the same id works on it."""

    id = fields.UUID(required=True)
    loans = fields.Integer(required=True)
    seed = fields.Integer(required=True)
    value = Fen(required=True, allow_none=True)
    bound = Fen(required=True, allow_none=True)
    gap = Quantity(places=8, required=True, allow_none=True)
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)
    acceptance = fields.String(required=True, metadata={"enum": ["none", "proposed", "accepted", "rejected"]})
    payload_hash = fields.String(required=True, allow_none=True)
    proposed_by = fields.String(required=True, allow_none=True)
    decided_by = fields.String(required=True, allow_none=True)
    decided_at = Moment(required=True, allow_none=True)
    accepted_loans = fields.Integer(required=True, allow_none=True)
    accepted_amount = Fen(required=True, allow_none=True)
    held_until = Moment(required=True, allow_none=True)


class AcceptanceRequest(Base):
    """Which loans to accept; all that were placed here if none is named."""

    loans = fields.List(
        Text(max_length=128), load_default=None, allow_none=True, validate=validate.Length(min=1, max=5_000)
    )


class AllocationDecisionRequest(Base):
    """A second person's word on exactly what was proposed."""

    payload_hash = fields.String(required=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z"))
    approve = Flag(required=True)


class PlacedLoan(Base):
    """A loan that an allocation placed here; `state` is that of its room, null while none is held."""

    loan = fields.String(required=True)
    obligor = fields.String(required=True)
    county = fields.String(required=True)
    scheme = fields.String(required=True)
    amount = Fen(required=True)
    state = fields.String(required=True, allow_none=True)


class AcceptanceResponse(Base):
    """What was proposed or accepted, loan by loan."""

    acceptance = fields.String(required=True)
    payload_hash = fields.String(required=True, allow_none=True)
    loans = fields.List(fields.Nested(PlacedLoan()), required=True)


ALLOCATIONS = page_of(AllocationResponse(), "AllocationPage")
