"""The bank's policy on a date: the coefficients that a judgement, a price or a deadline reads."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from shared.parameters import Parameters
from shared.strict_json import canonical

PARAMETERS = Parameters(Path(__file__).parents[1] / "parameters.yaml")

#: What a judgement reads; the rest of the file cannot move it.
JUDGEMENT = (
    "approve_below_default_probability",
    "asset_classes",
    "carbon_price_volatility",
    "concentration_caps",
    "concentration_minimum_book",
    "decline_from_default_probability",
    "default_probability_floor",
    "fire_default_uplift",
    "fire_hazard_reference",
    "fire_probability",
    "insurance_maximum_months",
    "margin_quantile",
    "maximum_loan_to_value",
    "maximum_tenor_months",
    "most_reasons",
    "pledge_rate_caps",
    "price_haircut_confidence",
    "probability_interval_level",
    "sale_time_years",
    "scorecard_currency_rate",
    "scorecard_horizon_years",
    "scorecard_industries",
    "valuation_fault_outcome",
    "valuation_maximum_age_days",
    "watch_levels",
    "working_capital_maximum_tenor_months",
)
PRICE = (
    "capital_ratio",
    "capital_treatment",
    "carbon_loss_given_fire",
    "carbon_price_fall_given_fire",
    "carbon_recovery_haircut",
    "funding_rate",
    "hurdle_rate",
    "insurance_haircut_given_fire",
    "interest_subsidy_maximum_years",
    "interest_subsidy_rate",
    "leg_order",
    "lgd_floor",
    "lgd_unsecured",
    "loan_prime_rate",
    "margin_call_loan_to_value",
    "maximum_rate",
    "opex_rate",
    "recovery_cost_ratio",
    "recovery_quantile",
    "recovery_years",
)
COVENANTS = (
    "cure_days",
    "cure_loan_to_value",
    "margin_call_loan_to_value",
    "margin_quantile",
    "maximum_loan_to_value",
    "minimum_debt_service_cover",
    "carbon_price_volatility",
    "price_haircut_confidence",
    "sale_time_years",
    "valuation_maximum_age_days",
)
PARTIES = (
    "absurd_yearly_amount",
    "group_links",
    "minimum_age_years",
    "new_business_years",
    "personal_data_retention_years",
    "verification_maximum_days",
)
#: What a search for a path to yes may change, how finely, at what cost.
PATH = ("bank_minimum_retained_share", "path_costs", "path_grid")
#: Where a loan is placed for the limits of the book.
LIMITS = ("fire_zone_degrees",)
#: How models are watched.
MONITORING = ("fairness_limits", "model_monitoring", "stability_bands")
#: A natural person may ask that a person looks again.
REVIEWS = ("review_days", "review_request_days")
#: What an officer is warned of, and what a stress takes away.
WARNINGS = ("carbon_loss_given_fire", "concentration_caps", "cover_warning_days", "watch_levels")
CLASSES = (
    "arrears_buckets",
    "fire_default_uplift",
    "fire_hazard_reference",
    "fire_probability",
    "five_class_days",
    "five_class_floors",
    "significant_increase",
    "stage_days",
)
TERMS = (
    "bank_minimum_retained_share",
    "binding_deadline_hours",
    "drawdown_days",
    "interest_day_count",
    "late_charge",
    "leg_deadline_hours",
    "offer_validity_days",
)


FEES = ("loan_fees", "self_valuation_limit")


@dataclass(frozen=True)
class Policy:
    """The coefficients of one purpose on one date; a name that was not declared for it is an error."""

    on: date
    values: dict[str, Any]
    #: Of each: since when it is in force, its source, how far that was checked.
    sources: dict[str, dict[str, str]]
    #: SHA-256 over every coefficient in force.
    digest: str

    def __getitem__(self, name: str) -> Any:
        """Value of a coefficient."""
        return self.values[name]

    @cached_property
    def unverified(self) -> tuple[str, ...]:
        """Those that nobody checked against a source."""
        return tuple(sorted(name for name, source in self.sources.items() if source["verified"] == "no"))

    @cached_property
    def text(self) -> str:
        """All of it as canonical JSON, to be kept with the decisions made by it."""
        content = {"on": self.on.isoformat(), "values": self.values, "sources": self.sources, "digest": self.digest}
        return canonical(content).decode()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()

    def digest_of(self, names: tuple[str, ...]) -> str:
        """SHA-256 over the values of some coefficients: what one rule was applied with."""
        return _digest(canonical({name: self.values[name] for name in names}))

    @classmethod
    def from_text(cls, text: str) -> "Policy":
        """The policy as it was kept."""
        content = json.loads(text)
        return cls(date.fromisoformat(content["on"]), content["values"], content["sources"], content["digest"])


@lru_cache(maxsize=4096)
def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=512)
def policy(on: date, names: tuple[str, ...]) -> Policy:
    """The coefficients of these names on a date; read once, since a judgement must not pay for reading them again."""
    in_force = PARAMETERS.at(on)
    entries = {name: in_force.entries[name] for name in names}
    sources = {
        name: {"from": entry.from_.isoformat(), "source": entry.source, "verified": entry.verified}
        for name, entry in entries.items()
    }
    return Policy(on, {name: entry.value for name, entry in entries.items()}, sources, in_force.digest)
