"""The reference pools of the red pine, run live in libcbm, and our root formulas on what comes out."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

from services.sink.formulas import biomass, growth
from tests.sink.formulas.test_published_cases import CASES

CASE = next(case for case in CASES if case["id"] == "libcbm-red-pine")
RATIO, HARDWOOD = 0.222, (1.576, 0.615, 0.5)


def pools(species: str, steps: int) -> list[dict[str, float]]:
    """Pools of one hectare planted on bare ground, each year; tC. The input is that of the reference case."""
    import pandas
    from libcbm.model.cbm import cbm_simulator
    from libcbm.model.cbm.stand_cbm_factory import StandCBMFactory
    from libcbm.storage import dataframe

    given = CASE["inputs"]
    curve = [[age, 150 * (1 - math.exp(-0.06 * age)) ** 2] for age in range(201)]
    volumes = [{"species": species, "age_volume_pairs": curve}]
    with warnings.catch_warnings():
        # The library warns that it was not tried on every Linux; it works on them.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="libcbm")
        factory = StandCBMFactory({"stand": ["one"]}, [{"classifier_set": ["one"], "merch_volumes": volumes}])
    names = ("admin_boundary", "eco_boundary", "age", "delay", "land_class", "afforestation_pre_type")
    disturbances = ("historic_disturbance_type", "last_pass_disturbance_type")
    stand = {"stand": "one", "area": float(given["area_ha"])} | {name: given[name] for name in names + disturbances}
    classifiers, inventory = factory.prepare_inventory(dataframe.from_pandas(pandas.DataFrame([stand])))
    (event,) = given["events"]
    planting = factory.defaults_ref.get_disturbance_type_id(event["disturbance"])
    rows: list[dict[str, float]] = []

    def report(_: int, variables: Any) -> None:
        rows.append(dict(variables.pools.to_pandas().iloc[0]))

    def disturb(step: int, variables: Any) -> Any:
        variables.parameters["disturbance_type"].assign(np.array([planting if step == event["t"] else 0]))
        return variables

    with factory.initialize_cbm() as model:
        cbm_simulator.simulate(model, steps, classifiers, inventory, report, disturb)
    return rows


@pytest.fixture(scope="module")
def red_pine() -> list[dict[str, float]]:
    """The run of the reference case."""
    return pools("Red pine", CASE["inputs"]["steps"])


@pytest.mark.parametrize("expected", CASE["expected"], ids=lambda row: f"t={row['t']}")
def test_libcbm_gives_the_pools_of_the_reference_table(
    red_pine: list[dict[str, float]], expected: dict[str, float]
) -> None:
    row = red_pine[int(expected["t"])]
    names = {"merch": "Merch", "foliage": "Foliage", "other": "Other"}
    names |= {"coarse_roots": "CoarseRoots", "fine_roots": "FineRoots"}
    told = {name: row[f"Softwood{pool}"] for name, pool in names.items()}
    told["V"] = float(growth.volume_at_age(expected["t"], 150, 0.06, 2))
    told["AGB"] = float(biomass.pool_total([told["merch"], told["foliage"], told["other"]]))
    told["BGB"] = float(biomass.softwood_root_carbon(told["AGB"], RATIO))
    told["DOM"] = sum(carbon for pool, carbon in row.items() if "Soil" in pool or "Snag" in pool)
    assert told == pytest.approx({name: expected[name] for name in told}, abs=CASE["tolerance"], rel=0)


def test_the_softwood_roots_of_libcbm_are_ours_every_year(red_pine: list[dict[str, float]]) -> None:
    for row in red_pine:
        shoots = row["SoftwoodMerch"] + row["SoftwoodFoliage"] + row["SoftwoodOther"]
        roots = row["SoftwoodCoarseRoots"] + row["SoftwoodFineRoots"]
        assert roots == pytest.approx(float(biomass.softwood_root_carbon(shoots, RATIO)), abs=1e-9)


def test_the_hardwood_roots_of_libcbm_are_ours_every_year() -> None:
    for row in pools("Trembling aspen", 30):
        shoots = row["HardwoodMerch"] + row["HardwoodFoliage"] + row["HardwoodOther"]
        roots = row["HardwoodCoarseRoots"] + row["HardwoodFineRoots"]
        assert roots == pytest.approx(float(biomass.hardwood_root_carbon(shoots, *HARDWOOD)), abs=1e-9)
