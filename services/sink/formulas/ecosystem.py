"""Value of a forest to society, never of a pledge.        docs/equations/sink.md (S72)-(S75)

These figures price carbon per tonne of carbon and several times above any market; no loan may rest on them.
"""

import numpy as np

from services.sink.formulas.domain import Numbers, nonnegative


def sequestration_price(price_per_tc: float, discount_rate: float, price_change_rate: float, years: int) -> float:
    """Eq. (S72): present value of a tonne bound evenly over n years, s/n·Σ_(t<n) 1/((1+r)·(1+c))^t. [CNY/tC]

    Source: InVEST carbon model (natcap/invest), price per tonne of carbon.

    >>> round(sequestration_price(43, -0.071, 0.028, 14), 5)
    59.00136
    """
    growth = (1 + discount_rate) * (1 + price_change_rate)
    return price_per_tc / years * float(np.sum(growth ** -np.arange(years, dtype=np.float64)))


def sequestration_value(
    carbon_change_tc: Numbers, price_per_tc: float, discount_rate: float, price_change_rate: float, years: int
) -> Numbers:
    """Eq. (S73): present value of a change in stored carbon, ΔC times (S72). [CNY]

    Source: InVEST carbon model (natcap/invest).

    >>> round(sequestration_value(-58, 43, 0, 0, 14), 6)
    -2494.0
    """
    return carbon_change_tc * sequestration_price(price_per_tc, discount_rate, price_change_rate, years)


def ecosystem_carbon_value(
    area_ha: Numbers,
    growth: Numbers,
    price_per_tc: float,
    co2_per_biomass: float,
    carbon_in_co2: float,
    soil_ratio: float,
) -> Numbers:
    """Eq. (S74): yearly value of carbon bound, S·price·(1.63·0.2727·B+0.02/0.49·B). [CNY/yr]

    That the soil ratio multiplies B is this project's reading.
    Source: Zhang Chunhua et al., ChinaXiv-201803.01069, tables 2, 4, 5.

    >>> round(ecosystem_carbon_value(134_300, 11.72, 1200, 1.63, 0.2727, 0.02 / 0.49) / 1e8, 2)
    9.17
    """
    return nonnegative("area", area_ha) * price_per_tc * (co2_per_biomass * carbon_in_co2 + soil_ratio) * growth


def ecosystem_oxygen_value(area_ha: Numbers, growth: Numbers, price_per_t: float, oxygen_per_biomass: float) -> Numbers:
    """Eq. (S75): yearly value of oxygen released, 1.19·S·price·B. [CNY/yr]

    Source: Zhang Chunhua et al., ChinaXiv-201803.01069, tables 2, 4, 5.

    >>> round(ecosystem_oxygen_value(134_300, 11.72, 1000, 1.19) / 1e8, 2)
    18.73
    """
    return oxygen_per_biomass * nonnegative("area", area_ha) * price_per_t * growth
