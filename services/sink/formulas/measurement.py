"""What plots say of a whole forest.        docs/equations/sink.md (S120)-(S129)

W  biomass of a tree [kg]      D  diameter at breast height [cm]      H  height [m]      A  area [ha]
C  stock [tCO2e]               U  half-width of the 90 % interval over the mean [-]

The stratified mean, its half-width, the discount and the chain of two stocks are in `uncertainty`; here stands what
leads to them from trees and what leads from them to the facts of a valuation.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.biomass import CO2_PER_CARBON
from services.sink.formulas.domain import Numbers, nonnegative


def _positive(name: str, values: Numbers) -> Numbers:
    if not np.all(np.asarray(nonnegative(name, values)) > 0):
        raise ValueError(f"{name} must be positive")
    return values


def plot_biomass(tree_biomasses_kg: ArrayLike, plot_area_m2: float) -> float:
    """Eq. (S120): biomass of a plot per hectare, 10·Σ W/a with a in m2. [t d.m./ha]

    One number for all trees of the plot; a plot without trees has none. Refuses a plot without area.
    Source: AR-TOOL14 v04.2, plot biomass by allometry.

    >>> round(plot_biomass([42.8, 14.4, 42.8], 600.0), 4)
    1.6667
    """
    kilograms = np.asarray(tree_biomasses_kg, dtype=np.float64)
    return float(10.0 * np.sum(nonnegative("tree biomass", kilograms)) / _positive("plot area", plot_area_m2))


def allometric_biomass(
    diameter_cm: Numbers, height_m: Numbers, intercept: float, diameter_exponent: float, height_exponent: float
) -> NDArray[np.float64]:
    """Eq. (S121): biomass of one organ by logarithmic allometry, exp(k)·D^p·H^q. [kg]

    Source: Huang et al. 2016, ChinaXiv-201605.00426, Appendix 1, form of 樟子松.

    >>> round(float(allometric_biomass(15, 12, -1.87871, 2 * 0.74238, 0.74238)), 2)  # stem
    53.88
    """
    diameter, height = _positive("diameter", diameter_cm), _positive("height", height_m)
    return np.asarray(
        np.exp(intercept) * np.asarray(diameter) ** diameter_exponent * np.asarray(height) ** height_exponent
    )


def stem_volume(stem_biomass: Numbers, density: Numbers) -> Numbers:
    """Eq. (S122): growing stock behind a stem biomass, B_stem/D. [m3/ha]

    Bark is counted as wood, so it is a little too great.
    Source: this project, definition of basic density.

    >>> round(stem_volume(19.7, 0.394), 2)
    50.0
    """
    return nonnegative("stem biomass", stem_biomass) / _positive("density", density)


def stock_from_biomass(area_ha: Numbers, biomass: Numbers, carbon_fraction: Numbers) -> Numbers:
    """Eq. (S123): stock of an area from its mean living biomass, 44/12·CF·A·b. [tCO2e]

    Source: AR-TOOL14 v04.2, stratified sampling.

    >>> round(stock_from_biomass(100.0, 60.0, 0.47), 1)
    10340.0
    """
    return CO2_PER_CARBON * carbon_fraction * nonnegative("area", area_ha) * nonnegative("biomass", biomass)


def chained_stock(earlier: Numbers, change: Numbers) -> Numbers:
    """Eq. (S125): stock as an earlier one and the change since, C1+ΔC with C1 undiscounted. [unit of C]

    Source: AR-TOOL14 v04.2.

    >>> chained_stock(60.0, 15.0)
    75.0
    """
    return earlier + change


def combined_half_width(first: Numbers, second: Numbers) -> NDArray[np.float64]:
    """Eq. (S129): half-width of a sum or difference of two independent figures, √(h1²+h2²). [unit of h]

    The numerators of (S43) and (S44) in their own unit, so that a change of nothing has a half-width too.
    Source: AR-TOOL14 v04.2.

    >>> float(combined_half_width(3.0, 4.0))
    5.0
    """
    return np.asarray(np.hypot(nonnegative("half-width", first), nonnegative("half-width", second)))


def equivalent_volume(
    stock_tco2e: Numbers,
    areas_ha: ArrayLike,
    densities: ArrayLike,
    expansion_factors: ArrayLike,
    root_ratios: ArrayLike,
    carbon_fractions: ArrayLike,
) -> NDArray[np.float64]:
    """Eq. (S126): volume at which (S3) gives the measured stock of a mix, C/(44/12·Σ A·D·BEF·(1+R)·CF). [m3/ha]

    One entry per species in each array; whatever route measured the carbon, a valuation by volumes starts from it.
    Source: this project, algebra on AR-TOOL14 v04.2.

    >>> round(float(equivalent_volume(285.28, [10.0], [0.394], [1.589], [0.251], [0.503])), 3)
    19.749
    """
    per_species = np.asarray(areas_ha, dtype=np.float64) * np.asarray(densities) * np.asarray(expansion_factors)
    unit = float(np.sum(per_species * (1 + np.asarray(root_ratios)) * np.asarray(carbon_fractions)))
    return np.asarray(nonnegative("stock", stock_tco2e) / (CO2_PER_CARBON * _positive("stock of one m3/ha", unit)))


def slenderness(diameter_cm: Numbers, height_m: Numbers) -> Numbers:
    """Eq. (S127): height over diameter of a tree, 100·H/D. [-]

    Source: definition.

    >>> slenderness(15.0, 12.0)
    80.0
    """
    return 100 * nonnegative("height", height_m) / _positive("diameter", diameter_cm)


def carbon_stream_value(
    tonnes: ArrayLike, years: ArrayLike, price: float, discount_rate: float, price_trend: float = 0.0
) -> float:
    """Eq. (S128): present value of a stream of tonnes, Σ S_k·P·((1+g)/(1+r))^t_k; g = 0 is a price that stays. [CNY]

    tonnes and years have one entry per date; rates above -1.
    Source: textbook, net present value.

    >>> round(carbon_stream_value([100.0, 100.0], [5.0, 10.0], 70.0, 0.08), 2)
    8006.44
    """
    if discount_rate <= -1 or price_trend <= -1:
        raise ValueError("a rate must lie above -1")
    factors = ((1 + price_trend) / (1 + discount_rate)) ** np.asarray(years, dtype=np.float64)
    return float(np.sum(np.asarray(tonnes, dtype=np.float64) * nonnegative("price", price) * factors))
