"""What goes in and out of the sink service over HTTP."""

from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.sink.actions.geometry import MAX_VERTICES
from services.sink.actions.parameters import COUNTIES, PERILS, PROGRAMMES, SPECIES
from shared.fields import Base, Coordinate, Moment, Money, PageQuery, Quantity, Text, Versioned, Whole

_KINDS = ("forest", "grassland", "wetland")
#: No import holds more rows than one body can carry.
MAX_ROWS = 1000


def _share(**more: Any) -> Quantity:
    return Quantity(places=4, maximum="1", **more)


def _tonnes(**more: Any) -> Quantity:
    return Quantity(places=3, **more)


# -- assets -----------------------------------------------------------------------------------------------------------


class PolygonSchema(Base):
    """A GeoJSON polygon (RFC 7946): WGS 84, longitude first, rings closed."""

    type = fields.String(required=True, validate=validate.OneOf(["Polygon"]))
    coordinates = fields.List(
        fields.List(
            fields.List(Coordinate(), validate=validate.Length(equal=2)),
            validate=validate.Length(min=4, max=MAX_VERTICES),
        ),
        required=True,
        validate=validate.Length(min=1, max=20),
    )


class SpeciesShareSchema(Base):
    """One species of a mix, by share of area."""

    species = fields.String(required=True, validate=validate.OneOf(SPECIES))
    share = _share(required=True, minimum="0.0001")


class AssetRequest(Base):
    """A forest to be registered. Area and centre follow from the polygon."""

    reference = Text(max_length=64, load_default=None, allow_none=True)
    name = Text(max_length=120, required=True)
    kind = fields.String(load_default="forest", validate=validate.OneOf(_KINDS))
    programme = fields.String(load_default="ccer", validate=validate.OneOf(PROGRAMMES))
    county = fields.String(required=True, validate=validate.OneOf(COUNTIES))
    geometry = fields.Nested(PolygonSchema(), required=True)
    species = fields.List(fields.Nested(SpeciesShareSchema()), load_default=list, validate=validate.Length(max=9))
    planted_year = Whole(required=True, minimum=1900, maximum=2200)
    survival = _share(required=True)
    volume_m3_ha = Quantity(places=3, maximum="1000", load_default=None, allow_none=True)
    crown_cover = _share(load_default=None, allow_none=True)
    sampling_uncertainty = _share(load_default=None, allow_none=True)
    measured_on = fields.Date(load_default=None, allow_none=True)
    project_area_ha = Quantity(places=4, maximum="10000000", load_default=None, allow_none=True)
    hazards = fields.Dict(keys=fields.String(validate=validate.OneOf(PERILS)), values=_share(), load_default=dict)
    title_until = fields.Date(required=True)
    crediting_from = fields.Date(load_default=None, allow_none=True)
    crediting_until = fields.Date(required=True)


class UnitsSchema(Base):
    """Balance of an asset's units: forecast + issued - retired = free + pledged + enforced, unless over-pledged."""

    forecast = _tonnes(required=True)
    issued = _tonnes(required=True)
    retired = _tonnes(required=True)
    pledged = _tonnes(required=True)
    enforced = _tonnes(required=True)
    free = _tonnes(required=True)


class AssetResponse(Versioned):
    """A forest in the register."""

    registrar = fields.String(required=True)
    reference = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    programme = fields.String(required=True)
    county = fields.String(required=True)
    geometry = fields.Nested(PolygonSchema(), required=True)
    area_ha = Quantity(places=4, required=True)
    longitude = Quantity(places=6, minimum=None, required=True)
    latitude = Quantity(places=6, minimum=None, required=True)
    species = fields.List(fields.Dict(), required=True)
    planted_year = fields.Integer(required=True)
    survival = _share(required=True)
    volume_m3_ha = Quantity(places=3, required=True, allow_none=True)
    crown_cover = _share(required=True, allow_none=True)
    sampling_uncertainty = _share(required=True, allow_none=True)
    measured_on = fields.Date(required=True)
    project_area_ha = Quantity(places=4, required=True, allow_none=True)
    hazards = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    title_until = fields.Date(required=True)
    crediting_from = fields.Date(required=True)
    crediting_until = fields.Date(required=True)
    flags = fields.List(fields.String(), required=True)
    live_share = Quantity(places=8, required=True)
    valuation_version = fields.Integer(required=True)
    units = fields.Nested(UnitsSchema(), required=True)
    over_pledged = fields.Boolean(required=True)
    registered_at = Moment(required=True)


class AssetQuery(PageQuery):
    """Which assets."""

    county = fields.String(load_default=None, validate=validate.OneOf(COUNTIES))
    kind = fields.String(load_default=None, validate=validate.OneOf(_KINDS))


def _refuse_nul(value: Any) -> None:
    """Refuse what the database cannot keep until the row's turn comes."""
    if isinstance(value, str) and "\0" in value:
        raise ValidationError("Contains NUL.")
    for inner in (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_nul(inner)


class ImportRequest(Base):
    """Rows to register; each is read as a request to register an asset when its turn comes."""

    rows = fields.List(fields.Dict(validate=_refuse_nul), required=True, validate=validate.Length(min=1, max=MAX_ROWS))


# -- valuations -------------------------------------------------------------------------------------------------------


class PresentValueSchema(Base):
    """Distribution of the present value."""

    mean = Money(required=True)
    p05 = Money(required=True)
    p10 = Money(required=True)
    p50 = Money(required=True)
    p90 = Money(required=True)
    p95 = Money(required=True)


class RemovalsSchema(Base):
    """Tonnes issuable at one verification."""

    verified_on = fields.Date(required=True)
    mean = _tonnes(required=True)
    p10 = _tonnes(required=True)
    p50 = _tonnes(required=True)
    p90 = _tonnes(required=True)


class VarianceSharesSchema(Base):
    """Where the uncertainty comes from."""

    growth = Quantity(places=8, required=True)
    sampling = Quantity(places=8, required=True)
    model = Quantity(places=8, required=True)
    reversal = Quantity(places=8, required=True)
    price = Quantity(places=8, required=True)


class ValuationResponse(Base):
    """What an asset's carbon was worth on a day. `inputs` and `outputs` are the very text that was hashed."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    cause = fields.String(required=True)
    as_of = fields.Date(required=True)
    valid_until = fields.Date(required=True)
    methodology = fields.String(required=True)
    inputs = fields.String(required=True)
    inputs_hash = fields.String(required=True)
    parameters_hash = fields.String(required=True)
    engine_version = fields.String(required=True)
    seed = fields.Integer(required=True)
    outputs = fields.String(required=True)
    outputs_hash = fields.String(required=True)
    price_curve = fields.String(required=True)
    spot_price = Money(required=True)
    present_value = fields.Nested(PresentValueSchema(), required=True)
    removals = fields.List(fields.Nested(RemovalsSchema()), required=True)
    variance_shares = fields.Nested(VarianceSharesSchema(), required=True)
    uncertainty_deduction = Quantity(places=8, required=True)
    buffer = Quantity(places=8, required=True)
    forecast_tonnes = _tonnes(required=True)
    liquidity_haircut = Quantity(places=8, required=True)
    unverified_parameters = fields.List(fields.String(), required=True)
    valued_at = Moment(required=True)


class ReproductionResponse(Base):
    """Whether a valuation comes out again, byte for byte."""

    valuation_id = fields.UUID(required=True)
    reproduced = fields.Boolean(required=True)
    inputs_hash = fields.String(required=True)
    outputs_hash = fields.String(required=True)
    outputs_hash_now = fields.String(required=True)
    engine_version = fields.String(required=True)
    engine_version_now = fields.String(required=True)
    parameters_hash = fields.String(required=True)
    parameters_unchanged = fields.Boolean(required=True)


# -- price curves -----------------------------------------------------------------------------------------------------


class PriceCurveRequest(Base):
    """A market: the price today, where it tends to and how fast, how much it moves. Reversion 0 is a random walk."""

    name = Text(max_length=64, required=True)
    spot_price = Money(required=True, maximum="100000.00")
    long_run_price = Money(required=True, maximum="100000.00")
    reversion = Quantity(places=6, maximum="10", required=True)
    volatility = Quantity(places=6, maximum="3", required=True)
    drift = Quantity(places=6, minimum="-1", maximum="1", load_default=Decimal(0))
    source = Text(max_length=300, required=True)


class PriceCurveResponse(Versioned):
    """A price curve; a second person approves its `payload_hash`."""

    registrar = fields.String(required=True)
    name = fields.String(required=True)
    spot_price = Money(required=True)
    long_run_price = Money(required=True)
    reversion = Quantity(places=6, required=True)
    volatility = Quantity(places=6, required=True)
    drift = Quantity(places=6, minimum=None, required=True)
    source = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": ["proposed", "approved", "rejected"]})
    payload_hash = fields.String(required=True)
    proposed_by = fields.String(required=True)
    decided_by = fields.String(required=True, allow_none=True)
    proposed_at = Moment(required=True)
    approved_at = Moment(required=True, allow_none=True)
    job_id = fields.UUID(required=True, allow_none=True)


class ApprovalRequest(Base):
    """A second person's decision on exactly what the hash names."""

    payload_hash = fields.String(required=True, validate=validate.Regexp(r"\A[0-9a-f]{64}\Z"))
    approve = fields.Boolean(required=True, truthy={True}, falsy={False})


# -- reversals --------------------------------------------------------------------------------------------------------


class LossSchema(Base):
    """How hard one asset was hit: the share of the live biomass lost on the damaged ground, all of it if not said."""

    asset_id = fields.UUID(required=True)
    severity = _share(required=True, minimum="0.0001")
    damaged_ha = Quantity(places=4, minimum="0.0001", load_default=None, allow_none=True)


class ReversalRequest(Base):
    """An event: either the assets it hit, or a county and one severity for all its forests."""

    peril = fields.String(required=True, validate=validate.OneOf(PERILS))
    occurred_on = fields.Date(required=True)
    event_area_ha = Quantity(places=4, minimum="0.0001", maximum="100000000", load_default=None, allow_none=True)
    assets = fields.List(fields.Nested(LossSchema()), load_default=None, validate=validate.Length(min=1, max=500))
    county = fields.String(load_default=None, validate=validate.OneOf(COUNTIES))
    severity = _share(load_default=None, minimum="0.0001")

    @validates_schema
    def _one_way(self, data: dict[str, Any], **_: Any) -> None:
        by_county = data["county"] is not None and data["severity"] is not None and data["assets"] is None
        by_assets = data["assets"] is not None and data["county"] is None and data["severity"] is None
        if not by_county and not by_assets:
            raise ValidationError("Give either assets, or a county with a severity.")


class ReversalResponse(Base):
    """A loss of carbon in one asset."""

    id = fields.UUID(required=True)
    event_id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    peril = fields.String(required=True)
    occurred_on = fields.Date(required=True)
    county = fields.String(required=True)
    severity = Quantity(places=8, required=True)
    damaged_ha = Quantity(places=4, required=True)
    event_area_ha = Quantity(places=4, required=True)
    live_carbon_lost = _tonnes(required=True)
    carbon_emitted = _tonnes(required=True)
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


# -- pledges and units ------------------------------------------------------------------------------------------------


class PledgeResponse(Versioned):
    """A lien of the caller's bank."""

    asset_id = fields.UUID(required=True)
    loan_id = fields.UUID(required=True)
    tonnes = _tonnes(required=True)
    rank = fields.Integer(required=True)
    state = fields.String(required=True, metadata={"enum": ["placed", "frozen", "released", "enforced"]})
    valuation_version = fields.Integer(required=True)
    loan_until = fields.Date(required=True)
    reason = fields.String(required=True, allow_none=True)
    placed_at = Moment(required=True)
    changed_at = Moment(required=True)


class PledgeQuery(PageQuery):
    """Which pledges."""

    loan_id = fields.UUID(load_default=None)
    asset_id = fields.UUID(load_default=None)


class IssuanceRequest(Base):
    """Credits that the programme issued; `origin` is the programme's own id of the issuance and issues once."""

    asset_id = fields.UUID(required=True)
    origin = Text(max_length=128, required=True)
    vintage_from = fields.Date(required=True)
    vintage_to = fields.Date(required=True)
    tonnes = _tonnes(required=True, minimum="0.001")


class IssuanceResponse(Base):
    """Credits issued for a vintage."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    origin = fields.String(required=True)
    vintage_from = fields.Date(required=True)
    vintage_to = fields.Date(required=True)
    tonnes = _tonnes(required=True)
    issued_at = Moment(required=True)


class RetirementRequest(Base):
    """Credits to be used up, and why."""

    asset_id = fields.UUID(required=True)
    tonnes = _tonnes(required=True, minimum="0.001")
    reason = Text(max_length=200, min_length=3, required=True)


class RetirementResponse(Base):
    """Credits that were used up."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    tonnes = _tonnes(required=True)
    reason = fields.String(required=True)
    retired_at = Moment(required=True)


class UnitsQuery(PageQuery):
    """Issuances or retirements of which asset."""

    asset_id = fields.UUID(load_default=None)
