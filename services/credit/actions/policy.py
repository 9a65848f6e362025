"""The bank's policy on a date: the coefficients that a judgement, a price or a deadline reads."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.credit.scorecard_file import Scorecard, load_scorecard
from shared.parameters import Parameters

PARAMETERS = Parameters(Path(__file__).parents[1] / "parameters.yaml")

#: What a judgement reads; the rest of the file cannot move it.
JUDGEMENT = (
    "approve_below_default_probability",
    "carbon_price_volatility",
    "concentration_minimum_book",
    "county_concentration_cap",
    "decline_from_default_probability",
    "default_probability_floor",
    "fire_default_uplift",
    "fire_hazard_reference",
    "fire_probability",
    "margin_quantile",
    "maximum_loan_to_value",
    "maximum_tenor_months",
    "most_reasons",
    "pledge_rate_cap",
    "price_haircut_confidence",
    "probability_interval_level",
    "sale_time_years",
    "scorecard_currency_rate",
    "scorecard_horizon_years",
    "scorecard_industries",
    "valuation_fault_outcome",
    "valuation_maximum_age_days",
    "working_capital_maximum_tenor_months",
)
PRICE = (
    "capital_ratio",
    "capital_treatment",
    "carbon_loss_given_fire",
    "carbon_recovery_haircut",
    "funding_rate",
    "hurdle_rate",
    "insurance_haircut_given_fire",
    "leg_order",
    "lgd_floor",
    "lgd_unsecured",
    "loan_prime_rate",
    "maximum_rate",
    "opex_rate",
    "recovery_cost_ratio",
    "recovery_years",
)
COVENANTS = (
    "cure_days",
    "cure_loan_to_value",
    "margin_call_loan_to_value",
    "margin_quantile",
    "maximum_loan_to_value",
    "carbon_price_volatility",
    "price_haircut_confidence",
    "sale_time_years",
    "valuation_maximum_age_days",
)
PARTIES = (
    "absurd_yearly_amount",
    "minimum_age_years",
    "verification_maximum_days",
)
CLASSES = ("five_class_days", "stage_days")
TERMS = (
    "bank_minimum_retained_share",
    "binding_deadline_hours",
    "drawdown_days",
    "interest_days_per_year",
    "leg_deadline_hours",
    "offer_validity_days",
)


@dataclass(frozen=True)
class Policy:
    """The coefficients of one purpose on one date; a name that was not declared for it is an error."""

    on: date
    values: dict[str, Any]
    #: Those of them that nobody checked against a source.
    unverified: tuple[str, ...]
    #: SHA-256 over every coefficient in force.
    digest: str

    def __getitem__(self, name: str) -> Any:
        """Value of a coefficient."""
        return self.values[name]


@lru_cache(maxsize=512)
def policy(on: date, names: tuple[str, ...]) -> Policy:
    """The coefficients of these names on a date; read once, since a judgement must not pay for reading them again."""
    in_force = PARAMETERS.at(on)
    values = {name: in_force[name] for name in names}
    return Policy(on, values, in_force.unverified, in_force.digest)


@lru_cache(maxsize=1)
def scorecard() -> Scorecard:
    """The approved card, its hash checked and its parity rows replayed once."""
    return load_scorecard()
