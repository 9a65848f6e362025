"""Aggregates: limits, and what stands against them."""

from typing import Any

from marshmallow import fields, validate

from shared.fields import Base, Coordinate, Moment, Money, Quantity, Text, Versioned

KINDS = ("ring", "zone", "bank", "guarantor")


def _corner() -> fields.List[Any]:
    # A document says what all parts of a list have in common; that a latitude ends at 90 the action says.
    return fields.List(Coordinate(required=True, validate=validate.Range(-180, 180)), validate=validate.Length(equal=2))


class AggregateLimitRequest(Base):
    """The most that may be insured within a distance, in a zone, with one bank or one guarantor."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    name = Text(max_length=64, required=True, metadata={"description": "Your own; of a bank or guarantor, its id"})
    cap = Money(required=True, minimum="0.00")
    radius_km = Quantity(places=3, minimum="0.001", maximum="500", load_default=None, allow_none=True)
    outline = fields.List(
        _corner(), load_default=None, allow_none=True, validate=validate.Length(min=3, max=500),
        metadata={"description": "Corners of the zone: longitude, latitude"},
    )  # fmt: skip


class AggregateLimitResponse(Versioned):
    """A limit."""

    kind = fields.String(required=True, metadata={"enum": list(KINDS)})
    name = fields.String(required=True)
    cap = Money(required=True)
    radius_km = Quantity(places=3, required=True, allow_none=True)
    outline = fields.List(fields.List(fields.Float()), required=True, allow_none=True)
    set_by = fields.String(required=True)
    set_at = Moment(required=True)


class AggregateResponse(Base):
    """A limit, and what is in force against it."""

    limit = fields.Nested(AggregateLimitResponse(), required=True)
    carried = Money(required=True, metadata={"description": "Of a ring, where it is fullest"})
    room = Money(required=True)


class AggregateList(Base):
    """All limits."""

    items = fields.List(fields.Nested(AggregateResponse()), required=True)
