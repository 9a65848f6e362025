"""Sharing schemes."""

from marshmallow import fields

from services.guarantee.schemas.common import Fen
from shared.fields import Base


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
