"""The programme: dated data with sources, and targets against what the register holds."""

from decimal import Decimal
from typing import Any

import pytest

from shared import clock
from tests.conftest import Database
from tests.harness import BANK, body, client
from tests.sink.compensation import bureau
from tests.sink.examples import asset_request, forests
from tests.sink.test_plantings import planted

YEAR = clock.today().year


def targets(database: Database) -> dict[str, dict[str, Any]]:
    officer = client("sink", database, "officer", BANK)
    return {one["code"]: one for one in body(officer.get("/v1/programme/targets"))["items"]}


def test_everybody_reads_the_parameters_with_their_sources(sink_db: Database) -> None:
    officer = client("sink", sink_db, "officer", BANK)
    seen = {one["name"]: one for one in body(officer.get("/v1/programme/parameters"))["items"]}
    assert {"programme.compensation_standard", "programme.quota", "programme.price_subsidy"} <= set(seen)
    assert seen["land_use.split"]["value"] == {"state": 3000, "owner": 7000}
    assert seen["footprint.electricity_national"]["value"] == 0.5366
    assert seen["footprint.electricity_national"]["verified"] == "secondary"
    assert all(len(one["source"]) > 8 and one["unit"] for one in seen.values())
    assert not [name for name in seen if name.startswith(("price.", "species."))]


def test_the_targets_are_the_bureaus_totals(sink_db: Database) -> None:
    seen = targets(sink_db)
    assert {code: (one["target"], one["unit"], one["verified"]) for code, one in seen.items()} == {
        "planting": ("250000.000", "mu/yr", "read"),
        "forest_area": ("3267800.000", "mu", "read"),
        "growing_stock": ("4302400.000", "m3", "read"),
        "forest_cover": ("0.260", "-", "secondary"),
        "grassland_cover": ("0.735", "-", "secondary"),
        "wetland_protection": ("0.550", "-", "secondary"),
    }
    assert seen["planting"]["held"] == "0.000"


def test_the_register_and_the_plantings_are_held_against_the_targets(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    young = asset_request(1, planted_year=YEAR, volume_m3_ha=None)
    fresh = body(bureau(sink_db).post("/v1/assets", young), 201)
    grass = asset_request(2, kind="grassland", species=[], volume_m3_ha=None)
    body(bureau(sink_db).post("/v1/assets", grass), 201)
    grove = planted(sink_db, 5)
    seen = targets(sink_db)
    areas = [asset.area_ha, Decimal(fresh["area_ha"]), Decimal(grove["area_ha"])]
    assert Decimal(seen["forest_area"]["held"]) == pytest.approx(sum(areas) * 15, abs=Decimal("0.01"))
    assert seen["forest_area"]["counted"] == 3
    assert Decimal(seen["planting"]["held"]) == pytest.approx((areas[1] + areas[2]) * 15, abs=Decimal("0.01"))
    assert Decimal(seen["growing_stock"]["held"]) == pytest.approx(areas[0] * 20, abs=Decimal("0.01"))
    assert (seen["growing_stock"]["counted"], seen["growing_stock"]["not_counted"]) == (1, 2)
    assert [reason["code"] for reason in seen["growing_stock"]["reasons"]] == ["not_measured"]
    share = Decimal(seen["forest_area"]["held"]) / 3_267_800
    assert Decimal(seen["forest_area"]["share"]) == pytest.approx(share, abs=Decimal("0.000001"))
    assert seen["grassland_cover"]["held"] is None
    assert seen["grassland_cover"]["counted"] == 1
    assert [reason["code"] for reason in seen["grassland_cover"]["reasons"]] == ["no_denominator"]
