"""Growth of a stand from its age, held down to what the locality can carry.  docs/equations/sink.md (S22)-(S32), (S87)

t  age [yr]      V  volume [m3/ha]      V∞  asymptote [m3/ha]      k  rate [1/yr]      m  shape [-]

A yield curve describes a fully stocked stand on its own site. Survival and locality are therefore separate factors.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.biomass import stock_from_volume
from services.sink.formulas.domain import Numbers, fraction, nonnegative


def volume_at_age(age: Numbers, asymptote: Numbers, rate: Numbers, shape: Numbers) -> NDArray[np.float64]:
    """Eq. (S22): Richards growth curve, V∞·(1-exp(-k·t))^m. [m3/ha]

    Source: this project's fit to Kang and Cui 2001 in ChinaXiv-201605.00433, table 2 (largest residual 0.93 m3/ha).

    >>> round(float(volume_at_age(50, 286.44, 0.05275, 2.410)), 1)
    239.5
    """
    nonnegative("asymptote", asymptote)
    nonnegative("shape", shape)
    return np.asarray(asymptote * (-np.expm1(-nonnegative("rate", rate) * nonnegative("age", age))) ** shape)


def volume_increment(age: Numbers, asymptote: Numbers, rate: Numbers, shape: Numbers) -> NDArray[np.float64]:
    """Eq. (S23): current annual increment, the slope of (S22), V∞·k·m·exp(-k·t)·(1-exp(-k·t))^(m-1). [m3/ha/yr]

    Source: derivative of (S22).

    >>> round(float(volume_increment(15, 286.44, 0.05275, 2.410)), 2)
    7.05
    """
    decay = np.exp(-rate * nonnegative("age", age))
    return np.asarray(asymptote * rate * shape * decay * (1 - decay) ** (shape - 1))


def locality_scale(
    volume_ceiling: Numbers, reference_age: Numbers, asymptote: Numbers, rate: Numbers, shape: Numbers
) -> NDArray[np.float64]:
    """Eq. (S24): share of a foreign yield curve that the locality carries, min(1, V_ceiling/V(t_ref)). [-]

    Source: this project.

    >>> round(float(locality_scale(117.4, 50, 286.44, 0.05275, 2.410)), 3)
    0.49
    """
    ceiling = nonnegative("volume ceiling", volume_ceiling)
    return np.asarray(np.minimum(1.0, ceiling / volume_at_age(reference_age, asymptote, rate, shape)))


def local_volume(volume: Numbers, scale: Numbers, volume_ceiling: Numbers) -> NDArray[np.float64]:
    """Eq. (S25): volume that the locality carries, min(scale·V, V_ceiling). [m3/ha]

    Source: this project.

    >>> float(local_volume(240.0, 0.5, 117.0))
    117.0
    """
    return np.asarray(np.minimum(scale * nonnegative("volume", volume), volume_ceiling))


def surviving_volume(volume: Numbers, survival: Numbers) -> Numbers:
    """Eq. (S26): volume of a stand of which only a share of the planted trees lives, survival·V. [m3/ha]

    No extra growth of the survivors is claimed. Source: Gold Standard 403 v2.1, 3.6.5 asks for a realistic rate.

    >>> surviving_volume(40.0, 0.75)
    30.0
    """
    return nonnegative("volume", volume) * fraction("survival", survival)


def projected_stock(
    ages: Numbers,
    area_ha: Numbers,
    asymptote: Numbers,
    rate: Numbers,
    shape: Numbers,
    volume_ceiling: Numbers,
    reference_age: Numbers,
    survival: Numbers,
    density: Numbers,
    expansion_factor: Numbers,
    root_ratio: Numbers,
    carbon_fraction: Numbers,
) -> NDArray[np.float64]:
    """Eq. (S27): projected stock of a planted stand, (S3) at the volume of (S22), (S24), (S25) and (S26). [tCO2e]

    Arguments broadcast: ages as a column and parcels as a row give a table.
    Source: this project, composition of the equations named.

    >>> float(projected_stock(0, 10, 286.44, 0.05275, 2.41, 117.4, 50, 0.8, 0.478, 1.416, 0.212, 0.5097))
    0.0
    """
    scale = locality_scale(volume_ceiling, reference_age, asymptote, rate, shape)
    volume = local_volume(volume_at_age(ages, asymptote, rate, shape), scale, volume_ceiling)
    standing = surviving_volume(volume, survival)
    return np.asarray(stock_from_volume(area_ha, standing, density, expansion_factor, root_ratio, carbon_fraction))


def stock_increments(stocks: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S28): change of stock between neighbouring dates, C_k - C_(k-1), along the first axis. [unit of C]

    Source: IPCC 2006 Vol. 4, stock-difference method (from memory).

    >>> stock_increments([10.0, 14.0, 13.0]).tolist()
    [4.0, -1.0]
    """
    return np.asarray(np.diff(np.asarray(stocks, dtype=np.float64), axis=0))


def cumulative_volume(ages: ArrayLike, increments: ArrayLike) -> NDArray[np.float64]:
    """Eq. (S29): volume as the trapezoid sum of annual increments, Σ (i_j+i_(j-1))/2·(t_j-t_(j-1)). [m3/ha]

    Source: arithmetic on Kang and Cui 2001 in ChinaXiv-201605.00433, table 2.

    >>> cumulative_volume([0, 5, 10], [0.5, 3.12, 6.27]).round(3).tolist()
    [0.0, 9.05, 32.525]
    """
    years = np.asarray(ages, dtype=np.float64)
    growth = np.asarray(increments, dtype=np.float64)
    steps = 0.5 * (growth[1:] + growth[:-1]) * np.diff(years)
    return np.concatenate(([0.0], np.cumsum(steps)))


def carbon_at_age(age: Numbers, slope: float, intercept: float, youngest_age: float, oldest_age: float) -> Numbers:
    """Eq. (S30): tree carbon linear in age, s·t+i, only inside the ages of the sampled stands. [tC/ha]

    Source: ChinaXiv-201605.00425 (Duolun, 385 mm).

    >>> round(carbon_at_age(20, 2.17, -14.9, youngest_age=9, oldest_age=49), 2)  # Populus simonii
    28.5
    """
    years = np.asarray(age)
    if not np.all((years >= youngest_age) & (years <= oldest_age)):
        raise ValueError("the line says nothing about an age outside its sample")
    return slope * age + intercept


def mean_volume(stock_m3: float, area_mu: float, mu_per_ha: float) -> float:
    """Eq. (S31): mean growing stock of a district, stock/(area/15). [m3/ha]

    Source: arithmetic; 15 mu make a hectare.

    >>> round(mean_volume(4_302_400, 3_267_800, 15), 4)
    19.7491
    """
    return stock_m3 / (area_mu / mu_per_ha)


def locality_excess(volume: Numbers, plausible_volume: Numbers) -> NDArray[np.float64]:
    """Eq. (S32): volume above what the locality makes plausible, max(0, V-V_plausible); positive raises a flag. [m3/ha]

    Source: this project.

    >>> float(locality_excess(130.0, 100.0))
    30.0
    """
    return np.asarray(np.maximum(0.0, nonnegative("volume", volume) - plausible_volume))


def calibrated_volume(
    volume: Numbers, volume_then: float, measured: float, volume_ceiling: float
) -> NDArray[np.float64]:
    """Eq. (S87): curve through a measured volume, max(0, min(v+min(1, v/V_0)·(V-V_0), max(V_ceiling, v))). [m3/ha]

    A stand behind its curve keeps its lag in proportion; one ahead of it is granted the pace of the curve and no more.
    Source: this project.

    >>> calibrated_volume(np.array([20.0, 40.0]), 20.0, 10.0, 100.0).tolist()
    [10.0, 20.0]
    """
    pace = min(1.0, measured / volume_then) if volume_then > 0 else 1.0
    grown = nonnegative("measured volume", measured) + pace * (nonnegative("volume", volume) - volume_then)
    return np.asarray(np.maximum(0.0, np.minimum(grown, max(volume_ceiling, measured))))
