"""Plantings and adoptions, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.parameters import COUNTIES, SPECIES
from services.sink.actions.plantings import PURPOSES
from services.sink.schemas.assets import PolygonSchema, SpeciesShareSchema
from services.sink.schemas.common import share, tonnes
from shared.fields import Base, Moment, Names, PageQuery, Quantity, Text, Versioned, Whole

_MOST_TREES = 100_000_000


class PlantingRequest(Base):
    """Trees planted on ground that is in nobody's register; the area follows from the polygon."""

    name = Text(max_length=120, required=True)
    purpose = fields.String(required=True, validate=validate.OneOf(PURPOSES))
    county = fields.String(required=True, validate=validate.OneOf(COUNTIES))
    geometry = fields.Nested(PolygonSchema(), required=True)
    species = fields.List(
        fields.Nested(SpeciesShareSchema()), required=True, validate=validate.Length(min=1, max=len(SPECIES))
    )
    planted_year = Whole(required=True, minimum=1900, maximum=2200)
    survival = share(required=True, minimum="0.0001")
    trees = Whole(required=True, minimum=1, maximum=_MOST_TREES)


class SurvivalCountRequest(Base):
    """A count of the survivors, as a share of the trees planted."""

    survival = share(required=True, minimum="0.0001")
    counted_on = fields.Date(required=True)


class GrownSchema(Base):
    """What has grown by the end of a year, a running total."""

    year = fields.Integer(required=True)
    grown_tonnes = tonnes(required=True)


class PlantingResponse(Versioned):
    """A planting and its allowance: forecast, never a credit."""

    registrar = fields.String(required=True)
    name = fields.String(required=True)
    purpose = fields.String(required=True, metadata={"enum": list(PURPOSES)})
    county = fields.String(required=True)
    geometry = fields.Dict(required=True)
    area_ha = Quantity(places=4, required=True)
    species = fields.List(fields.Dict(), required=True)
    planted_year = fields.Integer(required=True)
    survival = share(required=True)
    counted_on = fields.Date(required=True, allow_none=True)
    trees = fields.Integer(required=True)
    adopted_trees = fields.Integer(required=True)
    allowance_tonnes = tonnes(required=True)
    schedule = fields.List(fields.Nested(GrownSchema()), required=True)
    ex_ante = fields.Boolean(required=True)
    parameters_hash = fields.String(required=True)
    unverified_parameters = Names(required=True)
    entered_at = Moment(required=True)


class AdoptionRequest(Base):
    """Trees for somebody; `holder` is the institution whose accounts may use the allowance, or the caller's."""

    adopter = Text(max_length=120, required=True)
    trees = Whole(required=True, minimum=1, maximum=_MOST_TREES)
    holder = Text(max_length=64, load_default=None, allow_none=True)
    dedication = Text(max_length=200, load_default=None, allow_none=True)


class AdoptionResponse(Versioned):
    """Adopted trees, and the allowance that goes with them."""

    institution = fields.String(required=True)
    registrar = fields.String(required=True)
    planting_id = fields.UUID(required=True)
    adopter = fields.String(required=True)
    dedication = fields.String(required=True, allow_none=True)
    trees = fields.Integer(required=True)
    allowance_tonnes = tonnes(required=True)
    claimed_tonnes = tonnes(required=True)
    ex_ante = fields.Boolean(required=True)
    adopted_at = Moment(required=True)


class PlantingQuery(PageQuery):
    """Plantings for which purpose, or in which county."""

    purpose = fields.String(load_default=None, validate=validate.OneOf(PURPOSES))
    county = fields.String(load_default=None, validate=validate.OneOf(COUNTIES))


class AdoptionQuery(PageQuery):
    """Adoptions of which planting."""

    planting_id = fields.UUID(load_default=None)
