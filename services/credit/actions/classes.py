"""Classes of a block of loans: arrears, IFRS 9 stage, the five classes of the regulator, and the loss that is expected.

Two scales, kept apart: 90 days past due are stage 3 in the accounts and still 关注 by days alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from services.credit.actions.covenants import Block, Findings, Forests, numbers
from services.credit.actions.policy import Policy
from services.credit.formulas import staging
from services.credit.formulas.covenants import Flags, Floats, Whole
from shared import money


@dataclass(frozen=True)
class Classes:
    """One element for each loan of a block."""

    days_past_due: Whole
    stage: Whole
    #: Place among staging.FIVE_CLASSES.
    five_class: Whole
    bucket: list[str]
    #: Default probability now; NaN where that of the borrower is not known.
    probability: Floats
    increased: Flags
    broken: Flags
    short: Flags

    def grounds(self, place: int, policy: Policy) -> list[str]:
        """Codes of what put a loan where it is."""
        days, limits = int(self.days_past_due[place]), policy["stage_days"]
        found = []
        if days >= limits["default"]:
            found.append("default_days")
        elif days > limits["significant"]:
            found.append("significant_days")
        elif days > 0:
            found.append("past_due")
        if self.broken[place]:
            found.append("covenant_broken")
        if self.short[place]:
            found.append("debt_service_short")
        if self.increased[place]:
            found.append("risk_increased")
        return found


def classify(
    policy: Policy, one: Block, known: Forests, found: Findings, short: Flags, due: Whole, on: date
) -> Classes:
    """Class loans by the day their next instalment is due, what was found of their covenants, and their risk now.

    A covenant that is broken, or a year whose debt service is not covered, is a breach, actual or expected, which the
    standard lists among the signs of a significant increase. That arrears of 30 days show one, and of 90 a default, a
    bank may rebut: then it dates other days.
    """
    late = np.maximum(0, on.toordinal() - due)
    probability = staging.default_probabilities(
        numbers(one.loans.texts("borrower_probability")), policy["fire_default_uplift"], _fire(policy, one, known)
    )
    limits, rise = policy["stage_days"], policy["significant_increase"]
    increased = staging.risk_increased(probability, numbers(one.loans.texts("origin_probability")), **rise)
    impaired = np.zeros(len(one), dtype=bool)
    stage = staging.stages(late, increased, impaired, found.broken | short, limits["default"], limits["significant"])
    floors = {name: staging.FIVE_CLASSES.index(best) for name, best in policy["five_class_floors"].items()}
    floor = np.where(found.broken, floors["covenant_broken"], 0)
    floor = np.where(stage == 3, np.maximum(floor, floors["covenant_broken"]), floor)
    names = {days: staging.bucket(days, policy["arrears_buckets"]) for days in np.unique(late).tolist()}
    return Classes(
        days_past_due=late,
        stage=stage,
        five_class=staging.class_numbers(late, policy["five_class_days"], floor),
        bucket=[names[days] for days in late.tolist()],
        probability=probability,
        increased=increased,
        broken=found.broken,
        short=short,
    )


def expected_loss(
    stage: int,
    probability: float,
    loss: float,
    rate: float,
    owed: Decimal,
    agreed: Sequence[tuple[date, Decimal]],
    on: date,
) -> Decimal | None:
    """Expected credit loss of a loan by its stage, in the years that its instalments still run; None: unknown. [CNY]"""
    if math.isnan(probability) or math.isnan(loss):
        return None
    to_come = [(day, float(principal)) for day, principal in agreed if day > on]
    whole, exposures = sum(principal for _, principal in to_come), []
    years = max(1, math.ceil((max((day for day, _ in to_come), default=on) - on).days / 365.25))
    for year in range(years if stage > 1 else 1):
        left = sum(principal for day, principal in to_come if (day - on).days > 365.25 * year)
        # What is past due stays owed, so the balance runs off as what is still to come does.
        exposures.append(float(owed) * (left / whole if whole else 1.0))
    if stage == 3:
        return money.yuan(staging.expected_credit_loss([1.0], [loss], [float(owed)], 0.0))
    yearly = [probability * (1 - probability) ** year for year in range(len(exposures))]
    return money.yuan(staging.expected_credit_loss(yearly, [loss] * len(yearly), exposures, rate))


def next_look(policy: Policy, due: date, on: date) -> date | None:
    """The first day on which the days past due alone change a class; None when none does any more."""
    limits = {*policy["arrears_buckets"], *policy["five_class_days"]}
    limits |= {policy["stage_days"]["significant"], policy["stage_days"]["default"] - 1}
    coming = [due + timedelta(days=limit + 1) for limit in limits]
    return min((day for day in coming if day > on), default=None)


def _fire(policy: Policy, one: Block, known: Forests) -> Floats:
    """Yearly fire probability of each loan: the largest of its forests', since one fire is enough."""
    reference, base = policy["fire_hazard_reference"], policy["fire_probability"]
    score = np.where(np.isnan(known.fire), reference, known.fire)
    each = np.minimum(1.0, base * score / reference)
    largest = np.zeros(len(one))
    np.maximum.at(largest, one.owner, each[one.forest])
    return np.where(largest > 0, largest, base)
