"""Footprint of an event, an organisation or a person from what they do.        docs/equations/sink.md (S200)-(S204)

a  quantity of an activity [its unit]      f  emission factor [kgCO2e per unit]      E  emissions [tCO2e]

Quantities and factors are arrays of one length, an activity each. What nobody counted is not in the footprint.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.domain import Numbers, nonnegative

KG_PER_TONNE = 1000


def activity_emissions(quantities: ArrayLike, factors: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S200): emissions of each activity by its emission factor, a·f/1000. [tCO2e]

    Source: IPCC 2006 Vol. 1, activity data times emission factor (from memory).

    >>> activity_emissions([1000, 40], [0.5366, 53.5]).round(4).tolist()
    [0.5366, 2.14]
    """
    amounts = nonnegative("quantity", np.asarray(quantities, dtype=np.float64))
    rates = nonnegative("emission factor", np.asarray(factors, dtype=np.float64))
    return np.asarray(amounts * rates / KG_PER_TONNE)


def travel_distance(travellers: Numbers, distance_km: Numbers, trips: Numbers) -> NDArray[np.float64]:
    """Eq. (S201): distance that a party travels, n·d·trips with trips 2 for there and back. [passenger-km]

    Source: arithmetic.

    >>> float(travel_distance(120, 320, 2))
    76800.0
    """
    return np.asarray(
        nonnegative("travellers", travellers) * nonnegative("distance", distance_km) * nonnegative("trips", trips),
        dtype=np.float64,
    )


def event_footprint(
    travel: ArrayLike, travel_factors: ArrayLike, quantities: ArrayLike, factors: ArrayLike
) -> NDArray[np.float64]:
    """Eq. (S202): footprint of a meeting, performance, match, forum or exhibition, Σ km·f/1000+Σ a·f/1000. [tCO2e]

    Travel of all who come by (S201); rooms, meals, energy of the venue, paper and waste as quantities.
    Source: sources of emission after the ministry's guide to carbon neutrality of large events (2019), seen in a copy.

    >>> float(event_footprint([76800], [0.04115], [1000, 40], [0.5366, 53.5]).round(5))
    5.83692
    """
    return np.asarray(activity_emissions(travel, travel_factors).sum() + activity_emissions(quantities, factors).sum())


def organisation_footprint(direct: ArrayLike, bought_energy: ArrayLike, value_chain: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S203): footprint of an organisation in a period, E_direct+E_bought+E_chain, each summed over (S200). [tCO2e]

    Source: three scopes of the GHG Protocol (from memory).

    >>> float(organisation_footprint([10.0, 2.0], [25.0], []))
    37.0
    """
    parts = (
        ("direct emissions", direct),
        ("emissions of bought energy", bought_energy),
        ("emissions of the value chain", value_chain),
    )
    sums = [np.sum(nonnegative(name, np.asarray(part, dtype=np.float64))) for name, part in parts]
    return np.asarray(sums[0] + sums[1] + sums[2])


def person_footprint(household: ArrayLike, household_size: float, own: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S204): footprint of a person in a period, ΣE_household/m+ΣE_own with m people at home. [tCO2e]

    Source: this project; the home's emissions are shared by head.

    >>> float(person_footprint([1.2, 0.6], 3, [0.5]).round(6))
    1.1
    """
    if household_size < 1:
        raise ValueError("somebody lives in a household")
    home = np.sum(nonnegative("household emissions", np.asarray(household, dtype=np.float64)))
    return np.asarray(home / household_size + np.sum(nonnegative("own emissions", np.asarray(own, dtype=np.float64))))
