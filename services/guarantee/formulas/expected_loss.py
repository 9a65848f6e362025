"""Expected loss of a guarantee.        docs/equations/guarantee.md (G40)-(G42)"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Array = npt.NDArray[np.float64]


def expected_loss(
    default_probability: npt.ArrayLike,
    loss_given_default: npt.ArrayLike,
    exposure: npt.ArrayLike,
    retained_share: npt.ArrayLike,
) -> Array:
    """Eq. (G40): expected loss kept by a party, PD·LGD·EAD·share. [fen/yr]

    Source: textbook. Verified: no.

    >>> float(expected_loss(0.02, 0.5, 1_000_000, 0.4))
    4000.0
    """
    pd, lgd = np.asarray(default_probability, dtype=np.float64), np.asarray(loss_given_default, dtype=np.float64)
    if not np.all((pd >= 0) & (pd <= 1)) or not np.all((lgd >= 0) & (lgd <= 1)):
        raise ValueError("a default probability and a loss given default lie between 0 and 1")
    return np.asarray(pd * lgd * np.asarray(exposure, np.float64) * np.asarray(retained_share, np.float64))


def default_acceptable(default_probability: float, ceiling: float) -> bool:
    """Eq. (G41): a loan is taken up to the ceiling of its default probability, PD ≤ ceiling. [-]

    Source: project rule. Verified: no.

    >>> default_acceptable(0.08, ceiling=0.08), default_acceptable(0.0801, ceiling=0.08)
    (True, False)
    """
    if not 0 <= default_probability <= 1:
        raise ValueError(f"a default probability lies between 0 and 1: {default_probability}")
    return default_probability <= ceiling


def conditional_default_probability(
    default_probability: float,
    general_correlation: float,
    forest_correlation: float,
    general_factor: npt.ArrayLike,
    forest_factor: npt.ArrayLike,
) -> Array:
    """Eq. (G42): default probability in a state of economy and forest, N((G(p) − √r₁·Y₁ − √r₂·Y₂)/√(1 − r₁ − r₂)). [-]

    The second factor is common to a province: fire, pest, storm and carbon price strike its loans together.

    Source: two-factor Gaussian model, ours. Verified: no.

    >>> float(conditional_default_probability(0.5, 0.1, 0.1, 0.0, 0.0))
    0.5
    """
    rest = 1 - general_correlation - forest_correlation
    if min(general_correlation, forest_correlation) < 0 or rest <= 0:
        raise ValueError(f"correlations are not below 0 and sum to less than 1: {general_correlation}")
    shift = np.sqrt(general_correlation) * np.asarray(general_factor, np.float64)
    shift = shift + np.sqrt(forest_correlation) * np.asarray(forest_factor, np.float64)
    return np.asarray(ndtr((ndtri(default_probability) - shift) / np.sqrt(rest)))
