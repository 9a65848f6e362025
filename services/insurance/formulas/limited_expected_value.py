"""Limited expected value: what layers, limits and deductibles are worth.        docs/equations/insurance.md (I17)-(I29)

E[X∧u]  limited expected value, ∫₀ᵘ S(x) dx      S  survival function
L xs A  layer of limit L above attachment A      d  deductible
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def _not_below_zero(**numbers: npt.ArrayLike) -> None:
    for name, number in numbers.items():
        if not np.all(np.asarray(number, dtype=np.float64) >= 0):
            raise ValueError(f"{name} must be at least 0: {number!r}")


def exponential_lev(mean: float, limit: npt.ArrayLike) -> Array:
    """Eq. (I17): limited expected value of an exponential, θ(1 − e^(−u/θ)). [CNY]

    Source: Loss Models, standard value. Verified: read.

    >>> exponential_lev(1000, [500, 1000, 2000]).round(2)
    array([393.47, 632.12, 864.66])
    """
    _not_below_zero(mean=mean, limit=limit)
    return np.asarray(-mean * np.expm1(-np.asarray(limit, dtype=np.float64) / mean))


def exponential_survival(mean: float, loss: npt.ArrayLike) -> Array:
    """Eq. (I18): chance that an exponential loss exceeds x, e^(−x/θ). [-]

    Source: textbook. Verified: no.
    """
    _not_below_zero(mean=mean, loss=loss)
    return np.asarray(np.exp(-np.asarray(loss, dtype=np.float64) / mean))


def pareto_lev(shape: float, scale: float, limit: npt.ArrayLike) -> Array:
    """Eq. (I19): limited expected value of a Pareto (Lomax), θ/(α−1)·(1 − (θ/(θ+u))^(α−1)). [CNY]

    Source: Loss Models, example 8.6. Verified: read.

    >>> float(pareto_lev(shape=3, scale=2000, limit=3000))
    840.0
    """
    _not_below_zero(scale=scale, limit=limit)
    if shape <= 1:
        raise ValueError(f"a Pareto of shape {shape} has no mean")
    over = scale / (scale + np.asarray(limit, dtype=np.float64))
    return np.asarray(scale / (shape - 1) * (1 - over ** (shape - 1)))


def generalised_pareto_survival(excess: npt.ArrayLike, shape: float, scale: float) -> Array:
    """Eq. (I20): chance that a loss beyond a threshold exceeds it by x, (1 + ξx/β)^(−1/ξ). [-]

    The mean exists for ξ < 1, the variance for ξ < ½.

    Source: textbook. Verified: no.

    >>> float(generalised_pareto_survival(100.0, shape=0.5, scale=50.0))
    0.25
    """
    _not_below_zero(excess=excess, scale=scale)
    if shape <= 0:
        raise ValueError(f"only a heavy tail has this form: {shape}")
    return np.asarray((1 + shape * np.asarray(excess, dtype=np.float64) / scale) ** (-1 / shape))


def empirical_lev(losses: npt.ArrayLike, limit: npt.ArrayLike) -> Array:
    """Eq. (I21): limited expected value of a sample, mean of min(xᵢ, u). [CNY]

    Source: actuar 3.3 modelling vignette. Verified: read.

    >>> empirical_lev([16, 40, 46], [16, 40]).round(2)
    array([16., 32.])
    """
    _not_below_zero(losses=losses, limit=limit)
    sample, limits = np.asarray(losses, dtype=np.float64), np.asarray(limit, dtype=np.float64)
    return np.asarray(np.minimum(sample, limits[..., np.newaxis]).mean(axis=-1))


def grouped_lev(borders: npt.ArrayLike, counts: npt.ArrayLike) -> Array:
    """Eq. (I22): limited expected value of grouped losses at the borders, ∫ S with losses uniform in a group. [CNY]

    Source: actuar 3.3 modelling vignette. Verified: read.

    >>> grouped_lev([0, 10, 20], [1, 1])
    array([ 0. ,  7.5, 10. ])
    """
    _not_below_zero(counts=counts)
    edges, numbers = np.asarray(borders, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    survival = 1 - np.concatenate([[0.0], np.cumsum(numbers)]) / numbers.sum()
    # Survival is a straight line inside a group, so the trapezoid is exact.
    slices = np.diff(edges) * (survival[1:] + survival[:-1]) / 2
    return np.concatenate([[0.0], np.cumsum(slices)])


def layer_loss(lev_at_exhaustion: float, lev_at_attachment: float) -> float:
    """Eq. (I23): expected loss of a layer L xs A, E[X∧(A+L)] − E[X∧A]. [CNY]

    Source: textbook. Verified: measured.

    >>> layer_loss(lev_at_exhaustion=632.0, lev_at_attachment=393.5)
    238.5
    """
    if not 0 <= lev_at_attachment <= lev_at_exhaustion:
        raise ValueError(f"a layer ends above its attachment: {lev_at_attachment}, {lev_at_exhaustion}")
    return lev_at_exhaustion - lev_at_attachment


def programme_losses(losses: npt.ArrayLike, layers: Sequence[tuple[float, float]]) -> Array:
    """Eq. (I24): loss to each layer (L, A) of a programme, min(max(x − A, 0), L); layers must not overlap. [CNY]

    Source: textbook; refusal of overlap is a project rule. Verified: no.

    >>> programme_losses([130.0], [(100.0, 0.0), (50.0, 100.0)])
    array([[100.,  30.]])
    """
    ground_up = np.asarray(losses, dtype=np.float64)
    _not_below_zero(losses=ground_up, limits=[limit for limit, _ in layers], attachments=[a for _, a in layers])
    by_attachment = sorted(layers, key=lambda layer: layer[1])
    exhausted = 0.0
    for limit, attachment in by_attachment:
        if attachment < exhausted:
            raise ValueError(f"layers overlap: one attaches at {attachment}, another is exhausted at {exhausted}")
        exhausted = attachment + limit
    columns = [np.clip(ground_up - attachment, 0, limit) for limit, attachment in layers]
    return np.stack(columns, axis=-1)


def ordinary_deductible_loss(mean: float, lev_at_deductible: float) -> float:
    """Eq. (I25): expected payment above an ordinary deductible, E[X] − E[X∧d]. [CNY]

    Source: textbook. Verified: measured.

    >>> ordinary_deductible_loss(mean=1000.0, lev_at_deductible=393.5)
    606.5
    """
    return mean - lev_at_deductible


def franchise_deductible_loss(mean: float, lev_at_deductible: float, deductible: float, survival: float) -> float:
    """Eq. (I26): expected payment with a franchise, E[X] − E[X∧d] + d·S(d). [CNY]

    Source: textbook. Verified: measured.

    >>> franchise_deductible_loss(mean=1000.0, lev_at_deductible=400.0, deductible=500.0, survival=0.5)
    850.0
    """
    return mean - lev_at_deductible + deductible * survival


def inflated_lev(lev_at_deflated_limit: float, inflation: float) -> float:
    """Eq. (I27): limited expected value after inflation under the same limit, (1+i)·E[X∧u/(1+i)]. [CNY]

    Source: Loss Models, section 8. Verified: no.

    >>> inflated_lev(lev_at_deflated_limit=100.0, inflation=0.5)
    150.0
    """
    return (1 + inflation) * lev_at_deflated_limit


def loss_elimination_ratio(mean: float, lev_at_deductible: float) -> float:
    """Eq. (I28): share of the loss that a deductible removes, E[X∧d] / E[X]. [-]

    Source: textbook. Verified: no.

    >>> loss_elimination_ratio(mean=1000.0, lev_at_deductible=250.0)
    0.25
    """
    return lev_at_deductible / mean


def payment_density(density: float, survival_at_deductible: float) -> float:
    """Eq. (I29): density, or mass at the cap, of a payment given that one is made, f(y + d) / S(d). [1/CNY or -]

    Source: actuar 3.3 modelling vignette. Verified: read.

    >>> payment_density(density=0.1, survival_at_deductible=0.8)
    0.125
    """
    return density / survival_at_deductible
