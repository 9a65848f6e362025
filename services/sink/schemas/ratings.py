"""Ratings of non-permanence, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.parameters import MITIGATIONS, PERILS
from services.sink.schemas.common import share
from shared.fields import Base, Moment, Quantity, Text


def _points() -> Quantity:
    """Points of one factor; two places, so that a factor can be shared."""
    return Quantity(places=2, maximum="100", required=True)


class InternalSchema(Base):
    """Points of the risks that lie in the project."""

    management = _points()
    financial_viability = _points()
    opportunity_cost = _points()
    longevity = _points()


class ExternalSchema(Base):
    """Points of the risks that lie around it."""

    tenure = _points()
    community = _points()
    political = _points()


class NaturalSchema(Base):
    """One peril of nature: how much of the stand a usual event takes, and how often one comes."""

    peril = fields.String(required=True, validate=validate.OneOf(PERILS))
    loss_share = share(required=True)
    return_period_years = Quantity(places=1, minimum="0.1", maximum="10000", required=True)
    mitigation = fields.String(required=True, validate=validate.OneOf(MITIGATIONS))


class RatingRequest(Base):
    """The answers of the questionnaire on the day they are of, and where their evidence is kept."""

    rated_on = fields.Date(required=True)
    internal = fields.Nested(InternalSchema(), required=True)
    external = fields.Nested(ExternalSchema(), required=True)
    natural = fields.List(
        fields.Nested(NaturalSchema()), required=True, validate=validate.Length(min=1, max=len(PERILS))
    )
    evidence = Text(max_length=300, min_length=3, required=True, metadata={"description": "A key, never a name"})


class RatingResponse(Base):
    """A rating: points by category, and the share of units that goes into the buffer."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    rated_on = fields.Date(required=True)
    answers = fields.Dict(required=True)
    evidence = fields.String(required=True)
    internal_points = Quantity(places=2, required=True)
    external_points = Quantity(places=2, required=True)
    natural_points = Quantity(places=2, required=True)
    failed = fields.Boolean(required=True, metadata={"description": "The risk is too great: nothing can be issued"})
    buffer_share = share(required=True)
    unverified_parameters = fields.List(fields.String(), required=True)
    recorded_at = Moment(required=True)
