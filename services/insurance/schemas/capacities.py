"""Capacity: what is set and what is taken of it."""

from marshmallow import fields, validate

from services.insurance.actions.capacity import ALL
from services.insurance.actions.reasons import COUNTIES
from shared.fields import Base, Money, Versioned


class CapacityRequest(Base):
    """What the insurer will carry in a county, or in `all` of them together."""

    county = fields.String(required=True, validate=validate.OneOf([ALL, *COUNTIES]))
    cap = Money(required=True, minimum="0.00")


class CapacityResponse(Versioned):
    """A capacity and what is taken of it."""

    county = fields.String(required=True, metadata={"description": "A county's code, or `all`"})
    cap = Money(required=True)
    pending = Money(required=True, metadata={"description": "Held by quotes"})
    posted = Money(required=True, metadata={"description": "Carried by policies"})
    room = Money(required=True)
    set_by = fields.String(required=True, metadata={"enum": ["parameters", "insurer"]})
