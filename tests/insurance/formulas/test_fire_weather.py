from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.fire_weather import DuffForm, bui, dc, dmc, dsr, ffmc, fwi, isi
from tests.insurance.formulas.examples import close, example, examples

PUBLISHED = 250 * 59.5 / 101
WEATHER = example("fwi-48day-published")["inputs"]["weather"]


def daily(constant: float, form: DuffForm) -> dict[int, dict[str, float]]:
    """The 48 days, each from the state of the day before."""
    state: dict[str, Any] = example("fwi-48day-published")["inputs"]["start"]
    days = {}
    for today in WEATHER:
        temp, rh, wind, rain, month = (today[name] for name in ("temp", "rh", "wind", "rain", "month"))
        state = {
            "ffmc": float(ffmc(temp, rh, wind, rain, state["ffmc"], constant)),
            "dmc": float(dmc(temp, rh, rain, state["dmc"], month, form)),
            "dc": float(dc(temp, rain, state["dc"], month)),
        }
        state["isi"] = float(isi(wind, state["ffmc"], constant))
        state["bui"] = float(bui(state["dmc"], state["dc"]))
        state["fwi"] = float(fwi(state["isi"], state["bui"]))
        state["dsr"] = float(dsr(state["fwi"]))
        days[today["day"]] = state
    return days


@pytest.mark.parametrize(
    ("name", "constant", "form"),
    [("fwi-48day-published", PUBLISHED, "B"), ("fwi-48day-147.2", 147.2, "A")],
)
def test_48_days(name, constant, form):
    case, days = example(name), daily(constant, form)
    for expected in case["expected"]:
        for code, tolerance in case["tolerance"].items():
            assert days[expected["day"]][code] == pytest.approx(expected[code], rel=0, abs=tolerance), expected["day"]


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("ffmc", lambda i: ffmc(i["temp"], i["rh"], i["wind"], i["rain"], i["previous"], i["ffmc_constant"])),
        ("dmc", lambda i: dmc(i["temp"], i["rh"], i["rain"], i["previous"], i["month"], "A")),
        ("dc", lambda i: dc(i["temp"], i["rain"], i["previous"], i["month"])),
        ("isi", lambda i: isi(i["wind"], i["ffmc"], i["ffmc_constant"])),
        ("bui", lambda i: bui(i["dmc"], i["dc"])),
        ("fwi", lambda i: fwi(i["isi"], i["bui"])),
    ],
)
def test_single_steps(code, step):
    case = example(f"fwi-step-{code}")
    assert float(step(case["inputs"])) == close(case, code)


def test_light_rain_does_not_wet_the_fine_fuel():
    case = example("fwi-light-rain")
    for field, constant, form in (("ffmc_published", PUBLISHED, "B"), ("ffmc_147_2", 147.2, "A")):
        days = daily(constant, form)
        assert [days[day]["ffmc"] for day in case["inputs"]["days"]] == close(case, field)


def test_the_two_constants_differ_on_the_first_day():
    case = example("fwi-constants-differ")
    assert daily(147.2, "A")[1]["ffmc"] == close(case, "ffmc_147.2")
    assert daily(PUBLISHED, "B")[1]["ffmc"] == close(case, "ffmc_147.27723")


@pytest.mark.parametrize("case", examples("fwi-refuse-"))
def test_a_missing_or_impossible_reading_is_refused(case):
    reading = case["inputs"]
    with pytest.raises(ValueError, match="missing or outside"):
        ffmc(reading["temp"], reading["rh"], reading["wind"], reading["rain"], 85, PUBLISHED)


def test_many_sites_at_once_equal_one_after_another():
    temp, rh, wind, rain = (np.array([day[name] for day in WEATHER]) for name in ("temp", "rh", "wind", "rain"))
    together = ffmc(temp, rh, wind, rain, np.full(len(WEATHER), 85.0), PUBLISHED)
    alone = [float(ffmc(*readings, 85.0, PUBLISHED)) for readings in zip(temp, rh, wind, rain, strict=True)]
    assert together.tolist() == alone


@given(
    st.floats(-40, 50),
    st.floats(0, 100),
    st.floats(0, 150),
    st.floats(0, 400),
    st.floats(0, 101),
    st.floats(0, 500),
    st.floats(0, 1500),
    st.integers(1, 12),
    st.sampled_from(["A", "B"]),
)
def test_codes_stay_finite_and_not_below_nothing(temp, rh, wind, rain, fine, duff, drought, month, form):
    f = ffmc(temp, rh, wind, rain, fine, PUBLISHED)
    p, d = dmc(temp, rh, rain, duff, month, form), dc(temp, rain, drought, month)
    assert 0 <= f <= 101
    index = fwi(isi(wind, f, PUBLISHED), bui(p, d))
    for code in (p, d, index, dsr(index)):
        assert np.isfinite(code)
        assert code >= 0
