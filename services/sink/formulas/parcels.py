"""Quantities of a parcel that decide whether it can stand in the register.    docs/equations/sink.md (S100)-(S102)

a, b  distance between rows and within a row [m]      A  area [m2]      s  share of the smaller parcel [-]
"""

import numpy as np
from numpy.typing import NDArray

from services.sink.formulas.domain import Numbers, fraction, nonnegative

_M2_PER_HA = 10_000


def planting_density(row_spacing: Numbers, plant_spacing: Numbers, survival: Numbers) -> NDArray[np.float64]:
    """Eq. (S100): living plants of a planting grid, 10000/(a·b)·survival. [1/ha]

    Source: definition.

    >>> round(float(planting_density(3, 2, 0.85)))
    1417
    """
    grid = nonnegative("row spacing", row_spacing) * nonnegative("plant spacing", plant_spacing)
    if not np.all(np.asarray(grid) > 0):
        raise ValueError("a spacing must be greater than nothing")
    return np.asarray(_M2_PER_HA / grid * fraction("survival", survival))


def repair_change(drawn_area: Numbers, repaired_area: Numbers) -> NDArray[np.float64]:
    """Eq. (S101): part of the ground that a repair changes, 1-min(A_drawn, A_repaired)/max(A_drawn, A_repaired). [-]

    The area as drawn is that of the shoelace formula, in which a loop that is run through backwards counts against the
    rest; the repaired one counts it in. They agree where nothing crosses itself.

    Source: this project.

    >>> round(float(repair_change(98, 100)), 3)
    0.02
    """
    drawn, repaired = nonnegative("area as drawn", drawn_area), nonnegative("repaired area", repaired_area)
    greater = np.maximum(drawn, repaired)
    if not np.all(greater > 0):
        raise ValueError("a polygon encloses something")
    return np.asarray(1 - np.minimum(drawn, repaired) / greater)


def tolerated_overlap(area: Numbers, other_area: Numbers, share: Numbers, floor: Numbers) -> NDArray[np.float64]:
    """Eq. (S102): ground two parcels may share before they count as overlapping, max(A_0, s·min(A_1, A_2)). [m2]

    Source: this project.

    >>> float(tolerated_overlap(1_000_000, 400, 0.005, 100))
    100.0
    """
    smaller = np.minimum(nonnegative("area", area), nonnegative("area", other_area))
    return np.asarray(np.maximum(nonnegative("floor", floor), fraction("share", share) * smaller))
