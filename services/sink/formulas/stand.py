"""Curves of a stand beyond the one of its species: tables, thinnings, its own measurements.

docs/equations/sink.md (S135)-(S141). t  age [yr]      V  volume [m3/ha]      i  increment [m3/ha/yr]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from services.sink.formulas.domain import Numbers, fraction, nonnegative
from services.sink.formulas.growth import cumulative_volume, volume_at_age

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RichardsFit:
    """A Richards curve through a stand's own measurements, and how sure its three numbers are."""

    asymptote: float
    """[m3/ha]"""
    rate: float
    """[1/yr]"""
    shape: float
    covariance: tuple[tuple[float, ...], ...]
    """Of asymptote, rate and shape, in this order and in their units."""
    residual: float
    """Standard deviation of the measurements about the curve, n-3 degrees of freedom. [m3/ha]"""
    measurements: int


def tabulated_volume(age: Numbers, ages: ArrayLike, increments: ArrayLike) -> Array:
    """Eq. (S135): volume from a table of annual increments, ∫ i dt, linear between ages, flat after the last. [m3/ha]

    Meets (S29) at the ages of the table. ages rise; no growth is claimed beyond the last. Refuses an age before the
    first.
    Source: this project, on tables such as Kang and Cui 2001 in ChinaXiv-201605.00433, table 2.

    >>> tabulated_volume(np.array([5.0, 7.5, 10.0, 99.0]), [0, 5, 10], [0.5, 3.12, 6.27]).round(4).tolist()
    [9.05, 18.8188, 32.525, 32.525]
    """
    knots, pace = np.asarray(ages, dtype=np.float64), np.asarray(increments, dtype=np.float64)
    if knots.size < 2 or not np.all(np.diff(knots) > 0) or knots.shape != pace.shape:
        raise ValueError("a table has rising ages, and an increment for each")
    if not np.all(np.asarray(age) >= knots[0]):
        raise ValueError("the table says nothing about an age before its first")
    years = np.minimum(np.asarray(age, dtype=np.float64), knots[-1])
    row = np.clip(np.searchsorted(knots, years, side="right") - 1, 0, knots.size - 2)
    past = years - knots[row]
    slope = (pace[row + 1] - pace[row]) / (knots[row + 1] - knots[row])
    return np.asarray(
        cumulative_volume(knots, nonnegative("increment", pace))[row] + pace[row] * past + slope * past**2 / 2
    )


def thinned_volume(
    age: Numbers, volume: Numbers, thinning_ages: Sequence[float], thinning_volumes: ArrayLike, shares: ArrayLike
) -> Array:
    """Eq. (S136): volume left by thinnings, V(t)-Σ_(t_k≤t) r_k with r_k = share_k·(V(t_k)-Σ_(j<k) r_j). [m3/ha]

    volume is the curve without thinning at each age, thinning_volumes the same at the ages of thinning, in their order;
    what remains grows on by the increments of the curve, as a table gross of thinning has it.
    Source: this project.

    >>> thinned_volume(np.array([10.0, 20.0]), np.array([30.0, 80.0]), [14.0], [50.0], [0.4]).tolist()
    [30.0, 60.0]
    """
    cut = np.asarray(fraction("share", np.asarray(shares, dtype=np.float64)))
    years = np.asarray(age, dtype=np.float64)
    left = np.asarray(volume, dtype=np.float64).copy()
    removed = 0.0
    for when, standing, share in zip(thinning_ages, np.asarray(thinning_volumes, dtype=np.float64), cut, strict=True):
        taken = float(share) * max(0.0, float(standing) - removed)
        removed += taken
        left = np.where(years >= when, left - taken, left)
    return np.asarray(np.maximum(0.0, left))


def rainfall_ceiling(rainfall_mm: Numbers, rainfalls: ArrayLike, carbons: ArrayLike) -> Array:
    """Eq. (S137): carbon that a yearly rainfall lets stand, linear between the sites seen. [tC/ha]

    Below the driest site its value stays; above the wettest one nothing more is granted.
    Source: ChinaXiv-201704.00337 (油松, Loess Plateau, 40-60 years).

    >>> round(float(rainfall_ceiling(400.0, [372, 519, 632], [49.08, 73.90, 82.55])), 2)
    53.81
    """
    return np.asarray(np.interp(nonnegative("rainfall", rainfall_mm), np.asarray(rainfalls), np.asarray(carbons)))


def largest_volume(age: Numbers, largest_increment: float) -> Numbers:
    """Eq. (S138): greatest volume that an age explains, i_max·(t+1). [m3/ha]

    The year more is for the plants that were set.
    Source: this project.

    >>> largest_volume(9.0, 11.0)
    110.0
    """
    return largest_increment * (nonnegative("age", age) + 1)


def fitted_richards(ages: ArrayLike, volumes: ArrayLike, lower: Sequence[float], upper: Sequence[float]) -> RichardsFit:
    """Eq. (S139): Richards curve (S22) by bounded least squares on a stand's own volumes. [m3/ha, 1/yr and -]

    ages and volumes have one entry per measurement, four at least and at different ages; lower and upper bound
    asymptote, rate and shape. Covariance s²·(JᵀJ)⁻¹ with s² on n-3 degrees of freedom. Refuses measurements that leave
    a number at its bound, or that do not tell the three apart.
    Source: this project; textbook, nonlinear least squares.

    >>> fit = fitted_richards([8, 14, 20, 30, 45], volume_at_age(np.array([8.0, 14, 20, 30, 45]), 200, 0.06, 2.2),
    ...                       [10, 0.01, 1], [600, 0.3, 6])
    >>> round(fit.asymptote), round(fit.rate, 3), round(fit.shape, 2)
    (200, 0.06, 2.2)
    """
    years = np.asarray(nonnegative("age", np.asarray(ages, dtype=np.float64)))
    measured = np.asarray(nonnegative("volume", np.asarray(volumes, dtype=np.float64)))
    if years.shape != measured.shape or np.unique(years).size < 4:
        raise ValueError("a curve of three numbers needs four measurements at different ages at least")
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    scale = high - low

    def gap(place: Array) -> Array:
        asymptote, rate, shape = low + place * scale
        return np.asarray(volume_at_age(years, asymptote, rate, shape) - measured)

    # From three places, so that a flat start does not pass for the best; the first of the best is kept.
    starts = (np.array([near, 0.3, 0.3]) for near in (0.2, 0.5, 0.8))
    found = min((least_squares(gap, start, bounds=(0.0, 1.0), xtol=1e-12, ftol=1e-12) for start in starts), key=_cost)
    if np.any(found.x < 1e-6) or np.any(found.x > 1 - 1e-6):
        raise ValueError("the measurements do not bend enough to tell a curve: a number lies at its bound")
    normal = found.jac.T @ found.jac
    if np.linalg.cond(normal) > 1e12:
        raise ValueError("the measurements do not tell the numbers of the curve apart")
    variance = 2 * float(found.cost) / (years.size - 3)
    covariance = variance * np.linalg.inv(normal) * np.outer(scale, scale)
    asymptote, rate, shape = (float(value) for value in low + found.x * scale)
    rows = tuple(tuple(float(value) for value in row) for row in covariance)
    return RichardsFit(asymptote, rate, shape, rows, float(np.sqrt(variance)), int(years.size))


def _cost(found: object) -> float:
    return round(float(found.cost), 9)  # type: ignore[attr-defined]


def fit_sigma(fit: RichardsFit, age: float, later_age: float) -> float:
    """Eq. (S140): relative error of the growth between two ages, √(gᵀ·Cov·g+2·s²)/(V(t2)-V(t1)). [-]

    g is the gradient of the growth by asymptote, rate and shape; s the residual of both ends. Refuses a stand that no
    longer grows.
    Source: this project; textbook, delta method.

    >>> sure = RichardsFit(200.0, 0.06, 2.2, ((0.0,) * 3,) * 3, 0.0, 5)
    >>> fit_sigma(sure, 20.0, 40.0)
    0.0
    """
    numbers = np.array([fit.asymptote, fit.rate, fit.shape])

    def grown(values: Array) -> float:
        return float(volume_at_age(later_age, *values) - volume_at_age(age, *values))

    growth = grown(numbers)
    if growth <= 0:
        raise ValueError("the stand does not grow between the two ages")
    steps = 1e-6 * numbers
    gradient = np.array([(grown(numbers + step) - grown(numbers - step)) for step in np.diag(steps)]) / (2 * steps)
    variance = float(gradient @ np.asarray(fit.covariance) @ gradient)
    return float(np.sqrt(max(0.0, variance) + 2 * fit.residual**2) / growth)


def scale_to_ceiling(volume_ceiling: Numbers, reference_volume: Numbers) -> Array:
    """Eq. (S141): share of a curve that the locality carries, min(1, V_ceiling/V_ref), whatever the curve's form. [-]

    Source: this project; (S24) for a Richards curve.

    >>> float(scale_to_ceiling(60.0, 240.0))
    0.25
    """
    if not np.all(np.asarray(reference_volume) > 0):
        raise ValueError("a curve without volume at the reference age cannot be scaled")
    return np.asarray(np.minimum(1.0, nonnegative("volume ceiling", volume_ceiling) / np.asarray(reference_volume)))
