"""Forest land taken by projects: the loss, the split to the fen, and the states of the procedure."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.actions.landuse import discharge
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.settlement import ShortError
from services.sink.actions.valuations import live_stock
from services.sink.tables import Asset, Valuation
from shared import clock
from shared import money as house_money
from tests.conftest import Database
from tests.harness import BANK, BUREAU, body, client
from tests.sink.compensation import bureau, issued, member, money, tag
from tests.sink.examples import asset_request, forests

FEN = Decimal("0.01")


def project(**changes: Any) -> dict[str, Any]:
    """A wind farm on two hectares of pine."""
    return {
        "procedure": "朔林审 2026-17",
        "project": "wind farm, access road",
        "payer": "Hengshan Wind Power",
        "forest_owner": "右玉林场",
        "county": "youyu",
        "area_ha": "2",
        "species": [{"species": "pinus_tabuliformis", "share": "1"}],
        "planted_year": 2000,
        "survival": "0.85",
        "volume_m3_ha": "20",
    } | changes


def amount(value: dict[str, str]) -> Decimal:
    return Decimal(value["amount"])


def test_a_project_owes_the_stock_and_the_services_of_the_years_to_come(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    seen = body(bureau(sink_db).post("/v1/land-use-compensations", project()), 201)
    # 44/12 · 2 ha · 20 m3/ha · 0.394 · 1.589 · 1.251 · 0.503
    assert float(seen["stock_tonnes"]) == pytest.approx(44 / 12 * 2 * 20 * 0.394 * 1.589 * 1.251 * 0.503, abs=0.002)
    spot = amount(seen["unit_price"])
    assert float(amount(seen["stock_value"])) == pytest.approx(float(seen["stock_tonnes"]) * float(spot), abs=0.05)
    annuity = sum(1.08**-year for year in range(1, 21))
    loss = float(amount(seen["stock_value"])) + float(amount(seen["yearly_service_value"])) * annuity
    assert float(amount(seen["fee"])) == pytest.approx(loss, abs=0.15)
    assert amount(seen["yearly_service_value"]) > 0
    # Units of equal value: their price covers the fee, and one kilogram less would not.
    units = Decimal(seen["equal_tonnes"])
    assert units * spot >= amount(seen["fee"]) > (units - 1) * spot
    assert {"land_use.split", "land_use.service_years"} <= set(seen["unverified_parameters"])


def test_the_fee_is_split_between_state_and_owner_to_the_fen(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    for number, area in enumerate(("0.0001", "0.3333", "1.7", "12.3456")):
        seen = body(
            bureau(sink_db).post("/v1/land-use-compensations", project(procedure=f"no {number}", area_ha=area)), 201
        )
        fee, state, owner = (amount(seen[name]) for name in ("fee", "state_amount", "owner_amount"))
        assert state + owner == fee
        assert abs(state - fee * Decimal("0.3")) <= FEN
        assert seen["split"] == {"state": 3000, "owner": 7000}


@given(st.integers(1, 10**14), st.integers(0, 10_000))
def test_any_fee_splits_exactly_by_any_proportion(fen: int, state: int) -> None:
    fee = house_money.from_fen(fen)
    parts = house_money.split(fee, [state, 10_000 - state])
    assert sum(parts) == fee
    assert abs(parts[0] - fee * state / 10_000) <= FEN


def test_the_split_in_force_is_whole() -> None:
    for entry in PARAMETERS.entries["land_use.split"]:
        assert sum(entry.value.values()) == 10_000
        assert set(entry.value) == {"state", "owner"}


def test_a_part_of_a_registered_forest_carries_its_part_of_the_stock(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    half = asset.area_ha / 2
    asked = project(asset_id=str(asset.id), area_ha=str(half.quantize(Decimal("0.0001"))))
    for name in ("species", "planted_year", "survival", "volume_m3_ha"):
        del asked[name]
    seen = body(bureau(sink_db).post("/v1/land-use-compensations", asked), 201)
    with sealed(sink_db.sessions, BUREAU) as session:
        (valuation,) = session.query(Valuation).filter_by(asset_id=asset.id)
        whole = live_stock(json.loads(valuation.inputs))
    assert float(seen["stock_tonnes"]) == pytest.approx(whole / 2, rel=1e-3)
    problem = body(
        bureau(sink_db).post("/v1/land-use-compensations", asked | {"procedure": "x", "area_ha": "40000"}), 422
    )
    assert problem["errors"][0]["pointer"] == "/area_ha"


def test_grassland_in_the_register_is_no_forest_land(sink_db: Database) -> None:
    grass = body(
        bureau(sink_db).post("/v1/assets", asset_request(2, kind="grassland", species=[], volume_m3_ha=None)), 201
    )
    asked = project(asset_id=grass["id"], species=[], planted_year=None, survival=None, volume_m3_ha=None)
    problem = body(bureau(sink_db).post("/v1/land-use-compensations", asked), 422)
    assert problem["errors"][0]["pointer"] == "/asset_id"


def test_the_procedure_goes_from_assessed_by_paid_to_discharged_with_a_certificate(
    sink_db: Database, sealed: Any
) -> None:
    (asset,) = issued(sink_db, sealed, "800")
    made = body(bureau(sink_db).post("/v1/land-use-compensations", project(area_ha="1")), 201)
    path = f"/v1/land-use-compensations/{made['id']}"
    body(bureau(sink_db).post(f"{path}/discharge", If_Match=tag(made)), 409)
    receipt = {"amount": made["fee"], "reference": "slip 1"}
    recorded = body(bureau(sink_db).post(f"{path}/receipt", receipt, If_Match=tag(made)))
    assert recorded["state"] == "paid"
    done = body(bureau(sink_db).post(f"{path}/discharge", If_Match=tag(recorded)))
    assert done["state"] == "discharged"
    certificate = body(member(sink_db).get(f"/v1/certificates/{done['certificate_code']}"))
    assert certificate["state"] == "valid"
    assert certificate["content"]["kind"] == "land_use"
    assert certificate["content"]["tonnes"] == made["equal_tonnes"]
    with sealed(sink_db.sessions, BUREAU) as session:
        assert session.get_one(Asset, asset.id).retired_tonnes == Decimal(made["equal_tonnes"])
    body(bureau(sink_db).post(f"{path}/discharge", If_Match=tag(done)), 409)


def test_a_discharge_that_the_units_do_not_cover_leaves_the_compensation_paid(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "1")
    made = body(bureau(sink_db).post("/v1/land-use-compensations", project()), 201)
    path = f"/v1/land-use-compensations/{made['id']}"
    body(bureau(sink_db).post(f"{path}/receipt", {"amount": made["fee"], "reference": "s"}, If_Match=tag(made)))
    with pytest.raises(ShortError), sealed(sink_db.sessions, BUREAU) as session:
        discharge(session, UUID(made["id"]))
    assert body(bureau(sink_db).get(path))["state"] == "paid"
    assert body(bureau(sink_db).get("/v1/retirements"))["items"] == []


def test_a_procedure_is_assessed_once_and_dropped_only_unpaid(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    made = body(bureau(sink_db).post("/v1/land-use-compensations", project()), 201)
    body(bureau(sink_db).post("/v1/land-use-compensations", project()), 409)
    path = f"/v1/land-use-compensations/{made['id']}"
    wrong = {"amount": money("0.01"), "reference": "s"}
    assert body(bureau(sink_db).post(f"{path}/receipt", wrong, If_Match=tag(made)), 422)
    gone = body(bureau(sink_db).post(f"{path}/withdrawal", {"reason": "moved elsewhere"}, If_Match=tag(made)))
    assert gone["state"] == "withdrawn"
    right = {"amount": made["fee"], "reference": "s"}
    body(bureau(sink_db).post(f"{path}/receipt", right, If_Match=tag(gone)), 409)


def test_a_bank_neither_assesses_nor_sees_what_the_bureau_assessed(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    made = body(bureau(sink_db).post("/v1/land-use-compensations", project()), 201)
    officer = client("sink", sink_db, "officer", BANK)
    body(officer.post("/v1/land-use-compensations", project(procedure="x")), 403)
    body(officer.get(f"/v1/land-use-compensations/{made['id']}"), 404)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"species": []}, "/species"),
        ({"asset_id": "00000000-0000-0000-0000-000000000000"}, "/species"),
        ({"species": [{"species": "pinus_tabuliformis", "share": "0.5"}]}, "/species"),
        ({"species": [{"species": "pinus_tabuliformis", "share": "0.5"}] * 2}, "/species"),
        ({"planted_year": clock.today().year + 1}, "/planted_year"),
        ({"area_ha": "0"}, "/area_ha"),
        ({"survival": "1.1"}, "/survival"),
        ({"county": "taiyuan"}, "/county"),
        ({"fee": money("1.00")}, "/fee"),
    ],
)
def test_a_project_that_cannot_be_is_refused_by_name(sink_db: Database, changes: dict[str, Any], pointer: str) -> None:
    problem = body(bureau(sink_db).post("/v1/land-use-compensations", project(**changes)), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
