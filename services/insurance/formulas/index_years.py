"""Years of an index cover: what was lost, seen and paid.        docs/equations/insurance.md (I135)-(I140)

One entry per year. Draws come from outside, so that a seed gives the same years again.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def damaged_shares(damages: Array, year_of: Whole, years: int) -> Array:
    """Eq. (I135): damaged share of a forest in each year, 1 − ∏(1 − D) over its events. [-]

    Source: independent damages of what is left, textbook. Verified: no.

    >>> damaged_shares(np.array([0.5, 0.5, 0.1]), np.array([0, 0, 2]), 3).round(9).tolist()
    [0.75, 0.0, 0.1]
    """
    if not np.all((damages >= 0) & (damages <= 1)):
        raise ValueError("a damage ratio lies between 0 and 1")
    left = np.ones(years)
    np.multiply.at(left, year_of, 1 - damages)
    return 1 - left


def observed_shares(shares: Array, error_sd: float, draws: Array) -> Array:
    """Eq. (I136): damaged share as a satellite sees it, min(max(s + σ·z, 0), 1). [-]

    Source: additive error of observation, this project. Verified: no.

    >>> observed_shares(np.array([0.5, 0.0]), 0.1, np.array([1.0, -1.0])).tolist()
    [0.6, 0.0]
    """
    if error_sd < 0:
        raise ValueError(f"an error is not below 0: {error_sd}")
    return np.clip(shares + error_sd * draws, 0, 1)


def area_index_payouts(shares: Array, limit: float, steps: Sequence[tuple[float, float]]) -> Array:
    """Eq. (I137): payments of many years by damaged share, limit·f(share) as (I58). [fen]

    Source: area index covers as reported, project form. Verified: no.

    >>> area_index_payouts(np.array([0.05, 0.3, 0.9]), 1_000_000.0, [(0.1, 0.0), (0.5, 1.0)]).round(6).tolist()
    [0.0, 500000.0, 1000000.0]
    """
    at, paid = [share for share, _ in steps], [part for _, part in steps]
    if not steps or at != sorted(set(at)) or paid != sorted(paid) or not 0 <= paid[0] <= paid[-1] <= 1:
        raise ValueError(f"steps rise in both parts and pay between nothing and all: {steps}")
    return np.where(shares < at[0], 0.0, limit * np.interp(shares, at, paid))


def shortfall_payouts(target_t: float, actual_t: Array, price: float, limit: float) -> Array:
    """Eq. (I138): payments of many years for tonnes short of the target, min(max(T − A, 0)·price, limit). [fen]

    Source: press on the Gaochun carbon cover, form inferred from its wording. Verified: secondary.

    >>> shortfall_payouts(13_626.0, np.array([14_000.0, 12_000.0]), 3_500.0, 47_690_000.0).tolist()
    [0.0, 5691000.0]
    """
    return np.minimum(np.maximum(target_t - actual_t, 0) * price, limit)


def price_floor_payouts(prices: Array, floor: float, tonnes: float, limit: float) -> Array:
    """Eq. (I139): payments of a price floor, min(max(floor − price, 0)·tonnes, limit). [fen]

    Source: price-index cover as proposed by Qin Tao et al. 2024, DOI 10.12062/cpre.20230905. Verified: read.

    >>> price_floor_payouts(np.array([60.0, 90.0]), floor=80.0, tonnes=100.0, limit=1_500.0).tolist()
    [1500.0, 0.0]
    """
    return np.minimum(np.maximum(floor - prices, 0) * tonnes, limit)


def lognormal_prices(spot: float, volatility: float, years: float, draws: Array) -> Array:
    """Eq. (I140): prices after some years without drift, spot·e^(−σ²t/2 + σ√t·z). [unit of spot]

    Source: geometric Brownian motion, textbook. Verified: no.

    >>> lognormal_prices(80.0, 0.0, 1.0, np.array([1.0])).tolist()
    [80.0]
    """
    if spot <= 0 or volatility < 0 or years <= 0:
        raise ValueError(f"no price from {spot}, {volatility}, {years}")
    return np.asarray(spot * np.exp(-(volatility**2) * years / 2 + volatility * np.sqrt(years) * draws))
