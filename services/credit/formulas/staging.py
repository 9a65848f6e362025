"""Accounting stage, prudential class and expected credit loss.    docs/equations/credit.md (C67)-(C69), (C106)-(C110)

Two scales, kept apart on purpose: 90 days past due are stage 3 in the accounts and still 关注 by days alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]

FIVE_CLASSES = ("正常", "关注", "次级", "可疑", "损失")


@dataclass(frozen=True, slots=True)
class Stage:
    """Stage of a loan, the horizon of its expected loss and the amount that bears interest."""

    stage: int
    ecl_horizon: str
    interest_on: str


def stage(
    days_past_due: int,
    significant_increase_since_origination: bool,
    credit_impaired: bool,
    covenant_breach: str | None,
    default_days: int,
    significant_days: int,
) -> Stage:
    """Eq. (C67): stage 3 if impaired or dpd ≥ default days, else 2 if risk rose or dpd > significant days, else 1. [-]

    Stage 3 is tested first. A covenant breach, "actual" or "expected", counts as a significant increase: a margin call
    moves the loan. Loans bought or granted impaired stay outside this function.
    Source: IFRS 9, impairment; read.

    >>> stage(31, False, False, None, default_days=90, significant_days=30).stage
    2
    """
    if covenant_breach not in (None, "actual", "expected"):
        raise ValueError(f"a covenant breach is actual or expected, got {covenant_breach!r}")
    if days_past_due < 0:
        raise ValueError(f"days past due are not negative, got {days_past_due}")
    if credit_impaired or days_past_due >= default_days:
        return Stage(3, "lifetime", "net")
    if significant_increase_since_origination or covenant_breach is not None or days_past_due > significant_days:
        return Stage(2, "lifetime", "gross")
    return Stage(1, "12 months", "gross")


def five_class(days_past_due: int, limits: Sequence[int]) -> str:
    """Eq. (C68): best class that days past due alone allow, by the number of limits passed. [-]

    Other facts may only worsen it.
    Source: 银保监会、人民银行令〔2023〕1号, day limits as reported of the 2019 draft; secondary.

    >>> five_class(91, limits=[0, 90, 270, 360])
    '次级'
    """
    if days_past_due < 0:
        raise ValueError(f"days past due are not negative, got {days_past_due}")
    if len(limits) != len(FIVE_CLASSES) - 1:
        raise ValueError(f"five classes have four limits, got {list(limits)}")
    return FIVE_CLASSES[sum(days_past_due > limit for limit in limits)]


def expected_credit_loss(
    default_probabilities: Sequence[float],
    losses_given_default: Sequence[float],
    exposures: Sequence[float],
    discount_rate: float,
) -> float:
    """Eq. (C69): expected credit loss, Σ PDt·LGDt·EADt / (1 + r)^t over years of the horizon. [CNY]

    PDt is the probability of default in year t itself; one year gives the 12-month loss, all years the lifetime loss.
    Source: IFRS 9, impairment: probability-weighted and discounted; no.

    >>> expected_credit_loss([0.1, 0.1], [0.5, 0.5], [1000, 500], discount_rate=0.0)
    75.0
    """
    if sum(default_probabilities) > 1 + 1e-12:
        raise ValueError("marginal default probabilities sum to more than 1")
    terms = zip(default_probabilities, losses_given_default, exposures, strict=True)
    return float(
        sum(pd * lgd * ead / (1 + discount_rate) ** year for year, (pd, lgd, ead) in enumerate(terms, start=1))
    )


def default_probabilities(probability: Floats, uplift: float, fire_probability: Floats) -> Floats:
    """Eq. (C106): default probability of each loan over fire and no fire, PD + q·u·(1 − PD). [-]

    Source: (C13) in (C14) by element; no.

    >>> default_probabilities(np.array([0.02]), 0.04, np.array([0.1])).round(6).tolist()
    [0.02392]
    """
    return probability + fire_probability * uplift * (1 - probability)


def risk_increased(now: Floats, origin: Floats, ratio: float, difference: float) -> Flags:
    """Eq. (C107): whether the risk rose significantly since origination, PD ≥ r·PD₀ and PD − PD₀ ≥ d. [-]

    Relative to origination, as the standard asks; an unknown probability shows no increase, its other signs stand.
    Source: IFRS 9, impairment, asks for it; the two thresholds are the bank's own; no.

    >>> risk_increased(np.array([0.04, 0.002]), np.array([0.01, 0.0005]), ratio=2.0, difference=0.005)
    array([ True, False])
    """
    return (now >= ratio * origin) & (now - origin >= difference)


def stages(
    days_past_due: Whole, increased: Flags, impaired: Flags, breach: Flags, default_days: int, significant_days: int
) -> Whole:
    """Eq. (C108): stage of each loan, 3 if impaired or late by default days, else 2 if risk rose, else 1. [-]

    Source: (C67) by element; read.

    >>> no = np.zeros(3, dtype=bool)
    >>> stages(np.array([90, 31, 0]), no, no, no, default_days=90, significant_days=30)
    array([3, 2, 1])
    """
    second = increased | breach | (days_past_due > significant_days)
    return np.where(impaired | (days_past_due >= default_days), 3, np.where(second, 2, 1)).astype(np.int64)


def class_numbers(days_past_due: Whole, limits: Sequence[int], floor: Whole) -> Whole:
    """Eq. (C109): place of each loan among the five classes, by limits passed and never better than its floor. [-]

    Source: (C68) by element; that other facts may only worsen a class, as reported of the rules of 2023; secondary.

    >>> class_numbers(np.array([0, 91]), [0, 90, 270, 360], np.array([1, 0]))
    array([1, 2])
    """
    passed: Whole = (days_past_due[:, None] > np.array(limits)[None, :]).sum(axis=1)
    return np.maximum(passed, floor)


def bucket(days_past_due: int, limits: Sequence[int]) -> str:
    """Eq. (C110): arrears bucket, the days between two limits; "0" without arrears. [d]

    Source: bank practice of 30-day buckets; no.

    >>> bucket(0, [0, 30, 60, 90]), bucket(31, [0, 30, 60, 90]), bucket(91, [0, 30, 60, 90])
    ('0', '31-60', '90+')
    """
    passed = sum(days_past_due > limit for limit in limits)
    if passed == 0:
        return "0"
    return f"{limits[-1]}+" if passed == len(limits) else f"{limits[passed - 1] + 1}-{limits[passed]}"
