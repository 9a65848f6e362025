"""Price of a loan and the subsidies and fees around it.        docs/equations/credit.md (C48)-(C55), (C94)

Rates and ratios are yearly fractions [1/yr], never percent.      FTP  funding rate      K  capital requirement (C59)
"""

import math
from collections.abc import Mapping


def capital_share(capital_requirement: float, capital_ratio: float) -> float:
    """Eq. (C48): capital the bank holds per unit of exposure, 12.5·K·capital ratio. [-]

    Source: Basel II 271-272, BIS CRE31, times the bank's own ratio; read.

    >>> round(capital_share(0.07083, 0.105), 6)
    0.092964
    """
    return 12.5 * capital_requirement * capital_ratio


def economic_value_added(
    revenue: float, expected_loss: float, opex: float, funding: float, economic_capital: float, hurdle_rate: float
) -> float:
    """Eq. (C49): income after risk and the price of capital, revenue − EL − opex − funding − hurdle·EC. [CNY/yr]

    Source: RAROC practice, as read in creditriskengine 0.31; read.

    >>> economic_value_added(50.0, 9.0, 8.0, 19.0, economic_capital=100.0, hurdle_rate=0.11)
    3.0
    """
    return revenue - expected_loss - opex - funding - hurdle_rate * economic_capital


def break_even_rate(
    funding_rate: float,
    opex_rate: float,
    probability: float,
    loss_given_default: float,
    capital: float,
    hurdle_rate: float,
) -> float:
    """Eq. (C50): rate that just pays every cost, FTP + opex + PD·LGD + capital·(hurdle − FTP). [1/yr]

    Capital is the share of (C48); it replaces funding, hence hurdle less FTP.
    Source: RAROC practice, as read in creditriskengine 0.31; read.

    >>> round(break_even_rate(0.019, 0.008, 0.02, 0.45, capital=0.092973, hurdle_rate=0.11), 5)
    0.04446
    """
    return funding_rate + opex_rate + probability * loss_given_default + capital * (hurdle_rate - funding_rate)


def risk_adjusted_return(
    revenue: float, expected_loss: float, opex: float, funding: float, capital_benefit: float, economic_capital: float
) -> float:
    """Eq. (C51): RAROC, (revenue − EL − opex − funding + benefit on capital) / EC. [1/yr]

    Source: RAROC practice, as read in creditriskengine 0.31; read.

    >>> risk_adjusted_return(50.0, 9.0, 8.0, 19.0, capital_benefit=2.0, economic_capital=100.0)
    0.16
    """
    if economic_capital <= 0:
        raise ValueError(f"a return on capital needs capital above 0, got {economic_capital}")
    return (revenue - expected_loss - opex - funding + capital_benefit) / economic_capital


def worth_bp(rate_without: float, rate_with: float) -> float:
    """Eq. (C52): worth of a leg as a difference of two rates, (rate without − rate with) · 10⁴. [bp]

    Source: arithmetic; no.

    >>> round(worth_bp(0.04446053, 0.03049211), 2)
    139.68
    """
    return (rate_without - rate_with) * 1e4


def reference_spread_bp(rate: float, reference_rate: float) -> float:
    """Eq. (C53): distance of a rate from the loan prime rate, (rate − LPR) · 10⁴. [bp]

    Source: loans are quoted as LPR plus or minus points since 2019; no.

    >>> round(reference_spread_bp(0.0445, reference_rate=0.03), 6)
    145.0
    """
    return (rate - reference_rate) * 1e4


def interest_subsidy(principal: float, subsidy_rate: float, years: float) -> float:
    """Eq. (C54): forestry interest subsidy, principal·rate·years; paid only up to the interest truly paid. [CNY]

    Source: 财资环〔2022〕171号 as cited by county notices (静宁县, 黎川县); secondary.

    >>> interest_subsidy(1_000_000, subsidy_rate=0.03, years=1)
    30000.0
    """
    return principal * subsidy_rate * years


def reguarantee_fee(
    principal: float, fund_share: float, small_limit: float, small_rate: float, large_rate: float
) -> float:
    """Eq. (C55): yearly fee of the national fund, principal·share·(small or large rate). [CNY/yr]

    Source: national financing guarantee fund terms of 2019; secondary.

    >>> reguarantee_fee(3_000_000, 0.2, small_limit=5_000_000, small_rate=0.003, large_rate=0.005)
    1800.0
    """
    return principal * fund_share * (small_rate if principal <= small_limit else large_rate)


def shapley_worths(worths: Mapping[frozenset[str], int]) -> dict[str, int]:
    """Eq. (C94): worth of each leg averaged over every order of adding them, Σ s!(n−s−1)!/n!·(v(S+i) − v(S)). [-]

    worths  value v of each set S of s legs out of n, in whole units: all 2^n of them
    Whole units go to the largest remainders, so the worths sum to v(all) − v(none) exactly.
    Source: Shapley value, textbook; no.

    >>> sorted(shapley_worths({frozenset(): 0, frozenset("a"): 6, frozenset("b"): 4, frozenset("ab"): 8}).items())
    [('a', 5), ('b', 3)]
    """
    legs = sorted(frozenset().union(*worths))
    count = len(legs)
    if len(worths) != 2**count or any(not one <= set(legs) for one in worths):
        raise ValueError("a worth is needed for each set of legs, and for nothing else")
    orders = math.factorial(count)
    shares = dict.fromkeys(legs, 0)
    for have, worth in worths.items():
        weight = math.factorial(len(have)) * math.factorial(max(0, count - len(have) - 1))
        for leg in legs:
            if leg not in have:
                shares[leg] += weight * (worths[have | {leg}] - worth)
    left = worths[frozenset(legs)] - worths[frozenset()] - sum(share // orders for share in shares.values())
    first = sorted(legs, key=lambda leg: -(shares[leg] % orders))[:left]
    return {leg: shares[leg] // orders + (leg in first) for leg in legs}
