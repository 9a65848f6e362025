"""Premium of carbon cover on a forest.        docs/equations/insurance.md (I5)-(I16)

r  peril_rate       [1/yr], expected share of the sum insured lost in a year to one peril
h  hazard_score     [-], of the site; h0 the score of the average site
λ  event_frequency  [1/yr]
Y  event_payment    [fen], payment of an event after the terms
"""

import math

import numpy as np
import numpy.typing as npt

from services.insurance.formulas.fen import whole_fen
from services.insurance.formulas.rating import whole_fens

Array = npt.NDArray[np.float64]
Numbers = float | Array


def peril_rate(base_rate: Numbers, hazard_score: Numbers, reference_score: Numbers, exponent: Numbers) -> Array:
    """Eq. (I5): rate of a peril at a site, r = r0·(h/h0)^e, at most 1. [1/yr]

    Source: project proposal. Verified: no.

    >>> float(peril_rate(base_rate=0.001, hazard_score=0.4, reference_score=0.2, exponent=1.0))
    0.002
    """
    base, score, reference = (np.asarray(x, dtype=np.float64) for x in (base_rate, hazard_score, reference_score))
    power = np.asarray(exponent, dtype=np.float64)
    if not (np.all((base >= 0) & (base <= 1)) and np.all(score >= 0) and np.all(reference > 0) and np.all(power >= 0)):
        raise ValueError(f"no rate from {base_rate}, {hazard_score}, {reference_score}, {exponent}")
    return np.asarray(np.minimum(base * (score / reference) ** power, 1.0))


def peril_pure_premium(event_frequency: Numbers, event_payment: Numbers) -> Array:
    """Eq. (I6): expected payments of a year for one peril, λ·E[Y]. [fen/yr]

    Source: textbook frequency-severity price. Verified: no.

    >>> float(peril_pure_premium(event_frequency=0.005, event_payment=36_000_000.0))
    180000.0
    """
    frequency, payment = np.asarray(event_frequency), np.asarray(event_payment)
    if not (np.all(frequency >= 0) and np.all(payment >= 0)):
        raise ValueError(f"no premium from {event_frequency}, {event_payment}")
    return np.asarray(frequency * payment)


def pure_premium(peril_pure_premiums: Numbers) -> Array:
    """Eq. (I7): expected payments of a year over all perils, Σ pure along the last axis. [fen/yr]

    Source: textbook. Verified: no.

    >>> float(pure_premium(np.array([180_000.0, 20_000.0])))
    200000.0
    """
    return np.asarray(np.sum(peril_pure_premiums, axis=-1))


def event_frequency(peril_rate: Numbers, damage_mean: Numbers) -> Array:
    """Eq. (I8): events of a year behind a rate, λ = r / E[D]. [1/yr]

    Source: textbook compound model, r = λ·E[D]. Verified: no.

    >>> float(event_frequency(peril_rate=0.002, damage_mean=0.25))
    0.008
    """
    rate, mean = np.asarray(peril_rate, dtype=np.float64), np.asarray(damage_mean, dtype=np.float64)
    if not (np.all(rate >= 0) and np.all((mean > 0) & (mean <= 1))):
        raise ValueError(f"no frequency from {peril_rate}, {damage_mean}")
    return np.asarray(rate / mean)


def capped_loss_variance(event_frequency: Numbers, event_payment_square: Numbers) -> Array:
    """Eq. (I9): variance of a year's payments for one peril, λ·E[Y²]. [fen²]

    A payment never exceeds the sum insured, so the variance exists whatever the tail of the burnt area looks like.

    Source: compound Poisson variance. Verified: no.

    >>> float(capped_loss_variance(event_frequency=0.01, event_payment_square=250_000.0))
    2500.0
    """
    frequency, square = np.asarray(event_frequency), np.asarray(event_payment_square)
    if not (np.all(frequency >= 0) and np.all(square >= 0)):
        raise ValueError(f"no variance from {event_frequency}, {event_payment_square}")
    return np.asarray(frequency * square)


def risk_margin(loading: float, capped_loss_variances: Numbers) -> Array:
    """Eq. (I10): price of volatility, k·√Σ var along the last axis, perils independent, on capped loss only. [fen/yr]

    Source: standard-deviation principle. Verified: no.

    >>> float(risk_margin(0.05, np.array([2500.0, 0.0])))
    2.5
    """
    if loading < 0:
        raise ValueError(f"a loading is not below 0: {loading}")
    return np.asarray(loading * np.sqrt(np.sum(capped_loss_variances, axis=-1)))


def capital_margin(cost_of_capital: float, co_tvar: float, mean_loss: float) -> float:
    """Eq. (I11): price of the capital a policy ties up in the book, c·(co-TVaR − mean). [fen/yr]

    A policy that pays in the good years of the book frees capital; the price counts that as nothing, never as a gift.

    Source: marginal capital pricing. Verified: no.

    >>> capital_margin(cost_of_capital=0.1, co_tvar=5_000.0, mean_loss=1_000.0)
    400.0
    """
    return cost_of_capital * max(co_tvar - mean_loss, 0.0)


def gross_premium(
    pure_premium: Numbers,
    risk_margin: Numbers,
    expense: float,
    commission: float,
    tax: float,
    profit: float,
) -> Array:
    """Eq. (I12): price before the minimum, (pure + margin) / (1 − expense − commission − tax − profit). [fen/yr]

    Source: textbook. Verified: measured.

    >>> float(gross_premium(1000, 150, expense=0.2, commission=0.05, tax=0.01, profit=0.05).round(4))
    1666.6667
    """
    loadings = math.fsum((expense, commission, tax, profit))
    pure, margin = np.asarray(pure_premium, dtype=np.float64), np.asarray(risk_margin, dtype=np.float64)
    if min(expense, commission, tax, profit) < 0 or loadings >= 1 or not (np.all(pure >= 0) and np.all(margin >= 0)):
        raise ValueError(f"no price when the loadings take {loadings} of it, or a part is below 0")
    return np.asarray((pure + margin) / (1 - loadings))


def premium(gross_premium: Numbers, minimum_premium: int) -> npt.NDArray[np.int64]:
    """Eq. (I13): premium of a year as charged, max(gross to the fen, minimum). [fen/yr]

    Source: project rule. Verified: no.

    >>> premium(np.array([166_666.67, 3.0]), minimum_premium=20_000).tolist()
    [166667, 20000]
    """
    if not np.all(np.asarray(gross_premium) >= 0) or minimum_premium < 0:
        raise ValueError(f"a premium is not below 0: {gross_premium}, {minimum_premium}")
    return np.maximum(whole_fens(gross_premium), minimum_premium)


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
