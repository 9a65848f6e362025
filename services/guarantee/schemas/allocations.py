"""Queues that were placed as a whole."""

from marshmallow import fields, validate

from services.guarantee.schemas.common import Fen
from shared.fields import Base, Moment, Quantity, page_of


class AllocationQuery(Base):
    """How to place a queue."""

    seed = fields.Integer(load_default=1, validate=validate.Range(0, 2**31 - 1))


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


ALLOCATIONS = page_of(AllocationResponse(), "AllocationPage")
