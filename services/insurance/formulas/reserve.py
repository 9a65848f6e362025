"""Claims reserve of a run-off triangle.        docs/equations/insurance.md (I98)-(I101), (I143)

C  triangle[origin, development], cumulative; a missing value is NaN  [CNY]
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def development_factors(triangle: npt.ArrayLike) -> Array:
    """Eq. (I98): link ratios, fⱼ = Σ C[j+1] / Σ C[j] over the origins that have both. [-]

    Source: chain ladder, textbook. Verified: measured.

    >>> development_factors([[100, 150], [110, 168], [120, float("nan")]]).round(6)
    array([1.514286])
    """
    c = np.asarray(triangle, dtype=np.float64)
    both = ~(np.isnan(c[:, 1:]) | np.isnan(c[:, :-1]))
    return np.asarray(np.where(both, c[:, 1:], 0).sum(axis=0) / np.where(both, c[:, :-1], 0).sum(axis=0))


def _latest(c: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """The last amount known of each origin [CNY], and its development; recoveries may leave it below an earlier one."""
    last = c.shape[1] - 1 - np.argmax(~np.isnan(c[:, ::-1]), axis=1)
    return c[np.arange(len(c)), last], last


def ultimates(triangle: npt.ArrayLike, factors: npt.ArrayLike) -> Array:
    """Eq. (I99): ultimate of each origin, latest·∏ later f. [CNY]

    Source: chain ladder, textbook. Verified: measured.

    >>> ultimates([[100, 150], [120, float("nan")]], [1.5])
    array([150., 180.])
    """
    c = np.asarray(triangle, dtype=np.float64)
    latest, last = _latest(c)
    to_ultimate = np.append(np.cumprod(np.asarray(factors, dtype=np.float64)[::-1])[::-1], 1.0)
    return np.asarray(latest * to_ultimate[last])


def claims_reserve(triangle: npt.ArrayLike, ultimates: npt.ArrayLike) -> float:
    """Eq. (I100): what is still to be paid, Σ (ultimate − latest). [CNY]

    Source: chain ladder, textbook. Verified: measured.

    >>> claims_reserve([[100, 150], [120, float("nan")]], [150.0, 180.0])
    60.0
    """
    latest, _ = _latest(np.asarray(triangle, dtype=np.float64))
    return float(np.sum(np.asarray(ultimates, dtype=np.float64) - latest))


def bornhuetter_ferguson_reserve(prior_ultimate: float, later_factors: npt.ArrayLike) -> float:
    """Eq. (I101): reserve of an origin from a prior ultimate, U·(1 − 1/∏ f). [CNY]

    Source: Bornhuetter-Ferguson, textbook. Verified: measured.

    >>> bornhuetter_ferguson_reserve(prior_ultimate=180, later_factors=[2.0, 2.0])
    135.0
    """
    return prior_ultimate * (1 - 1 / float(np.prod(np.asarray(later_factors, dtype=np.float64))))


def earned_premium(annual_premium: float, days: int) -> float:
    """Eq. (I143): premium earned by days of cover, P·days/365. [unit of P]

    Source: pro rata rule, textbook. Verified: no.

    >>> earned_premium(36_500.0, days=73)
    7300.0
    """
    if annual_premium < 0 or days < 0:
        raise ValueError(f"no premium earned from {annual_premium} in {days} days")
    return annual_premium * days / 365
