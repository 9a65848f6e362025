"""Fire weather of a season: codes carried from day to day, gaps, spring start, what a season was like.

docs/equations/insurance.md (I102)-(I104)

Every array is by station or parcel. A missing reading is NaN, never zero rain.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.insurance.formulas.fire_weather import DuffForm, bui, dc, dmc, dsr, ffmc, fwi, isi

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SeasonRules:
    """How codes start, end and survive a gap. Temperatures in °C, runs in days."""

    constant: float
    duff_form: DuffForm
    start_ffmc: float
    start_dmc: float
    start_dc: float
    #: So many days in a row above this temperature begin a season on the next day; 0 days: always in season.
    start_days: int
    start_temperature: float
    #: So many days in a row below this temperature end it.
    end_days: int
    end_temperature: float
    #: So many days in a row without a whole reading are bridged; one more, and the codes are lost.
    longest_gap: int
    #: Share of the autumn's moisture that is left, and of the winter's rain that wets; None: no overwintering.
    carry_over: float | None = None
    wetting: float | None = None


@dataclass(frozen=True)
class FireCodes:
    """What is carried from one day to the next: put it back in tomorrow, and nothing else is needed."""

    ffmc: Array
    dmc: Array
    dc: Array
    in_season: Flags
    gap: Ints
    warm: Ints
    cold: Ints
    winter_rain: Array

    @classmethod
    def start(cls, stations: int, rules: SeasonRules, in_season: bool) -> "FireCodes":
        """Declared start values at every station; out of season they wait for spring, with no autumn before it."""
        full, none = np.full, np.zeros(stations, dtype=np.int64)
        return cls(
            full(stations, float(rules.start_ffmc)),
            full(stations, float(rules.start_dmc)),
            full(stations, float(rules.start_dc)),
            full(stations, in_season or rules.start_days == 0),
            none,
            none,
            none,
            full(stations, np.nan),
        )


@dataclass(frozen=True)
class FireDay:
    """The indices of a day; NaN out of season, without a whole reading, and once the codes are lost."""

    isi: Array
    bui: Array
    fwi: Array
    dsr: Array


def overwintered_dc(
    autumn: npt.ArrayLike, rain: npt.ArrayLike, carry_over: float, wetting: float, least: float
) -> Array:
    """Eq. (I102): drought code in spring, 400·ln(800/(a·800e^(−D/400) + b·3.94·r)), at least the standard start. [-]

    Source: Lawson and Armitage 2008 as in cffdrs. Verified: secondary.

    >>> float(overwintered_dc(300, 110, carry_over=0.75, wetting=0.75, least=15).round(4))
    109.4657
    """
    d, r = np.asarray(autumn, dtype=np.float64), np.asarray(rain, dtype=np.float64)
    moisture = carry_over * 800 * np.exp(-d / 400) + wetting * 3.94 * r
    return np.asarray(np.maximum(400 * np.log(800 / moisture), least))


def next_day(
    codes: FireCodes,
    temperature: npt.ArrayLike,
    humidity: npt.ArrayLike,
    wind: npt.ArrayLike,
    rain: npt.ArrayLike,
    month: int,
    rules: SeasonRules,
) -> tuple[FireCodes, FireDay]:
    """Eq. (I103): codes and indices of a day at every station, from the codes of the day before. [-]

    A day without a whole reading leaves the codes as they stood and has no index. One day more of it than the rules
    bridge, and the codes are lost until a season starts anew. An impossible reading is refused.

    Source: Van Wagner and Pickett 1985 (FTR-33); gaps by project rule. Verified: read.
    """
    t, h, w, r = (np.asarray(each, dtype=np.float64) for each in (temperature, humidity, wind, rain))
    begins = ~codes.in_season & (codes.warm >= rules.start_days)
    ends = codes.in_season & (codes.cold >= rules.end_days) & (rules.start_days > 0)
    codes = _started(codes, begins, rules)
    on = (codes.in_season | begins) & ~ends

    whole = np.isfinite(t) & np.isfinite(h) & np.isfinite(w) & np.isfinite(r)
    gap = np.where(whole, 0, codes.gap + 1)
    lost = on & (gap > rules.longest_gap)
    known = on & whole & np.isfinite(codes.ffmc)
    # Where nothing is computed a harmless day stands in; its result is not used.
    t1, h1, w1, r1 = (np.where(np.isnan(x), other, x) for x, other in ((t, 20.0), (h, 50.0), (w, 0.0), (r, 0.0)))
    before = [np.where(np.isnan(each), 0.0, each) for each in (codes.ffmc, codes.dmc, codes.dc)]
    today = (
        ffmc(t1, h1, w1, r1, before[0], rules.constant),
        dmc(t1, h1, r1, before[1], month, rules.duff_form),
        dc(t1, r1, before[2], month),
    )
    fine, duff, drought = (
        np.where(lost, np.nan, np.where(known, new, old))
        for new, old in zip(today, (codes.ffmc, codes.dmc, codes.dc), strict=True)
    )
    spread, build_up = isi(w1, today[0], rules.constant), bui(today[1], today[2])
    index = fwi(spread, build_up)
    shown = [np.where(known, each, np.nan) for each in (spread, build_up, index, dsr(index))]
    after = FireCodes(
        fine,
        duff,
        drought,
        on,
        gap,
        np.where(t > rules.start_temperature, codes.warm + 1, 0),
        np.where(t < rules.end_temperature, codes.cold + 1, 0),
        # Winter begins with its first day; one without a reading leaves its rain unknown.
        np.where(on, 0.0, codes.winter_rain + r),
    )
    return after, FireDay(*shown)


def _started(codes: FireCodes, begins: Flags, rules: SeasonRules) -> FireCodes:
    spring = np.full(begins.shape, float(rules.start_dc))
    if rules.carry_over is not None and rules.wetting is not None:
        carried = overwintered_dc(codes.dc, codes.winter_rain, rules.carry_over, rules.wetting, rules.start_dc)
        spring = np.where(np.isfinite(carried), carried, spring)
    return replace(
        codes,
        ffmc=np.where(begins, rules.start_ffmc, codes.ffmc),
        dmc=np.where(begins, rules.start_dmc, codes.dmc),
        dc=np.where(begins, spring, codes.dc),
    )


def season_covariates(fwi: npt.ArrayLike, high: float) -> dict[str, Array]:
    """Eq. (I104): a season in four numbers by station: mean and 95th percentile of the index, mean daily severity,
    share of days at or above `high`; NaN where no day has an index. [-]

    fwi[day, station]; days without an index do not count.

    Source: Van Wagner 1970 for the mean of the severity rating; the rest is ours. Verified: no.

    >>> {name: value.round(3).tolist() for name, value in season_covariates([[10.0], [30.0]], high=20).items()}
    {'fwi_mean': [20.0], 'fwi_p95': [30.0], 'severity': [6.399], 'high_days': [0.5]}
    """
    index = np.asarray(fwi, dtype=np.float64)
    days = np.isfinite(index).sum(axis=0)
    counted = np.where(days > 0, days, np.nan)
    place = np.maximum(np.ceil(0.95 * days).astype(np.int64) - 1, 0)
    ranked = np.sort(index, axis=0)  # NaN last
    return {
        "fwi_mean": np.nansum(index, axis=0) / counted,
        "fwi_p95": np.take_along_axis(ranked, place[np.newaxis], axis=0)[0],
        "severity": np.nansum(dsr(index), axis=0) / counted,
        "high_days": (index >= high).sum(axis=0) / counted,
    }
