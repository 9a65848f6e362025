"""Forests in the register, over HTTP."""

import math
from itertools import chain
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate

from services.sink.actions.geometry import MAX_VERTICES
from services.sink.actions.parameters import (
    COUNTIES,
    KINDS,
    PERILS,
    PROGRAMMES,
    SITE_CLASSES,
    SPECIES,
    TITLE_KINDS,
)
from services.sink.schemas.common import share, tonnes
from shared.fields import Base, Coordinate, Moment, PageQuery, Quantity, Text, Versioned, Whole

#: No import holds more rows than one body can carry.
MAX_ROWS = 1000


_ring = fields.List(
    fields.List(Coordinate(), validate=validate.Length(equal=2)), validate=validate.Length(min=4, max=MAX_VERTICES)
)
_polygon = fields.List(_ring, required=True, validate=validate.Length(min=1, max=20))


class PolygonSchema(Base):
    """A GeoJSON polygon (RFC 7946): WGS 84, longitude first, rings closed."""

    type = fields.String(required=True, validate=validate.OneOf(["Polygon"]))
    coordinates = _polygon


class MultiPolygonSchema(Base):
    """Several GeoJSON polygons that are one parcel."""

    type = fields.String(required=True, validate=validate.OneOf(["MultiPolygon"]))
    coordinates = fields.List(_polygon, required=True, validate=validate.Length(min=1, max=20))


def _described(most: int, inner: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": inner, "minItems": least, "maxItems": most}


_RING = _described(MAX_VERTICES, _described(2, {"type": "number"}, 2), 4)


class Ground(fields.Field[Any]):
    """A GeoJSON Polygon or MultiPolygon (RFC 7946): WGS 84, longitude first, rings closed."""

    _schemas: ClassVar[dict[str, Base]] = {"Polygon": PolygonSchema(), "MultiPolygon": MultiPolygonSchema()}

    def __init__(self, **more: Any) -> None:
        polygon = _described(20, _RING)
        kinds = [
            {
                "type": "object",
                "properties": {"type": {"type": "string", "enum": [kind]}, "coordinates": coordinates},
                "required": ["type", "coordinates"],
                "additionalProperties": False,
            }
            for kind, coordinates in (("Polygon", polygon), ("MultiPolygon", _described(20, polygon)))
        ]
        description = "GeoJSON (RFC 7946): WGS 84 or CGCS 2000, longitude first, rings closed"
        super().__init__(metadata={"oneOf": kinds, "description": description}, **more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if (polygon := _plain(value)) is not None:
            return polygon
        # The schemas know what to say of one that is not right.
        kind = value.get("type") if isinstance(value, dict) else None
        schema = self._schemas.get(kind) if isinstance(kind, str) else None
        if schema is None:
            if isinstance(value, dict):
                raise ValidationError({"type": [f"One of {', '.join(self._schemas)} is expected."]})
            raise ValidationError("A GeoJSON geometry is expected.")
        return schema.load(value)


def _plain(value: Any) -> dict[str, Any] | None:
    """A polygon as nearly all are drawn, read without asking a schema for each number; None for anything else."""
    if not isinstance(value, dict) or len(value) != 2 or value.get("type") != "Polygon":
        return None
    try:
        rings = [[[x, y] for x, y in ring] for ring in value["coordinates"]]
    except (KeyError, TypeError, ValueError):
        return None
    if not 1 <= len(rings) <= 20 or not all(4 <= len(ring) <= MAX_VERTICES for ring in rings):
        return None
    degrees = chain.from_iterable(chain.from_iterable(rings))
    if not all(type(number) is float and math.isfinite(number) for number in degrees):
        return None
    return {"type": "Polygon", "coordinates": rings}


class SpeciesShareSchema(Base):
    """One species of a mix, by share of area."""

    species = fields.String(required=True, validate=validate.OneOf(SPECIES))
    share = share(required=True, minimum="0.0001")


class AssetRequest(Base):
    """A forest to be registered. Area and centre follow from the polygon."""

    reference = Text(max_length=64, load_default=None, allow_none=True)
    name = Text(max_length=120, required=True)
    kind = fields.String(load_default="forest", validate=validate.OneOf(KINDS))
    programme = fields.String(load_default="ccer", validate=validate.OneOf(PROGRAMMES))
    county = fields.String(required=True, validate=validate.OneOf(COUNTIES))
    geometry = Ground(required=True)
    species = fields.List(fields.Nested(SpeciesShareSchema()), load_default=list, validate=validate.Length(max=9))
    planted_year = Whole(required=True, minimum=1900, maximum=2200)
    survival = share(required=True)
    volume_m3_ha = Quantity(places=3, maximum="1000", load_default=None, allow_none=True)
    crown_cover = share(load_default=None, allow_none=True)
    sampling_uncertainty = share(load_default=None, allow_none=True)
    measured_on = fields.Date(load_default=None, allow_none=True)
    project_area_ha = Quantity(places=4, maximum="10000000", load_default=None, allow_none=True)
    hazards = fields.Dict(keys=fields.String(validate=validate.OneOf(PERILS)), values=share(), load_default=dict)
    title_until = fields.Date(required=True)
    title_kind = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(TITLE_KINDS))
    title_number = Text(max_length=64, load_default=None, allow_none=True)
    owner = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9:._-]{0,63}\Z"),
        metadata={"description": "A key of the registrar's own files, with a digit in it; never a person's name"},
    )
    row_spacing_m = Quantity(places=2, minimum="0.1", maximum="50", load_default=None, allow_none=True)
    plant_spacing_m = Quantity(places=2, minimum="0.1", maximum="50", load_default=None, allow_none=True)
    site_class = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(SITE_CLASSES))
    elevation_m = Whole(minimum=0, maximum=9000, load_default=None, allow_none=True)
    slope_degrees = Whole(minimum=0, maximum=90, load_default=None, allow_none=True)
    crediting_from = fields.Date(load_default=None, allow_none=True)
    crediting_until = fields.Date(required=True)


class UnitsSchema(Base):
    """Balance of an asset's units.

    forecast + issued - retired - cancelled - transferred = free + pledged + enforced, unless over-pledged. The
    buffer is what was given to the pool: never issued to the owner, and no longer the forest's.
    """

    forecast = tonnes(required=True)
    issued = tonnes(required=True)
    retired = tonnes(required=True)
    pledged = tonnes(required=True)
    enforced = tonnes(required=True)
    free = tonnes(required=True)
    transferred = tonnes(required=True)
    cancelled = tonnes(required=True)
    buffer = tonnes(required=True)


class AssetResponse(Versioned):
    """A forest in the register."""

    registrar = fields.String(required=True)
    reference = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    programme = fields.String(required=True)
    county = fields.String(required=True)
    geometry = Ground(required=True)
    area_ha = Quantity(places=4, required=True)
    longitude = Quantity(places=6, minimum=None, required=True)
    latitude = Quantity(places=6, minimum=None, required=True)
    species = fields.List(fields.Dict(), required=True)
    planted_year = fields.Integer(required=True)
    survival = share(required=True)
    volume_m3_ha = Quantity(places=3, required=True, allow_none=True)
    crown_cover = share(required=True, allow_none=True)
    sampling_uncertainty = share(required=True, allow_none=True)
    measured_on = fields.Date(required=True)
    project_area_ha = Quantity(places=4, required=True, allow_none=True)
    hazards = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    title_until = fields.Date(required=True)
    title_kind = fields.String(required=True, allow_none=True)
    title_number = fields.String(required=True, allow_none=True)
    owner = fields.String(required=True, allow_none=True)
    row_spacing_m = Quantity(places=2, required=True, allow_none=True)
    plant_spacing_m = Quantity(places=2, required=True, allow_none=True)
    site_class = fields.String(required=True, allow_none=True)
    elevation_m = fields.Integer(required=True, allow_none=True)
    slope_degrees = fields.Integer(required=True, allow_none=True)
    crediting_from = fields.Date(required=True)
    crediting_until = fields.Date(required=True)
    flags = fields.List(fields.String(), required=True)
    live_share = Quantity(places=8, required=True)
    valuation_version = fields.Integer(required=True)
    project_id = fields.UUID(required=True, allow_none=True)
    units = fields.Nested(UnitsSchema(), required=True)
    over_pledged = fields.Boolean(required=True)
    registered_at = Moment(required=True)


class AssetQuery(PageQuery):
    """Which assets."""

    county = fields.String(load_default=None, validate=validate.OneOf(COUNTIES))
    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))


def _refuse_nul(value: Any) -> None:
    """Refuse what the database cannot keep until the row's turn comes."""
    if isinstance(value, str) and "\0" in value:
        raise ValidationError("Contains NUL.")
    for inner in (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_nul(inner)


class ImportRequest(Base):
    """Rows to register; each is read as a request to register an asset when its turn comes."""

    rows = fields.List(fields.Dict(validate=_refuse_nul), required=True, validate=validate.Length(min=1, max=MAX_ROWS))
