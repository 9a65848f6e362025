"""Carbon outside of living trees: dead wood, litter, soil, grass.        docs/equations/sink.md (S130)-(S134)

SOC  soil organic carbon, 0-30 cm [tC/ha]      F  stock change factor [-]      A  area [ha]      T  years of transition

All of it rests on default factors that nobody checked; it is reported, and none of a forest's is valued.
"""

import numpy as np
from numpy.typing import NDArray

from services.sink.formulas.biomass import CO2_PER_CARBON
from services.sink.formulas.domain import Numbers, nonnegative


def soil_carbon(
    reference: Numbers, land_use: Numbers, management: Numbers, inputs: Numbers, area_ha: Numbers
) -> Numbers:
    """Eq. (S130): soil carbon by default factors, SOC_REF·F_LU·F_MG·F_I·A. [tC]

    Source: IPCC 2006 Vol. 4 equation 2.25, as held in bonsai_ipcc 0.5.3.

    >>> soil_carbon(50.0, 1.0, 0.7, 1.0, 10.0)
    350.0
    """
    factors = nonnegative("factor", land_use) * nonnegative("factor", management) * nonnegative("factor", inputs)
    return nonnegative("reference", reference) * factors * nonnegative("area", area_ha)


def soil_change(earlier: Numbers, later: Numbers, transition_years: float) -> Numbers:
    """Eq. (S131): yearly change of soil carbon between two states, (SOC_0-SOC_(0-T))/D. [tC/yr]

    Source: IPCC 2006 Vol. 4 equation 2.25, as held in bonsai_ipcc 0.5.3, D = 20 years.

    >>> soil_change(350.0, 500.0, 20.0)
    7.5
    """
    if transition_years <= 0:
        raise ValueError("a transition takes some years")
    return (later - earlier) / transition_years


def soil_gain(
    years: Numbers, earlier: Numbers, reference: Numbers, transition_years: float, largest_rate: float
) -> NDArray[np.float64]:
    """Eq. (S132): soil carbon gained after planting, min((SOC_REF-SOC_0)/D, cap)·min(t, D), never below 0. [tC/ha]

    Source: AR-TOOL16, from memory: a straight ramp of 20 years, capped at 0.8 tC/ha/yr.

    >>> soil_gain(np.array([0.0, 10.0, 30.0]), 35.0, 50.0, 20.0, 0.8).tolist()
    [0.0, 7.5, 15.0]
    """
    rate = np.clip(soil_change(earlier, reference, transition_years), 0.0, largest_rate)
    return np.asarray(rate * np.minimum(nonnegative("years", years), transition_years))


def default_pool(tree_stock: Numbers, factor: Numbers) -> Numbers:
    """Eq. (S133): dead wood or litter as a share of the trees, DF·C_TREE. [unit of C]

    Source: AR-TOOL12, from memory: 8 % for dead wood and 4 % for litter in the temperate zone.

    >>> default_pool(1000.0, 0.08)
    80.0
    """
    return nonnegative("factor", factor) * nonnegative("stock", tree_stock)


def grass_stock(
    area_ha: Numbers, shoots: Numbers, root_ratio: Numbers, carbon_fraction: Numbers, soil: Numbers
) -> Numbers:
    """Eq. (S134): stock of grassland, 44/12·A·(b·(1+R)·CF+SOC) with SOC in tC/ha. [tCO2e]

    Source: IPCC 2006 Vol. 4 chapter 6, from memory.

    >>> round(float(grass_stock(10.0, 1.7, 2.8, 0.47, 35.0)), 2)
    1394.66
    """
    living = nonnegative("shoots", shoots) * (1 + root_ratio) * carbon_fraction
    return CO2_PER_CARBON * nonnegative("area", area_ha) * (living + nonnegative("soil", soil))
