"""Repayment schedules in whole fen.        docs/equations/credit.md (C61)-(C66)

Amounts go in and out as integers; a rate is turned into whole 1e-9 per year, so that interest is exact integer
arithmetic with one rounding, half up. The last instalment clears the balance, so principal sums to the
loan to the fen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_RATE_UNIT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Instalment:
    """One payment: number from 1, principal and interest due, balance left after it. [fen]"""

    number: int
    principal: int
    interest: int
    balance: int


def period_interest(balance: int, annual_rate: float, periods_per_year: int) -> int:
    """Eq. (C61): interest of one period, balance·rate / periods a year, half up. [fen]

    Source: definition; no.

    >>> period_interest(100_000_000, 0.036, periods_per_year=12)
    300000
    """
    return _ratio(balance * _units(annual_rate), _RATE_UNIT * periods_per_year)


def equal_instalment(
    principal: int, annual_rate: float, periods: int, periods_per_year: int = 12, grace_periods: int = 0
) -> list[Instalment]:
    """Eq. (C62): 等额本息, level payment P·i / (1 − (1 + i)^−n) after interest-only grace periods. [fen]

    Source: annuity formula; no.

    >>> [(each.principal, each.interest) for each in equal_instalment(100_000, 0.12, periods=3)]
    [(33002, 1000), (33332, 670), (33666, 337)]
    """
    _checked(principal, periods, grace_periods)
    paying = periods - grace_periods
    rate = _units(annual_rate) / _RATE_UNIT / periods_per_year
    level = principal / paying if rate == 0 else principal * rate / -math.expm1(-paying * math.log1p(rate))
    payment = math.floor(level + 0.5)
    rows, balance = list[Instalment](), principal
    for number in range(1, periods + 1):
        interest = period_interest(balance, annual_rate, periods_per_year)
        # A payment of a few fen may not cover its interest after rounding; principal then waits, it never grows.
        due = 0 if number <= grace_periods else min(balance, max(0, payment - interest))
        balance = _append(rows, number, due, interest, balance, last=number == periods)
    return rows


def equal_principal(
    principal: int, annual_rate: float, periods: int, periods_per_year: int = 12, grace_periods: int = 0
) -> list[Instalment]:
    """Eq. (C63): 等额本金, principal P / n each period after interest-only grace periods. [fen]

    Source: definition; no.

    >>> [(each.principal, each.interest) for each in equal_principal(100_000, 0.12, periods=3)]
    [(33333, 1000), (33333, 667), (33334, 333)]
    """
    _checked(principal, periods, grace_periods)
    share = principal // (periods - grace_periods)
    rows, balance = list[Instalment](), principal
    for number in range(1, periods + 1):
        interest = period_interest(balance, annual_rate, periods_per_year)
        due = 0 if number <= grace_periods else share
        balance = _append(rows, number, due, interest, balance, last=number == periods)
    return rows


def interest_only(principal: int, annual_rate: float, periods: int, periods_per_year: int = 12) -> list[Instalment]:
    """Eq. (C64): 按期付息到期还本, interest each period and the whole principal at the end. [fen]

    Source: definition; no.

    >>> [(each.principal, each.interest) for each in interest_only(100_000, 0.12, periods=3)]
    [(0, 1000), (0, 1000), (100000, 1000)]
    """
    _checked(principal, periods, 0)
    rows, balance = list[Instalment](), principal
    for number in range(1, periods + 1):
        interest = period_interest(balance, annual_rate, periods_per_year)
        balance = _append(rows, number, 0, interest, balance, last=number == periods)
    return rows


def accrued_interest(balance: int, annual_rate: float, days: int, days_per_year: int) -> int:
    """Eq. (C65): interest accrued over days, balance·rate·days / days a year, half up. [fen]

    Source: definition; the basis of 360 or 365 is a contract term; no.

    >>> accrued_interest(100_000_000, 0.036, days=30, days_per_year=360)
    300000
    """
    return _ratio(balance * _units(annual_rate) * days, _RATE_UNIT * days_per_year)


def debt_service_cover(revenues: Sequence[float], debt_services: Sequence[float]) -> float:
    """Eq. (C66): weakest cover of debt service by revenue, min of revenue / service over years with service. [-]

    Source: definition; cash flow of each issuance year decides, not the total; no.

    >>> debt_service_cover([0.0, 120.0, 90.0], [0.0, 100.0, 100.0])
    0.9
    """
    covers = [revenue / service for revenue, service in zip(revenues, debt_services, strict=True) if service > 0]
    return min(covers, default=math.inf)


def _append(rows: list[Instalment], number: int, due: int, interest: int, balance: int, last: bool) -> int:
    due = balance if last else due
    rows.append(Instalment(number, due, interest, balance - due))
    return balance - due


def _checked(principal: int, periods: int, grace_periods: int) -> None:
    if principal <= 0 or periods <= 0 or not 0 <= grace_periods < periods:
        raise ValueError(f"no schedule of {principal} fen in {periods} periods with {grace_periods} of grace")


def _units(annual_rate: float) -> int:
    if not 0 <= annual_rate < 1:
        raise ValueError(f"a yearly rate lies in [0, 1), got {annual_rate}")
    return round(annual_rate * _RATE_UNIT)


def _ratio(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
