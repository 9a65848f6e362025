"""Repayment schedules in whole fen.        docs/equations/credit.md (C61)-(C66), (C104)-(C105), (C115)-(C116)

Amounts go in and out as integers; a rate is turned into whole 1e-9 per year, so that interest is exact integer
arithmetic with one rounding, half up. The last instalment clears the balance, so principal sums to the
loan to the fen.

The length of a period is (days, days a year) of the contract's day count: 31 of 360, 31 of 365, 30 of 360. A number of
periods stands for that many equal parts of a year.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_RATE_UNIT = 1_000_000_000

Period = tuple[int, int]


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
    return accrued_interest(balance, annual_rate, 1, periods_per_year)


def equal_instalment(
    principal: int,
    annual_rate: float,
    periods: int | Sequence[Period],
    periods_per_year: int = 12,
    grace_periods: int = 0,
) -> list[Instalment]:
    """Eq. (C62): 等额本息, level payment P / Σ Π 1/(1 + i·d/D) after interest-only grace periods. [fen]

    Over n equal periods at i each that is P·i / (1 − (1 + i)^−n). Source: annuity formula; no.

    >>> [(each.principal, each.interest) for each in equal_instalment(100_000, 0.12, periods=3)]
    [(33002, 1000), (33332, 670), (33666, 337)]
    """
    lengths = _checked(principal, periods, periods_per_year, grace_periods)
    rate = _units(annual_rate) / _RATE_UNIT
    factor, factors = 1.0, 0.0
    for days, year in lengths[grace_periods:]:
        factor /= 1 + rate * days / year
        factors += factor
    payment = math.floor(principal / factors + 0.5)
    rows, balance = list[Instalment](), principal
    for number, (days, year) in enumerate(lengths, 1):
        interest = accrued_interest(balance, annual_rate, days, year)
        # A payment of a few fen may not cover its interest after rounding; principal then waits, it never grows.
        due = 0 if number <= grace_periods else min(balance, max(0, payment - interest))
        balance = _append(rows, number, due, interest, balance, last=number == len(lengths))
    return rows


def equal_principal(
    principal: int,
    annual_rate: float,
    periods: int | Sequence[Period],
    periods_per_year: int = 12,
    grace_periods: int = 0,
) -> list[Instalment]:
    """Eq. (C63): 等额本金, principal P / n each period after interest-only grace periods. [fen]

    Source: definition; no.

    >>> [(each.principal, each.interest) for each in equal_principal(100_000, 0.12, periods=3)]
    [(33333, 1000), (33333, 667), (33334, 333)]
    """
    lengths = _checked(principal, periods, periods_per_year, grace_periods)
    share = principal // (len(lengths) - grace_periods)
    rows, balance = list[Instalment](), principal
    for number, (days, year) in enumerate(lengths, 1):
        interest = accrued_interest(balance, annual_rate, days, year)
        due = 0 if number <= grace_periods else share
        balance = _append(rows, number, due, interest, balance, last=number == len(lengths))
    return rows


def interest_only(
    principal: int, annual_rate: float, periods: int | Sequence[Period], periods_per_year: int = 12
) -> list[Instalment]:
    """Eq. (C64): 按期付息到期还本, interest each period and the whole principal at the end. [fen]

    Source: definition; no.

    >>> [(each.principal, each.interest) for each in interest_only(100_000, 0.12, periods=3)]
    [(0, 1000), (0, 1000), (100000, 1000)]
    """
    lengths = _checked(principal, periods, periods_per_year, 0)
    return issuance_matched(principal, annual_rate, [0] * len(lengths), lengths)


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


def issuance_matched(
    principal: int,
    annual_rate: float,
    incomes: Sequence[int],
    periods: int | Sequence[Period],
    periods_per_year: int = 12,
) -> list[Instalment]:
    """Eq. (C104): 按碳汇签发还本, principal by the part of the carbon's income that has come, P·Σ c / Σ all c. [fen]

    Interest each period; without any income the whole principal at the end.
    incomes  what the carbon brings within each period, any unit, none negative

    Source: definition; the loan is repaid when and as far as the carbon pays; no.

    >>> [(each.principal, each.interest) for each in issuance_matched(100_000, 0.12, [0, 20, 10], 3)]
    [(0, 1000), (66667, 1000), (33333, 333)]
    """
    lengths = _checked(principal, periods, periods_per_year, 0)
    if len(incomes) != len(lengths) or min(incomes) < 0:
        raise ValueError(f"an income of at least 0 is needed for each of the {len(lengths)} periods")
    whole, come = sum(incomes), 0
    rows, balance = list[Instalment](), principal
    for number, ((days, year), income) in enumerate(zip(lengths, incomes, strict=True), 1):
        come += income
        left = principal - (_ratio(principal * come, whole) if whole else 0)
        interest = accrued_interest(balance, annual_rate, days, year)
        balance = _append(rows, number, balance - left, interest, balance, last=number == len(lengths))
    return rows


def days_of_thirty(first: tuple[int, int, int], then: tuple[int, int, int]) -> int:
    """Eq. (C105): days between two dates in months of thirty, 360·ΔY + 30·ΔM + ΔD, the 31st being the 30th. [days]

    Dates are (year, month, day); that of the end keeps its 31st unless the first is at its month's 30th or later.
    Source: 30/360 bond basis, ISDA Definitions 2006, 4.16(f); from memory; no.

    >>> days_of_thirty((2026, 1, 31), (2026, 2, 28)), days_of_thirty((2026, 1, 15), (2026, 3, 31))
    (28, 76)
    """
    (year, month, day), (last_year, last_month, last_day) = first, then
    begins = min(day, 30)
    ends = 30 if last_day == 31 and begins == 30 else last_day
    return 360 * (last_year - year) + 30 * (last_month - month) + ends - begins


def penalty_interest(overdue_principal: int, annual_rate: float, markup: float, days: int, days_per_year: int) -> int:
    """Eq. (C115): 罚息, what overdue principal bears beside the contract's interest, P·r·m·d / D, half up. [fen]

    markup  m, share of the contract rate on top of it

    Source: 银发〔2003〕251号, 30 to 50 % on top of the contract rate of a loan past due; from memory; no.

    >>> penalty_interest(10_000_000, 0.06, markup=0.5, days=30, days_per_year=360)
    25000
    """
    return accrued_interest(overdue_principal, annual_rate * markup, days, days_per_year)


def compound_interest(overdue_interest: int, annual_rate: float, markup: float, days: int, days_per_year: int) -> int:
    """Eq. (C116): 复利, interest on interest that was not paid when due, I·r·(1 + m)·d / D, half up. [fen]

    Source: 银发〔2003〕251号, unpaid interest bears the penalty rate; from memory; no.

    >>> compound_interest(1_000_000, 0.06, markup=0.5, days=30, days_per_year=360)
    7500
    """
    return accrued_interest(overdue_interest, annual_rate * (1 + markup), days, days_per_year)


def _append(rows: list[Instalment], number: int, due: int, interest: int, balance: int, last: bool) -> int:
    due = balance if last else due
    rows.append(Instalment(number, due, interest, balance - due))
    return balance - due


def _checked(
    principal: int, periods: int | Sequence[Period], periods_per_year: int, grace_periods: int
) -> Sequence[Period]:
    lengths = [(1, periods_per_year)] * periods if isinstance(periods, int) else periods
    if principal <= 0 or not lengths or not 0 <= grace_periods < len(lengths):
        raise ValueError(f"no schedule of {principal} fen in {len(lengths)} periods with {grace_periods} of grace")
    return lengths


def _units(annual_rate: float) -> int:
    if not 0 <= annual_rate < 1:
        raise ValueError(f"a yearly rate lies in [0, 1), got {annual_rate}")
    return round(annual_rate * _RATE_UNIT)


def _ratio(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
