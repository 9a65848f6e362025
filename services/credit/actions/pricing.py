"""The price of a loan: who bears which expected loss, what each leg is worth, and the rate that pays every cost.

Carbon recovery and insurance are taken in two states of the world, fire or no fire, and mixed by the probability that a
defaulted loan stands on burnt forest: the trees and the policy on them never count together in full. Carbon is no
eligible collateral: capital stands on the unsecured loss rate of what no guarantor covers. The pledge counts at its
tenth percentile, and what a fire leaves of it is sold at a price that fell with the trees.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from services.credit.actions.policy import Policy
from services.credit.formulas import capital as basel
from services.credit.formulas import default_probability as pd
from services.credit.formulas import expected_loss as el
from services.credit.formulas import loan_to_value as ltv
from services.credit.formulas import loss_given_default as lgd
from services.credit.formulas import price as rates
from shared import money

#: The pool reimburses the guarantor and is never cover to the bank: it lowers the loss but not the capital.
REIMBURSING = ("pool",)
GUARANTORS = ("primary", "province", "national", "pool")
#: The legs whose worth is told; who bears the guarantee, and who bears it behind the guarantor.
LEGS = ("carbon", "insurer", "guarantor", "reguarantor")
BEHIND = ("province", "national")
#: Rates are compared in whole billionths, so that worths add up to the last digit.
_UNIT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PriceInputs:
    """What a price is made of, in numbers that JSON keeps as they are."""

    #: Amount in fen.
    amount: int
    term_months: int
    #: Over fire and no fire, and the two states it mixes.
    default_probability: float
    default_probability_without_fire: float
    default_probability_given_fire: float
    fire_probability: float
    #: Present value, at the quantile that recovery counts on, of what is pledged. [CNY]
    carbon_value: float
    #: [CNY]
    sum_insured: float
    #: Share of the loss left that each guarantor bears; the bank keeps the rest.
    guarantors: dict[str, float]
    #: Value of the pledge at the margin quantile after haircuts [CNY], and the spot price it stands on [CNY/t].
    counted_value: float = 0.0
    spot_price: float = 0.0


@dataclass(frozen=True, slots=True)
class Price:
    """A price and why it is that."""

    #: Rate that just pays every cost, rounded up to the basis point. [1/yr]
    annual_rate: float
    #: Over the loan prime rate. [bp]
    spread_bp: float
    #: The bank's, after every leg; and before insurer and guarantors, for them to price on.
    loss_given_default: float
    loss_given_default_before_legs: float
    #: Who bears how much of PD × amount in a year, fen; sums to it.
    expected_losses: dict[str, int]
    #: Fall of the rate because this leg is there, the others as they are. Two of them never add up.
    worth_bp: dict[str, float]
    #: Rate without any leg [1/yr]; what each leg takes off it, averaged over every order of adding them [bp]. Less all
    #: of these it is the break-even rate.
    bare_rate: float
    waterfall_bp: dict[str, float]
    break_even_rate: float
    #: Capital held per unit of the loan. [-]
    capital: float
    retained_share: float
    #: Return on that capital at the rate offered [1/yr], and what is left of a year's income after its price [CNY/yr].
    risk_adjusted_return: float | None
    economic_value_added: float
    #: Interest subsidy of a year if it is granted, and over all subsidised years, never above the interest. [CNY]
    yearly_subsidy: float
    whole_subsidy: float
    #: Carbon price at which the margin is called on the whole amount; unknown without a price. [CNY/t]
    break_even_price: float | None
    #: For information: correlation, maturity slope, requirement K, risk weight, weighted assets [CNY].
    capital_by_framework: dict[str, float]


def price(policy: Policy, inputs: PriceInputs) -> Price:
    """Price a loan with its legs."""
    # A leg that bears nothing changes nothing, so only those of the loan's own legs are worked out.
    borne = _borne(inputs)
    made = {there: _state(policy, inputs, *(leg for leg in LEGS if leg not in there)) for there in _subsets(borne)}
    states = {there: made[there & borne] for there in _subsets(LEGS)}
    everything = frozenset(LEGS)
    whole, bare, before_legs = states[everything], states[frozenset()], states[frozenset({"carbon"})]
    without = {leg: states[everything - {leg}] for leg in LEGS}
    worths = rates.shapley_worths({there: -round(one.rate * _UNIT) for there, one in states.items()})
    rate = math.ceil(round(whole.rate * 10_000, 6)) / 10_000
    amount = inputs.amount / 100
    income = {
        "expected_loss": inputs.default_probability * whole.loss_given_default * amount,
        "opex": policy["opex_rate"] * amount,
        "funding": policy["funding_rate"] * amount,
        "economic_capital": whole.capital * amount,
    }
    held = income["economic_capital"]
    subsidised = min(policy["interest_subsidy_rate"], rate)
    years = min(inputs.term_months / 12, policy["interest_subsidy_maximum_years"])
    return Price(
        annual_rate=rate,
        spread_bp=round(rates.reference_spread_bp(rate, _reference_rate(policy, inputs.term_months)), 6),
        loss_given_default=whole.loss_given_default,
        loss_given_default_before_legs=before_legs.loss_given_default,
        expected_losses=el.expected_loss_split(inputs.default_probability, whole.parts),
        worth_bp={leg: round(rates.worth_bp(one.rate, whole.rate), 6) for leg, one in without.items()},
        bare_rate=round(bare.rate, 9),
        waterfall_bp={leg: worths[leg] * 10_000 / _UNIT for leg in LEGS},
        break_even_rate=round(whole.rate, 9),
        capital=whole.capital,
        retained_share=el.retained_share(list(inputs.guarantors.values())),
        risk_adjusted_return=None
        if held <= 0
        else rates.risk_adjusted_return(rate * amount, **income, capital_benefit=policy["funding_rate"] * held),
        economic_value_added=rates.economic_value_added(
            rate * amount + policy["funding_rate"] * held, **income, hurdle_rate=policy["hurdle_rate"]
        ),
        yearly_subsidy=rates.interest_subsidy(amount, subsidised, 1.0),
        whole_subsidy=rates.interest_subsidy(amount, subsidised, years),
        break_even_price=None
        if inputs.counted_value <= 0 or inputs.spot_price <= 0
        else ltv.break_even_carbon_price(
            amount, policy["margin_call_loan_to_value"], inputs.counted_value, inputs.spot_price, other_value=0.0
        ),
        capital_by_framework=_by_framework(policy, inputs, whole),
    )


def _borne(inputs: PriceInputs) -> frozenset[str]:
    """The legs that bear anything."""
    bearing = {
        "carbon": inputs.carbon_value > 0,
        "insurer": inputs.sum_insured > 0,
        "guarantor": any(name not in BEHIND for name in inputs.guarantors),
        "reguarantor": any(name in BEHIND for name in inputs.guarantors),
    }
    return frozenset(leg for leg in LEGS if bearing[leg])


def _subsets(legs: Iterable[str]) -> Iterator[frozenset[str]]:
    legs = tuple(legs)
    return (frozenset(there) for size in range(len(legs) + 1) for there in combinations(legs, size))


def _by_framework(policy: Policy, inputs: PriceInputs, whole: "_State") -> dict[str, float]:
    treatment = policy["capital_treatment"]
    probability = inputs.default_probability
    weight = basel.risk_weight(whole.requirement)
    return {
        "default_probability": probability,
        "loss_given_default": whole.framework_loss,
        "correlation": basel.correlation(probability, treatment["asset_class"], treatment["sales_eur_m"]),
        "maturity_slope": basel.maturity_slope(probability),
        "requirement": whole.requirement,
        "risk_weight": weight,
        "risk_weighted_assets": weight * inputs.amount / 100,
    }


@dataclass(frozen=True, slots=True)
class _State:
    rate: float
    loss_given_default: float
    capital: float
    requirement: float
    framework_loss: float
    parts: Mapping[str, int]


def _state(policy: Policy, inputs: PriceInputs, *missing: str) -> _State:
    """The rate and its parts when some legs are not there."""
    carbon = 0.0 if "carbon" in missing else inputs.carbon_value
    insured = 0.0 if "insurer" in missing else inputs.sum_insured
    guarantors = {
        name: share
        for name, share in inputs.guarantors.items()
        if ("reguarantor" if name in BEHIND else "guarantor") not in missing
    }
    fire = pd.fire_probability_given_default(
        inputs.default_probability_without_fire, inputs.default_probability_given_fire, inputs.fire_probability
    )
    parts = el.mixed_split(
        el.loss_split(inputs.amount, _stages(policy, carbon, insured, guarantors, burnt=False)),
        el.loss_split(inputs.amount, _stages(policy, carbon, insured, guarantors, burnt=True)),
        fire,
    )
    loss = max(policy["lgd_floor"] * el.retained_share(list(guarantors.values())), parts[el.BANK] / inputs.amount)
    treatment = policy["capital_treatment"]
    covered = sum(share for name, share in guarantors.items() if name not in REIMBURSING)
    framework_loss = policy["lgd_unsecured"] * (1 - covered)
    requirement = basel.capital_requirement(
        inputs.default_probability,
        framework_loss,
        treatment["asset_class"],
        treatment["maturity_years"],
        treatment["sales_eur_m"],
    )
    capital = rates.capital_share(requirement, policy["capital_ratio"])
    rate = rates.break_even_rate(
        policy["funding_rate"],
        policy["opex_rate"],
        inputs.default_probability,
        loss,
        capital,
        policy["hurdle_rate"],
    )
    return _State(rate, loss, capital, requirement, framework_loss, parts)


def _stages(
    policy: Policy, carbon: float, insured: float, guarantors: Mapping[str, float], *, burnt: bool
) -> list[el.Stage]:
    """The legs in the order of the contract, in one state of the world."""
    lost = policy["carbon_loss_given_fire"] if burnt else 0.0
    standing = lgd.value_given_fire(carbon, policy["carbon_price_fall_given_fire"]) if burnt else carbon
    sale = lgd.carbon_recovery(standing, policy["carbon_recovery_haircut"], lost)
    claim = lgd.insurance_recovery(carbon, insured, policy["insurance_haircut_given_fire"], lost)
    stages: dict[str, el.Stage] = {
        "carbon": el.Amount("carbon", _fen(policy, sale)),
        "insurer": el.Amount("insurer", _fen(policy, claim)),
        "guarantors": el.Shares(tuple(guarantors.items())),
    }
    return [stages[leg] for leg in policy["leg_order"] if leg in stages]


def _fen(policy: Policy, recovery: float) -> int:
    """A recovery net of cost and time, in fen."""
    net = lgd.discounted_recovery(
        recovery, policy["recovery_cost_ratio"], policy["funding_rate"], policy["recovery_years"]
    )
    return money.fen(money.yuan(net))


def _reference_rate(policy: Policy, term_months: int) -> float:
    rate: float = policy["loan_prime_rate"]["five_years" if term_months >= 60 else "one_year"]
    return rate


def inputs_as_json(inputs: PriceInputs) -> dict[str, Any]:
    """The inputs of a price, to store."""
    return asdict(inputs)


def as_json(made: Price) -> dict[str, Any]:
    """A price as JSON data."""
    return asdict(made)
