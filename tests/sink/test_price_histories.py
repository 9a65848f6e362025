"""Price histories: a dated series becomes a proposed curve, or is refused where it is wrong."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from services.sink.formulas import price
from shared import clock
from tests.conftest import Database
from tests.harness import BANK, BUREAU, Client, body, client


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The bureau's surveyor."""
    return client("sink", sink_db, "bureau", BUREAU)


def series(count: int = 80, step: int = 7, seed: int = 7) -> list[dict[str, str]]:
    """Weekly prices that revert to 62 at a speed of three a year."""
    first = clock.today() - timedelta(days=step * count)
    years = np.arange(1, count + 1) * step / 365.25
    normals = np.random.default_rng(seed).standard_normal((count, 1))
    levels = price.mean_reverting_prices(70.0, 62.0, 3.0, 0.3, years, normals)[:, 0]
    return [
        {"on": (first + timedelta(days=step * (k + 1))).isoformat(), "price": f"{level:.2f}"}
        for k, level in enumerate(levels)
    ]


def history(**changes: Any) -> dict[str, Any]:
    return {"name": "weekly", "source": "bulletin", "instrument": "ccer", "prices": series()} | changes


def test_a_series_becomes_a_proposed_curve_that_a_second_person_approves(sink_db: Database, bureau: Client) -> None:
    made = body(bureau.post("/v1/price-histories", history()), 201)
    fit, prices = made["fit"], made["prices"]
    assert prices == history()["prices"]
    curve = body(bureau.get(f"/v1/price-curves/{made['curve_id']}"))
    assert curve["state"] == "proposed"
    assert curve["spot_price"]["amount"] == prices[-1]["price"]
    assert float(curve["long_run_price"]["amount"]) == pytest.approx(fit["long_run_price"], abs=0.01)
    assert float(curve["reversion"]) == pytest.approx(fit["reversion"], abs=1e-6)
    assert (fit["observations"], fit["process"]) == (80, "mean_reverting")
    assert 0 < fit["correlation"] < 1
    approver = client("sink", sink_db, "bureau-approver", BUREAU)
    seen = {"payload_hash": curve["payload_hash"], "approve": True}
    assert body(approver.post(f"/v1/price-curves/{curve['id']}/approval", seen))["state"] == "approved"
    listed = body(client("sink", sink_db, "officer", BANK).get("/v1/price-histories", curve_id=curve["id"]))
    assert [one["id"] for one in listed["items"]] == [made["id"]]
    assert body(bureau.get(f"/v1/price-histories/{made['id']}")) == made


def test_a_lognormal_curve_has_a_drift_and_no_reversion(bureau: Client) -> None:
    made = body(bureau.post("/v1/price-histories", history(process="lognormal")), 201)
    curve = body(bureau.get(f"/v1/price-curves/{made['curve_id']}"))
    assert float(curve["reversion"]) == 0
    assert float(curve["drift"]) == pytest.approx(made["fit"]["drift"], abs=1e-6)
    # Prices of one year from today and of two: √½.
    assert made["fit"]["correlation"] == pytest.approx(0.5**0.5, abs=1e-6)


def test_allowance_prices_are_brought_to_the_price_of_an_offset(bureau: Client) -> None:
    given_ = history(instrument="cea", offset_ratio="0.8")
    made = body(bureau.post("/v1/price-histories", given_), 201)
    curve = body(bureau.get(f"/v1/price-curves/{made['curve_id']}"))
    assert float(curve["spot_price"]["amount"]) == pytest.approx(float(given_["prices"][-1]["price"]) * 0.8, abs=0.01)
    assert float(curve["long_run_price"]["amount"]) == pytest.approx(made["fit"]["long_run_price"] * 0.8, abs=0.01)


def changed(number: int, **changes: str) -> list[dict[str, str]]:
    prices = series()
    prices[number] = prices[number] | changes
    return prices


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"prices": changed(5, on=series()[4]["on"])}, "/prices/5/on"),
        ({"prices": changed(5, on=series()[3]["on"])}, "/prices/5/on"),
        ({"prices": series()[:20] + series()[60:]}, "/prices/20/on"),
        ({"prices": changed(79, on=(clock.today() + timedelta(days=1)).isoformat())}, "/prices/79/on"),
        ({"prices": series()[:23]}, "/prices"),
        ({"prices": series(step=1)}, "/prices"),
        ({"prices": changed(7, price="0")}, "/prices/7/price"),
        ({"prices": [one | {"price": "60.00"} for one in series()]}, "/process"),
        ({"instrument": "cea"}, "/offset_ratio"),
        ({"offset_ratio": "0.9"}, "/offset_ratio"),
        ({"instrument": "gold"}, "/instrument"),
    ],
    ids=["twice", "unsorted", "gap", "future", "too few", "too short", "free", "flat", "no ratio", "a ratio", "gold"],
)
def test_a_series_is_refused_where_it_is_wrong(bureau: Client, changes: dict[str, Any], pointer: str) -> None:
    refused = body(bureau.post("/v1/price-histories", history(**changes)), 422)
    assert refused["errors"][0]["pointer"] == pointer
    assert body(bureau.get("/v1/price-curves"))["items"] == []


def irregular(seed: int, count: int) -> tuple[np.random.Generator, Any]:
    generator = np.random.default_rng(seed)
    return generator, np.cumsum(generator.choice([1, 2, 3, 7, 14, 30], size=count)) / 365.25


@pytest.mark.parametrize(("speed", "sigma"), [(0.8, 0.15), (0.8, 0.4), (5.0, 0.15), (5.0, 0.4)])
def test_a_fit_recovers_what_a_path_was_made_with_within_its_errors(speed: float, sigma: float) -> None:
    misses = []
    for seed in range(20):
        generator, years = irregular(seed, 1200)
        path = price.mean_reverting_prices(70.0, 62.0, speed, sigma, years, generator.standard_normal((1200, 1)))[:, 0]
        fit = price.mean_reverting_fit(years, path)
        misses.append(
            [
                (fit.reversion - speed) / fit.reversion_error,
                (fit.volatility - sigma) / fit.volatility_error,
                (fit.long_run_price - 62.0) / fit.long_run_price_error,
            ]
        )
        # The errors are worth something: none is as large as what it is the error of.
        assert fit.volatility_error < 0.1 * sigma
        assert fit.long_run_price_error < 0.5 * 62.0
    # In units of its error a miss is about one, over many paths; a single one may be anything.
    assert np.all(np.sqrt(np.mean(np.square(misses), axis=0)) < 1.6)


def test_a_lognormal_fit_recovers_what_a_path_was_made_with_within_its_errors() -> None:
    generator, years = irregular(3, 2000)
    path = price.lognormal_prices(70.0, 0.05, 0.3, years, generator.standard_normal((2000, 1)))[:, 0]
    fit = price.lognormal_fit(years, path)
    assert abs(fit.volatility - 0.3) < 3 * fit.volatility_error < 0.05
    assert abs(fit.drift - 0.05) < 3 * fit.drift_error < 0.5


def test_the_fit_is_the_top_of_the_likelihood() -> None:
    generator, years = irregular(11, 600)
    path = price.mean_reverting_prices(70.0, 62.0, 2.0, 0.3, years, generator.standard_normal((600, 1)))[:, 0]
    fit = price.mean_reverting_fit(years, path)
    centre = np.log(fit.long_run_price) - fit.volatility**2 / (4 * fit.reversion)
    top = price.mean_reverting_log_likelihood(years, path, fit.reversion, centre, fit.volatility)
    assert top == pytest.approx(fit.log_likelihood, abs=1e-6)
    for speed, middle, spread in [(1.02, 0, 1), (0.98, 0, 1), (1, 0.01, 1), (1, -0.01, 1), (1, 0, 1.02), (1, 0, 0.98)]:
        moved = (fit.reversion * speed, centre + middle, fit.volatility * spread)
        assert price.mean_reverting_log_likelihood(years, path, *moved) < top


def test_a_price_that_trends_for_ever_shows_no_reversion() -> None:
    years = np.arange(40) / 12
    with pytest.raises(ValueError, match="no reversion"):
        price.mean_reverting_fit(years, 50 * np.exp(years * 0.4 + 0.01 * np.sin(np.arange(40))))


def test_the_correlation_stated_is_that_of_the_paths() -> None:
    years = np.array([1.0, 2.0])
    for speed in (0.0, 0.7):
        normals = np.random.default_rng(5).standard_normal((2, 200_000))
        paths = (
            price.mean_reverting_prices(70.0, 60.0, speed, 0.3, years, normals)
            if speed
            else price.lognormal_prices(70.0, 0.0, 0.3, years, normals)
        )
        seen = float(np.corrcoef(np.log(paths))[0, 1])
        assert price.log_correlation(speed, 1.0, 2.0) == pytest.approx(seen, abs=0.01)


def test_a_fit_wants_a_series() -> None:
    for years, prices in [([0.0], [1.0]), ([0, 1, 1, 2], [1, 2, 3, 4]), ([0, 1, 2, 3], [1, 2, 0, 4])]:
        with pytest.raises(ValueError, match=r"needs|rise|positive"):
            price.mean_reverting_fit(years, prices)


def test_today_is_a_day_of_the_series() -> None:
    assert date.fromisoformat(series()[-1]["on"]) == clock.today()
