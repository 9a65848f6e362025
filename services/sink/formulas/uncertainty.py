"""Sampling error of a measured stock and the discount it costs.        docs/equations/sink.md (S33)-(S47), (S124)

b  plot biomass [t d.m./ha]      A  area of a stratum [ha]      U  half-width of the 90 % interval over the mean [-]

Plots come as one sequence of numbers for each stratum, areas as one number for each. U is relative and two-sided;
the discount is a share of the half-width, never of the stock.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from services.sink.formulas.domain import Numbers, fraction, nonnegative

BOUND_SLACK = 1e-12
"""A ratio computed as 0.15 plus a rounding error still belongs to the class that ends at 0.15."""


def stratum_variance(plots: ArrayLike) -> float:
    """Eq. (S33): sample variance of a stratum's plots, (n·Σb²-(Σb)²)/(n·(n-1)). [(t d.m./ha)²]

    It is that of one plot; (S36) divides by n. Refuses less than two plots.
    Source: AR-TOOL14 v04.2.

    >>> stratum_variance([40.0, 50.0, 60.0])
    100.0
    """
    values = np.asarray(plots, dtype=np.float64)
    if values.size < 2:
        raise ValueError("a stratum needs two plots to have a variance")
    # Computed about the mean, which equals the printed form and keeps its digits when plots lie close together.
    return float(np.var(values, ddof=1))


def stratified_mean(areas_ha: ArrayLike, plots: Sequence[ArrayLike]) -> float:
    """Eq. (S34): mean over strata weighted by area, Σ A_i/A·mean(b_i). [t d.m./ha]

    Source: AR-TOOL14 v04.2.

    >>> stratified_mean([30.0, 10.0], [[40.0, 60.0], [90.0, 90.0]])
    60.0
    """
    areas = _areas(areas_ha, plots)
    means = np.array([np.mean(np.asarray(stratum, dtype=np.float64)) for stratum in plots])
    return float(np.sum(areas * means) / np.sum(areas))


def _areas(areas_ha: ArrayLike, plots: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """The areas of the strata, one for each, with a stratum of some area among them."""
    areas = np.asarray(areas_ha, dtype=np.float64)
    nonnegative("area", areas)
    if areas.shape != (len(plots),) or not np.sum(areas) > 0:
        raise ValueError("each stratum has one area, and together they have some")
    if any(np.size(np.asarray(stratum)) == 0 for stratum in plots):
        raise ValueError("a stratum without a plot has no mean")
    return areas


def _weights(areas_ha: ArrayLike, plots: Sequence[ArrayLike]) -> NDArray[np.float64]:
    areas = _areas(areas_ha, plots)
    return np.asarray(areas / np.sum(areas))


def student_factor(confidence: float, degrees_of_freedom: float) -> float:
    """Eq. (S35): two-sided Student factor, t((1+confidence)/2; df). [-]

    Source: AR-TOOL14 v04.2, 90 % two-sided with df = plots - strata.

    >>> round(student_factor(0.90, 10), 3)
    1.812
    """
    if degrees_of_freedom < 1:
        raise ValueError("there must be more plots than strata")
    return float(stdtrit(degrees_of_freedom, (1 + confidence) / 2))


def sampling_half_width(areas_ha: ArrayLike, plots: Sequence[ArrayLike], confidence: float) -> float:
    """Eq. (S36): relative half-width of a stratified stock, t·√(Σ w_i²·s_i²/n_i)/b with w_i = A_i/A. [-]

    t has Σ n_i - M degrees of freedom, M strata. Refuses a stratum of less than two plots.
    Source: AR-TOOL14 v04.2.

    >>> round(sampling_half_width([10.0], [[40.0, 50.0, 60.0]], 0.90), 4)
    0.3372
    """
    mean = stratified_mean(areas_ha, plots)
    if not mean > 0:
        raise ValueError("a mean of nothing has no relative half-width")
    return stratified_half_width(areas_ha, plots, confidence) / mean


def stratified_half_width(areas_ha: ArrayLike, plots: Sequence[ArrayLike], confidence: float) -> float:
    """Eq. (S124): half-width of a stratified mean in its own unit, t·√(Σ w_i²·s_i²/n_i) with w_i = A_i/A. [unit of b]

    The numerator of (S36); it also serves plot differences, whose mean may be nothing or less than nothing.
    Source: AR-TOOL14 v04.2.

    >>> round(stratified_half_width([10.0], [[40.0, 50.0, 60.0]], 0.90), 4)
    16.8585
    """
    weights = _weights(areas_ha, plots)
    counts = np.array([np.size(np.asarray(stratum)) for stratum in plots], dtype=np.float64)
    variances = np.array([stratum_variance(stratum) for stratum in plots])
    error = float(np.sqrt(np.sum(weights**2 * variances / counts)))
    return student_factor(confidence, float(np.sum(counts)) - len(plots)) * error


def relative_half_width(mean: Numbers, half_width: Numbers) -> Numbers:
    """Eq. (S37): half-width over the mean, U = h/C. [-]

    Source: AR-TOOL14 v04.2 Appendix 2.

    >>> relative_half_width(60, 9)
    0.15
    """
    if not np.all(np.asarray(mean) > 0):
        raise ValueError("a mean of nothing has no relative half-width")
    return nonnegative("half-width", half_width) / mean


def discount_share(relative_width: Numbers, bounds: ArrayLike, shares: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S38): share of the half-width to be given up, step table in U, upper bounds inclusive. [-]

    Source: AR-TOOL14 v04.2 discount table.

    >>> float(discount_share(0.15, (0.10, 0.15, 0.20, 0.30), (0, 0.25, 0.50, 0.75, 1)))
    0.25
    """
    width = np.asarray(nonnegative("relative half-width", relative_width))
    classes = np.searchsorted(np.asarray(bounds, dtype=np.float64), width - BOUND_SLACK, side="left")
    return np.asarray(np.asarray(shares, dtype=np.float64)[classes])


def discounted_stock(mean: Numbers, half_width: Numbers, share: Numbers) -> Numbers:
    """Eq. (S39): project stock after the uncertainty discount, C-share·h. [unit of C]

    Source: AR-TOOL14 v04.2 Appendix 2.

    >>> discounted_stock(60, 9, 0.25)
    57.75
    """
    return mean - fraction("share", share) * nonnegative("half-width", half_width)


def discounted_baseline(mean: Numbers, half_width: Numbers, share: Numbers) -> Numbers:
    """Eq. (S40): baseline stock after the uncertainty discount, C+share·h. [unit of C]

    Source: AR-TOOL14 v04.2 Appendix 2.

    >>> discounted_baseline(60, 9, 0.25)
    62.25
    """
    return mean + fraction("share", share) * nonnegative("half-width", half_width)


def effective_deduction(relative_width: Numbers, bounds: ArrayLike, shares: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S41): part of the stock lost to the discount, min(1, share(U)·U). [-]

    Source: AR-TOOL14 v04.2; 60 ± 9 loses 3.75 %, not 25 %.

    >>> float(effective_deduction(0.15, (0.10, 0.15, 0.20, 0.30), (0, 0.25, 0.50, 0.75, 1)))
    0.0375
    """
    return np.asarray(np.minimum(1.0, discount_share(relative_width, bounds, shares) * relative_width))


def stock_change(earlier: Numbers, later: Numbers) -> Numbers:
    """Eq. (S42): change of stock between two dates, C2-C1 with C1 undiscounted. [unit of C]

    Source: AR-TOOL14 v04.2.

    >>> stock_change(60.0, 75.0)
    15.0
    """
    return later - earlier


def change_half_width(earlier: float, earlier_width: float, later: float, later_width: float) -> float:
    """Eq. (S43): relative half-width of a change of stock, √((U1·C1)²+(U2·C2)²)/abs(C2-C1). [-]

    Source: AR-TOOL14 v04.2.

    >>> change_half_width(60, 0.05, 80, 0.05)
    0.25
    """
    change = abs(stock_change(earlier, later))
    if change == 0:
        raise ValueError("a change of nothing has no relative half-width")
    return float(np.hypot(earlier_width * earlier, later_width * later) / change)


def chained_half_width(earlier: float, earlier_width: float, change: float, change_width: float) -> float:
    """Eq. (S44): relative half-width of an earlier stock plus a change, √((U1·C1)²+(Ud·ΔC)²)/(C1+ΔC). [-]

    Source: AR-TOOL14 v04.2.

    >>> round(chained_half_width(60, 0.05, 20, 0.2), 4)
    0.0625
    """
    if not earlier + change > 0:
        raise ValueError("a stock of nothing has no relative half-width")
    return float(np.hypot(earlier_width * earlier, change_width * change) / (earlier + change))


def annual_change(earlier: Numbers, later: Numbers, years: float) -> Numbers:
    """Eq. (S45): yearly change of stock, (C2-C1)/T with T possibly fractional. [unit of C per yr]

    Source: AR-TOOL14 v04.2.

    >>> annual_change(60.0, 75.0, 2.5)
    6.0
    """
    if not years > 0:
        raise ValueError("the later date comes after the earlier one")
    return stock_change(earlier, later) / years


def sampling_sigma(relative_width: Numbers, confidence: float) -> Numbers:
    """Eq. (S46): relative standard error behind a half-width, U/z((1+confidence)/2), many plots assumed. [-]

    Source: this project; normal quantile.

    >>> round(sampling_sigma(0.1645, 0.90), 4)
    0.1
    """
    return relative_width / float(ndtri((1 + confidence) / 2))


def unit_lognormal(normals: NDArray[np.float64], sigma: Numbers) -> NDArray[np.float64]:
    """Eq. (S47): multiplicative error of mean one, exp(σ·z-σ²/2). [-]

    Source: textbook lognormal mean.

    >>> float(unit_lognormal(np.array([0.0]), 0.0)[0])
    1.0
    """
    return np.asarray(np.exp(sigma * normals - 0.5 * sigma * sigma))
