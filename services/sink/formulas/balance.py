"""A year's balance of a village, community, campus, enterprise or person.        docs/equations/sink.md (S230)-(S231)

In whole kilograms, so that a year which is covered exactly is covered.
"""

import numpy as np

from services.sink.formulas.domain import nonnegative


def yearly_balance(emissions_kg: int, allowances_kg: int, retired_kg: int) -> int:
    """Eq. (S230): emissions of a year that nothing covers, E-A-R; negative is a surplus. [kgCO2e]

    Reductions are not subtracted: the emissions of the year are those after them.
    Source: this project.

    >>> yearly_balance(12_000, 4_000, 5_000)
    3000
    """
    for name, mass in (("emissions", emissions_kg), ("allowances", allowances_kg), ("retired units", retired_kg)):
        nonnegative(name, np.float64(mass))
    return emissions_kg - allowances_kg - retired_kg


def zero_carbon(emissions_kg: int, allowances_kg: int, retired_kg: int) -> bool:
    """Eq. (S231): whether a year is zero-carbon, E > 0 and (S230) ≤ 0. [true or false]

    A year of which no emissions were counted is not zero-carbon, it is unknown.
    Source: this project.

    >>> zero_carbon(9_000, 4_000, 5_000), zero_carbon(0, 4_000, 0)
    (True, False)
    """
    return emissions_kg > 0 and yearly_balance(emissions_kg, allowances_kg, retired_kg) <= 0
