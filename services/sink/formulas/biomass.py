"""Living biomass and carbon stock of a stand, by several routes.        docs/equations/sink.md (S3)-(S21)

A   area                [ha]           V    volume            [m3/ha]
D   wood density        [t d.m./m3]    BEF  expansion factor  [-]
R   root-to-shoot ratio [-]            CF   carbon fraction   [tC/t d.m.]
CC  crown cover         [-]            b    above-ground biomass [t d.m./ha]

The routes disagree by a factor of up to two and a half on the same stand; their spread is the model risk (S15).
Numbers are plain floats or arrays that broadcast; what lies outside of its domain raises ValueError, also in one place
of an array.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.domain import Numbers, fraction, nonnegative

CO2_PER_CARBON = 44 / 12
"""Ratio of the molar masses of carbon dioxide and carbon."""


def stock_from_volume(
    area_ha: Numbers,
    volume: Numbers,
    density: Numbers,
    expansion_factor: Numbers,
    root_ratio: Numbers,
    carbon_fraction: Numbers,
) -> Numbers:
    """Eq. (S3): stock from volume by expansion factors, 44/12·A·V·D·BEF·(1+R)·CF. [tCO2e]

    Source: AR-TOOL14 v04.2 (V·D·BEF2·(1+R) per plot); the Chinese form AR-CM-001-V01 is from memory.

    >>> round(stock_from_volume(10, 19.7491, 0.394, 1.589, 0.251, 0.503), 2)
    285.28
    """
    biomass = biomass_from_volume(volume, density, expansion_factor, root_ratio)
    return carbon_dioxide(carbon_from_biomass(nonnegative("area", area_ha) * biomass, carbon_fraction))


def carbon_dioxide(carbon_tc: Numbers) -> Numbers:
    """Eq. (S4): carbon dioxide bound by a mass of carbon, 44/12·C. [tCO2e]

    Source: IPCC 2006 Vol. 4, conversion by molar masses.

    >>> carbon_dioxide(12.0)
    44.0
    """
    return CO2_PER_CARBON * carbon_tc


def biomass_from_volume(volume: Numbers, density: Numbers, expansion_factor: Numbers, root_ratio: Numbers) -> Numbers:
    """Eq. (S5): living biomass with roots by expansion factors, V·D·BEF·(1+R). [t d.m./ha]

    Source: AR-TOOL14 v04.2, expansion-factor method.

    >>> round(biomass_from_volume(165, 0.49, 1.416, 0.212), 4)
    138.7541
    """
    nonnegative("density", density)
    nonnegative("expansion factor", expansion_factor)
    return nonnegative("volume", volume) * density * expansion_factor * (1 + nonnegative("root ratio", root_ratio))


def biomass_from_bcef(volume: Numbers, bcef: Numbers, root_ratio: Numbers) -> Numbers:
    """Eq. (S6): living biomass with roots by IPCC conversion and expansion, V·BCEF·(1+R). [t d.m./ha]

    Source: IPCC 2006 Vol. 4, equation from memory; its factors from Tables 4.4 and 4.5.

    >>> round(biomass_from_bcef(60, 0.75, 0.40), 4)
    63.0
    """
    return nonnegative("volume", volume) * nonnegative("BCEF", bcef) * (1 + nonnegative("root ratio", root_ratio))


def stepped_bcef(volume: Numbers, upper_bounds: Sequence[float], factors: Sequence[float]) -> NDArray[np.float64]:
    """Eq. (S7): conversion and expansion factor by volume class, step table, upper bounds inclusive. [t d.m./m3]

    The steps are kept as published, so biomass from them jumps downward where a class ends.
    Source: IPCC 2006 Vol. 4 Table 4.5.

    >>> float(stepped_bcef(60, (20, 40, 100, 200), (1.8, 1.0, 0.75, 0.7, 0.7)))
    0.75
    """
    classes = np.searchsorted(np.asarray(upper_bounds), nonnegative("volume", volume), side="left")
    return np.asarray(np.asarray(factors, dtype=np.float64)[classes])


def stepped_root_ratio(
    biomass: Numbers, bounds: Sequence[float], ratios: Sequence[float], inclusive: Sequence[bool] = ()
) -> NDArray[np.float64]:
    """Eq. (S8): root-to-shoot ratio by class of above-ground biomass, step table, upper bounds exclusive. [-]

    One ratio more than bounds; `inclusive` says of each bound whether it belongs to the class that it ends, as "75-150"
    does and "below 75" does not.
    Source: IPCC 2006 Vol. 4 Table 4.4.

    >>> float(stepped_root_ratio(45, (50, 150), (0.40, 0.29, 0.20)))
    0.4
    """
    shoots = np.asarray(nonnegative("biomass", biomass))[..., None]
    closed = np.asarray(inclusive or [False] * len(bounds))
    classes = np.sum(np.where(closed, shoots > np.asarray(bounds), shoots >= np.asarray(bounds)), axis=-1)
    return np.asarray(np.asarray(ratios, dtype=np.float64)[classes])


def biomass_from_regression(volume: Numbers, slope: Numbers, intercept: Numbers, volume_floor: Numbers) -> Numbers:
    """Eq. (S9): living biomass with roots by stand regression, a·V+b for V ≥ volume_floor. [t d.m./ha]

    The intercept would put biomass on bare land, so a volume below the floor is refused.
    Source: Zhang Chunhua et al., ChinaXiv-201803.01069, table 1; the floor is this project's.

    >>> round(biomass_from_regression(80, 0.6251, 11.462, volume_floor=18.3), 4)
    61.47
    """
    if not np.all(np.asarray(volume) >= volume_floor):
        raise ValueError("the regression says nothing about a volume below its floor")
    return slope * nonnegative("volume", volume) + intercept


def root_ratio(biomass: Numbers, intercept: float, slope: float) -> NDArray[np.float64]:
    """Eq. (S10): default root-to-shoot ratio from above-ground biomass, exp(i+s·ln b)/b. [-]

    b in t d.m./ha, above 0; the mass of carbon would be half of it, and the ratio another.
    Source: AR-TOOL14 v04.2 Appendix 1, with i = -1.085 and s = 0.9256.

    >>> round(float(root_ratio(50, -1.085, 0.9256)), 5)
    0.25257
    """
    if not np.all(np.asarray(biomass) > 0):
        raise ValueError("the root ratio of a stand without above-ground biomass is undefined")
    return np.asarray(np.exp(intercept + slope * np.log(biomass)) / biomass)


def tree_biomass(diameter_cm: Numbers, height_m: Numbers, coefficient: Numbers, exponent: Numbers) -> Numbers:
    """Eq. (S11): biomass of one organ of one tree by allometry, a·(D²·H)^b. [kg]

    Source: Huang et al. 2016, ChinaXiv-201605.00426, Appendix 1.

    >>> round(tree_biomass(15, 12, 0.0462, 0.8647), 4)  # stem of Larix principis-rupprechtii
    42.8294
    """
    size = nonnegative("diameter", diameter_cm) ** 2 * nonnegative("height", height_m)
    return nonnegative("coefficient", coefficient) * size**exponent


def shrub_stock(
    areas_ha: ArrayLike,
    crown_covers: ArrayLike,
    forest_biomass: float,
    shrub_ratio: float,
    root_ratio: float,
    carbon_fraction: float,
    cover_floor: float,
) -> NDArray[np.float64]:
    """Eq. (S12): stock of shrubs from crown cover, 44/12·CF·(1+R)·A·BDR·b·CC per stratum, CC < floor as 0. [tCO2e]

    One area and one cover for each stratum; one stock for each comes out.
    Source: AR-TOOL14 v04.2, shrub method.

    >>> float(shrub_stock([10.0], [0.04], 11.3, 0.10, 0.40, 0.4897, cover_floor=0.05).sum())
    0.0
    """
    areas = np.asarray(areas_ha, dtype=np.float64)
    covers = np.asarray(crown_covers, dtype=np.float64)
    nonnegative("area", areas)
    fraction("crown cover", covers)
    counted = np.where(covers < cover_floor, 0.0, covers)
    return CO2_PER_CARBON * carbon_fraction * (1 + root_ratio) * areas * shrub_ratio * forest_biomass * counted


def carbon_from_biomass(biomass: Numbers, carbon_fraction: Numbers) -> Numbers:
    """Eq. (S13): carbon in dry biomass, B·CF. [tC, or tC/ha if B is per ha]

    Source: AR-TOOL14 v04.2; IPCC 2006 Vol. 4.

    >>> round(carbon_from_biomass(75 * 1.29, 0.47), 4)
    45.4725
    """
    return nonnegative("biomass", biomass) * fraction("carbon fraction", carbon_fraction)


def volume_from_carbon(
    carbon_tc_ha: Numbers, density: Numbers, expansion_factor: Numbers, root_ratio: Numbers, carbon_fraction: Numbers
) -> Numbers:
    """Eq. (S14): volume that would hold a carbon density, C/(D·BEF·(1+R)·CF), the inverse of (S5) and (S13). [m3/ha]

    Source: this project, algebra on AR-TOOL14 v04.2.

    >>> round(volume_from_carbon(49.08, 0.394, 1.589, 0.251, 0.503), 1)
    124.6
    """
    return nonnegative("carbon", carbon_tc_ha) / (density * expansion_factor * (1 + root_ratio) * carbon_fraction)


def route_spread(biomasses: Sequence[float]) -> float:
    """Eq. (S15): model risk as the spread of the routes, sample standard deviation of ln B. [-]

    Two routes or more, each above 0, in one unit.
    Source: this project.

    >>> round(route_spread([138.75, 117.37, 157.54]), 3)  # larch at 165 m3/ha
    0.148
    """
    logs = np.log(np.asarray(biomasses, dtype=np.float64))
    return float(np.std(logs, ddof=1))


def carbon_fraction_bias(default_fraction: Numbers, measured_fraction: Numbers) -> Numbers:
    """Eq. (S16): bias of a default carbon fraction against a measured one, 100·(CF/CF_measured - 1). [%]

    Source: this project, arithmetic.

    >>> round(carbon_fraction_bias(0.47, 0.503), 2)
    -6.56
    """
    return 100 * (default_fraction / measured_fraction - 1)


def pool_total(pools: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S17): carbon of a stand as the sum of its pools, Σ C_pool over the last axis. [unit of the pools]

    Source: InVEST carbon model.

    >>> float(pool_total([15, 10, 60, 1]))
    86.0
    """
    return np.asarray(np.sum(np.asarray(pools, dtype=np.float64), axis=-1))


def carbon_density(carbon_tc: Numbers, area_ha: Numbers) -> Numbers:
    """Eq. (S18): mean carbon density, C/A. [tC/ha]

    Source: Zhang Chunhua et al., ChinaXiv-201803.01069, table 3.

    >>> round(carbon_density(33.22e6, 1_460_400), 2)
    22.75
    """
    return carbon_tc / area_ha


def softwood_root_carbon(shoot_carbon: Numbers, ratio: float) -> Numbers:
    """Eq. (S19): root carbon of softwood, ratio·AGB. [tC/ha]

    Source: reproduces the output of libcbm 2.10.2, ratio 0.222.

    >>> round(softwood_root_carbon(42.510518, 0.222), 6)
    9.437335
    """
    return ratio * nonnegative("above-ground carbon", shoot_carbon)


def hardwood_root_carbon(shoot_carbon: Numbers, coefficient: float, exponent: float, carbon_fraction: float) -> Numbers:
    """Eq. (S20): root carbon of hardwood, CF·c·(AGB/CF)^e. [tC/ha]

    Source: reproduces the output of libcbm 2.10.2, c = 1.576, e = 0.615, CF = 0.5.

    >>> round(hardwood_root_carbon(40.0, 1.576, 0.615, 0.5), 6)
    11.666123
    """
    return carbon_fraction * coefficient * (nonnegative("carbon", shoot_carbon) / carbon_fraction) ** exponent


def baseline_tree_change(
    year: Numbers,
    area_ha: Numbers,
    crown_cover: Numbers,
    forest_increment: float,
    root_ratio: float,
    carbon_fraction: float,
    last_year: float,
) -> NDArray[np.float64]:
    """Eq. (S21): yearly change of trees standing before the project, 44/12·CF·Δb·(1+R)·CC·A up to last_year. [tCO2e/yr]

    Source: AR-TOOL14 v04.2, with R 0.25 and last_year 20.

    >>> [round(float(baseline_tree_change(y, 10, 0.02, 1.0, 0.25, 0.47, 20)), 3) for y in (20, 21)]
    [0.431, 0.0]
    """
    cover = fraction("crown cover", crown_cover)
    change = CO2_PER_CARBON * carbon_fraction * forest_increment * (1 + root_ratio) * cover * area_ha
    return np.asarray(np.where(np.asarray(year) <= last_year, change, 0.0))


def baseline_tree_growth(
    years: Numbers,
    area_ha: Numbers,
    crown_cover: Numbers,
    forest_increment: float,
    root_ratio: float,
    carbon_fraction: float,
    last_year: float,
) -> NDArray[np.float64]:
    """Eq. (S178): what trees from before the project have grown since it began, (S21) times min(t, last_year). [tCO2e]

    Source: AR-TOOL14 v04.2, yearly change summed.

    >>> [round(float(baseline_tree_growth(t, 10, 0.02, 1.0, 0.25, 0.47, 20)), 3) for t in (0, 10, 30)]
    [0.0, 4.308, 8.617]
    """
    yearly = baseline_tree_change(
        last_year, area_ha, crown_cover, forest_increment, root_ratio, carbon_fraction, last_year
    )
    return np.asarray(yearly * np.minimum(nonnegative("years", years), last_year))
