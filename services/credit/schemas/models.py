"""How models do: the challenger beside the champion."""

from marshmallow import fields, validate

from services.credit.schemas.scores import ModelResponse
from shared.fields import Base, Moment


class WindowQuery(Base):
    """How far to look back."""

    days = fields.Integer(load_default=365, validate=validate.Range(min=1, max=3650))


class FailureCount(Base):
    """Applications that the challenger could not score, and why."""

    failure = fields.String(required=True)
    applications = fields.Integer(required=True)


class BandPair(Base):
    """Applications by what either model would do with them."""

    champion = fields.String(required=True, metadata={"enum": ["approve", "refer", "decline"]})
    challenger = fields.String(required=True, metadata={"enum": ["approve", "refer", "decline"]})
    applications = fields.Integer(required=True)


class FurthestResponse(Base):
    """An application on which the two are far apart."""

    loan_id = fields.UUID(required=True)
    champion_probability = fields.Float(required=True)
    challenger_probability = fields.Float(required=True)


class AgreementResponse(Base):
    """How far the challenger agrees with the champion. Probabilities are yearly, over fire and no fire."""

    challenger = fields.Nested(ModelResponse(), required=True, allow_none=True)
    since = Moment(required=True)
    applications = fields.Integer(required=True)
    failures = fields.List(fields.Nested(FailureCount()), required=True)
    bands = fields.List(fields.Nested(BandPair()), required=True)
    same_band = fields.Float(required=True, allow_none=True, metadata={"description": "Share of applications"})
    mean_difference = fields.Float(required=True, allow_none=True)
    largest_difference = fields.Float(required=True, allow_none=True)
    rank_correlation = fields.Float(required=True, allow_none=True)
    furthest = fields.List(fields.Nested(FurthestResponse()), required=True)
