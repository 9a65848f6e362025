"""Limiting loss of a large uniform book, one common factor.        docs/equations/guarantee.md (G43)-(G46)

p  default_probability      ρ  asset correlation (the loading is its root)      α  confidence
N, G  normal distribution function and its inverse      N2  its bivariate
"""

import math

from scipy.special import ndtr, ndtri, owens_t


def default_rate_quantile(default_probability: float, correlation: float, confidence: float) -> float:
    """Eq. (G43): quantile of the default rate, N((G(p) + √ρ·G(α)) / √(1 − ρ)). [-]

    Source: Vasicek, limiting loss distribution. Verified: measured.

    >>> round(default_rate_quantile(0.01, 0.1, 0.999), 6)
    0.077497
    """
    if not (0 < default_probability < 1 and 0 <= correlation < 1 and 0 < confidence < 1):
        raise ValueError(f"no quantile from {default_probability}, {correlation}, {confidence}")
    shifted = ndtri(default_probability) + math.sqrt(correlation) * ndtri(confidence)
    return float(ndtr(shifted / math.sqrt(1 - correlation)))


def default_rate_variance(default_probability: float, correlation: float) -> float:
    """Eq. (G44): variance of the default rate, N2(G(p), G(p); ρ) − p². [-]

    For equal arguments N2(x, x; ρ) = N(x) − 2·T(x, √((1 − ρ)/(1 + ρ))) with Owen's T, which is exact.

    Source: Vasicek, limiting loss distribution. Verified: measured.

    >>> round(default_rate_variance(0.5, 0.5), 6)
    0.083333
    """
    threshold = ndtri(default_probability)
    both = default_probability - 2 * owens_t(threshold, math.sqrt((1 - correlation) / (1 + correlation)))
    return float(both - default_probability**2)


def standardised_quantile(default_probability: float, correlation: float, confidence: float) -> float:
    """Eq. (G45): quantile in standard deviations above the mean, (q − p) / sd. [-]

    Source: Vasicek's table of the limiting loss distribution. Verified: measured.

    >>> round(standardised_quantile(0.01, 0.1, 0.999), 2)
    7.01
    """
    quantile = default_rate_quantile(default_probability, correlation, confidence)
    return (quantile - default_probability) / math.sqrt(default_rate_variance(default_probability, correlation))


def unexpected_loss_rate(
    default_probability: float, loss_given_default: float, correlation: float, confidence: float
) -> float:
    """Eq. (G46): loss beyond the expected at a confidence, LGD·(q − p). [-]

    Source: Vasicek, limiting loss distribution. Verified: measured.

    >>> round(unexpected_loss_rate(0.01, 0.5, 0.1, 0.999), 6)
    0.033749
    """
    return loss_given_default * (
        default_rate_quantile(default_probability, correlation, confidence) - default_probability
    )
