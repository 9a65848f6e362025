"""Minimum-distance fits of an exponential severity to grouped losses.        docs/equations/insurance.md (I30)-(I32)

c  borders of the groups      n  counts      F  model      Fn  share of the sample up to a border
Each function returns (rate, distance).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from services.insurance.formulas.limited_expected_value import exponential_lev, grouped_lev

Array = npt.NDArray[np.float64]


def _fit(distance: Callable[[float], float], borders: Array) -> tuple[float, float]:
    # The search runs on the logarithm: a rate spans orders of magnitude and stays positive.
    widest = float(np.log(borders[-1]))
    best = minimize_scalar(
        lambda log_rate: distance(float(np.exp(log_rate))), bounds=(-2 * widest, 2), method="bounded"
    )
    best = minimize_scalar(
        lambda log_rate: distance(float(np.exp(log_rate))),
        bounds=(best.x - 0.5, best.x + 0.5),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(np.exp(best.x)), float(best.fun)


def _sample(borders: npt.ArrayLike, counts: npt.ArrayLike) -> tuple[Array, Array]:
    edges, numbers = np.asarray(borders, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if len(edges) != len(numbers) + 1 or np.any(np.diff(edges) <= 0) or np.any(numbers <= 0):
        raise ValueError("groups need rising borders, one more than there are counts, and a loss in each")
    return edges, numbers


def cramer_von_mises_fit(borders: npt.ArrayLike, counts: npt.ArrayLike) -> tuple[float, float]:
    """Eq. (I30): rate with the smallest Σ (F(c) − Fn(c))². [1/CNY, -]

    Source: actuar 3.3 modelling vignette. Verified: read.
    """
    edges, numbers = _sample(borders, counts)
    observed = np.cumsum(numbers) / numbers.sum()

    def distance(rate: float) -> float:
        return float(np.sum((-np.expm1(-rate * edges[1:]) - observed) ** 2))

    return _fit(distance, edges)


def chi_square_fit(borders: npt.ArrayLike, counts: npt.ArrayLike) -> tuple[float, float]:
    """Eq. (I31): rate with the smallest Σ (expected − n)² / n over the groups. [1/CNY, -]

    Source: actuar 3.3 modelling vignette. Verified: read.
    """
    edges, numbers = _sample(borders, counts)

    def distance(rate: float) -> float:
        expected = numbers.sum() * np.diff(-np.expm1(-rate * edges))
        return float(np.sum((expected - numbers) ** 2 / numbers))

    return _fit(distance, edges)


def layer_average_severity_fit(borders: npt.ArrayLike, counts: npt.ArrayLike) -> tuple[float, float]:
    """Eq. (I32): rate with the smallest Σ (layer severity of the model − of the sample)². [1/CNY, CNY²]

    Source: actuar 3.3 modelling vignette. Verified: read.
    """
    edges, numbers = _sample(borders, counts)
    observed = np.diff(grouped_lev(edges, numbers))

    def distance(rate: float) -> float:
        return float(np.sum((np.diff(exponential_lev(1 / rate, edges)) - observed) ** 2))

    return _fit(distance, edges)
