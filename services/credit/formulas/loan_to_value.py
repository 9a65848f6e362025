"""Loan to value of a pledge, and what would trigger a margin call.  docs/equations/credit.md (C17)-(C30), (C88), (C93)

B  balance [CNY]      V  value of the pledge at the stated quantile, after haircuts [CNY]
L  a loan-to-value limit [-]

A value that is not there is an error or a fault with a name. It never becomes 0, nor does a ratio for want of it.
"""

import math
from collections.abc import Mapping, Sequence

from scipy.special import ndtri


class MissingValuationError(ValueError):
    """A pledged asset has no usable value, so its loan to value is unknown."""


def value_at_quantile(quantiles: Mapping[float, float | None], level: float) -> float:
    """Eq. (C17): present value at a quantile, linear between the quantiles of the valuation. [CNY]

    Nothing is extrapolated: a level outside the valuation's own quantiles is refused.
    Source: linear interpolation of a quantile function; no.

    >>> value_at_quantile({0.05: 100.0, 0.10: 120.0, 0.50: 200.0}, level=0.10)
    120.0
    """
    known = sorted((float(key), value) for key, value in quantiles.items())
    if not known:
        raise MissingValuationError("the valuation holds no quantile")
    if not known[0][0] <= level <= known[-1][0]:
        raise MissingValuationError(f"the valuation holds no quantile around {level}")
    values = [_known_value(value) for _, value in known]
    for (low, _), (high, _), at_low, at_high in zip(known, known[1:], values, values[1:], strict=False):
        if low <= level <= high:
            return at_low + (at_high - at_low) * (level - low) / (high - low)
    return values[0]


def pledged_value(values: Sequence[float | None], haircuts: Sequence[float]) -> float:
    """Eq. (C18): value of all pledged assets after haircuts, Σ V·(1 − h). [CNY]

    Every pledged asset counts and every one must be valued.
    Source: our own rule, after a lending system that read its first security only; no.

    >>> pledged_value([1000.0, 500.0], haircuts=[0.2, 0.4])
    1100.0
    """
    if not values:
        raise MissingValuationError("no asset is pledged")
    if any(not 0 <= haircut <= 1 for haircut in haircuts):
        raise ValueError(f"a haircut lies in [0, 1], got {list(haircuts)}")
    return sum(_known_value(value) * (1 - haircut) for value, haircut in zip(values, haircuts, strict=True))


def loan_to_value(balance: float, value: float | None) -> float:
    """Eq. (C19): loan to value, B / V; infinite when a debt stands on a pledge worth nothing. [-]

    Source: definition; a missing value is an error because a peer's silent 0 raised no margin call; no.

    >>> loan_to_value(600_000, 1_000_000)
    0.6
    """
    worth = _known_value(value)
    if not balance >= 0:
        raise ValueError(f"a balance is not negative, got {balance}")
    if balance == 0:
        return 0.0
    return balance / worth if worth > 0 else math.inf


def maximum_principal(value_fen: int, max_loan_to_value: float) -> int:
    """Eq. (C20): largest loan under a cap, ⌊V·L⌋. [fen]

    Source: bank practice on forest-right mortgages, caps of 50 and 60 % (Bank of China 益农贷, Pengzhou); secondary.

    >>> maximum_principal(100_000_000, 0.6)
    60000000
    """
    # In whole millionths, or 0.57 of 100 would lose a fen to binary fractions.
    return value_fen * round(max_loan_to_value * 1_000_000) // 1_000_000


def margin_value(balance: float, margin_loan_to_value: float) -> float:
    """Eq. (C21): value of the pledge below which a margin call follows, B / L. [CNY]

    Source: definition; no.

    >>> margin_value(600_000, margin_loan_to_value=0.75)
    800000.0
    """
    return balance / margin_loan_to_value


def shortfall(balance: float, value: float | None, cure_loan_to_value: float) -> float:
    """Eq. (C22): cash that brings the loan back to the cure level, max(0, B − L·V). [CNY]

    Source: definition, as in a security-backed lending system's shortfall; no.

    >>> shortfall(600_000, 700_000, cure_loan_to_value=0.7)
    110000.0
    """
    return round(max(0.0, balance - cure_loan_to_value * _known_value(value)), 6)


def top_up_value(balance: float, value: float | None, cure_loan_to_value: float) -> float:
    """Eq. (C23): further pledge that brings the loan back to the cure level, max(0, B / L − V). [CNY]

    Source: definition; no.

    >>> top_up_value(630_000, 700_000, cure_loan_to_value=0.7)
    200000.0
    """
    return max(0.0, round(balance / cure_loan_to_value - _known_value(value), 6))


def margin_state(ratio: float, margin_loan_to_value: float, cure_loan_to_value: float, called: bool) -> str:
    """Eq. (C24): covenant state; called above the margin level, cured only at or below the cure level. [-]

    Two levels keep a loan near the limit from flickering with every valuation.
    Source: our own hysteresis; no.

    >>> margin_state(0.72, margin_loan_to_value=0.75, cure_loan_to_value=0.70, called=True)
    'called'
    """
    if cure_loan_to_value > margin_loan_to_value:
        raise ValueError(f"cure level {cure_loan_to_value} lies above margin level {margin_loan_to_value}")
    if not ratio >= 0:
        raise MissingValuationError("the loan to value is unknown")
    return "called" if ratio > (cure_loan_to_value if called else margin_loan_to_value) else "covered"


def break_even_carbon_price(
    balance: float, margin_loan_to_value: float, carbon_value: float, carbon_price: float, other_value: float
) -> float:
    """Eq. (C25): carbon price at which the margin call comes, p·(B / L − other) / V carbon. [CNY/tCO2e]

    Carbon value is taken as proportional to its price; 0 when the rest of the pledge carries the loan alone.
    Source: our own rule; no.

    >>> break_even_carbon_price(600_000, 0.75, carbon_value=1_000_000, carbon_price=80, other_value=0)
    64.0
    """
    if carbon_value <= 0 or carbon_price <= 0:
        raise MissingValuationError("a break-even price needs a carbon value and a price above 0")
    return carbon_price * max(0.0, balance / margin_loan_to_value - other_value) / carbon_value


def price_haircut(volatility: float, years_to_sell: float, confidence: float) -> float:
    """Eq. (C26): haircut for the time to sell, 1 − exp(−z·σ·√t). [-]

    Source: lognormal price without drift, square root of time; our own choice; no.

    >>> round(price_haircut(volatility=0.3, years_to_sell=0.25, confidence=0.95), 4)
    0.2186
    """
    return 1 - math.exp(-float(ndtri(confidence)) * volatility * math.sqrt(years_to_sell))


def valuation_fault(
    value: float | None, age_days: int | None, max_age_days: int, superseded: bool = False, withdrawn: bool = False
) -> str | None:
    """Eq. (C27): why a valuation may not be used: missing, withdrawn, superseded, stale, or nothing. [-]

    A valuation dated after the decision is as unusable as one too old.
    Source: our own rule, after a peer's ratio of 0 for a missing price; no.

    >>> valuation_fault(None, age_days=None, max_age_days=180)
    'valuation missing'
    """
    if value is None or value != value or age_days is None:
        return "valuation missing"
    if withdrawn:
        return "valuation withdrawn"
    if superseded:
        return "valuation superseded"
    if not 0 <= age_days <= max_age_days:
        return "valuation stale"
    return None


def loan_to_revenue(principal: float, expected_revenue: float) -> float:
    """Eq. (C28): loan over undiscounted expected carbon revenue, B / R. [-]

    Source: the only ratio computable from a reported case, press report on Wuning, 2025-07; secondary.

    >>> loan_to_revenue(3.0, 20.0)
    0.15
    """
    return principal / expected_revenue


def implied_carbon_price(expected_revenue: float, tonnes: float) -> float:
    """Eq. (C29): carbon price a revenue forecast rests on, R / tonnes. [CNY/tCO2e]

    Source: arithmetic on the press report on Wuning, 2025-07; secondary.

    >>> round(implied_carbon_price(20_000_000, 127_400), 2)
    156.99
    """
    return expected_revenue / tonnes


def self_valuation_required(principal: float, limit: float) -> bool:
    """Eq. (C30): whether the bank must value the forest itself and charge no appraisal fee, B < limit. [-]

    Source: 银监发〔2013〕32号; read.

    >>> self_valuation_required(299_999, limit=300_000)
    True
    """
    return principal < limit


def counted_share(tonnes: float, forecast_tonnes: float, pledged_tonnes: float) -> float:
    """Eq. (C88): share of an asset that a pledge counts for, t / max(forecast, all pledged, t). [-]

    After a loss the pledges of several lenders may exceed what is still forecast: they then share it in proportion,
    so that no tonne is counted twice.
    Source: our own rule; no.

    >>> counted_share(5_000, 10_000, pledged_tonnes=5_000), counted_share(5_000, 6_000, pledged_tonnes=10_000)
    (0.5, 0.5)
    """
    if tonnes <= 0 or forecast_tonnes < 0 or pledged_tonnes < 0:
        raise ValueError(f"no share of {tonnes} t in {forecast_tonnes} t forecast and {pledged_tonnes} t pledged")
    return tonnes / max(forecast_tonnes, pledged_tonnes, tonnes)


def mean_cap(values: Sequence[float], caps: Sequence[float]) -> float:
    """Eq. (C93): cap of a mixed pledge, Σ V·cap / Σ V; the plain mean of the caps when nothing is worth anything. [-]

    Source: our own rule; no.

    >>> mean_cap([300.0, 100.0], [0.5, 0.6])
    0.525
    """
    whole = sum(values)
    if whole <= 0:
        return sum(caps) / len(caps)
    return sum(value * cap for value, cap in zip(values, caps, strict=True)) / whole


def _known_value(value: float | None) -> float:
    if value is None or not math.isfinite(value):
        raise MissingValuationError("valuation missing")
    if value < 0:
        raise ValueError(f"a value is not negative, got {value}")
    return value
