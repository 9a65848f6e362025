from dataclasses import fields, replace

import numpy as np
import pytest

from services.insurance.formulas.fire_season import FireCodes, SeasonRules, next_day, overwintered_dc, season_covariates
from tests.insurance.formulas.examples import example

RULES = SeasonRules(
    constant=250 * 59.5 / 101,
    duff_form="B",
    start_ffmc=85,
    start_dmc=6,
    start_dc=15,
    start_days=3,
    start_temperature=12,
    end_days=3,
    end_temperature=5,
    longest_gap=2,
    carry_over=0.75,
    wetting=0.75,
)
WEATHER = example("fwi-48day-published")["inputs"]["weather"]
NAMES = ("temp", "rh", "wind", "rain")


def run(days, codes, rules=RULES):
    """The index of each day and the codes after the last."""
    found = []
    for month, *readings in days:
        codes, shown = next_day(codes, *[np.atleast_1d(each) for each in readings], month=month, rules=rules)
        found.append(shown.fwi)
    return np.array(found), codes


def published():
    return [(day["month"], *(day[name] for name in NAMES)) for day in WEATHER]


@pytest.mark.parametrize(
    ("name", "constant", "form"), [("fwi-48day-published", 250 * 59.5 / 101, "B"), ("fwi-48day-147.2", 147.2, "A")]
)
def test_the_carried_codes_reproduce_every_published_day(name, constant, form):
    case = example(name)
    rules = replace(RULES, constant=constant, duff_form=form)
    codes, days = FireCodes.start(1, rules, in_season=True), {}
    for today in WEATHER:
        codes, shown = next_day(codes, *[[today[n]] for n in NAMES], month=today["month"], rules=rules)
        days[today["day"]] = {n: getattr(codes, n)[0] for n in ("ffmc", "dmc", "dc")} | {
            n: getattr(shown, n)[0] for n in ("isi", "bui", "fwi", "dsr")
        }
    for expected in case["expected"]:
        for code, tolerance in case["tolerance"].items():
            assert days[expected["day"]][code] == pytest.approx(expected[code], rel=0, abs=tolerance)


def test_codes_put_back_in_go_on_as_if_nothing_had_been_stored():
    whole, _ = run(published(), FireCodes.start(1, RULES, in_season=True))
    first, kept = run(published()[:20], FireCodes.start(1, RULES, in_season=True))
    again = FireCodes(**{f.name: np.array(getattr(kept, f.name).tolist()) for f in fields(kept)})
    second, _ = run(published()[20:], again)
    assert np.concatenate([first, second]).tolist() == whole.tolist()


def test_stations_side_by_side_equal_each_alone():
    others = [(m, t + 5, h / 2, w, 0.0) for m, t, h, w, _ in published()]
    pair = [
        (a[0], *(np.array([x, y]) for x, y in zip(a[1:], b[1:], strict=True)))
        for a, b in zip(published(), others, strict=True)
    ]
    together, _ = run(pair, FireCodes.start(2, RULES, in_season=True))
    for place, days in enumerate((published(), others)):
        alone, _ = run(days, FireCodes.start(1, RULES, in_season=True))
        assert together[:, place].tolist() == alone[:, 0].tolist()


def test_a_short_gap_leaves_the_codes_as_they_stood_and_a_long_one_loses_them_until_spring():
    gap = (5, np.nan, 40.0, 10.0, 0.0)
    warm, frost = (5, 20.0, 40.0, 10.0, 0.0), (11, -3.0, 80.0, 5.0, 0.0)
    _, before = run([warm], FireCodes.start(1, RULES, in_season=True))
    found, held = run([gap, gap], before)
    assert np.isnan(found).all()
    assert (held.ffmc, held.dmc, held.dc) == (before.ffmc, before.dmc, before.dc)
    found, lost = run([gap, warm, warm], held)
    assert np.isnan(found).all()
    assert np.isnan([lost.ffmc[0], lost.dmc[0], lost.dc[0]]).all()
    found, _ = run([frost] * 4 + [warm] * 4, lost)
    assert np.isnan(found[:7]).all()
    assert np.isfinite(found[7]).all()


def test_missing_rain_is_a_gap_and_not_a_dry_day():
    dry, _ = run([(5, 20.0, 40.0, 10.0, 0.0)], FireCodes.start(1, RULES, in_season=True))
    missing, _ = run([(5, 20.0, 40.0, 10.0, np.nan)], FireCodes.start(1, RULES, in_season=True))
    assert np.isfinite(dry).all()
    assert np.isnan(missing).all()


@pytest.mark.parametrize("reading", [(20.0, 130.0, 10.0, 0.0), (20.0, 45.0, -3.0, 0.0), (20.0, 45.0, 10.0, -1.0)])
def test_an_impossible_reading_is_refused(reading):
    with pytest.raises(ValueError, match="missing or outside"):
        run([(5, *reading)], FireCodes.start(1, RULES, in_season=True))


def test_a_dry_winter_leaves_some_of_the_autumn_drought_and_a_wet_one_none():
    warm, frost = (9, 25.0, 30.0, 10.0, 0.0), (12, -3.0, 80.0, 5.0, 0.5)
    _, autumn = run([warm] * 60, FireCodes.start(1, RULES, in_season=True))
    dry = [frost] * 60 + [warm] * 3
    _, spring = run([*dry, warm], autumn)
    # The season ends with the fourth cold day: 57 cold days and 3 warm ones of winter.
    expected = overwintered_dc(run(dry[:3], autumn)[1].dc, 57 * 0.5, 0.75, 0.75, 15)
    first = run([warm], replace(autumn, dc=expected))[1].dc
    assert spring.dc == pytest.approx(first)
    assert expected > 15
    assert overwintered_dc(400, 500, 0.75, 0.75, 15) == 15


def test_a_station_without_an_index_has_no_season():
    found = season_covariates([[np.nan, 4.0], [np.nan, 8.0]], high=5)
    assert all(np.isnan(values[0]) for values in found.values())
    assert found["fwi_mean"][1] == 6.0
    assert found["high_days"][1] == 0.5
