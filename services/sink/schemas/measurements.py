"""Measurements of plots, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.parameters import SPECIES
from services.sink.actions.surveys import CURVES, SOIL_STATES, SOILS, VOLUME_ROUTES
from services.sink.schemas.common import share, tonnes
from shared.fields import Base, Coordinate, Moment, Quantity, ReasonSchema, Text, Whole

_SPECIES = validate.OneOf(SPECIES)


class TreeSchema(Base):
    """A tree: diameter at breast height and height."""

    species = fields.String(required=True, validate=_SPECIES)
    diameter_cm = Quantity(places=2, maximum="1000", required=True)
    height_m = Quantity(places=2, maximum="1000", required=True)


class VolumeSchema(Base):
    """Growing stock of a species on a plot."""

    species = fields.String(required=True, validate=_SPECIES)
    volume_m3_ha = Quantity(places=3, maximum="10000", required=True)


class BiomassSchema(Base):
    """Biomass of a species above the ground on a plot, in dry matter; roots are added by the default ratio."""

    species = fields.String(required=True, validate=_SPECIES)
    above_ground_t_ha = Quantity(places=3, maximum="10000", required=True)


class ShrubSchema(Base):
    """Share of a plot under the crowns of a shrub."""

    species = fields.String(required=True, validate=_SPECIES)
    crown_cover = share(required=True)


class PlotSchema(Base):
    """A plot. One of `trees`, `volumes` and `biomasses` tells its trees; an empty list says that there are none."""

    name = Text(max_length=32, required=True)
    #: Longitude and latitude, WGS 84.
    position = fields.List(Coordinate(), validate=validate.Length(equal=2), load_default=None, allow_none=True)
    area_m2 = Quantity(places=2, maximum="1000000", load_default=None, allow_none=True)
    trees = fields.List(
        fields.Nested(TreeSchema()), validate=validate.Length(max=2000), load_default=None, allow_none=True
    )
    volumes = fields.List(
        fields.Nested(VolumeSchema()), validate=validate.Length(max=9), load_default=None, allow_none=True
    )
    biomasses = fields.List(
        fields.Nested(BiomassSchema()), validate=validate.Length(max=9), load_default=None, allow_none=True
    )
    shrubs = fields.List(
        fields.Nested(ShrubSchema()), validate=validate.Length(max=9), load_default=None, allow_none=True
    )


class StratumSchema(Base):
    """A part of the parcel that is much the same all over, and its plots."""

    name = Text(max_length=32, required=True)
    area_ha = Quantity(places=4, maximum="1000000", required=True)
    plots = fields.List(fields.Nested(PlotSchema()), required=True, validate=validate.Length(min=1, max=200))


class SoilSchema(Base):
    """The soil by its class, what was on it before, and since when it is otherwise, by default the planting."""

    reference = fields.String(required=True, validate=validate.OneOf(SOILS))
    state_before = fields.String(required=True, validate=validate.OneOf(SOIL_STATES))
    since = fields.Date(load_default=None, allow_none=True)


class ThinningSchema(Base):
    """A thinning to come: age of the stand, and the share of the growing stock that is taken."""

    age = Whole(required=True, minimum=1, maximum=300)
    share = share(required=True)


class MeasurementRequest(Base):
    """A survey of an asset on one day."""

    measured_on = fields.Date(required=True)
    strata = fields.List(fields.Nested(StratumSchema()), load_default=list, validate=validate.Length(max=30))
    soil = fields.Nested(SoilSchema(), load_default=None, allow_none=True)
    rainfall_mm = Quantity(places=1, minimum="100", maximum="1500", load_default=None, allow_none=True)
    volume_route = fields.String(load_default=VOLUME_ROUTES[0], validate=validate.OneOf(VOLUME_ROUTES))
    curve = fields.String(load_default="richards", validate=validate.OneOf(CURVES))
    thinnings = fields.List(fields.Nested(ThinningSchema()), load_default=list, validate=validate.Length(max=20))
    baseline_cover = share(
        load_default=None,
        allow_none=True,
        metadata={"description": "Share of the ground under trees from before the project; stays until told otherwise"},
    )


def _figure(**more: object) -> Quantity:
    return Quantity(places=6, minimum=None, **{"required": True, **more})  # type: ignore[arg-type]


class FigureSchema(Base):
    """A stock, its 90 % half-width over it and in tonnes, the share of it given up, and what is left."""

    tonnes = _figure()
    half_width = _figure()
    half_width_tonnes = _figure()
    discount_share = _figure()
    discounted = _figure()


class ChangeSchema(Base):
    """Change since the measurement before, by plot differences where the same plots were measured again."""

    since = fields.Date(required=True)
    years = _figure()
    remeasured_plots = fields.Integer(required=True)
    tonnes = _figure()
    half_width = _figure(allow_none=True)
    half_width_tonnes = _figure()
    discount_share = _figure()
    discounted = _figure()
    per_year = _figure()
    chained = fields.Nested(FigureSchema(), required=True, allow_none=True)


class CurveSchema(Base):
    """A Richards curve."""

    asymptote = Quantity(places=9, required=True)
    rate = Quantity(places=9, required=True)
    shape = Quantity(places=9, required=True)


class GrowthSchema(Base):
    """The stand's own curve and the relative error of its growth, or why there is none."""

    measurements = fields.Integer(required=True)
    needed = fields.Integer(required=True)
    curve = fields.Nested(CurveSchema(), required=True, allow_none=True)
    covariance = fields.List(fields.List(Quantity(places=12, minimum=None)))
    residual = _figure(required=False)
    sigma = _figure(allow_none=True)
    reason = fields.Nested(ReasonSchema(), required=True, allow_none=True)


class PoolsSchema(Base):
    """Stocks beside the living trees, by default factors that nobody checked. [tCO2e]"""

    dead_wood = _figure(allow_none=True)
    litter = _figure(allow_none=True)
    soil = _figure(allow_none=True)


class LocalitySchema(Base):
    """The stand beside what is known of the region."""

    city_mean_m3_ha = _figure()
    excess_m3_ha = _figure(allow_none=True)
    carbon_tc_ha = _figure()
    carbon_line_tc_ha = _figure(allow_none=True)


class FiguresSchema(Base):
    """What the plots say."""

    age = _figure()
    stock = fields.Nested(FigureSchema(), required=True)
    stock_tco2e_ha = _figure()
    carbon_tc_ha = _figure()
    biomass_t_ha = _figure(allow_none=True)
    tree_stock = _figure()
    plots = fields.Integer(required=True)
    routes = fields.Dict(keys=fields.String(), values=_figure(), required=True)
    model_sigma = _figure(allow_none=True)
    change = fields.Nested(ChangeSchema(), required=True, allow_none=True)
    growth = fields.Nested(GrowthSchema(), required=True)
    pools = fields.Nested(PoolsSchema(), required=True)
    locality = fields.Nested(LocalitySchema(), required=True, allow_none=True)


class MeasurementSummary(Base):
    """A measurement without its plots. `taken_up` says whether it was the youngest when it was entered."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    registrar = fields.String(required=True)
    measured_on = fields.Date(required=True)
    taken_up = fields.Boolean(required=True)
    stock_tonnes = tonnes(required=True)
    half_width = Quantity(places=8, required=True)
    discounted_tonnes = tonnes(required=True)
    volume_m3_ha = Quantity(places=3, required=True, allow_none=True)
    crown_cover = share(required=True, allow_none=True)
    figures = fields.Nested(FiguresSchema(), required=True)
    inputs_hash = fields.String(required=True)
    parameters_hash = fields.String(required=True)
    engine_version = fields.String(required=True)
    outputs_hash = fields.String(required=True)
    unverified_parameters = fields.List(fields.String(), required=True)
    entered_at = Moment(required=True)


class MeasurementResponse(MeasurementSummary):
    """A measurement. `inputs` and `outputs` are the very text that was hashed."""

    inputs = fields.String(required=True)
    outputs = fields.String(required=True)


class MeasurementReproductionResponse(Base):
    """Whether a measurement comes out again, byte for byte."""

    measurement_id = fields.UUID(required=True)
    reproduced = fields.Boolean(required=True)
    outputs_hash = fields.String(required=True)
    outputs_hash_now = fields.String(required=True)
    engine_version = fields.String(required=True)
    engine_version_now = fields.String(required=True)
