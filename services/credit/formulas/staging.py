"""Accounting stage, prudential class and expected credit loss.        docs/equations/credit.md (C67)-(C69)

Two scales, kept apart on purpose: 90 days past due are stage 3 in the accounts and still 关注 by days alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
