"""The programme, over HTTP."""

from marshmallow import fields

from shared.fields import Base, Quantity, ReasonSchema

_VERIFIED = {"enum": ["read", "secondary", "no"]}


class ParameterSchema(Base):
    """A parameter in force, where it comes from, and whether anybody verified it."""

    name = fields.String(required=True)
    value = fields.Raw(required=True)
    unit = fields.String(required=True)
    in_force_from = fields.Date(required=True)
    source = fields.String(required=True)
    verified = fields.String(required=True, metadata=_VERIFIED)
    note = fields.String(required=True)


class ParametersResponse(Base):
    """The parameters in force today."""

    items = fields.List(fields.Nested(ParameterSchema()), required=True)


class TargetSchema(Base):
    """A target and what the register holds of it; `held` is null where the register cannot tell."""

    code = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)
    target = Quantity(places=3, required=True)
    unit = fields.String(required=True)
    held = Quantity(places=3, required=True, allow_none=True)
    share = Quantity(places=6, required=True, allow_none=True)
    counted = fields.Integer(required=True)
    not_counted = fields.Integer(required=True)
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    source = fields.String(required=True)
    verified = fields.String(required=True, metadata=_VERIFIED)
    note = fields.String(required=True)


class TargetsResponse(Base):
    """The targets in force today."""

    items = fields.List(fields.Nested(TargetSchema()), required=True)
