"""The price of a loan: who bears which expected loss, what each leg is worth, and the rate that pays every cost.

Carbon recovery and insurance are taken in two states of the world, fire or no fire, and mixed by the probability that a
defaulted loan stands on burnt forest: the trees and the policy on them never count together in full. Carbon is no
eligible collateral: capital stands on the unsecured loss rate of what no guarantor covers.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from services.credit.actions.policy import Policy
from services.credit.formulas import capital as basel
from services.credit.formulas import default_probability as pd
from services.credit.formulas import expected_loss as el
from services.credit.formulas import loss_given_default as lgd
from services.credit.formulas import price as rates
from shared import money

#: The pool reimburses the guarantor and is never cover to the bank: it lowers the loss but not the capital.
REIMBURSING = ("pool",)
GUARANTORS = ("primary", "province", "national", "pool")
LEGS = ("carbon", "insurer", "guarantors")


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
    #: Present value at the median of what is pledged. [CNY]
    carbon_value: float
    #: [CNY]
    sum_insured: float
    #: Share of the loss left that each guarantor bears; the bank keeps the rest.
    guarantors: dict[str, float]


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
    #: Capital held per unit of the loan. [-]
    capital: float
    retained_share: float


def price(policy: Policy, inputs: PriceInputs) -> Price:
    """Price a loan with its legs."""
    whole = _state(policy, inputs, "")
    without = {leg: _state(policy, inputs, leg) for leg in LEGS}
    before_legs = _state(policy, inputs, "insurer", "guarantors")
    rate = math.ceil(round(whole.rate * 10_000, 6)) / 10_000
    return Price(
        annual_rate=rate,
        spread_bp=round(rates.reference_spread_bp(rate, _reference_rate(policy, inputs.term_months)), 6),
        loss_given_default=whole.loss_given_default,
        loss_given_default_before_legs=before_legs.loss_given_default,
        expected_losses=el.expected_loss_split(inputs.default_probability, whole.parts),
        worth_bp={leg: round(rates.worth_bp(one.rate, whole.rate), 6) for leg, one in without.items()},
        capital=whole.capital,
        retained_share=el.retained_share(list(inputs.guarantors.values())),
    )


@dataclass(frozen=True, slots=True)
class _State:
    rate: float
    loss_given_default: float
    capital: float
    parts: Mapping[str, int]


def _state(policy: Policy, inputs: PriceInputs, *missing: str) -> _State:
    """The rate and its parts when some legs are not there."""
    carbon = 0.0 if "carbon" in missing else inputs.carbon_value
    insured = 0.0 if "insurer" in missing else inputs.sum_insured
    guarantors = {} if "guarantors" in missing else inputs.guarantors
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
    requirement = basel.capital_requirement(
        inputs.default_probability,
        policy["lgd_unsecured"] * (1 - covered),
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
    return _State(rate, loss, capital, parts)


def _stages(
    policy: Policy, carbon: float, insured: float, guarantors: Mapping[str, float], *, burnt: bool
) -> list[el.Stage]:
    """The legs in the order of the contract, in one state of the world."""
    lost = policy["carbon_loss_given_fire"] if burnt else 0.0
    sale = lgd.carbon_recovery(carbon, policy["carbon_recovery_haircut"], lost)
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
