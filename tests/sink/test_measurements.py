"""Measurements: plots in, stock, error, change and growth out, and what the next valuation makes of them."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from services.sink.actions.assets import register_asset
from services.sink.actions.measurements import survey_inputs, take_measurement
from services.sink.actions.measuring import derive
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.surveys import Survey
from services.sink.actions.valuations import derive as derive_value
from services.sink.actions.valuations import (
    growth_by,
    live_stock,
    reproduce,
    request_valuation,
    start_level,
    verified_level,
)
from services.sink.formulas import biomass, growth, measurement, stand, uncertainty
from services.sink.tables import Asset, Measurement
from shared import clock
from shared.errors import ConflictError, InvalidError
from tests.conftest import Database
from tests.harness import BANK, BUREAU, Client, body, client
from tests.sink.examples import facts, forests, in_a_project, minted, read_asset

SPECIES = "pinus_tabuliformis"
PINE = {"species": [{"species": SPECIES, "share": Decimal(1)}], "planted_year": 1995, "volume_m3_ha": None}
CHAIN = (0.394, 1.589, 0.251, 0.503)


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The bureau's surveyor."""
    return client("sink", sink_db, "bureau", BUREAU)


def pine(database: Database, sealed: Any, place: int = 0, **changes: Any) -> Asset:
    """A forest of one species that nobody measured yet."""
    with sealed(database.sessions, BUREAU) as session:
        return register_asset(session, facts(place, **PINE | changes))


def volumes(*numbers: str, species: str = SPECIES) -> list[dict[str, Any]]:
    """Plots by their volumes."""
    return [
        plot(f"P{number}", volumes=[{"species": species, "volume_m3_ha": Decimal(volume)}])
        for number, volume in enumerate(numbers, 1)
    ]


def plot(name: str, **told: Any) -> dict[str, Any]:
    """A plot as it comes from the HTTP door."""
    nothing = dict.fromkeys(("position", "area_m2", "trees", "volumes", "biomasses", "shrubs"))
    return {"name": name, **nothing, **told}


def survey(asset: Asset, *plots: dict[str, Any], day: date | None = None, **more: Any) -> Survey:
    """A survey of one stratum."""
    stratum = {"name": "whole", "area_ha": asset.area_ha, "plots": list(plots)}
    return Survey(measured_on=day or clock.today(), strata=[stratum], **more)


def measure(database: Database, sealed: Any, asset: Asset, taken: Survey) -> Measurement:
    """Enter a survey for the bureau."""
    with sealed(database.sessions, BUREAU) as session:
        return take_measurement(session, asset.id, taken)


def value(database: Database, sealed: Any, asset: Asset) -> Any:
    """Value an asset for the bureau."""
    with sealed(database.sessions, BUREAU) as session:
        return request_valuation(session, asset.id)


# -- stock ------------------------------------------------------------------------------------------------------------


def test_plots_by_volume_give_the_printed_stock_and_error(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    found = measure(sink_db, sealed, asset, survey(asset, *volumes("40", "50", "60", "54")))
    area = float(asset.area_ha)
    assert float(found.stock_tonnes) == pytest.approx(float(biomass.stock_from_volume(area, 51.0, *CHAIN)), abs=1e-3)
    error = uncertainty.student_factor(0.90, 3) * np.std([40, 50, 60, 54], ddof=1) / 2 / 51
    assert float(found.half_width) == pytest.approx(error, abs=1e-6)
    assert 0.15 < error <= 0.20
    assert float(found.discounted_tonnes) == pytest.approx(float(found.stock_tonnes) * (1 - 0.5 * error), rel=1e-5)
    assert found.volume_m3_ha == Decimal("51.000")


def test_strata_weigh_by_their_area(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    part = (asset.area_ha / 4).quantize(Decimal("0.0001"))
    strata = [
        {"name": "slope", "area_ha": part, "plots": volumes("20", "30", "25")},
        {"name": "valley", "area_ha": asset.area_ha - part, "plots": volumes("50", "60", "55")},
    ]
    found = measure(sink_db, sealed, asset, Survey(clock.today(), strata))
    assert float(found.volume_m3_ha or 0) == pytest.approx(0.25 * 25 + 0.75 * 55, abs=1e-3)
    pooled = np.sqrt(0.25**2 * 25 / 3 + 0.75**2 * 25 / 3)
    expected = uncertainty.student_factor(0.90, 4) * pooled / 47.5
    assert float(found.half_width) == pytest.approx(expected, rel=1e-4)


def test_the_next_valuation_starts_from_exactly_the_measured_stock(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    trees = [
        [
            {"species": s, "diameter_cm": Decimal(d), "height_m": Decimal(h)}
            for s, d, h in (("larix_principis", "9.1", "7.2"), (SPECIES, "8.4", "5.5")) * count
        ]
        for count in (14, 16, 19, 17)
    ]
    plots = [plot(f"P{n}", area_m2=Decimal(600), trees=told) for n, told in enumerate(trees)]
    found = measure(sink_db, sealed, asset, survey(asset, *plots))
    valued = value(sink_db, sealed, asset)
    assert live_stock(json.loads(valued.inputs)) == pytest.approx(float(found.stock_tonnes), rel=2e-4)
    now = read_asset(sink_db, asset.id)
    assert (now.volume_m3_ha, now.measured_on) == (found.volume_m3_ha, clock.today())
    assert now.sampling_uncertainty == found.half_width.quantize(Decimal("0.0001"))
    deduction = float(uncertainty.effective_deduction(float(now.sampling_uncertainty), *STEPS))
    assert 0 < deduction == pytest.approx(float(valued.uncertainty_deduction), abs=1e-6)
    assert now.measured is not None
    assert now.measured["measurement"] == str(found.id)


def test_trees_are_weighed_by_the_equation_of_their_species(sink_db: Database, sealed: Any) -> None:
    larch = "larix_principis"
    asset = pine(sink_db, sealed, species=[{"species": larch, "share": Decimal(1)}])
    one = {"species": larch, "diameter_cm": Decimal(15), "height_m": Decimal(12)}
    plots = [plot(f"P{n}", area_m2=Decimal(500), trees=[one] * count) for n, count in enumerate((20, 24))]
    found = measure(sink_db, sealed, asset, survey(asset, *plots)).results
    # The four organs of the reference case, 22 trees on 500 m2.
    assert found["biomass_t_ha"] == pytest.approx(22 * (4.464 + 14.367 + 42.8294 + 15.9504) / 500 * 10, abs=1e-3)


def test_scots_pine_goes_by_its_own_form_with_roots_by_the_default_ratio(sink_db: Database, sealed: Any) -> None:
    scots = "pinus_sylvestris_mongolica"
    asset = pine(sink_db, sealed, species=[{"species": scots, "share": Decimal(1)}])
    one = {"species": scots, "diameter_cm": Decimal(15), "height_m": Decimal(12)}
    plots = [plot(f"P{n}", area_m2=Decimal(500), trees=[one] * 20) for n in range(2)]
    found = measure(sink_db, sealed, asset, survey(asset, *plots)).results
    organs = np.exp(
        [
            -1.33642 + 1.05457 * np.log(15),
            -2.51434 + 1.5922 * np.log(15),
            -1.87871 + 0.74238 * np.log(15**2 * 12),
        ]
    )
    shoots = 20 * organs.sum() / 500 * 10
    assert found["biomass_t_ha"] == pytest.approx(shoots * (1 + np.exp(-1.085 + 0.9256 * np.log(shoots)) / shoots))


def test_biomass_above_the_ground_gets_its_roots_by_the_default_ratio(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    plots = [
        plot(f"P{n}", biomasses=[{"species": SPECIES, "above_ground_t_ha": Decimal(told)}])
        for n, told in enumerate(("50", "50"))
    ]
    found = measure(sink_db, sealed, asset, survey(asset, *plots)).results
    assert found["biomass_t_ha"] == pytest.approx(50 * 1.25257, abs=1e-3)
    assert found["routes"] == {"biomass": found["biomass_t_ha"]}
    assert found["model_sigma"] is None


def test_shrubs_go_by_crown_cover_and_a_thin_cover_counts_for_nothing(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, species=[{"species": "caragana", "share": Decimal(1)}], crown_cover=Decimal("0.2"))

    def plots(*covers: str) -> list[dict[str, Any]]:
        return [
            plot(f"P{n}", shrubs=[{"species": "caragana", "crown_cover": Decimal(cover)}])
            for n, cover in enumerate(covers)
        ]

    found = measure(sink_db, sealed, asset, survey(asset, *plots("0.4", "0.5"), day=clock.today() - timedelta(9)))
    by_hand = 44 / 12 * 0.4897 * 1.4 * float(asset.area_ha) * 0.1 * 12.4 * 0.45
    assert float(found.stock_tonnes) == pytest.approx(by_hand, abs=1e-3)
    assert (found.crown_cover, found.volume_m3_ha) == (Decimal("0.4500"), None)
    assert live_stock(json.loads(value(sink_db, sealed, asset).inputs)) == pytest.approx(by_hand, rel=1e-4)
    thin = measure(sink_db, sealed, asset, survey(asset, *plots("0.04", "0.05")))
    assert thin.stock_tonnes == 0


def test_plots_without_trees_are_a_measurement_of_nothing(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    plots = [plot(name, area_m2=Decimal(600), trees=[]) for name in ("A", "B", "C")]
    found = measure(sink_db, sealed, asset, survey(asset, *plots))
    assert (found.stock_tonnes, found.half_width, found.volume_m3_ha) == (0, 0, 0)
    assert value(sink_db, sealed, asset).forecast_tonnes == 0


def test_the_spread_of_the_routes_is_the_model_risk_of_the_valuation(sink_db: Database, sealed: Any) -> None:
    poplar = "populus_simonii"
    asset = pine(sink_db, sealed, species=[{"species": poplar, "share": Decimal(1)}])
    found = measure(sink_db, sealed, asset, survey(asset, *volumes("78", "80", "82", species=poplar))).results
    routes = found["routes"]
    # The regression and the IPCC's defaults of the reference cases route-zhang and route-ipcc.
    assert routes["regression"] == pytest.approx(61.47, abs=1e-3)
    assert routes["ipcc"] == pytest.approx(137.76, abs=1e-3)
    assert routes["expansion"] == pytest.approx(80 * 0.328 * 1.446 * 1.227, abs=1e-3)
    assert found["model_sigma"] == pytest.approx(biomass.route_spread(list(routes.values())), abs=1e-6)
    asset = read_asset(sink_db, asset.id)
    assert asset.measured is not None
    assert asset.measured["model_sigma"] == found["model_sigma"]
    told = json.loads(value(sink_db, sealed, asset).inputs)
    narrow = {**told, "asset": {**told["asset"], "measured": {**asset.measured, "model_sigma": 0.01}}}
    assert derive_value(narrow)["pv_p95"] - derive_value(narrow)["pv_p05"] < (
        derive_value(told)["pv_p95"] - derive_value(told)["pv_p05"]
    )


#: Above the ground by the CDM tool's default expansion of 1.15.
_SHOOTS = 80 * 0.328 * 1.15


@pytest.mark.parametrize(
    ("route", "biomass_t_ha"),
    [
        ("regression", 61.47),
        ("ipcc", 137.76),
        ("artool14", _SHOOTS + np.exp(-1.085 + 0.9256 * np.log(_SHOOTS))),
    ],
)
def test_a_surveyor_may_go_from_volume_to_biomass_by_another_route(
    sink_db: Database, sealed: Any, route: str, biomass_t_ha: float
) -> None:
    poplar = "populus_simonii"
    asset = pine(sink_db, sealed, species=[{"species": poplar, "share": Decimal(1)}])
    taken = survey(asset, *volumes("80", "80", species=poplar), volume_route=route)
    found = measure(sink_db, sealed, asset, taken)
    assert found.results["biomass_t_ha"] == pytest.approx(biomass_t_ha, abs=1e-3)
    assert {"expansion", "regression", "ipcc"} <= set(found.results["routes"])
    # The volume kept is the one that stands for the measured carbon in the valuation's own chain.
    assert float(found.volume_m3_ha or 0) == pytest.approx(biomass_t_ha / (0.328 * 1.446 * 1.227), abs=1e-2)


def test_the_regression_is_refused_where_it_would_find_biomass_on_bare_land(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    with pytest.raises(InvalidError, match="/strata/0/plots/1/volumes/0: the regression says nothing"):
        measure(sink_db, sealed, asset, survey(asset, *volumes("20", "5"), volume_route="regression"))


def test_below_its_floor_the_regression_is_silent_and_the_species_spread_stands(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    found = measure(sink_db, sealed, asset, survey(asset, *volumes("8", "9", "10"))).results
    assert set(found["routes"]) == {"expansion", "ipcc"}
    now = read_asset(sink_db, asset.id)
    assert now.measured is not None
    assert now.measured["model_sigma"] is None


# -- change -----------------------------------------------------------------------------------------------------------


def test_plots_measured_again_give_the_change_by_their_differences(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    before = clock.today() - timedelta(days=1461)
    measure(sink_db, sealed, asset, survey(asset, *volumes("30", "50", "70"), day=before))
    found = measure(sink_db, sealed, asset, survey(asset, *volumes("41", "60", "81"))).results
    change = found["change"]
    unit = float(biomass.stock_from_volume(float(asset.area_ha), 1.0, *CHAIN))
    assert change["remeasured_plots"] == 3
    assert change["tonnes"] == pytest.approx(unit * 32 / 3, rel=1e-6)
    width = uncertainty.student_factor(0.90, 2) * np.std([11, 10, 11], ddof=1) / np.sqrt(3)
    assert change["half_width"] == pytest.approx(width / (32 / 3), rel=1e-5)
    assert change["per_year"] == pytest.approx(change["tonnes"] / 4, rel=1e-6)
    # The same plots differ far less from themselves than two samples of so uneven a forest.
    apart = np.hypot(found["stock"]["half_width_tonnes"], found["stock"]["half_width_tonnes"])
    assert change["half_width_tonnes"] < apart / 5
    assert change["chained"]["tonnes"] == pytest.approx(found["stock"]["tonnes"], rel=1e-6)


def test_other_plots_give_the_change_of_two_samples(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    first = measure(sink_db, sealed, asset, survey(asset, *volumes("44", "50", "56"), day=date(2024, 7, 1))).results
    other = [{**one, "name": f"new {one['name']}"} for one in volumes("58", "60", "65")]
    second = measure(sink_db, sealed, asset, survey(asset, *other)).results
    change = second["change"]
    assert (change["remeasured_plots"], change["chained"], change["since"]) == (0, None, "2024-07-01")
    stocks = [one["stock"] for one in (first, second)]
    assert change["tonnes"] == pytest.approx(stocks[1]["tonnes"] - stocks[0]["tonnes"])
    expected = uncertainty.change_half_width(
        stocks[0]["tonnes"], stocks[0]["half_width"], stocks[1]["tonnes"], stocks[1]["half_width"]
    )
    assert change["half_width"] == pytest.approx(expected, rel=1e-4)
    share = float(uncertainty.discount_share(expected, (0.10, 0.15, 0.20, 0.30), (0, 0.25, 0.50, 0.75, 1)))
    assert change["discounted"] == pytest.approx(change["tonnes"] - share * change["half_width_tonnes"], rel=1e-6)


def test_a_change_of_nothing_has_a_half_width_and_no_relative_one(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    measure(sink_db, sealed, asset, survey(asset, *volumes("40", "50", "60"), day=date(2025, 7, 1)))
    change = measure(sink_db, sealed, asset, survey(asset, *volumes("50", "40", "60"))).results["change"]
    assert change["tonnes"] == 0
    assert change["half_width"] is None
    assert change["half_width_tonnes"] > 0
    assert change["discounted"] == -change["half_width_tonnes"]


# -- growth -----------------------------------------------------------------------------------------------------------


def series(database: Database, sealed: Any, asset: Asset, years: list[int], noise: list[float]) -> list[Measurement]:
    """Measurements on the first of July of some years, of a stand that follows a Richards curve but for some noise."""
    found = []
    for year, error in zip(years, noise, strict=True):
        level = float(growth.volume_at_age(float(year - asset.planted_year), 110.0, 0.05, 2.2)) + error
        plots = volumes(*(f"{level + step:.3f}" for step in (-2, 0, 2)))
        found.append(measure(database, sealed, asset, survey(asset, *plots, day=date(year, 7, 1))))
    return found


def test_too_few_measurements_say_so_and_leave_the_default_growth(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    found = series(sink_db, sealed, asset, [2015, 2020], [0, 0])[-1].results["growth"]
    assert (found["measurements"], found["needed"], found["curve"]) == (2, 5, None)
    assert found["reason"]["code"] == "too_few_measurements"
    assert "2" in found["reason"]["zh"]
    assert "needs 5" in found["reason"]["en"]
    now = read_asset(sink_db, asset.id)
    assert now.measured is not None
    assert (now.measured["curve"], now.measured["growth_sigma"]) == ("richards", None)


def test_enough_measurements_give_the_stand_a_curve_and_the_valuation_its_sigma(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, planted_year=1980)
    years = [1986, 1992, 1998, 2004, 2010, 2016, 2025]
    found = series(sink_db, sealed, asset, years, [0.4, -0.5, 0.3, -0.2, 0.5, -0.4, 0.1])[-1].results["growth"]
    curve = found["curve"]
    assert found["reason"] is None
    assert curve["asymptote"] == pytest.approx(110, rel=0.1)
    assert curve["rate"] == pytest.approx(0.05, rel=0.2)
    assert np.all(np.linalg.eigvalsh(np.array(found["covariance"])) >= -1e-9)
    assert 0 < found["sigma"] < 1
    valued = value(sink_db, sealed, asset)
    told = json.loads(valued.inputs)
    assert told["asset"]["measured"]["growth_sigma"] == found["sigma"]
    without = {**told, "asset": {**told["asset"], "measured": {**told["asset"]["measured"], "growth_sigma": None}}}
    assert derive_value(without) != derive_value(told)
    # The default curve of the species is another one.
    other = {**told, "asset": {**told["asset"], "measured": {**told["asset"]["measured"], "curve": "richards"}}}
    assert derive_value(other)["tonnes_mean"] != derive_value(told)["tonnes_mean"]


def test_a_straight_line_of_measurements_is_no_curve(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, planted_year=1990)
    for number, year in enumerate((1995, 2000, 2005, 2010, 2015)):
        plots = volumes(*(f"{10 * number + 10 + step}" for step in (-1, 0, 1)))
        found = measure(sink_db, sealed, asset, survey(asset, *plots, day=date(year, 7, 1)))
    assert found.results["growth"]["curve"] is None
    assert found.results["growth"]["reason"]["code"] in ("not_told", "unsure")


def test_a_table_of_increments_takes_the_place_of_the_curve(sink_db: Database, sealed: Any) -> None:
    larch = "larix_principis"
    asset = pine(sink_db, sealed, species=[{"species": larch, "share": Decimal(1)}], planted_year=2005)
    measure(sink_db, sealed, asset, survey(asset, *volumes("19", "20", "21", species=larch), curve="table"))
    told = json.loads(value(sink_db, sealed, asset).inputs)
    table, curve = (told["parameters"][f"growth.{form}.{larch}"] for form in ("increments", "richards"))
    plain = {**told, "asset": {**told["asset"], "measured": {**told["asset"]["measured"], "curve": "richards"}}}
    ages = np.array([clock.today().year - 2005.0, clock.today().year - 2000.0])
    # Both forms go through the same plots; they differ as their paces do, and those differ little.
    ratio = np.divide(*(stand.tabulated_volume(ages, **table)[::-1])) / np.divide(
        *(growth.volume_at_age(ages, **curve)[::-1])
    )
    gross = [derive_value(one)["tonnes_gross_mean"][0] for one in (told, plain)]
    assert gross[0] != gross[1]
    assert gross[0] / gross[1] == pytest.approx(1, abs=0.06)
    assert (gross[0] > gross[1]) == (ratio > 1)


def test_a_rainfall_lifts_the_ceiling_of_a_stand_that_has_reached_it(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, planted_year=1990)
    measure(sink_db, sealed, asset, survey(asset, *volumes("108", "110", "112"), rainfall_mm=Decimal(519)))
    told = json.loads(value(sink_db, sealed, asset).inputs)
    dry = {**told, "asset": {**told["asset"], "measured": {**told["asset"]["measured"], "rainfall_mm": None}}}
    assert sum(derive_value(dry)["tonnes_gross_mean"]) < 0.6 * sum(derive_value(told)["tonnes_gross_mean"])
    assert float(stand.rainfall_ceiling(300.0, [372, 519], [49.08, 73.9])) == 49.08
    assert float(stand.rainfall_ceiling(900.0, [372, 519], [49.08, 73.9])) == 73.9


def test_a_thinning_to_come_takes_its_share_and_issues_nothing_until_it_is_regrown(
    sink_db: Database, sealed: Any
) -> None:
    asset = pine(sink_db, sealed, planted_year=2005)
    age = clock.today().year - 2005
    plan = [{"age": age + 3, "share": Decimal("0.4")}]
    measure(sink_db, sealed, asset, survey(asset, *volumes("38", "40", "42"), thinnings=plan))
    told = json.loads(value(sink_db, sealed, asset).inputs)
    unthinned = {**told, "asset": {**told["asset"], "measured": {**told["asset"]["measured"], "thinnings": []}}}
    cut, whole = derive_value(told), derive_value(unthinned)
    assert cut["stock"] == whole["stock"]
    assert cut["tonnes_mean"][0] < whole["tonnes_mean"][0]
    assert sum(cut["tonnes_mean"]) < sum(whole["tonnes_mean"])


# -- beside the trees -------------------------------------------------------------------------------------------------


def test_other_pools_are_told_by_default_factors_and_marked(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, planted_year=2005)
    soil = {"reference": "high_activity_cool_dry", "state_before": "severely_degraded", "since": None}
    found = measure(sink_db, sealed, asset, survey(asset, *volumes("38", "40", "42"), soil=soil))
    pools, stock = found.results["pools"], found.results["stock"]["tonnes"]
    assert pools["dead_wood"] == pytest.approx(0.08 * stock, rel=1e-6)
    assert pools["litter"] == pytest.approx(0.04 * stock, rel=1e-6)
    # 35 tC/ha before; 15 tC/ha in 20 years are 0.75 a year, below the cap of 0.8.
    assert pools["soil"] == pytest.approx(44 / 12 * float(asset.area_ha) * 50, rel=1e-6)
    assert {"dead_wood.factor", "litter.factor", "soil.state", "soil.transition"} <= set(found.unverified_parameters)
    assert "soil.reference.high_activity_cool_dry" not in found.unverified_parameters


def test_a_grassland_is_valued_once_its_soil_is_known(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, kind="grassland", species=[], planted_year=2022)
    with pytest.raises(ConflictError, match="measurement first"):
        value(sink_db, sealed, asset)
    soil = {"reference": "high_activity_cool_dry", "state_before": "severely_degraded", "since": date(2023, 1, 1)}
    found = measure(sink_db, sealed, asset, Survey(clock.today(), soil=soil))
    valued = value(sink_db, sealed, asset)
    assert live_stock(json.loads(valued.inputs)) == pytest.approx(float(found.stock_tonnes), rel=1e-6)
    # 0.75 tC/ha a year for what is left of twenty years, less uncertainty and buffer.
    left = 20 - (clock.today() - date(2023, 1, 1)).days / 365.25
    assert 0.6 < float(valued.forecast_tonnes) / (44 / 12 * float(asset.area_ha) * 0.75 * left) < 1.05
    assert {"grassland.biomass", "soil.state"} <= set(valued.unverified_parameters)


def test_a_wetland_is_told_its_soil_and_claims_no_tonne(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, kind="wetland", species=[], planted_year=2022)
    soil = {"reference": "wetland", "state_before": "moderately_degraded", "since": None}
    found = measure(sink_db, sealed, asset, Survey(clock.today(), soil=soil))
    assert float(found.stock_tonnes) == pytest.approx(44 / 12 * 87 * 0.95 * float(asset.area_ha), rel=1e-6)
    assert value(sink_db, sealed, asset).forecast_tonnes == 0
    assert "soil.reference.wetland" in found.unverified_parameters


# -- the register -----------------------------------------------------------------------------------------------------


def test_an_older_measurement_is_kept_and_changes_nothing(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    young = measure(sink_db, sealed, asset, survey(asset, *volumes("48", "50", "52")))
    old = measure(sink_db, sealed, asset, survey(asset, *volumes("28", "30", "32"), day=date(2019, 5, 1)))
    assert (young.taken_up, old.taken_up) == (True, False)
    assert read_asset(sink_db, asset.id).volume_m3_ha == Decimal("50.000")


def test_a_measurement_shows_the_losses_before_it_and_not_those_after(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = pine(sink_db, sealed, volume_m3_ha=Decimal(40), measured_on=date(2024, 5, 1))
    value(sink_db, sealed, asset)
    for day in ("2024-09-01", "2026-01-10"):
        sent = {
            "peril": "fire",
            "occurred_on": day,
            "assets": [{"asset_id": str(asset.id), "severity": "0.5", "damaged_ha": str(asset.area_ha)}],
        }
        body(bureau.post("/v1/reversals", sent), 201)
    assert read_asset(sink_db, asset.id).live_share == Decimal("0.25")
    measure(sink_db, sealed, asset, survey(asset, *volumes("18", "20", "22"), day=date(2025, 6, 1)))
    assert read_asset(sink_db, asset.id).live_share == Decimal("0.5")
    later = measure(sink_db, sealed, asset, survey(asset, *volumes("9", "10", "11")))
    assert read_asset(sink_db, asset.id).live_share == 1
    assert later.results["growth"]["reason"]["code"] == "disturbed"


def test_what_trees_from_before_the_project_grow_is_nobodys_removal(sink_db: Database, sealed: Any) -> None:
    """(S178): 44/12 x 0.47 x 4.0 x 1.25 x cover x area a year, for twenty years from the planting."""
    asset = pine(sink_db, sealed, volume_m3_ha=Decimal(20), planted_year=2012, crediting_from=date(2018, 7, 1))
    day = clock.today() - timedelta(days=400)
    measure(sink_db, sealed, asset, survey(asset, *volumes("19", "20", "21"), day=day, baseline_cover=Decimal("0.2")))
    # Another survey that says nothing of them leaves them standing.
    taken = measure(sink_db, sealed, asset, survey(asset, *volumes("21", "22", "23")))
    assert "baseline_cover" not in json.loads(taken.inputs)
    row = value(sink_db, sealed, asset)
    given = json.loads(row.inputs)
    without = json.loads(row.inputs)
    assert without["asset"]["measured"].pop("baseline_cover") == "0.2"
    years = (clock.today() - date(2018, 7, 1)).days / 365.25
    yearly = 44 / 12 * 0.47 * 4.0 * 1.25 * 0.2 * float(asset.area_ha)
    grown = [growth_by(one, clock.today()).removal for one in (given, without)]
    assert grown[1] - grown[0] == pytest.approx(yearly * years, rel=1e-9)
    assert verified_level(given) - verified_level(without) == pytest.approx(yearly * years, rel=1e-9)
    plain = derive_value(without)
    assert row.results["tonnes_gross_mean"][0] < plain["tonnes_gross_mean"][0]
    # Twenty years after the planting they have grown all that is counted.
    until = date(2032, 7, 1)
    assert max(date.fromisoformat(one) for one in given["verifications"]) > until
    most = yearly * (until - date(2018, 7, 1)).days / 365.25
    assert sum(plain["tonnes_gross_mean"]) - sum(row.results["tonnes_gross_mean"]) <= most + 0.01
    assert "baseline.forest_increment" in row.unverified_parameters
    with sealed(sink_db.sessions, BUREAU) as session:
        assert reproduce(session, row.id).reproduced

    # A survey that finds none of them takes the earlier finding back.
    with clock.travelled(timedelta(days=1)):
        measure(sink_db, sealed, asset, survey(asset, *volumes("21", "22", "23"), baseline_cover=Decimal(0)))
        given, without = (json.loads(value(sink_db, sealed, asset).inputs) for _ in range(2))
        assert Decimal(without["asset"]["measured"].pop("baseline_cover")) == 0
        assert growth_by(given, clock.today()).removal == growth_by(without, clock.today()).removal


def test_what_was_issued_is_not_issued_again_by_a_lower_measurement(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = pine(sink_db, sealed, volume_m3_ha=Decimal(40), planted_year=2005, crediting_from=date(2020, 1, 1))
    value(sink_db, sealed, asset)
    in_a_project(sink_db, sealed, [asset])
    sent = {
        "asset_id": str(asset.id),
        "origin": "CCER-1",
        "vintage_from": "2020-01-01",
        "vintage_to": "2026-06-30",
        "tonnes": "5",
    }
    body(minted(sink_db, sent), 201)
    before = value(sink_db, sealed, asset)
    measure(sink_db, sealed, asset, survey(asset, *volumes("19", "20", "21")))
    after = value(sink_db, sealed, asset)
    now = read_asset(sink_db, asset.id)
    assert now.measured is not None
    level = float(now.measured["verified"]["stock"])
    assert level == pytest.approx(start_level(json.loads(before.inputs)), abs=0.001)
    stocks = after.results
    # Half of the stand is gone on paper: all of it is to be regrown before the first new tonne.
    assert stocks["tonnes_gross_mean"][0] < before.results["tonnes_gross_mean"][0] / 4
    assert level > stocks["stock"]
    sent |= {"origin": "CCER-2", "vintage_from": "2026-07-01", "vintage_to": clock.today().isoformat(), "tonnes": "1"}
    assert "at most 0" in body(minted(sink_db, sent), 409)["errors"][0]["detail"]


def test_a_measurement_values_the_forest_and_an_older_one_does_not(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = pine(sink_db, sealed)
    value(sink_db, sealed, asset)
    measure(sink_db, sealed, asset, survey(asset, *volumes("38", "40", "42")))
    (last, *_) = body(bureau.get(f"/v1/assets/{asset.id}/valuations"))["items"]
    assert (last["version"], last["cause"]) == (2, "measurement")
    assert json.loads(last["inputs"])["asset"]["measured"]["measurement"]
    older = clock.today() - timedelta(days=400)
    measure(sink_db, sealed, asset, survey(asset, *volumes("30", "31", "32"), day=older))
    assert read_asset(sink_db, asset.id).valuation_version == 2


def test_a_stock_above_what_is_plausible_is_flagged_and_one_below_is_not(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, planted_year=1970)
    measure(sink_db, sealed, asset, survey(asset, *volumes("108", "110", "112"), day=date(2024, 7, 1)))
    assert "volume_above_plausible" in read_asset(sink_db, asset.id).flags
    measure(sink_db, sealed, asset, survey(asset, *volumes("88", "90", "92")))
    assert "volume_above_plausible" not in read_asset(sink_db, asset.id).flags


def test_a_measurement_is_never_changed_by_anybody(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    found = measure(sink_db, sealed, asset, survey(asset, *volumes("48", "50", "52")))

    def change(institution: str) -> None:
        with sealed(sink_db.sessions, institution) as session:
            session.get_one(Measurement, found.id).stock_tonnes = Decimal(1)

    def enter_for_another() -> None:
        columns = {column.name: getattr(found, column.name) for column in Measurement.__table__.c}
        with sealed(sink_db.sessions, BANK) as session:
            session.add(Measurement(**columns | {"id": uuid4(), "measured_on": date(2020, 1, 1)}))

    for institution in (BUREAU, BANK):
        with pytest.raises(DBAPIError, match="permission denied"):
            change(institution)
    with pytest.raises(DBAPIError, match="row-level security"):
        enter_for_another()


# -- HTTP -------------------------------------------------------------------------------------------------------------


def request(asset: Asset, **changes: Any) -> dict[str, Any]:
    """The body that enters a survey of a pine forest."""
    tree = {"species": SPECIES, "diameter_cm": "12.5", "height_m": "8"}
    plots = [
        {
            "name": f"P{n}",
            "area_m2": "600",
            "position": [float(asset.longitude), float(asset.latitude)],
            "trees": [tree] * (20 + n),
        }
        for n in range(3)
    ]
    stratum = {"name": "whole", "area_ha": str(asset.area_ha), "plots": plots}
    return {"measured_on": clock.today().isoformat(), "strata": [stratum]} | changes


def test_a_survey_is_entered_listed_shown_and_derived_again(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = pine(sink_db, sealed)
    made = bureau.post(f"/v1/assets/{asset.id}/measurements", request(asset))
    found = body(made, 201)
    assert made.headers["Location"] == f"/v1/measurements/{found['id']}"
    officer = client("sink", sink_db, "officer", BANK)
    assert body(officer.get(f"/v1/measurements/{found['id']}")) == found
    assert body(officer.get(f"/v1/assets/{asset.id}/measurements"))["items"] == [
        {name: told for name, told in found.items() if name not in ("inputs", "outputs")}
    ]
    again = body(officer.post(f"/v1/measurements/{found['id']}/reproduction"))
    assert again["reproduced"]
    assert again["outputs_hash"] == found["outputs_hash"]
    assert derive(json.loads(found["inputs"])) == json.loads(found["outputs"])
    assert found["figures"]["growth"]["reason"]["code"] == "too_few_measurements"
    assert set(found["figures"]["routes"]) == {"allometry", "expansion", "regression", "ipcc"}


def test_only_the_registrar_enters_a_survey(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = pine(sink_db, sealed)
    path = f"/v1/assets/{asset.id}/measurements"
    assert client("sink", sink_db, "officer", BANK).post(path, request(asset)).status_code == 403
    assert client("sink", sink_db, "bureau", "bureau-elsewhere").post(path, request(asset)).status_code == 403
    assert client("sink", sink_db).post(path, request(asset)).status_code == 401
    assert bureau.post(f"/v1/assets/{uuid4()}/measurements", request(asset)).status_code == 404
    assert bureau.get(f"/v1/assets/{uuid4()}/measurements").status_code == 404
    assert bureau.get(f"/v1/measurements/{uuid4()}").status_code == 404
    body(bureau.post(path, request(asset)), 201)
    assert body(bureau.post(path, request(asset)), 409)["type"].endswith("/problems/measured-before")


def test_a_plot_on_the_border_is_inside_within_the_error_of_a_receiver(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = pine(sink_db, sealed)
    sent = request(asset)
    sent["strata"][0]["plots"][0]["position"] = [112.0 - 0.00003, 39.205]  # 2.6 m to the west
    body(bureau.post(f"/v1/assets/{asset.id}/measurements", sent), 201)
    sent["strata"][0]["plots"][0]["position"] = [112.0 - 0.0002, 39.205]
    problem = body(bureau.post(f"/v1/assets/{asset.id}/measurements", sent), 422)
    assert "17 m outside" in problem["detail"]


def test_a_dry_run_reckons_and_keeps_nothing(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = pine(sink_db, sealed)
    body(bureau.post(f"/v1/assets/{asset.id}/measurements?dry_run=true", request(asset)), 201)
    assert body(bureau.get(f"/v1/assets/{asset.id}/measurements"))["items"] == []
    assert read_asset(sink_db, asset.id).measured is None


TREE = "/strata/0/plots/0/trees/0"


#: Where a plot is wrong, and the pointer that says so.
PLOTS: list[tuple[str, tuple[Any, ...], Any]] = [
    (f"{TREE}/diameter_cm", ("trees", 0, "diameter_cm"), "121"),
    (f"{TREE}/diameter_cm", ("trees", 0, "diameter_cm"), "0"),
    (f"{TREE}/diameter_cm", ("trees", 0, "diameter_cm"), "-3"),
    (f"{TREE}/diameter_cm", ("trees", 0, "diameter_cm"), 12.5),
    (f"{TREE}/height_m", ("trees", 0, "height_m"), "41"),
    (f"{TREE}/height_m", ("trees", 0, "height_m"), "39"),
    (f"{TREE}/species", ("trees", 0, "species"), "baobab"),
    (f"{TREE}/species", ("trees", 0, "species"), "caragana"),
    (f"{TREE}/species", ("trees", 0, "species"), "ulmus_pumila"),
    ("/strata/0/plots/0/position", ("position",), [112.5, 39.2]),
    ("/strata/0/plots/0/position", ("position",), [112.5]),
    ("/strata/0/plots/0/position", ("position",), [1e300, -95]),
    ("/strata/0/plots/0/position/0", ("position",), ["112.5", 39.2]),
    ("/strata/0/plots/0/area_m2", ("area_m2",), None),
    ("/strata/0/plots/0/area_m2", ("area_m2",), "20"),
    ("/strata/0/plots/0/volumes", ("volumes",), [{"species": SPECIES, "volume_m3_ha": "40"}]),
    ("/strata/0/plots/0", ("trees",), None),
    ("/strata/0/plots/1/name", ("name",), "P1"),
    ("/strata/0/plots/0/shrubs/0/species", ("shrubs",), [{"species": SPECIES, "crown_cover": "0.4"}]),
    ("/strata/0/plots/0/height", ("height",), "4"),
]


def test_a_plot_that_cannot_be_is_refused_with_its_place(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = pine(sink_db, sealed)
    for pointer, place, wrong in PLOTS:
        sent = json.loads(json.dumps(request(asset)))
        inside = sent["strata"][0]["plots"][0]
        for step in place[:-1]:
            inside = inside[step]
        inside[place[-1]] = wrong
        problem = body(bureau.post(f"/v1/assets/{asset.id}/measurements", sent), 422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], (place, wrong, problem)
    assert body(bureau.get(f"/v1/assets/{asset.id}/measurements"))["items"] == []


SURVEYS: list[tuple[str, dict[str, Any]]] = [
    ("/measured_on", {"measured_on": "2100-01-01"}),
    ("/measured_on", {"measured_on": "1994-01-01"}),
    ("/strata", {"strata": []}),
    ("/soil/reference", {"soil": {"reference": "moon", "state_before": "undisturbed"}}),
    (
        "/soil/since",
        {"soil": {"reference": "sandy_cool_dry", "state_before": "undisturbed", "since": "2100-01-01"}},
    ),
    ("/rainfall_mm", {"rainfall_mm": "40"}),
    ("/curve", {"curve": "table"}),
    ("/curve", {"curve": "logistic"}),
    ("/thinnings", {"thinnings": [{"age": 40, "share": "0.4"}, {"age": 30, "share": "0.4"}]}),
    ("/thinnings/0/share", {"thinnings": [{"age": 40, "share": "1.4"}]}),
    ("/status", {"status": "verified"}),
]


def test_a_survey_that_cannot_be_is_refused_with_its_place(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = pine(sink_db, sealed)
    for pointer, changes in SURVEYS:
        problem = body(bureau.post(f"/v1/assets/{asset.id}/measurements", request(asset, **changes)), 422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], (changes, problem)


@pytest.mark.parametrize(
    ("match", "numbers", "changes"),
    [
        ("two plots", ("40",), {}),
        ("below nothing", ("1", "90"), {}),
        ("cannot stand at an age", ("140", "141"), {"planted_year": 2020}),
        ("no stand of the region", ("300", "301"), {"planted_year": 1950}),
        ("is the most", ("600", "601"), {"planted_year": 1950}),
    ],
)
def test_a_stock_that_no_stand_can_have_is_refused(
    sink_db: Database, sealed: Any, match: str, numbers: tuple[str, ...], changes: dict[str, Any]
) -> None:
    asset = pine(sink_db, sealed, **changes)
    with pytest.raises(InvalidError, match=match):
        measure(sink_db, sealed, asset, survey(asset, *volumes(*numbers)))
    with sink_db.sessions() as session:
        assert session.scalars(select(Measurement)).all() == []


def test_strata_that_miss_the_parcel_are_refused(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed)
    taken = survey(asset, *volumes("40", "50"))
    taken.strata[0]["area_ha"] = asset.area_ha / 2  # type: ignore[index]
    with pytest.raises(InvalidError, match="ha together"):
        measure(sink_db, sealed, asset, taken)


def test_a_grassland_has_no_trees_and_a_wetland_its_own_soil(sink_db: Database, sealed: Any) -> None:
    asset = pine(sink_db, sealed, kind="grassland", species=[])
    with pytest.raises(InvalidError, match="/soil"):
        measure(sink_db, sealed, asset, Survey(clock.today()))
    with pytest.raises(InvalidError, match="/strata"):
        measure(sink_db, sealed, asset, survey(asset, *volumes("40", "50")))
    soil = {"reference": "wetland", "state_before": "undisturbed", "since": None}
    with pytest.raises(InvalidError, match="/soil/reference"):
        measure(sink_db, sealed, asset, Survey(clock.today(), soil=soil))


# -- properties of the reckoning --------------------------------------------------------------------------------------


def bare(**changes: Any) -> Asset:
    """A pine forest that no database knows."""
    given: dict[str, Any] = {"kind": "forest", "planted_year": 1990, "area_ha": Decimal(100)}
    return Asset(**given | {"species": [{"species": SPECIES, "share": "1"}]} | changes)


def reckon(asset: Asset, *plots: dict[str, Any]) -> dict[str, Any]:
    """What plots of one stratum say, without the register."""
    return derive(
        survey_inputs(asset, survey(asset, *plots, day=date(2026, 7, 1)), [], [], PARAMETERS.at(clock.today()))
    )


_told = st.lists(st.integers(5, 150).map(str), min_size=2, max_size=7)


@given(_told, st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_plots_says_nothing(told: list[str], random: Any) -> None:
    plots = volumes(*told)
    shuffled = random.sample(plots, len(plots))
    first, second = reckon(bare(), *plots), reckon(bare(), *shuffled)
    assert second["stock"] == pytest.approx(first["stock"], rel=1e-9)
    assert second["volume_m3_ha"] == first["volume_m3_ha"]


@given(_told)
@settings(max_examples=40, deadline=None)
def test_what_is_left_is_the_stock_less_the_share_of_the_table(told: list[str]) -> None:
    stock = reckon(bare(), *volumes(*told))["stock"]
    share = next((s for bound, s in zip(*STEPS, strict=False) if stock["half_width"] <= bound + 1e-9), 1)
    assert stock["discount_share"] == share
    left = max(0.0, stock["tonnes"] - share * stock["half_width_tonnes"])
    assert stock["discounted"] == pytest.approx(left, abs=1e-5)


@given(_told, st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_twice_the_ground_holds_twice_the_stock_with_the_same_relative_error(told: list[str], times: int) -> None:
    one, many = reckon(bare(), *volumes(*told)), reckon(bare(area_ha=Decimal(100 * times)), *volumes(*told))
    assert many["stock"]["tonnes"] == pytest.approx(times * one["stock"]["tonnes"], rel=1e-9)
    assert many["stock"]["half_width"] == pytest.approx(one["stock"]["half_width"], abs=2e-6)


# -- properties of the formulas ---------------------------------------------------------------------------------------


STEPS = ((0.10, 0.15, 0.20, 0.30), (0, 0.25, 0.50, 0.75, 1))
_plots = st.lists(st.floats(1, 200), min_size=2, max_size=6)


@given(st.floats(0, 2), st.floats(0, 2))
def test_the_deduction_never_falls_as_the_error_rises(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert uncertainty.effective_deduction(low, *STEPS) <= uncertainty.effective_deduction(high, *STEPS)


@given(st.lists(_plots, min_size=1, max_size=4), st.data())
def test_chained_stocks_of_the_same_plots_end_where_the_plots_do(strata: list[list[float]], data: Any) -> None:
    areas = [float(number) for number in range(1, len(strata) + 1)]
    later = [[data.draw(st.floats(1, 200)) for _ in stratum] for stratum in strata]
    differences = [[b - a for a, b in zip(*both, strict=True)] for both in zip(strata, later, strict=True)]
    change = uncertainty.stratified_mean(areas, differences)
    chained = measurement.chained_stock(uncertainty.stratified_mean(areas, strata), change)
    assert chained == pytest.approx(uncertainty.stratified_mean(areas, later), abs=1e-9)


@given(st.lists(_plots, min_size=1, max_size=4))
def test_the_half_width_in_its_own_unit_is_the_relative_one_times_the_mean(strata: list[list[float]]) -> None:
    areas = [float(number) for number in range(1, len(strata) + 1)]
    mean = uncertainty.stratified_mean(areas, strata)
    relative = uncertainty.sampling_half_width(areas, strata, 0.90)
    assert uncertainty.stratified_half_width(areas, strata, 0.90) == pytest.approx(relative * mean, abs=1e-9)


@given(st.floats(0, 300), st.floats(0.05, 500))
def test_the_equivalent_volume_gives_the_stock_back(volume: float, area: float) -> None:
    stock = biomass.stock_from_volume(area, volume, *CHAIN)
    back = measurement.equivalent_volume(stock, [area], *([number] for number in CHAIN))
    assert float(back) == pytest.approx(volume, abs=1e-9)


_AGES = [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
_PACES = [0.5, 3.12, 6.27, 7.3, 7.2, 6.2, 5.2, 4.4, 3.7, 3.1, 2.7]


def test_the_table_of_weichang_meets_its_cumulative_volumes_and_rests_after_them() -> None:
    known = growth.cumulative_volume(_AGES, _PACES)
    assert stand.tabulated_volume(np.array(_AGES, dtype=float), _AGES, _PACES) == pytest.approx(known)
    assert float(stand.tabulated_volume(120.0, _AGES, _PACES)) == pytest.approx(240.45)
    with pytest.raises(ValueError, match="before its first"):
        stand.tabulated_volume(3.0, _AGES[1:], _PACES[1:])
    with pytest.raises(ValueError, match="rising ages"):
        stand.tabulated_volume(3.0, [0, 5, 5], [1, 2, 3])


@given(st.floats(0, 60), st.floats(0, 60))
def test_a_table_of_increments_never_falls(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert stand.tabulated_volume(low, _AGES, _PACES) <= stand.tabulated_volume(high, _AGES, _PACES) + 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.floats(0, 80))
def test_thinnings_leave_something_between_nothing_and_the_whole(shares: list[float], age: float) -> None:
    ages = [float(10 * number + 14) for number in range(len(shares))]
    whole = growth.volume_at_age(age, 286.44, 0.05275, 2.41)
    then = growth.volume_at_age(np.array(ages), 286.44, 0.05275, 2.41)
    left = float(stand.thinned_volume(age, whole, ages, then, shares))
    assert 0 <= left <= float(whole)
    if age < ages[0] or not any(shares):
        assert left == float(whole)


def test_a_thinning_takes_its_share_of_what_stands() -> None:
    ages, shares = [14.0, 21.0], [0.4, 0.5]
    then = [50.0, 90.0]
    assert float(stand.thinned_volume(14.0, 50.0, ages, then, shares)) == 30
    # 30 + 40 more stand before the second thinning.
    assert float(stand.thinned_volume(21.0, 90.0, ages, then, shares)) == 35


@given(
    st.floats(60, 350),
    st.floats(0.03, 0.12),
    st.floats(1.3, 4.0),
)
@settings(max_examples=25, deadline=None)
def test_a_fit_finds_the_curve_behind_clean_measurements(asymptote: float, rate: float, shape: float) -> None:
    ages = np.array([5.0, 10, 15, 20, 27, 35, 45, 60])
    fit = stand.fitted_richards(ages, growth.volume_at_age(ages, asymptote, rate, shape), (5, 0.005, 1), (400, 0.3, 6))
    found = growth.volume_at_age(ages, fit.asymptote, fit.rate, fit.shape)
    assert found == pytest.approx(growth.volume_at_age(ages, asymptote, rate, shape), abs=0.05)


def test_noisier_measurements_make_a_less_sure_growth() -> None:
    ages = np.array([6.0, 12, 18, 24, 30, 38, 46])
    clean = growth.volume_at_age(ages, 180, 0.06, 2.3)
    wobble = np.array([1, -1, 1, -1, 1, -1, 1.0])
    sigmas = [
        stand.fit_sigma(stand.fitted_richards(ages, clean + noise * wobble, (5, 0.005, 1), (400, 0.3, 6)), 46, 66)
        for noise in (0.2, 1.0)
    ]
    assert 0 < sigmas[0] < sigmas[1]
    with pytest.raises(ValueError, match="does not grow"):
        stand.fit_sigma(stand.RichardsFit(180, 0.06, 2.3, ((0.0,) * 3,) * 3, 0.0, 7), 40, 40)
    with pytest.raises(ValueError, match="four measurements"):
        stand.fitted_richards([5, 5, 10, 20], [1, 1, 2, 3], (5, 0.005, 1), (400, 0.3, 6))


def test_a_trend_in_the_price_is_a_lower_rate_of_discount() -> None:
    tonnes, years = [100.0, 80.0], [5.0, 10.0]
    flat = measurement.carbon_stream_value(tonnes, years, 70.0, 0.08)
    assert flat == pytest.approx(7000 / 1.08**5 + 5600 / 1.08**10)
    assert measurement.carbon_stream_value(tonnes, years, 70.0, 0.08, 0.08) == pytest.approx(70 * 180)
    assert measurement.carbon_stream_value(tonnes, years, 70.0, 0.08, -0.02) < flat
