"""Tweedie deviance: how far predictions are from what happened.        docs/equations/insurance.md (I33)-(I35)

y  observed      μ  predicted      p  power: 0 normal, 1 Poisson, 1-2 compound Poisson-gamma, 2 gamma
"""

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

Array = npt.NDArray[np.float64]


def tweedie_unit_deviance(observed: npt.ArrayLike, predicted: npt.ArrayLike, power: float) -> Array:
    """Eq. (I33): unit deviance of a Tweedie model, twice the lost log-likelihood per observation. [-]

    p = 0: (y−μ)²;  p = 1: 2(y ln(y/μ) − y + μ);  p = 2: 2(ln(μ/y) + y/μ − 1);
    1 < p < 2: 2(y^(2−p)/((1−p)(2−p)) − y·μ^(1−p)/(1−p) + μ^(2−p)/(2−p)).

    Source: scikit-learn metric documentation. Verified: read.

    >>> tweedie_unit_deviance([1.0], [1.0], power=1.5)
    array([0.])
    """
    y, mu = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if power == 0:
        return np.asarray((y - mu) ** 2)
    if not np.all(mu > 0) or not np.all(y >= 0):
        raise ValueError("predictions must be above 0, observations not below it")
    if power == 1:
        return np.asarray(2 * (xlogy(y, y / mu) - y + mu))
    if power == 2:
        if not np.all(y > 0):
            raise ValueError("a gamma deviance needs observations above 0")
        return np.asarray(2 * (np.log(mu / y) + y / mu - 1))
    if not 1 < power < 2:
        raise ValueError(f"no Tweedie model for power {power}")
    one, two = 1 - power, 2 - power
    return np.asarray(2 * (y**two / (one * two) - y * mu**one / one + mu**two / two))


def tweedie_deviance(
    observed: npt.ArrayLike, predicted: npt.ArrayLike, power: float, weights: npt.ArrayLike | None = None
) -> float:
    """Eq. (I34): mean unit deviance, weighted by exposure. [-]

    Source: scikit-learn metric documentation. Verified: read.

    >>> round(tweedie_deviance([2, 0, 1, 4], [0.5, 0.5, 2, 2], power=1), 6)
    1.426015
    """
    deviances = tweedie_unit_deviance(observed, predicted, power)
    exposure = np.ones_like(deviances) if weights is None else np.asarray(weights, dtype=np.float64)
    return float(np.average(deviances, weights=exposure))


def deviance_explained(observed: npt.ArrayLike, predicted: npt.ArrayLike, power: float) -> float:
    """Eq. (I35): share of the deviance explained, D² = 1 − D(model)/D(mean). [-]

    Source: scikit-learn metric documentation. Verified: read.

    >>> round(deviance_explained([0.5, 1, 2.5, 7], [1, 1, 5, 3.5], power=0), 6)
    0.285714
    """
    y = np.asarray(observed, dtype=np.float64)
    intercept = np.full_like(y, y.mean())
    return 1 - tweedie_deviance(y, predicted, power) / tweedie_deviance(y, intercept, power)
