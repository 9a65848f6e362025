"""A path to yes: which changes of a request would be approved."""

from marshmallow import fields

from services.credit.schemas.common import rate
from shared.fields import Base, ReasonSchema


class MoveResponse(Base):
    """One change of the request."""

    kind = fields.String(
        required=True,
        metadata={
            "enum": [
                "verifier",
                "product",
                "amount",
                "term",
                "fewer_tonnes",
                "tonnes",
                "forest",
                "guarantee",
                "cover",
            ]
        },
    )
    step = fields.Integer(required=True, metadata={"description": "Step of the grid of policy"})
    cost = fields.Float(required=True, metadata={"description": "Trouble; 1 is cutting the amount by one percent"})
    before = fields.String(required=True)
    after = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)


class OnePathResponse(Base):
    """Changes that together are approved, and what the same rulebook then says."""

    cost = fields.Float(required=True)
    moves = fields.List(fields.Nested(MoveResponse()), required=True)
    outcome = fields.String(required=True, metadata={"enum": ["approve"]})
    score = fields.Integer(required=True)
    default_probability = rate(required=True)
    annual_rate = rate(required=True)


class PathResponse(Base):
    """Up to three ways to a yes, the cheapest first; or why there is none."""

    outcome = fields.String(
        required=True,
        metadata={"enum": ["approve", "refer", "decline"], "description": "Of the request as it stands"},
    )
    paths = fields.List(fields.Nested(OnePathResponse()), required=True)
    none = fields.Nested(ReasonSchema(), required=True, allow_none=True)
    tried = fields.Integer(required=True, metadata={"description": "How many requests were underwritten"})
