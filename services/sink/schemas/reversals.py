"""Losses of carbon, over HTTP."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.sink.actions.parameters import COUNTIES, PERILS
from services.sink.schemas.assets import PolygonSchema
from services.sink.schemas.common import share, tonnes
from services.sink.schemas.valuations import PresentValueSchema
from shared.fields import Base, Moment, PageQuery, Quantity


class LossSchema(Base):
    """How hard one asset was hit: the share of the live biomass lost on the damaged ground, all of it if not said."""

    asset_id = fields.UUID(required=True)
    severity = share(required=True, minimum="0.0001")
    damaged_ha = Quantity(places=4, minimum="0.0001", load_default=None, allow_none=True)


class ReversalRequest(Base):
    """An event: the assets it hit; or a county, or a polygon on the map, with one severity for all forests there. The
    area of an event drawn as a polygon is the polygon's.
    """

    peril = fields.String(required=True, validate=validate.OneOf(PERILS))
    occurred_on = fields.Date(required=True)
    event_area_ha = Quantity(places=4, minimum="0.0001", maximum="100000000", load_default=None, allow_none=True)
    assets = fields.List(fields.Nested(LossSchema()), load_default=None, validate=validate.Length(min=1, max=500))
    county = fields.String(load_default=None, validate=validate.OneOf(COUNTIES))
    geometry = fields.Nested(PolygonSchema(), load_default=None)
    severity = share(load_default=None, minimum="0.0001")
    avoidable = fields.Boolean(
        load_default=None,
        allow_none=True,
        metadata={"description": "Whether care would have prevented it; if not said, a harvest is and the rest is not"},
    )

    @validates_schema
    def _one_way(self, data: dict[str, Any], **_: Any) -> None:
        ways = [way for way in ("assets", "county", "geometry") if data[way] is not None]
        if len(ways) != 1 or (ways == ["assets"]) != (data["severity"] is None):
            raise ValidationError("Give either assets, or a county with a severity, or a polygon with a severity.")
        if ways == ["geometry"] and data["event_area_ha"] is not None:
            raise ValidationError("The polygon says it.", "event_area_ha")


class ReversalResponse(Base):
    """A loss of carbon in one asset."""

    id = fields.UUID(required=True)
    event_id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    peril = fields.String(required=True)
    occurred_on = fields.Date(required=True)
    county = fields.String(required=True)
    severity = Quantity(places=8, required=True)
    avoidable = fields.Boolean(required=True)
    damaged_ha = Quantity(places=4, required=True)
    event_area_ha = Quantity(places=4, required=True)
    live_carbon_lost = tonnes(required=True)
    carbon_emitted = tonnes(required=True)
    value_before = fields.Nested(PresentValueSchema(), attribute="before", required=True)
    value_after = fields.Nested(PresentValueSchema(), attribute="after", required=True)
    valuation_version = fields.Integer(required=True)
    reported_at = Moment(required=True)


class ReversalsResponse(Base):
    """What an event did, asset by asset."""

    event_id = fields.UUID(required=True)
    items = fields.List(fields.Nested(ReversalResponse()), required=True)


class ReversalQuery(PageQuery):
    """Which reversals."""

    asset_id = fields.UUID(load_default=None)
