"""Canadian Fire Weather Index of noon readings, for one or many sites at once.  docs/equations/insurance.md (I91)-(I97)

T  temperature  [°C]      H  humidity  [%]      W  wind  [km/h]      r  rain of 24 hours  [mm]
F  ffmc, P  dmc, D  dc: moisture codes carried from day to day, started at 85, 6 and 15
K  constant of the fine-fuel scale: 147.2 as printed in 1985, 250·59.5/101 in later code; one value in all steps
Day lengths are those of 30° N and above.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
DuffForm = Literal["A", "B"]

_DUFF_DAY_LENGTH = (6.5, 7.5, 9.0, 12.8, 13.9, 13.9, 12.4, 10.9, 9.4, 8.0, 7.0, 6.0)
_DROUGHT_DAY_LENGTH = (-1.6, -1.6, -1.6, 0.9, 3.8, 5.8, 6.4, 5.0, 2.4, 0.4, -1.6, -1.6)


def _reading(name: str, value: npt.ArrayLike | None, low: float, high: float) -> Array:
    # Missing weather is a gap, never zero rain: NaN fails both comparisons and is refused with the impossible.
    reading = np.asarray(value, dtype=np.float64)
    if not np.all((reading >= low) & (reading <= high)):
        raise ValueError(f"{name} is missing or outside {low} to {high}: {value!r}")
    return reading


def ffmc(
    temperature: npt.ArrayLike | None,
    humidity: npt.ArrayLike | None,
    wind: npt.ArrayLike | None,
    rain: npt.ArrayLike | None,
    previous: npt.ArrayLike,
    constant: float,
) -> Array:
    """Eq. (I91): fine fuel moisture code, wetting above 0.5 mm, then a day of drying or wetting. [-]

    Source: Van Wagner and Pickett 1985 (FTR-33), 48-day table. Verified: read.

    >>> float(ffmc(17, 42, 25, 0, previous=85, constant=147.2).round(6))
    87.69298
    """
    t, h = _reading("temperature", temperature, -90, 60), _reading("humidity", humidity, 0, 100)
    w, r = _reading("wind", wind, 0, math.inf), _reading("rain", rain, 0, math.inf)
    code = _reading("previous code", previous, 0, 101)
    start = constant * (101 - code) / (59.5 + code)

    q = np.maximum(r - 0.5, 1e-9)
    wetted = start + 42.5 * q * np.exp(-100 / (251 - start)) * -np.expm1(-6.93 / q)
    wetted = wetted + 0.0015 * np.maximum(start - 150, 0) ** 2 * np.sqrt(q)
    m = np.where(r > 0.5, np.minimum(wetted, 250), start)

    same = 0.18 * (21.1 - t) * -np.expm1(-0.115 * h)
    dry_end = 0.942 * h**0.679 + 11 * np.exp((h - 100) / 10) + same
    wet_end = 0.618 * h**0.753 + 10 * np.exp((h - 100) / 10) + same
    drying = _log_rate(h / 100, w, t)
    wetting = _log_rate((100 - h) / 100, w, t)
    end = np.where(
        m > dry_end,
        dry_end + (m - dry_end) * 10**-drying,
        np.where(m < wet_end, wet_end - (wet_end - m) * 10**-wetting, m),
    )
    return np.asarray(np.clip(59.5 * (250 - end) / (constant + end), 0, 101))


def _log_rate(dampness: Array, wind: Array, temperature: Array) -> Array:
    rate = 0.424 * (1 - dampness**1.7) + 0.0694 * np.sqrt(wind) * (1 - dampness**8)
    return np.asarray(0.581 * rate * np.exp(0.0365 * temperature))


def dmc(
    temperature: npt.ArrayLike | None,
    humidity: npt.ArrayLike | None,
    rain: npt.ArrayLike | None,
    previous: npt.ArrayLike,
    month: int,
    form: DuffForm,
) -> Array:
    """Eq. (I92): duff moisture code, wetting above 1.5 mm, then a day of drying. [-]

    Form A is the rain branch as printed in 1985, form B that of the current R code; they differ after rain only.

    Source: Van Wagner and Pickett 1985 (FTR-33), 48-day table. Verified: read.

    >>> float(dmc(17, 42, 0, previous=6, month=4, form="A").round(6))
    8.545051
    """
    t, h = _reading("temperature", temperature, -90, 60), _reading("humidity", humidity, 0, 100)
    r, p = _reading("rain", rain, 0, math.inf), _reading("previous code", previous, 0, math.inf)
    effective = np.maximum(0.92 * r - 1.27, 0)
    # The logarithm is only used above 33, the clip keeps it finite below.
    log_p = np.log(np.maximum(p, 1))
    slope = np.where(p <= 33, 100 / (0.5 + 0.3 * p), np.where(p <= 65, 14 - 1.3 * log_p, 6.2 * log_p - 17.2))
    start = 20 + (np.exp(5.6348 - p / 43.43) if form == "A" else 280 / np.exp(0.023 * p))
    wetted = start + 1000 * effective / (48.77 + slope * effective)
    after_rain = 244.72 - 43.43 * np.log(wetted - 20) if form == "A" else 43.43 * (5.6348 - np.log(wetted - 20))
    p = np.where(r > 1.5, np.maximum(after_rain, 0), p)
    return np.asarray(p + 1.894e-4 * (np.maximum(t, -1.1) + 1.1) * (100 - h) * _DUFF_DAY_LENGTH[month - 1])


def dc(temperature: npt.ArrayLike | None, rain: npt.ArrayLike | None, previous: npt.ArrayLike, month: int) -> Array:
    """Eq. (I93): drought code, wetting above 2.8 mm, then a day of drying. [-]

    Source: Van Wagner and Pickett 1985 (FTR-33), 48-day table. Verified: read.

    >>> float(dc(17, 0, previous=15, month=4).round(6))
    19.014
    """
    t, r = _reading("temperature", temperature, -90, 60), _reading("rain", rain, 0, math.inf)
    d = _reading("previous code", previous, 0, math.inf)
    moisture = 800 * np.exp(-d / 400) + 3.937 * np.maximum(0.83 * r - 1.27, 0)
    d = np.where(r > 2.8, np.maximum(400 * np.log(800 / moisture), 0), d)
    drying = 0.36 * (np.maximum(t, -2.8) + 2.8) + _DROUGHT_DAY_LENGTH[month - 1]
    return np.asarray(d + 0.5 * np.maximum(drying, 0))


def isi(wind: npt.ArrayLike, ffmc: npt.ArrayLike, constant: float) -> Array:
    """Eq. (I94): initial spread index, 0.208·e^(0.05039W)·91.9·e^(−0.1386m)·(1 + m^5.31/4.93e7). [-]

    Source: Van Wagner and Pickett 1985 (FTR-33), 48-day table. Verified: read.

    >>> float(isi(25, ffmc=87.69298009277445, constant=147.2).round(6))
    10.853661
    """
    code = np.asarray(ffmc, dtype=np.float64)
    m = constant * (101 - code) / (59.5 + code)
    spread = 91.9 * np.exp(-0.1386 * m) * (1 + m**5.31 / 4.93e7)
    return np.asarray(0.208 * np.exp(0.05039 * _reading("wind", wind, 0, math.inf)) * spread)


def bui(dmc: npt.ArrayLike, dc: npt.ArrayLike) -> Array:
    """Eq. (I95): build-up index, 0.8PD/(P + 0.4D), or P less a correction where P > 0.4D; not below 0. [-]

    Source: Van Wagner and Pickett 1985 (FTR-33), 48-day table. Verified: read.

    >>> float(bui(8.545051136, 19.014).round(6)), float(bui(0, 0))
    (8.490427, 0.0)
    """
    p, d = np.asarray(dmc, dtype=np.float64), np.asarray(dc, dtype=np.float64)
    # P = D = 0 gives 0: the numerator vanishes with the sum, so any positive divisor does.
    both = np.where(p + d > 0, p + 0.4 * d, 1.0)
    moist = p - (1 - 0.8 * d / both) * (0.92 + (0.0114 * p) ** 1.7)
    return np.asarray(np.maximum(np.where(p <= 0.4 * d, 0.8 * p * d / both, moist), 0))


def fwi(isi: npt.ArrayLike, bui: npt.ArrayLike) -> Array:
    """Eq. (I96): fire weather index, e^(2.72(0.434 ln B)^0.647) for B = 0.1·R·f(U) > 1, else B. [-]

    Source: Van Wagner and Pickett 1985 (FTR-33), 48-day table. Verified: read.

    >>> float(fwi(10.853661073655068, 8.490426535837184).round(6))
    10.096371
    """
    r, u = np.asarray(isi, dtype=np.float64), np.asarray(bui, dtype=np.float64)
    build_up = np.where(u <= 80, 0.626 * u**0.809 + 2, 1000 / (25 + 108.64 * np.exp(-0.023 * u)))
    b = 0.1 * r * build_up
    return np.asarray(np.where(b > 1, np.exp(2.72 * (0.434 * np.log(np.maximum(b, 1))) ** 0.647), b))


def dsr(fwi: npt.ArrayLike) -> Array:
    """Eq. (I97): daily severity rating, 0.0272·S^1.77. [-]

    Source: Van Wagner and Pickett 1985 (FTR-33), 48-day table. Verified: read.

    >>> float(dsr(10.096371392382368).round(4))
    1.6291
    """
    return np.asarray(0.0272 * np.asarray(fwi, dtype=np.float64) ** 1.77)
