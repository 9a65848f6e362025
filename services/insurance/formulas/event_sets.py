"""Events that hit neighbours together: how often, how wide, how hard.        docs/equations/insurance.md (I105)-(I113)

κ   events that start, per km² and year                R    radius of an event's footprint  [km]
r   radius of a parcel, a disc of its area  [km]       λ    events of a year that hit a parcel  [1/yr]
A footprint is a disc that starts anywhere in the region with the same density, so the frequencies below hold exactly.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]


def parcel_radius(area_ha: npt.ArrayLike) -> Array:
    """Eq. (I105): radius of the disc that stands for a parcel, r = √(A/π). [km]

    Source: geometry. Verified: measured.

    >>> float(parcel_radius(100.0).round(4))
    0.5642
    """
    return np.asarray(np.sqrt(np.asarray(area_ha, dtype=np.float64) / 100 / np.pi))


def footprint_radius(
    year_weather: npt.ArrayLike, event_weather: npt.ArrayLike, shared: float, median: float, spread: float, most: float
) -> Array:
    """Eq. (I106): radius by the weather of year and event, R = min(R₅₀·e^(σz), R_max), z = √ρ·y + √(1−ρ)·e. [km]

    Weather is a standard normal quantile: a dry windy season widens all of its fires.

    Source: this project. Verified: no.

    >>> footprint_radius(0.0, [0.0, 9.0], shared=0.3, median=0.5, spread=0.8, most=6.0)
    array([0.5, 6. ])
    """
    z = np.sqrt(shared) * np.asarray(year_weather) + np.sqrt(1 - shared) * np.asarray(event_weather)
    return np.asarray(np.minimum(median * np.exp(spread * z), most))


def radius_moments(median: float, spread: float, most: float) -> tuple[float, float]:
    """Eq. (I107): E[R] and E[R²] of min(R₅₀·e^(σz), R_max), z standard normal. [km, km²]

    Source: lognormal limited expected value, textbook. Verified: measured.

    >>> radius_moments(median=1.0, spread=0.0, most=2.0)
    (1.0, 1.0)
    """
    if spread == 0:
        radius = min(median, most)
        return radius, radius**2
    cut = np.log(most / median) / spread

    def moment(k: int) -> float:
        inside = median**k * np.exp((k * spread) ** 2 / 2) * special.ndtr(cut - k * spread)
        return float(inside + most**k * special.ndtr(-cut))

    return moment(1), moment(2)


def reach(moments: tuple[float, float], radius: npt.ArrayLike) -> Array:
    """Eq. (I108): area in which an event must start to touch a parcel, π·E[(R + r)²]. [km²]

    Source: geometry of discs that start with an even density. Verified: measured.

    >>> float(reach((1.0, 2.0), 0.0)) == float(2 * np.pi)
    True
    """
    mean, square = moments
    r = np.asarray(radius, dtype=np.float64)
    return np.asarray(np.pi * (square + 2 * mean * r + r**2))


def ignition_density(highest_frequency: float, moments: tuple[float, float]) -> float:
    """Eq. (I109): events that start, κ = λ_max / (π·E[R²]), enough for the most exposed place. [1/km²·yr]

    Source: this project. Verified: no.

    >>> round(ignition_density(np.pi, (1.0, 2.0)), 3)
    0.5
    """
    return highest_frequency / (np.pi * moments[1])


def hit_chance(frequency: npt.ArrayLike, density: float, reach: npt.ArrayLike) -> Array:
    """Eq. (I110): chance that a footprint over a parcel hurts it, a = λ / (κ·π·E[(R + r)²]). [-]

    Raises ValueError where the parcel is exposed more than the events allow for.

    Source: thinning of a Poisson process, textbook. Verified: measured.

    >>> float(hit_chance(0.002, 0.001, 4.0))
    0.5
    """
    chance = np.asarray(np.asarray(frequency, dtype=np.float64) / (density * np.asarray(reach)))
    if np.any(chance > 1):
        raise ValueError("a parcel is exposed more than the events of this set allow for")
    return chance


def contagious_draw(own: Array, shared: Array, coin: Array, contagion: float) -> Array:
    """Eq. (I111): draw of a parcel in an event, that of its stand of neighbours with chance c, else its own. [-]

    Contagion decides who burns together, never how often one burns: each draw stays uniform.

    Source: this project. Verified: no.

    >>> contagious_draw(np.array([0.1, 0.2]), np.array([0.9, 0.9]), np.array([0.3, 0.7]), contagion=0.5)
    array([0.9, 0.2])
    """
    return np.where(coin < contagion, shared, own)


def damage_bins(mean: float, sd: float, count: int) -> Array:
    """Eq. (I112): damage ratio by equally likely bins of a beta distribution, each the mean of its bin. [-]

    Raises ValueError where no beta distribution has the moments.

    Source: method of moments and incomplete beta function, textbook. Verified: measured.

    >>> float(damage_bins(0.4, 0.3, 100).mean().round(12))
    0.4
    """
    if not (0 < mean < 1 and 0 < sd**2 < mean * (1 - mean)):
        raise ValueError(f"no damage ratio has a mean of {mean} and a standard deviation of {sd}")
    size = mean * (1 - mean) / sd**2 - 1
    a, b = mean * size, (1 - mean) * size
    edges = special.betaincinv(a, b, np.linspace(0, 1, count + 1))
    return np.asarray(np.diff(special.betainc(a + 1, b, edges)) * mean * count)


def event_counts(mean: float, overdispersion: float) -> Array:
    """Eq. (I113): distribution function of a year's number of events, Var = μ + α·μ²; Poisson for α = 0. [-]

    The table ends where 1e-12 is left.

    Source: negative binomial, textbook. Verified: no.

    >>> event_counts(1.0, 0.0)[:2].round(4)
    array([0.3679, 0.7358])
    """
    last = int(mean + 12 * np.sqrt(mean + overdispersion * mean**2) + 40 * (1 + overdispersion * mean))
    n = np.arange(last + 1)
    if overdispersion == 0:
        return np.asarray(special.pdtr(n, mean))
    size = 1 / overdispersion
    return np.asarray(special.betainc(size, n + 1.0, 1 / (1 + overdispersion * mean)))
