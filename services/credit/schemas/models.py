"""How models do: challenger, drift, backtest, groups, overrides."""

from marshmallow import fields, validate

from services.credit.schemas.scores import ModelResponse
from shared.fields import Base, Moment, Names


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


class StabilityResponse(Base):
    """How far applications have moved from what the card was trained on."""

    id = fields.UUID(required=True)
    at = Moment(required=True)
    model_sha256 = fields.String(required=True)
    since = Moment(required=True)
    applications = fields.Integer(required=True)
    psi = fields.Float(required=True, allow_none=True, metadata={"description": "Of the score"})
    csi = fields.Dict(
        keys=fields.String(), values=fields.Float(), required=True, metadata={"description": "By feature"}
    )
    band = fields.String(
        required=True,
        metadata={
            "enum": ["stable", "watch", "alarm", "unknown"],
            "description": "The worst of all; unknown: too few applications, or no reference in the card",
        },
    )
    limits = fields.Dict(required=True)


class BacktestBand(Base):
    """Loan years of a band of the stated probability."""

    above = fields.Float(required=True)
    up_to = fields.Float(required=True)
    loan_years = fields.Integer(required=True)
    defaults = fields.Integer(required=True)
    stated = fields.Float(required=True, allow_none=True)
    observed = fields.Float(required=True, allow_none=True)
    binomial_p_value = fields.Float(required=True, allow_none=True)
    jeffreys_p_value = fields.Float(required=True, allow_none=True)
    verdict = fields.String(required=True, metadata={"enum": ["no_data", "too_low", "not_rejected"]})


class BacktestResponse(Base):
    """Defaults that came true against what was stated."""

    as_of = fields.Date(required=True)
    significance = fields.Float(required=True)
    bands = fields.List(fields.Nested(BacktestBand()), required=True)
    all = fields.Nested(BacktestBand(), required=True)
    years_not_ended = fields.Integer(required=True, metadata={"description": "Loans whose present year is still open"})


class FairnessGroup(Base):
    """How one group fares."""

    group = fields.String(required=True)
    applications = fields.Integer(required=True)
    decided = fields.Integer(required=True)
    granted = fields.Integer(required=True)
    grant_rate = fields.Float(required=True, allow_none=True)
    paid_out = fields.Integer(required=True)
    defaults = fields.Integer(required=True)
    default_rate = fields.Float(required=True, allow_none=True)
    adverse_impact_ratio = fields.Float(required=True, allow_none=True)
    below_limit = fields.Boolean(required=True, allow_none=True)


class DimensionResponse(Base):
    """Groups of one kind."""

    dimension = fields.String(required=True)
    groups = fields.List(fields.Nested(FairnessGroup()), required=True)


class FairnessResponse(Base):
    """Grants and defaults by group, and what cannot be said."""

    as_of = fields.Date(required=True)
    applications = fields.Integer(required=True)
    least_ratio = fields.Float(required=True)
    least_group = fields.Integer(required=True)
    dimensions = fields.List(fields.Nested(DimensionResponse()), required=True)
    limits = Names(required=True)


class OverrideTotal(Base):
    """Decisions of persons in one direction for one reason, and what became of them."""

    direction = fields.String(required=True, metadata={"enum": ["lenient", "strict", "with"]})
    reason_code = fields.String(required=True)
    decisions = fields.Integer(required=True)
    paid_out = fields.Integer(required=True)
    defaults = fields.Integer(required=True)


class OverrideReportResponse(Base):
    """What persons decided against the machine, lenient or strict, and with it. Each one stands in /v1/overrides."""

    since = Moment(required=True)
    decisions = fields.Integer(required=True)
    override_rate = fields.Float(required=True, allow_none=True)
    totals = fields.List(fields.Nested(OverrideTotal()), required=True)
