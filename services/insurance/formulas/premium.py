"""Premium of carbon cover on a forest.        docs/equations/insurance.md (I5)-(I16)

r   peril_rate      [1/yr], expected share of the sum insured lost in a year to one peril
h   hazard_score    [-], of the site; h0 the score of the average site
SI  sum_insured     [fen]
d   deductible_share [-], share of every loss that the owner keeps
"""

import math
from collections.abc import Iterable

from services.insurance.formulas.fen import whole_fen


def peril_rate(base_rate: float, hazard_score: float, reference_score: float, exponent: float) -> float:
    """Eq. (I5): rate of a peril at a site, r = r0·(h/h0)^e, at most 1. [1/yr]

    Source: project proposal. Verified: no.

    >>> peril_rate(base_rate=0.001, hazard_score=0.4, reference_score=0.2, exponent=1.0)
    0.002
    """
    if not (0 <= base_rate <= 1 and hazard_score >= 0 and reference_score > 0 and exponent >= 0):
        raise ValueError(f"no rate from {base_rate}, {hazard_score}, {reference_score}, {exponent}")
    return min(base_rate * math.pow(hazard_score / reference_score, exponent), 1.0)


def peril_pure_premium(sum_insured: int, peril_rate: float, deductible_share: float) -> float:
    """Eq. (I6): expected payments of a year for one peril, SI·r·(1−d). [fen/yr]

    Source: textbook frequency-severity price with a proportional deductible. Verified: no.

    >>> peril_pure_premium(sum_insured=100_000_000, peril_rate=0.002, deductible_share=0.1)
    180000.0
    """
    if sum_insured < 0 or not 0 <= peril_rate <= 1 or not 0 <= deductible_share < 1:
        raise ValueError(f"no premium from {sum_insured}, {peril_rate}, {deductible_share}")
    return sum_insured * peril_rate * (1 - deductible_share)


def pure_premium(peril_pure_premiums: Iterable[float]) -> float:
    """Eq. (I7): expected payments of a year over all perils, Σ pure. [fen/yr]

    Source: textbook. Verified: no.

    >>> pure_premium([180_000.0, 20_000.0])
    200000.0
    """
    return math.fsum(peril_pure_premiums)


def event_frequency(peril_rate: float, damage_mean: float) -> float:
    """Eq. (I8): events of a year behind a rate, λ = r / E[D]. [1/yr]

    Source: textbook compound model, r = λ·E[D]. Verified: no.

    >>> event_frequency(peril_rate=0.002, damage_mean=0.25)
    0.008
    """
    if peril_rate < 0 or not 0 < damage_mean <= 1:
        raise ValueError(f"no frequency from {peril_rate}, {damage_mean}")
    return peril_rate / damage_mean


def capped_loss_variance(
    sum_insured: int, event_frequency: float, damage_mean: float, damage_sd: float, deductible_share: float
) -> float:
    """Eq. (I9): variance of a year's payments for one peril, λ·(SI·(1−d))²·(E[D]² + sd²), 0 ≤ D ≤ 1. [fen²]

    The damaged share D never exceeds 1, so the loss is capped at the sum insured and the variance exists whatever
    the tail of the burnt area looks like.

    Source: compound Poisson variance. Verified: no.

    >>> capped_loss_variance(1_000, event_frequency=0.01, damage_mean=0.5, damage_sd=0.0, deductible_share=0.0)
    2500.0
    """
    # A variable between 0 and 1 with mean m has a standard deviation of at most √(m(1−m)).
    if not 0 <= damage_mean <= 1 or not 0 <= damage_sd**2 <= damage_mean * (1 - damage_mean) + 1e-12:
        raise ValueError(f"no share of damage has mean {damage_mean} and standard deviation {damage_sd}")
    paid_sum = sum_insured * (1 - deductible_share)
    return event_frequency * paid_sum**2 * (damage_mean**2 + damage_sd**2)


def risk_margin(loading: float, capped_loss_variances: Iterable[float]) -> float:
    """Eq. (I10): price of volatility, k·√Σ var, perils taken as independent, on capped loss only. [fen/yr]

    Source: standard-deviation principle. Verified: no.

    >>> risk_margin(0.05, [2500.0, 0.0])
    2.5
    """
    if loading < 0:
        raise ValueError(f"a loading is not below 0: {loading}")
    return loading * math.sqrt(math.fsum(capped_loss_variances))


def capital_margin(cost_of_capital: float, co_tvar: float, mean_loss: float) -> float:
    """Eq. (I11): price of the capital a policy ties up in the book, c·(co-TVaR − mean). [fen/yr]

    A policy that pays in the good years of the book frees capital; the price counts that as nothing, never as a gift.

    Source: marginal capital pricing. Verified: no.

    >>> capital_margin(cost_of_capital=0.1, co_tvar=5_000.0, mean_loss=1_000.0)
    400.0
    """
    return cost_of_capital * max(co_tvar - mean_loss, 0.0)


def gross_premium(
    pure_premium: float, risk_margin: float, expense: float, commission: float, tax: float, profit: float
) -> float:
    """Eq. (I12): price before the minimum, (pure + margin) / (1 − expense − commission − tax − profit). [fen/yr]

    Source: textbook. Verified: measured.

    >>> round(gross_premium(1000, 150, expense=0.2, commission=0.05, tax=0.01, profit=0.05), 4)
    1666.6667
    """
    loadings = math.fsum((expense, commission, tax, profit))
    if min(pure_premium, risk_margin, expense, commission, tax, profit) < 0 or loadings >= 1:
        raise ValueError(f"no price when the loadings take {loadings} of it, or a part is below 0")
    return (pure_premium + risk_margin) / (1 - loadings)


def premium(gross_premium: float, minimum_premium: int) -> int:
    """Eq. (I13): premium of a year as charged, max(gross to the fen, minimum). [fen/yr]

    Source: project rule. Verified: no.

    >>> premium(166_666.67, minimum_premium=20_000), premium(3.0, minimum_premium=20_000)
    (166667, 20000)
    """
    if gross_premium < 0 or minimum_premium < 0:
        raise ValueError(f"a premium is not below 0: {gross_premium}, {minimum_premium}")
    return max(whole_fen(gross_premium), minimum_premium)


def area_premium(insured_mu: float, sum_insured_per_mu: int, rate: float) -> int:
    """Eq. (I14): premium of policy forest cover, area·SI per mu·rate, to the fen. [fen/yr]

    Source: Guangxi forestry notice 2013, Gansu government page 2012. Verified: secondary.

    >>> area_premium(insured_mu=1, sum_insured_per_mu=80_000, rate=0.0035)
    280
    """
    if min(insured_mu, sum_insured_per_mu, rate) < 0:
        raise ValueError(f"no premium from {insured_mu}, {sum_insured_per_mu}, {rate}")
    return whole_fen(insured_mu * sum_insured_per_mu * rate)


def rate_on_line(premium: float, limit: float) -> float:
    """Eq. (I15): premium of a cover per unit of its limit, premium / limit. [1/yr]

    Source: textbook; press on the Xinluo carbon index cover of 2021-04 for the example. Verified: secondary.

    >>> rate_on_line(premium=1_200_000, limit=20_000_000)
    0.06
    """
    if premium < 0 or limit <= 0:
        raise ValueError(f"no rate on line from {premium}, {limit}")
    return premium / limit


def market_spread(expected_loss: float, intercept: float, slope: float) -> float:
    """Eq. (I16): plausible rate on line of an index cover, a + b·EL, both as shares of the limit. [1/yr]

    Other perils and sovereign sponsors: a plausibility line, never a tariff.

    Source: our fit to 23 World Bank cat-bond tranches 2017-24 in climada-petals. Verified: measured.

    >>> round(market_spread(expected_loss=0.03, intercept=0.0244, slope=1.23), 4)
    0.0613
    """
    return intercept + slope * expected_loss
