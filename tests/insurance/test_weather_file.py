import json
from datetime import date, timedelta

import pytest
from click.testing import CliRunner

from deploy.cli import heartwood
from services.insurance.actions import PARAMETERS
from services.insurance.weather_file import WeatherFileError, read_weather, seasons

HEADER = "station,date,temperature_c,humidity_pct,wind_km_h,rain_mm\n"


def written(path, days, station="Youyu", start=date(2025, 3, 1)):
    lines = [f"{station},{start + timedelta(days=n)},{','.join(map(str, day))}\n" for n, day in enumerate(days)]
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def found(path, state=None):
    p = PARAMETERS.at(date(2026, 1, 1))
    return seasons(read_weather(path), p, state)


DAYS = [(5, 50, 10, 0)] * 5 + [(18 + n % 9, 30 + n % 20, 15, 6 * (n % 11 == 0)) for n in range(60)]


def test_a_file_in_two_parts_with_the_state_between_equals_the_file_in_one(tmp_path):
    whole = found(written(tmp_path / "all.csv", DAYS))
    first = found(written(tmp_path / "a.csv", DAYS[:30]))
    kept = json.loads(json.dumps(first["state"]))
    second = found(written(tmp_path / "b.csv", DAYS[30:], start=date(2025, 3, 31)), kept)
    assert second["state"] == whole["state"]


def test_an_impossible_reading_is_told_with_its_row_and_becomes_a_gap(tmp_path):
    days = list(DAYS)
    days[40] = (20, 130, 10, 0)
    days[41] = (20, 40, 10, "")
    result = found(written(tmp_path / "w.csv", days))
    assert [(one["row"], one["column"]) for one in result["refused"]] == [(42, "humidity_pct")]
    (season,) = result["seasons"]
    assert season["days_without_index"] == 2
    assert season["season_days"] == 57  # the three warm days that begin it are not in it
    assert season["fwi_mean"] > 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Youyu,2025-03-01,5,50,10,0\n", "twice"),
        ("Youyu,03/05/2025,5,50,10,0\n", "row 3: a day is written"),
        (",2025-03-02,5,50,10,0\n", "no name"),
    ],
)
def test_a_row_that_is_no_reading_stops_with_its_number(tmp_path, line, message):
    path = tmp_path / "w.csv"
    path.write_text(HEADER + "Youyu,2025-03-01,5,50,10,0\n" + line, encoding="utf-8")
    with pytest.raises(WeatherFileError, match=message):
        read_weather(path)


def test_a_southern_station_is_refused_since_its_day_lengths_are_others(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text(HEADER.strip() + ",latitude\nLongyan,2025-03-01,5,50,10,0,25.1\n", encoding="utf-8")
    with pytest.raises(WeatherFileError, match="day lengths"):
        read_weather(path)


def test_a_state_of_another_day_is_refused(tmp_path):
    path = written(tmp_path / "w.csv", DAYS)
    with pytest.raises(WeatherFileError, match="not the day after"):
        found(path, found(path)["state"])


def test_the_command_writes_the_seasons(tmp_path):
    data, out = written(tmp_path / "w.csv", DAYS), tmp_path / "out.json"
    result = CliRunner().invoke(heartwood, ["insurance", "fire-weather", "--data", str(data), "--json", str(out)])
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text(encoding="utf-8"))["seasons"][0]["station"] == "Youyu"
