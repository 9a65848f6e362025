"""Loss given default of a loan on a pledged forest.        docs/equations/credit.md (C31)-(C40), (C95)

E  exposure [CNY]     C, V  collateral, carbon value [CNY]     h  haircut [-]     S  insured sum [CNY]
F  loss_given_fire: share of the carbon value a fire takes [-]     π  fire_probability_given_default [-]

Wrong way: the policy pays for trees that no longer stand. (C34) and (C35) work in one state of the world at a time,
fire or no fire, so the trees and the policy on them are never both counted in full; (C36) mixes the states.
"""

from collections.abc import Sequence


def exposure_after_collateral(
    exposure: float, exposure_haircut: float, collateral: float, haircut: float, currency_haircut: float
) -> float:
    """Eq. (C31): exposure after eligible collateral, max(0, E·(1 + He) − C·(1 − Hc − Hfx)). [CNY]

    Source: Basel comprehensive approach, as read in creditriskengine 0.31; read.

    >>> exposure_after_collateral(100.0, 0, collateral=60.0, haircut=0.4, currency_haircut=0)
    64.0
    """
    return max(0.0, exposure * (1 + exposure_haircut) - collateral * (1 - haircut - currency_haircut))


def secured_exposure(exposure: float, collateral: float, haircut: float, currency_haircut: float) -> float:
    """Eq. (C32): part of the exposure that collateral covers, min(E, C·(1 − Hc − Hfx)). [CNY]

    Source: Basel foundation approach of 2023, formula letter unchecked; no.

    >>> secured_exposure(100.0, collateral=50.0, haircut=0.4, currency_haircut=0)
    30.0
    """
    return min(exposure, max(0.0, collateral * (1 - haircut - currency_haircut)))


def blended_loss_given_default(exposure: float, secured: float, lgd_unsecured: float, lgd_secured: float) -> float:
    """Eq. (C33): loss given default over both parts, (LGDu·Eu + LGDs·Es) / E. [-]

    Not for future carbon revenue: without a deep market it is no eligible collateral and takes the unsecured rate.
    Source: Basel foundation approach of 2023, formula letter unchecked; no.

    >>> round(blended_loss_given_default(100, 30, lgd_unsecured=0.45, lgd_secured=0.25), 9)
    0.39
    """
    return (lgd_unsecured * (exposure - secured) + lgd_secured * secured) / exposure


def carbon_recovery(value: float, haircut: float, loss_given_fire: float) -> float:
    """Eq. (C34): what selling the pledge brings in one state, V·(1 − F)·(1 − h); F is 0 without fire. [CNY]

    Source: our own rule; no.

    >>> carbon_recovery(1000.0, haircut=0.4, loss_given_fire=0.75)
    150.0
    """
    _share(haircut)
    _share(loss_given_fire)
    return value * (1 - loss_given_fire) * (1 - haircut)


def insurance_recovery(value: float, insured_sum: float, haircut: float, loss_given_fire: float) -> float:
    """Eq. (C35): what the policy brings in one state, min(S, V·F)·(1 − h); nothing without fire. [CNY]

    Capped by the burnt value (indemnity): together with (C34) a state never exceeds V.
    Source: our own rule; late and partial settlement after wildfire, Federal Reserve Bank of Philadelphia WP 23-05; no.

    >>> insurance_recovery(1000.0, insured_sum=600.0, haircut=0.2, loss_given_fire=0.75)
    480.0
    """
    _share(haircut)
    _share(loss_given_fire)
    return min(insured_sum, value * loss_given_fire) * (1 - haircut)


def expected_recovery(without_fire: float, with_fire: float, fire_probability_given_default: float) -> float:
    """Eq. (C36): recovery over fire and no fire among defaults, (1 − π)·R + π·R given fire. [CNY]

    Source: law of total expectation; no.

    >>> expected_recovery(600.0, 630.0, fire_probability_given_default=0.5)
    615.0
    """
    _share(fire_probability_given_default)
    return (1 - fire_probability_given_default) * without_fire + fire_probability_given_default * with_fire


def discounted_recovery(recovery: float, cost_ratio: float, discount_rate: float, years: float) -> float:
    """Eq. (C37): recovery net of cost and time, R·(1 − c) / (1 + r)^t. [CNY]

    Source: present value of a recovery net of cost; no.

    >>> discounted_recovery(1100.0, cost_ratio=0.0, discount_rate=0.1, years=1)
    1000.0
    """
    return round(float(recovery * (1 - cost_ratio) / (1 + discount_rate) ** years), 9)


def loss_given_default(exposure: float, recovery: float, floor: float) -> float:
    """Eq. (C38): loss given default of one state, max(floor, 1 − R / E), never above 1. [-]

    Source: definition; no.

    >>> loss_given_default(1000.0, 600.0, floor=0.0)
    0.4
    """
    if exposure <= 0:
        raise ValueError(f"a loss given default needs an exposure above 0, got {exposure}")
    return min(1.0, max(floor, 1 - recovery / exposure))


def charge_off_ratio(charged_off: float, disbursed: float) -> float:
    """Eq. (C39): gross loss of a charged-off loan, charge-off / disbursed; recoveries are not netted. [-]

    Source: definition on the US SBA loan file; no.

    >>> charge_off_ratio(45_000, 60_000)
    0.75
    """
    return charged_off / disbursed


def bounded_loss_given_default(ratios: Sequence[float]) -> float:
    """Eq. (C40): mean of loss ratios held within [0, 1], Σ min(1, max(0, r)) / n. [-]

    Source: our own choice, since interest and cost push a few ratios above 1; no.

    >>> bounded_loss_given_default([0.5, 1.5])
    0.75
    """
    if not ratios:
        raise ValueError("no loss was observed")
    return sum(min(1.0, max(0.0, ratio)) for ratio in ratios) / len(ratios)


def value_given_fire(value: float, price_fall: float) -> float:
    """Eq. (C95): value of what a fire left standing at the price after it, V·(1 − d). [CNY]

    A fire season takes buyers and confidence as well as trees: price and fire fall together.
    Source: our own rule; no.

    >>> value_given_fire(1000.0, price_fall=0.1)
    900.0
    """
    _share(price_fall)
    return value * (1 - price_fall)


def _share(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"a share lies in [0, 1], got {value}")
