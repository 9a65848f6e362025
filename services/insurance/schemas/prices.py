"""Prices: what is asked of some forests, and what a year of cover costs."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from services.insurance.actions.exposures import BASES, CLASSES
from services.insurance.actions.index_covers import KINDS
from services.insurance.actions.pricing import QUANTILES, SUBSIDIES
from services.insurance.actions.reasons import COUNTIES, PERILS
from services.insurance.schemas.common import StepSchema, Texts
from shared.fields import Base, Money, Names, Quantity, ReasonSchema, Whole

INSURED_PERILS = tuple(peril for peril in PERILS if peril != "harvest")
MEASURES = ("patrol", "lookout", "water_point", "pest_traps")
#: Shares of a mixture and numbers of a site, by name.
_NAME = validate.Regexp(r"[a-z][a-z0-9_]{0,63}\Z", error="A code in small letters.")


class TermsRequest(Base):
    """What of a loss is paid, of each event and forest, and what is taken off the premium."""

    deductible_share = Quantity(places=8, maximum="0.9", load_default=None)
    deductible = Money(minimum="0.00", load_default=None)
    franchise = Money(minimum="0.00", load_default=None)
    event_limit = Money(minimum="0.01", load_default=None)
    insurer_share = Quantity(places=8, minimum="0.01", maximum="1", load_default=None)
    annual_cap = Money(minimum="0.01", load_default=None)
    years = Whole(minimum=1, maximum=10, load_default=1)
    no_claims_years = Whole(minimum=0, maximum=10, load_default=0)
    prevention = fields.List(
        fields.String(validate=validate.OneOf(MEASURES)), load_default=list, validate=validate.Length(max=8)
    )
    subsidy = fields.String(validate=validate.OneOf(SUBSIDIES), load_default="carbon")


class Covariates(fields.Dict):
    """What a peril model asks of a site, by name."""

    def __init__(self) -> None:
        super().__init__(
            keys=fields.String(validate=_NAME), values=Quantity(places=8, minimum=None), load_default=dict,
            validate=validate.Length(max=50), metadata={"description": "What a peril model asks of a site"},
        )  # fmt: skip


class SiteTraits(Base):
    """What rating factors ask of a site; what is not told moves no rate."""

    age_years = Quantity(places=1, maximum="1000", load_default=None)
    slope_deg = Quantity(places=2, maximum="90", load_default=None)
    access_km = Quantity(places=3, maximum="1000", load_default=None)
    fire_weather = Quantity(places=3, maximum="200", load_default=None)
    aspect = fields.String(validate=validate.OneOf(["north", "east", "south", "west", "flat"]), load_default=None)
    fuel = fields.String(validate=validate.OneOf(["low", "medium", "high"]), load_default=None)
    fire_break = fields.String(validate=validate.OneOf(["yes", "no"]), load_default=None)


class ForestRequest(SiteTraits):
    """A forest of the register or one only told of; what is told may lower what the register says."""

    asset_id = fields.UUID(load_default=None)
    county = fields.String(load_default=None, validate=validate.OneOf([*COUNTIES]))
    area_ha = Quantity(places=4, minimum="0.0001", maximum="1000000", load_default=None)
    value = Money(load_default=None)
    tonnes = Quantity(places=3, minimum="0.001", maximum="1000000000", load_default=None)
    unit_price = Money(load_default=None, maximum="100000.00", metadata={"description": "Agreed, for a tonne"})
    sum_insured = Money(load_default=None, metadata={"description": "The most that may be insured if not given"})
    title_until = fields.Date(load_default=None)
    hazards = fields.Dict(
        keys=fields.String(validate=validate.OneOf(INSURED_PERILS)),
        values=Quantity(places=8, maximum="1"),
        load_default=dict,
    )
    species = fields.Dict(
        keys=fields.String(validate=_NAME), values=Quantity(places=8, minimum="0.00000001", maximum="1"),
        load_default=dict, validate=validate.Length(max=20),
    )  # fmt: skip
    covariates = Covariates()


class PriceRequest(Base):
    """Forests to be insured on one policy, and its terms."""

    basis = fields.String(validate=validate.OneOf(BASES), load_default="carbon_value")
    quantile = fields.String(
        validate=validate.OneOf(QUANTILES), load_default=None, metadata={"description": "Of the carbon's present value"}
    )
    forest_class = fields.String(validate=validate.OneOf(CLASSES), load_default="commercial")
    forests = fields.List(fields.Nested(ForestRequest()), required=True, validate=validate.Length(min=1, max=50))
    term_months = Whole(required=True, minimum=1, maximum=360)
    terms = fields.Nested(TermsRequest(), load_default=None)

    @validates_schema(skip_on_field_errors=True)
    def refuse_twice(self, data: dict[str, Any], **_: Any) -> None:
        """The same trees are insured once."""
        ids = [one["asset_id"] for one in data["forests"] if one["asset_id"]]
        if len(set(ids)) != len(ids):
            raise ValidationError("A forest stands here twice.", "forests")


class WaterfallStep(Base):
    """What a step adds to a year's premium; the steps sum to it."""

    step = fields.String(required=True)
    equation = fields.String(required=True)
    amount = fields.String(required=True, metadata={"description": "CNY; below 0 where the step takes something off"})
    coefficients = Texts(required=True)


class ModelledSchema(Base):
    """What a peril model says of a site, and how sure it is."""

    sha256 = fields.String(required=True)
    note = fields.String(required=True)
    count = fields.String(required=True, metadata={"description": "Losses of a unit in a year"})
    severity = fields.String(required=True, metadata={"description": "Mean of a capped loss"})
    parameter_interval_90 = fields.List(fields.String(), required=True)
    year_band_90 = fields.List(fields.String(), required=True)
    burning_cost_rate = fields.String(required=True, metadata={"description": "Of all its records, beside the model"})
    credibility = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True,
        metadata={"description": "Mean weight of own experience, of counts and of sizes"},
    )  # fmt: skip


class FactorSchema(Base):
    """Where the rate of a peril at a forest comes from."""

    forest = fields.String(required=True)
    peril = fields.String(required=True)
    source = fields.String(required=True, metadata={"description": "The peril model, or the dated rates"})
    rate = fields.String(required=True)
    factors = Texts(required=True)
    model = fields.Nested(ModelledSchema(), required=True, allow_none=True)


class PricingSchema(Base):
    """A price taken apart: technical and filed rate, waterfall, factors, who pays which part."""

    technical_rate = fields.String(required=True)
    filed_rate = fields.String(required=True)
    deviation = fields.String(required=True, metadata={"description": "Technical over filed rate, less 1"})
    waterfall = fields.List(fields.Nested(WaterfallStep()), required=True)
    factors = fields.List(fields.Nested(FactorSchema()), required=True)
    split = Texts(required=True, metadata={"description": "CNY"})


class PricedForest(Base):
    """What of a forest is insured."""

    name = fields.String(required=True)
    county = fields.String(required=True)
    value = Money(required=True)
    limit = Money(required=True)
    sum_insured = Money(required=True)


class PriceResponse(Base):
    """A what-if: nothing of it is kept."""

    outcome = fields.String(required=True, metadata={"enum": ["quote", "refuse"]})
    reasons = fields.List(fields.Nested(ReasonSchema()), required=True)
    basis = fields.String(required=True)
    forest_class = fields.String(required=True)
    quantile = fields.String(required=True, allow_none=True)
    sum_insured = Money(required=True)
    annual_premium = Money(required=True, allow_none=True)
    owner_premium = Money(required=True, allow_none=True)
    expected_annual_loss = Money(required=True, allow_none=True)
    pricing = fields.Nested(PricingSchema(), required=True, allow_none=True)
    forests = fields.List(fields.Nested(PricedForest()), required=True)
    explanation = fields.List(fields.Nested(StepSchema()), required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)


class IndexPriceRequest(Base):
    """An index cover of one forest, or of the price of its units."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    limit = Money(required=True, metadata={"description": "Of a year"})
    value = Money(load_default=None, metadata={"description": "What can be lost; an index on damage needs it"})
    hazards = fields.Dict(
        keys=fields.String(validate=validate.OneOf(INSURED_PERILS)),
        values=Quantity(places=8, maximum="1"),
        load_default=dict,
    )
    target_t = Quantity(places=3, minimum="0.001", maximum="1000000000", load_default=None)
    unit_price = Money(load_default=None, maximum="100000.00", metadata={"description": "Agreed, for a tonne"})
    tonnes = Quantity(places=3, minimum="0.001", maximum="1000000000", load_default=None)
    floor = Money(load_default=None, maximum="100000.00")
    spot_price = Money(load_default=None, maximum="100000.00", metadata={"description": "The floor if not given"})


class BasisRiskSchema(Base):
    """How badly the index misses the loss."""

    missed_loss_probability = fields.String(required=True)
    false_payout_probability = fields.String(required=True)
    uncovered_share = fields.String(required=True, allow_none=True, metadata={"description": "Null without any loss"})


class IndexPriceResponse(Base):
    """What an index cover pays for and costs, and its basis risk."""

    kind = fields.String(required=True, metadata={"enum": list(KINDS)})
    quantity_zh = fields.String(required=True)
    quantity_en = fields.String(required=True)
    limit = Money(required=True)
    annual_premium = Money(required=True)
    expected_payout = Money(required=True)
    expected_loss = Money(required=True)
    rate_on_line = fields.String(required=True)
    market_line = fields.String(required=True, metadata={"description": "Plausible rate on line, never a tariff"})
    basis_risk = fields.Nested(BasisRiskSchema(), required=True)
    simulated_years = fields.Integer(required=True)
    seed = fields.Integer(required=True)
    explanation = fields.List(fields.Nested(StepSchema()), required=True)
    parameters_digest = fields.String(required=True)
    unverified_parameters = Names(required=True)
