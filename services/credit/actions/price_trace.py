"""A price figure by figure: what it is, the numbered equation it comes from, and the dated coefficients it read."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions.decisions import kept_rulebook
from services.credit.actions.policy import Policy
from services.credit.formulas import capital as basel
from services.credit.formulas import expected_loss as el
from services.credit.formulas import loan_to_value as ltv
from services.credit.formulas import loss_given_default as lgd
from services.credit.formulas import price as rates
from services.credit.tables import Loan, latest_decision
from shared.db import found
from shared.errors import NotFoundError

_RECOVERY = ("carbon_recovery_haircut", "recovery_quantile", "recovery_cost_ratio", "recovery_years", "funding_rate")
_FIRE = ("carbon_loss_given_fire", "carbon_price_fall_given_fire", "insurance_haircut_given_fire")
_CAPITAL = ("capital_ratio", "capital_treatment", "lgd_unsecured")
_RATE = ("funding_rate", "opex_rate", "hurdle_rate", *_CAPITAL, "lgd_floor", *_RECOVERY, *_FIRE, "leg_order")

#: Of each figure: its unit, the function that made it, the coefficients it rests on.
FIGURES: dict[str, tuple[str, Callable[..., Any], tuple[str, ...]]] = {
    "annual_rate": ("1/yr", rates.break_even_rate, _RATE),
    "break_even_rate": ("1/yr", rates.break_even_rate, _RATE),
    "bare_rate": ("1/yr", rates.break_even_rate, ("funding_rate", "opex_rate", "hurdle_rate", *_CAPITAL)),
    "spread_bp": ("bp", rates.reference_spread_bp, ("loan_prime_rate",)),
    "waterfall_bp": ("bp", rates.shapley_worths, _RATE),
    "worth_bp": ("bp", rates.worth_bp, _RATE),
    "expected_losses": ("fen/yr", el.expected_loss_split, (*_RECOVERY, *_FIRE, "leg_order")),
    "loss_given_default": ("-", el.mixed_split, (*_RECOVERY, *_FIRE, "leg_order", "lgd_floor")),
    "loss_given_default_before_legs": ("-", lgd.carbon_recovery, (*_RECOVERY, *_FIRE)),
    "retained_share": ("-", el.retained_share, ()),
    "capital": ("-", rates.capital_share, _CAPITAL),
    "risk_adjusted_return": ("1/yr", rates.risk_adjusted_return, _RATE),
    "economic_value_added": ("CNY/yr", rates.economic_value_added, _RATE),
    "yearly_subsidy": ("CNY", rates.interest_subsidy, ("interest_subsidy_rate",)),
    "whole_subsidy": ("CNY", rates.interest_subsidy, ("interest_subsidy_rate", "interest_subsidy_maximum_years")),
    "break_even_price": ("CNY/t", ltv.break_even_carbon_price, ("margin_call_loan_to_value",)),
    "capital_by_framework": ("-; CNY", basel.capital_requirement, _CAPITAL),
}


def price_of(session: Session, loan_id: UUID) -> dict[str, Any]:
    """The price of a loan's latest decision, each figure with where it comes from."""
    found(session, Loan, loan_id)
    decision = latest_decision(session, loan_id)
    assert decision is not None
    made = decision.result["price"]
    if made is None:
        raise NotFoundError("the loan has no price: its collateral is not valued")
    if not decision.judgement_hash:
        raise NotFoundError("nothing was kept with this decision that its price could be traced by")
    priced_by = kept_rulebook(session, decision).priced_by
    return {
        "decision_id": decision.id,
        "kind": decision.kind,
        "figures": [_figure(priced_by, name, made[name]) for name in FIGURES],
    }


def _figure(priced_by: Policy, name: str, value: Any) -> dict[str, Any]:
    unit, function, parameters = FIGURES[name]
    number, equation = equation_of(function)
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "equation": number,
        "says": equation,
        "parameters": [{"name": one, "value": priced_by[one], **priced_by.sources[one]} for one in parameters],
    }


def equation_of(function: Callable[..., Any]) -> tuple[str, str]:
    """Number and first line of the equation that a function is."""
    told = re.match(r"Eq\. \((C\d+)\): (.+?)(?:\n|$)", function.__doc__ or "")
    assert told is not None, function
    return told[1], told[2]
