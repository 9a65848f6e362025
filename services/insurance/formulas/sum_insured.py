"""How much an insurer may write on a forest.        docs/equations/insurance.md (I2)-(I4)

PV  insurable_value  [fen], a quantile of the carbon's present value
SI  sum_insured      [fen]
"""

import math


def sum_insured_limit(insurable_value: int, maximum_share: float) -> int:
    """Eq. (I2): largest sum insured on a value, SI ≤ ⌊share·PV⌋. [fen]

    Source: project rule. Verified: no.

    >>> sum_insured_limit(1_000_001, 0.9)
    900000
    """
    if insurable_value < 0 or not 0 <= maximum_share <= 1:
        raise ValueError(f"value and share must be at least 0, the share at most 1: {insurable_value}, {maximum_share}")
    return math.floor(insurable_value * maximum_share)


def over_insured(sum_insured: int, insurable_value: int) -> bool:
    """Eq. (I3): a sum insured above the insurable value is refused, SI > PV. [-]

    Source: project rule. Verified: no.

    >>> over_insured(1200, 1000), over_insured(1000, 1000)
    (True, False)
    """
    if sum_insured <= 0 or insurable_value < 0:
        raise ValueError(f"a sum insured is above 0 and a value not below it: {sum_insured}, {insurable_value}")
    return sum_insured > insurable_value


def county_room(capacity: int, in_force: int, quoted: int) -> int:
    """Eq. (I4): sum insured an insurer can still write in a county, max(capacity − in force − quoted, 0). [fen]

    Source: project rule. Verified: no.

    >>> county_room(capacity=1_000, in_force=700, quoted=100)
    200
    """
    if min(capacity, in_force, quoted) < 0:
        raise ValueError(f"capacity and its uses are not below 0: {capacity}, {in_force}, {quoted}")
    return max(capacity - in_force - quoted, 0)
