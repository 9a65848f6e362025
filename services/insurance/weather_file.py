"""Daily weather from a CSV, and the fire weather of its seasons: `heartwood insurance fire-weather`."""

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.insurance.formulas.fire_season import FireCodes, SeasonRules, next_day, season_covariates
from shared.parameters import InForce

Array = npt.NDArray[np.float64]
#: Readings at noon and the range outside which none can be.
READINGS = {
    "temperature_c": (-90.0, 60.0),
    "humidity_pct": (0.0, 100.0),
    "wind_km_h": (0.0, 400.0),
    "rain_mm": (0.0, 2000.0),
}
#: The day lengths in use are those of 30° N and above.
LEAST_LATITUDE = 30.0
_MOST_DAYS, _MOST_REFUSALS = 366 * 200, 1000


class WeatherFileError(ValueError):
    """The file cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Weather:
    """Daily readings of stations, day by day without a hole; NaN where a file has none."""

    stations: tuple[str, ...]
    first: date
    #: readings[day, station, reading], in the order of READINGS.
    readings: Array
    #: Readings that were refused: row, column, why. They are gaps.
    refused: tuple[dict[str, Any], ...]


def rules_in_force(p: InForce) -> SeasonRules:
    """The rules of a season from the parameters."""
    start, begin, end = p["fire_weather_start"], p["fire_season_start"], p["fire_season_end"]
    winter = p["fire_weather_overwintering"]
    return SeasonRules(
        constant=p["fire_weather_constant"],
        duff_form=p["fire_weather_duff_form"],
        start_ffmc=start["ffmc"],
        start_dmc=start["dmc"],
        start_dc=start["dc"],
        start_days=begin["days"],
        start_temperature=begin["temperature"],
        end_days=end["days"],
        end_temperature=end["temperature"],
        longest_gap=p["fire_weather_longest_gap_days"],
        carry_over=winter["carry_over"],
        wetting=winter["wetting"],
    )


def read_weather(path: Path) -> Weather:
    """Read station, date and four readings a row; latitude if there is one. Raises WeatherFileError.

    An empty or impossible reading is a gap, the impossible ones are told; a day twice, or no day, stops.
    """
    found: dict[tuple[str, date], list[float]] = {}
    refused: list[dict[str, Any]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            absent = [name for name in ("station", "date", *READINGS) if name not in (reader.fieldnames or [])]
            if absent:
                raise WeatherFileError(f"{path.name} has no column {', '.join(absent)}")
            for number, row in enumerate(reader, start=2):
                key = _key(row, f"{path.name}, row {number}")
                if key in found:
                    raise WeatherFileError(f"{path.name}, row {number}: {key[0]} has {key[1]} twice")
                found[key] = [_reading(row, name, number, refused) for name in READINGS]
    except (UnicodeDecodeError, csv.Error) as error:
        raise WeatherFileError(f"{path.name} is no CSV file in UTF-8: {error}") from error
    if not found:
        raise WeatherFileError(f"{path.name} holds no rows")
    stations = tuple(sorted({station for station, _ in found}))
    first, last = min(day for _, day in found), max(day for _, day in found)
    if (last - first).days >= _MOST_DAYS:
        raise WeatherFileError(f"{path.name} runs from {first} to {last}; that is no series of daily readings")
    readings = np.full(((last - first).days + 1, len(stations), len(READINGS)), np.nan)
    place = {station: number for number, station in enumerate(stations)}
    for (station, day), values in found.items():
        readings[(day - first).days, place[station]] = values
    return Weather(stations, first, readings, tuple(refused))


def _key(row: Mapping[str, str | None], where: str) -> tuple[str, date]:
    station = (row["station"] or "").strip()
    try:
        day = date.fromisoformat((row["date"] or "").strip())
        latitude = float(row.get("latitude") or "nan")
    except ValueError as error:
        raise WeatherFileError(f"{where}: a day is written 2026-05-31, a latitude in degrees: {error}") from None
    if not station:
        raise WeatherFileError(f"{where}: the station has no name")
    if latitude < LEAST_LATITUDE:
        raise WeatherFileError(
            f"{where}: at {latitude}° the day lengths of {LEAST_LATITUDE:.0f}° N and above are wrong"
        )
    return station, day


def _reading(row: Mapping[str, str | None], name: str, number: int, refused: list[dict[str, Any]]) -> float:
    text, (low, high) = (row[name] or "").strip(), READINGS[name]
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if low <= value <= high:
        return value
    if len(refused) < _MOST_REFUSALS:
        refused.append(
            {"row": number, "column": name, "value": text[:40], "why": f"no number from {low:g} to {high:g}"}
        )
    return math.nan


def seasons(weather: Weather, p: InForce, state: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Fire weather of each station and year, and the state to go on with. Raises WeatherFileError.

    With a state the series must begin on the day after it; without one, every station waits for its first spring.
    """
    rules, high = rules_in_force(p), p["fire_weather_high"]
    codes = FireCodes.start(len(weather.stations), rules, in_season=False)
    if state is not None:
        codes = _restored(state, weather, rules)
    days = len(weather.readings)
    index = np.full((days, len(weather.stations)), np.nan)
    in_season = np.zeros((days, len(weather.stations)), dtype=bool)
    dates = [weather.first + timedelta(days=number) for number in range(days)]
    for number, day in enumerate(dates):
        t, h, w, r = weather.readings[number].T
        codes, shown = next_day(codes, t, h, w, r, day.month, rules)
        index[number], in_season[number] = shown.fwi, codes.in_season
    years = np.array([day.year for day in dates])
    found = []
    for year in sorted(set(years.tolist())):
        part = years == year
        covariates = season_covariates(index[part], high)
        for place, station in enumerate(weather.stations):
            length = int(in_season[part, place].sum())
            counted = int(np.isfinite(index[part, place]).sum())
            found.append(
                {"station": station, "year": year, "season_days": length, "days_without_index": length - counted}
                | {name: _number(values[place]) for name, values in covariates.items()}
            )
    return {
        "rules": asdict(rules) | {"high": high},
        "seasons": found,
        "refused": list(weather.refused),
        "state": _kept(codes, weather.stations, dates[-1]),
    }


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def _kept(codes: FireCodes, stations: tuple[str, ...], day: date) -> dict[str, Any]:
    arrays = {field.name: getattr(codes, field.name).tolist() for field in fields(codes)}
    return {
        "day": day.isoformat(),
        "stations": {
            station: {name: None if values[n] != values[n] else values[n] for name, values in arrays.items()}
            for n, station in enumerate(stations)
        },
    }


def _restored(state: Mapping[str, Any], weather: Weather, rules: SeasonRules) -> FireCodes:
    try:
        day, kept = date.fromisoformat(state["day"]), state["stations"]
        if day + timedelta(days=1) != weather.first:
            raise WeatherFileError(f"the state is of {day}, the readings begin on {weather.first}: not the day after")
        if set(kept) != set(weather.stations):
            raise WeatherFileError("the state and the readings are of different stations")
        fresh = FireCodes.start(len(weather.stations), rules, in_season=False)
        arrays = {
            field.name: np.array(
                [np.nan if (value := kept[s][field.name]) is None else value for s in weather.stations],
                dtype=getattr(fresh, field.name).dtype,
            )
            for field in fields(FireCodes)
        }
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, WeatherFileError):
            raise
        raise WeatherFileError(f"the state cannot be read: {error!r}") from error
    return FireCodes(**arrays)
