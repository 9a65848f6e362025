"""The sink's HTTP door: who may do what, what is refused and how it is told."""

import json
from typing import Any
from uuid import uuid4

import pytest

from services.sink.consumers import DOOR
from shared import jobs
from shared.events.sink import AssetRegistered, CarbonAssetValued
from tests.conftest import Database
from tests.harness import BANK, BUREAU, INSURER, OTHER_BANK, Client, body, client, deliver, published
from tests.sink.examples import accepted, asset_request, forests, minted, square, years_from_today

CURVE = {
    "name": "autumn",
    "spot_price": {"amount": "55.00", "currency": "CNY"},
    "long_run_price": {"amount": "60.00", "currency": "CNY"},
    "reversion": "0.25",
    "volatility": "0.35",
    "source": "weekly bulletin",
}


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The bureau's surveyor."""
    return client("sink", sink_db, "bureau", BUREAU)


@pytest.fixture
def approver(sink_db: Database) -> Client:
    """The bureau's second person."""
    return client("sink", sink_db, "bureau-approver", BUREAU)


@pytest.fixture
def officer(sink_db: Database) -> Client:
    """A bank's loan officer."""
    return client("sink", sink_db, "officer", BANK)


def ring(*corners: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in corners]]}


def test_a_forest_is_registered_valued_and_read_by_everybody(
    sink_db: Database, bureau: Client, officer: Client
) -> None:
    made = bureau.post("/v1/assets", asset_request())
    asset = body(made, 201)
    assert made.headers["Location"] == f"/v1/assets/{asset['id']}"
    assert made.headers["ETag"] == '"v1"'
    valuation = body(bureau.post(f"/v1/assets/{asset['id']}/valuations"), 201)
    seen = body(officer.get(f"/v1/assets/{asset['id']}"))
    assert (seen["registrar"], seen["valuation_version"]) == (BUREAU, 1)
    assert seen["units"]["free"] == seen["units"]["forecast"] == valuation["forecast_tonnes"]
    assert body(officer.get(f"/v1/valuations/{valuation['id']}")) == valuation
    listed = body(officer.get(f"/v1/assets/{asset['id']}/valuations"))
    assert listed["items"] == [valuation]
    assert valuation["present_value"]["mean"]["currency"] == "CNY"
    assert len(published(sink_db, AssetRegistered, CarbonAssetValued)) == 2


def test_anybody_reproduces_a_valuation(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    insurer = client("sink", sink_db, "insurer", INSURER)
    (asset,) = body(insurer.get("/v1/assets"))["items"]
    (valuation,) = body(insurer.get(f"/v1/assets/{asset['id']}/valuations"))["items"]
    again = body(insurer.post(f"/v1/valuations/{valuation['id']}/reproduction"))
    assert again["reproduced"]
    assert again["outputs_hash"] == valuation["outputs_hash"]
    assert json.loads(valuation["inputs"])["seed"] == valuation["seed"]


def test_a_dry_run_shows_the_value_and_writes_nothing(sink_db: Database, bureau: Client) -> None:
    shown = bureau.post("/v1/assets?dry_run=true", asset_request())
    assert body(shown, 201)["name"] == "Parcel 0"
    assert body(bureau.get("/v1/assets"))["items"] == []
    assert published(sink_db) == []


def test_the_register_is_filtered_and_paged(sink_db: Database, sealed: Any, officer: Client) -> None:
    forests(sink_db, sealed, 3)
    first = body(officer.get("/v1/assets", limit=2, county="youyu"))
    rest = body(officer.get("/v1/assets", limit=2, county="youyu", cursor=first["next"]))
    assert len(first["items"]) == 2
    assert (len(rest["items"]), rest["next"]) == (1, None)
    assert body(officer.get("/v1/assets", county="pinglu"))["items"] == []
    assert officer.get("/v1/assets", limit=2, county="pinglu", cursor=first["next"]).status_code == 400
    assert officer.get("/v1/assets", county="atlantis").status_code == 422


@pytest.mark.parametrize(
    ("geometry", "pointer"),
    [
        (ring((39.2, 112.0), (39.2, 112.01), (39.21, 112.01), (39.2, 112.0)), "/geometry/coordinates/0/0"),
        (ring((2.0, 48.0), (2.01, 48.0), (2.01, 48.01), (2.0, 48.0)), "/geometry/coordinates/0/0"),
        (
            ring((112.0, 39.2), (112.01, 39.21), (112.01, 39.2), (112.0, 39.21), (112.0, 39.2)),
            "/geometry/coordinates",
        ),
        (ring((112.0, 39.2), (112.01, 39.2), (112.01, 39.21), (112.0, 39.21)), "/geometry/coordinates/0"),
        (ring((112.0, 39.2), (112.01, 39.2), (112.02, 39.2), (112.0, 39.2)), "/geometry/coordinates"),
        (ring((112.0, 39.2), (112.0, 39.2), (112.0, 39.2), (112.0, 39.2)), "/geometry/coordinates"),
        (ring((112.0, 39.2), (112.01, 39.2), (112.0, 39.2)), "/geometry/coordinates/0"),
        ({"type": "Point", "coordinates": [112.0, 39.2]}, "/geometry/type"),
        ({"type": "Polygon", "coordinates": []}, "/geometry/coordinates"),
        ({"type": "Polygon", "coordinates": [[[112.0, 39.2, 900.0]] * 4]}, "/geometry/coordinates/0/0"),
        ({"type": "Polygon", "coordinates": [[["112.0", 39.2]] * 4]}, "/geometry/coordinates/0/0/0"),
        ({"type": "Polygon", "coordinates": [[[112.0, 39.2]] * 1001]}, "/geometry/coordinates/0"),
        (
            {"type": "Polygon", "coordinates": square()["coordinates"] + [[[112.0, 39.2]] * 999]},
            "/geometry/coordinates",
        ),
        (square(side=0.0001), "/geometry"),
        ({**square(), "crs": {}}, "/geometry/crs"),
    ],
)
def test_ground_that_cannot_be_is_refused_with_its_place(
    sink_db: Database, bureau: Client, geometry: dict[str, Any], pointer: str
) -> None:
    problem = body(bureau.post("/v1/assets", asset_request(geometry=geometry)), 422)
    assert problem["type"].endswith("/problems/invalid")
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert published(sink_db) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "verified"},
        {"registrar": "bureau-elsewhere"},
        {"area_ha": "12"},
        {"kind": "desert"},
        {"species": [{"species": "baobab", "share": "1"}]},
        {"species": [{"species": "larix_principis", "share": 1}]},
        {"hazards": {"meteor": "0.1"}},
        {"hazards": {"fire": "1.1"}},
        {"survival": 0.85},
        {"volume_m3_ha": "-1"},
        {"name": "a\u0000b"},
        {"planted_year": "2012"},
        {"planted_year": True},
        {"title_until": "2060-02-30"},
        {"geometry": None},
    ],
)
def test_a_request_with_a_wrong_field_is_refused(sink_db: Database, bureau: Client, changes: dict[str, Any]) -> None:
    assert bureau.post("/v1/assets", asset_request(**changes)).status_code == 422
    assert published(sink_db) == []


def test_the_same_ground_twice_is_a_conflict_that_names_nobody(bureau: Client) -> None:
    body(bureau.post("/v1/assets", asset_request()), 201)
    problem = body(bureau.post("/v1/assets", asset_request(name="again")), 409)
    assert problem["type"].endswith("/problems/overlap")
    assert "Parcel" not in json.dumps(problem)
    assert BUREAU not in json.dumps(problem)


def test_writing_needs_its_scope_and_a_token(sink_db: Database, sealed: Any, officer: Client, bureau: Client) -> None:
    (asset,) = forests(sink_db, sealed)
    writes = {
        "/v1/assets": asset_request(5),
        f"/v1/assets/{asset.id}/valuations": None,
        "/v1/asset-imports": {"rows": [asset_request(5)]},
        "/v1/price-curves": CURVE,
        f"/v1/price-curves/{uuid4()}/approval": {"payload_hash": "0" * 64, "approve": True},
        "/v1/reversals": {"peril": "fire", "occurred_on": "2026-01-01", "county": "youyu", "severity": "0.5"},
        "/v1/issuance-proposals": {},
        f"/v1/issuance-proposals/{uuid4()}/issuance": {},
        "/v1/retirements": {},
    }
    nobody = client("sink", sink_db)
    for path, sent in writes.items():
        assert officer.post(path, sent).status_code == 403, path
        assert nobody.post(path, sent).status_code == 401, path
    assert nobody.get("/v1/assets").status_code == 401
    assert bureau.post(f"/v1/price-curves/{uuid4()}/approval", {}).status_code == 403


def test_an_asset_of_another_register_is_read_and_not_written(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    stranger = client("sink", sink_db, "bureau", "bureau-elsewhere")
    assert body(stranger.get(f"/v1/assets/{asset.id}"))["registrar"] == BUREAU
    assert stranger.post(f"/v1/assets/{asset.id}/valuations").status_code == 403


def test_what_is_not_there_is_not_found(bureau: Client) -> None:
    missing = uuid4()
    for path in ("assets", "valuations", "price-curves", "pledges", "jobs"):
        assert bureau.get(f"/v1/{path}/{missing}").status_code == 404
    assert bureau.get(f"/v1/assets/{missing}/valuations").status_code == 404
    assert bureau.post(f"/v1/assets/{missing}/valuations").status_code == 404
    assert bureau.post(f"/v1/valuations/{missing}/reproduction").status_code == 404


def test_an_import_is_accepted_and_followed_as_a_job(sink_db: Database, bureau: Client) -> None:
    started = bureau.post("/v1/asset-imports", {"rows": [asset_request(0), asset_request(1, survival="2")]})
    job = body(started, 202)
    assert (job["state"], job["total"]) == ("running", 2)
    while jobs.run_step(sink_db.worker_sessions, DOOR.jobs):
        pass
    done = body(bureau.get(started.headers["Location"]))
    assert (done["state"], done["done"]) == ("finished", 2)
    assert [(line["row"], line["field"]) for line in done["log"]] == [(2, "/survival")]
    assert bureau.post("/v1/asset-imports", {"rows": []}).status_code == 422
    assert bureau.post("/v1/asset-imports", {"rows": [{}] * 1001}).status_code == 422
    assert bureau.post("/v1/asset-imports", {"rows": ["x"]}).status_code == 422


@pytest.mark.parametrize(
    "row", [{"name": "a\0"}, {"a\0": 1}, {"deep": [{"in": ["it\0"]}]}], ids=["value", "key", "deep"]
)
def test_an_import_with_nul_is_refused_where_it_stands(bureau: Client, row: dict[str, Any]) -> None:
    problem = body(bureau.post("/v1/asset-imports", {"rows": [{}, row]}), 422)
    assert problem["errors"] == [{"pointer": "/rows/1", "detail": "Contains NUL."}]


def test_a_price_curve_needs_a_second_person_who_saw_it(
    sink_db: Database, sealed: Any, bureau: Client, approver: Client
) -> None:
    forests(sink_db, sealed, 2)
    curve = body(bureau.post("/v1/price-curves", CURVE), 201)
    assert curve["state"] == "proposed"
    path = f"/v1/price-curves/{curve['id']}/approval"
    assert approver.post(path, {"payload_hash": "0" * 64, "approve": True}).status_code == 409
    decided = body(approver.post(path, {"payload_hash": curve["payload_hash"], "approve": True}))
    assert (decided["state"], decided["decided_by"]) == ("approved", f"bureau-approver@{BUREAU}")
    assert approver.post(path, {"payload_hash": curve["payload_hash"], "approve": True}).status_code == 409
    while jobs.run_step(sink_db.worker_sessions, DOOR.jobs):
        pass
    assert body(approver.get(f"/v1/jobs/{decided['job_id']}"))["state"] == "finished"
    assert {asset["valuation_version"] for asset in body(bureau.get("/v1/assets"))["items"]} == {2}
    assert body(bureau.get("/v1/price-curves"))["items"] == [decided]


def test_a_reversal_names_assets_or_a_county(sink_db: Database, sealed: Any, bureau: Client) -> None:
    first, _ = forests(sink_db, sealed, 2)
    event = {"peril": "fire", "occurred_on": first.measured_on.isoformat()}
    hit = {"asset_id": str(first.id), "severity": "0.5", "damaged_ha": "10"}
    told = body(bureau.post("/v1/reversals", {**event, "event_area_ha": "40", "assets": [hit]}), 201)
    (one,) = told["items"]
    assert (one["asset_id"], one["damaged_ha"], one["event_area_ha"]) == (str(first.id), "10.0000", "40.0000")
    assert float(one["value_after"]["mean"]["amount"]) < float(one["value_before"]["mean"]["amount"])
    county = body(bureau.post("/v1/reversals", {**event, "county": "youyu", "severity": "0.1"}), 201)
    assert len(county["items"]) == 2
    assert len(body(bureau.get("/v1/reversals"))["items"]) == 3
    assert len(body(bureau.get("/v1/reversals", asset_id=str(first.id)))["items"]) == 2
    for wrong in (
        event,
        {**event, "county": "youyu"},
        {**event, "severity": "0.5", "assets": [hit]},
        {**event, "county": "youyu", "severity": "0.5", "assets": [hit]},
        {**event, "county": "youyu", "severity": "0"},
        {**event, "peril": "meteor", "county": "youyu", "severity": "0.5"},
    ):
        assert bureau.post("/v1/reversals", wrong).status_code == 422


def test_a_bank_sees_its_own_pledges_and_everybody_the_sum(sink_db: Database, sealed: Any, officer: Client) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "10")])
    deliver("sink", sink_db, loan)
    (pledge,) = body(officer.get("/v1/pledges", loan_id=str(loan.loan_id)))["items"]
    assert (pledge["tonnes"], pledge["state"], pledge["rank"]) == ("10.000", "placed", 1)
    assert body(officer.get(f"/v1/pledges/{pledge['id']}")) == pledge
    other = client("sink", sink_db, "officer", OTHER_BANK)
    assert body(other.get("/v1/pledges"))["items"] == []
    assert other.get(f"/v1/pledges/{pledge['id']}").status_code == 404
    assert body(other.get(f"/v1/assets/{asset.id}"))["units"]["pledged"] == "10.000"


def test_credits_are_issued_once_and_retired_for_a_reason(sink_db: Database, sealed: Any, bureau: Client) -> None:
    (asset,) = forests(sink_db, sealed, crediting_from=years_from_today(-3))
    today = asset.measured_on.isoformat()
    issue = {"asset_id": str(asset.id), "origin": "ccer:1", "vintage_from": today, "vintage_to": today, "tonnes": "5"}
    body(minted(sink_db, issue), 201)
    again = body(minted(sink_db, issue), 409)
    assert again["type"].endswith("/problems/issued-before")
    retire = {"asset_id": str(asset.id), "tonnes": "2", "reason": "winter sports meeting"}
    body(bureau.post("/v1/retirements", retire), 201)
    assert bureau.post("/v1/retirements", {**retire, "tonnes": "4"}).status_code == 409
    assert bureau.post("/v1/retirements", {**retire, "reason": ""}).status_code == 422
    units = body(bureau.get(f"/v1/assets/{asset.id}"))["units"]
    assert (units["issued"], units["retired"]) == ("5.000", "2.000")
    assert len(body(bureau.get("/v1/issuances", asset_id=str(asset.id)))["items"]) == 1
    assert len(body(bureau.get("/v1/retirements"))["items"]) == 1


def test_a_repeated_request_gets_its_first_answer(sink_db: Database, bureau: Client) -> None:
    key = str(uuid4())
    first = bureau.post("/v1/assets", asset_request(), Idempotency_Key=key)
    again = bureau.post("/v1/assets", asset_request(), Idempotency_Key=key)
    assert body(again, 201) == body(first, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(published(sink_db)) == 1


def test_the_api_describes_itself(bureau: Client) -> None:
    described = body(bureau.get("/v1/openapi.json"))
    assert "/v1/assets" in described["paths"]
    assert described["paths"]["/v1/reversals"]["post"]["summary"].startswith("Report a fire")
