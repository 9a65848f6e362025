"""Credibility of a group's own experience, Bühlmann-Straub.        docs/equations/insurance.md (I36)-(I40)

X  ratios[group, period]  [any]      w  weights[group, period]  [exposure]; a weight of 0 marks a missing period
s²  within_variance      a  between_variance      Z  credibility  [-]      m  collective_mean
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def _means(ratios: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[Array, Array, Array, Array]:
    x, w = np.asarray(ratios, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if x.shape != w.shape or x.ndim != 2 or not np.all(w >= 0) or not np.all(np.isfinite(x[w > 0])):
        raise ValueError("ratios and weights are tables of one shape, weights not below 0, ratios finite where weighed")
    x = np.where(w > 0, x, 0.0)
    total = w.sum(axis=1)
    if not np.all(total > 0):
        raise ValueError("every group needs exposure")
    return x, w, total, np.asarray((w * x).sum(axis=1) / total)


def within_variance(ratios: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    """Eq. (I36): variance from period to period, s² = Σ w(X − X̄ᵢ)² / Σ (nᵢ − 1). [X²·w]

    Source: Bühlmann and Straub as in actuar. Verified: read.

    >>> within_variance([[10, 12, 8, 10], [4, 6, 5, 5]], [[1] * 4, [1] * 4]).__round__(6)
    1.666667
    """
    x, w, _, means = _means(ratios, weights)
    freedom = int(np.sum((w > 0).sum(axis=1) - 1))
    if freedom <= 0:
        raise ValueError("some group needs two periods")
    return float(np.sum(w * (x - means[:, np.newaxis]) ** 2) / freedom)


def between_variance(ratios: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    """Eq. (I37): variance from group to group, a = W/(W² − Σwᵢ²)·(Σ wᵢ(X̄ᵢ − X̄)² − (r−1)s²); may be below 0. [X²]

    Source: Bühlmann and Straub as in actuar. Verified: read.
    """
    _, _, total, means = _means(ratios, weights)
    if len(total) < 2:
        raise ValueError("credibility compares at least two groups")
    whole = total.sum()
    spread = np.sum(total * (means - np.average(means, weights=total)) ** 2)
    noise = (len(total) - 1) * within_variance(ratios, weights)
    return float(whole / (whole**2 - np.sum(total**2)) * (spread - noise))


def credibility(weights: npt.ArrayLike, within_variance: float, between_variance: float) -> Array:
    """Eq. (I38): weight of a group's own experience, Zᵢ = wᵢ/(wᵢ + s²/a); 0 when a ≤ 0. [-]

    Source: Bühlmann and Straub as in actuar. Verified: read.

    >>> credibility([[4.0], [0.0]], within_variance=8.0, between_variance=2.0)
    array([0.5, 0. ])
    """
    total = np.asarray(weights, dtype=np.float64).sum(axis=1)
    if between_variance <= 0:
        return np.zeros_like(total)
    return np.asarray(total * between_variance / (total * between_variance + within_variance))


def collective_mean(ratios: npt.ArrayLike, weights: npt.ArrayLike, credibilities: npt.ArrayLike) -> float:
    """Eq. (I39): mean of all groups, m = Σ Zᵢ·X̄ᵢ / Σ Zᵢ; weighed by exposure when every Z is 0. [X]

    Source: Bühlmann and Straub as in actuar. Verified: read.
    """
    _, _, total, means = _means(ratios, weights)
    z = np.asarray(credibilities, dtype=np.float64)
    return float(np.average(means, weights=z if z.sum() > 0 else total))


def credibility_premium(ratios: npt.ArrayLike, weights: npt.ArrayLike) -> Array:
    """Eq. (I40): best linear estimate for each group, Zᵢ·X̄ᵢ + (1 − Zᵢ)·m. [X]

    Source: Bühlmann and Straub as in actuar. Verified: read.

    >>> credibility_premium([[10, 20], [20, 10], [15, 15]], [[1, 1], [1, 1], [1, 1]])
    array([15., 15., 15.])
    """
    _, _, _, means = _means(ratios, weights)
    z = credibility(weights, within_variance(ratios, weights), between_variance(ratios, weights))
    return np.asarray(z * means + (1 - z) * collective_mean(ratios, weights, z))
