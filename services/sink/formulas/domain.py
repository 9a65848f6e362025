"""Domains of the quantities that every formula relies on.        docs/equations/sink.md (S1)-(S2)

A negative volume or a share above one would pass silently through a power or a product and come out as a plausible
number, so the formulas refuse them at the door.
"""

import numpy as np
from numpy.typing import NDArray

Numbers = float | NDArray[np.float64]


def nonnegative(name: str, values: Numbers) -> Numbers:
    """Eq. (S1): domain of a quantity that cannot be negative, x ≥ 0 and finite; returns x. [unit of x]

    Source: definition.

    >>> nonnegative("volume", 19.7)
    19.7
    """
    lowest, highest = _extremes(values)
    if not (lowest >= 0 and highest < np.inf):
        raise ValueError(f"{name} must be finite and not negative")
    return values


def fraction(name: str, values: Numbers) -> Numbers:
    """Eq. (S2): domain of a share or a probability, 0 ≤ x ≤ 1; returns x. [-]

    Source: definition.

    >>> fraction("cover", 0.6)
    0.6
    """
    lowest, highest = _extremes(values)
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"{name} must lie between 0 and 1")
    return values


def _extremes(values: Numbers) -> tuple[float, float]:
    # They tell it all, without an array of truth values between: what is not a number compares false with anything.
    if isinstance(values, float | int):
        return values, values
    array = np.asarray(values)
    return np.minimum.reduce(array, None, initial=0.0), np.maximum.reduce(array, None, initial=0.0)
