"""Footprints: what is estimated, what is kept with it, and what is refused."""

from decimal import Decimal
from typing import Any

import pytest

from services.sink.actions.kilograms import tonnes_up
from services.sink.actions.parameters import PARAMETERS
from shared import clock
from tests.conftest import Database
from tests.harness import body
from tests.sink.compensation import OTHER_MEMBER, meeting, member

TODAY = clock.today().isoformat()


def test_a_meetings_footprint_is_kept_with_its_factors_and_what_nobody_verified(sink_db: Database) -> None:
    campus = member(sink_db)
    made = campus.post("/v1/footprints", meeting())
    seen = body(made, 201)
    # 3,160.32 kg by train, 76.912 by car, 536.6 of power, 2,140 of rooms, 448.8 of meals, up to the next kilogram.
    assert seen["tonnes"] == "6.363"
    assert [(line["activity"], line["quantity"], line["tonnes"]) for line in seen["lines"]] == [
        ("rail", "76800", "3.160"),
        ("car", "400", "0.077"),
        ("electricity_national", "1000", "0.537"),
        ("meal", "240", "0.449"),
        ("room_night", "40", "2.140"),
    ]
    assert seen["unverified_parameters"] == ["footprint.meal", "footprint.room_night"]
    assert seen["parameters_hash"] == PARAMETERS.at(clock.today()).digest
    assert body(campus.get(made.headers["Location"])) == seen
    assert body(campus.get("/v1/footprints", kind="meeting"))["items"] == [seen]
    assert body(campus.get("/v1/footprints", kind="forum"))["items"] == []


@pytest.mark.parametrize("kind", ["meeting", "performance", "match", "forum", "exhibition"])
def test_the_same_event_weighs_the_same_whatever_it_is_called(sink_db: Database, kind: str) -> None:
    assert body(member(sink_db).post("/v1/footprints", meeting(kind=kind)), 201)["tonnes"] == "6.363"


def test_an_organisation_burns_buys_and_travels(sink_db: Database) -> None:
    year = meeting(
        kind="organisation",
        journeys=[{"mode": "domestic_flight", "travellers": 1, "distance_km": "1000"}],
        activities={"natural_gas": "10000", "electricity_national": "50000", "waste": "2000"},
    )
    # 21,620 + 26,830 + 509.86 + 900 kg
    assert body(member(sink_db).post("/v1/footprints", year), 201)["tonnes"] == "49.860"


def test_a_persons_home_is_shared_by_those_who_live_there(sink_db: Database) -> None:
    life = meeting(
        kind="person",
        journeys=[{"mode": "car", "travellers": 1, "distance_km": "5000", "trips": 1}],
        activities={"diet_day": "365"},
        household={"electricity_shanxi": "2400", "natural_gas": "300"},
        household_size=3,
    )
    seen = body(member(sink_db).post("/v1/footprints", life), 201)
    # (1,703.04 + 648.6)/3 + 961.4 + 2,044 kg
    assert seen["tonnes"] == "3.790"
    assert {line["activity"]: line["tonnes"] for line in seen["lines"]}["natural_gas"] == "0.216"


def test_another_institutions_footprint_is_not_there(sink_db: Database) -> None:
    made = body(member(sink_db).post("/v1/footprints", meeting()), 201)
    other = member(sink_db, OTHER_MEMBER)
    assert body(other.get(f"/v1/footprints/{made['id']}"), 404)
    assert body(other.get("/v1/footprints"))["items"] == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"period_until": "2020-01-01"}, "/period_until"),
        ({"journeys": [], "activities": {}}, "/activities"),
        ({"household": {"coal": "10"}, "household_size": 2}, "/household"),
        ({"kind": "person", "household_size": 2}, "/household_size"),
        ({"kind": "person", "household": {"coal": "10"}}, "/household_size"),
        ({"kind": "wedding"}, "/kind"),
        ({"activities": {"champagne": "10"}}, "/activities/champagne/key"),
        ({"activities": {"meal": "0"}}, "/activities/meal/value"),
        ({"activities": {"meal": "-1"}}, "/activities/meal/value"),
        ({"activities": {"meal": 5}}, "/activities/meal/value"),
        ({"journeys": [{"mode": "rail", "travellers": 0, "distance_km": "1"}]}, "/journeys/0/travellers"),
        ({"journeys": [{"mode": "rail", "travellers": 1, "distance_km": "0"}]}, "/journeys/0/distance_km"),
        ({"tonnes": "1"}, "/tonnes"),
    ],
)
def test_what_cannot_be_is_refused_by_name(sink_db: Database, changes: dict[str, Any], pointer: str) -> None:
    campus = member(sink_db)
    problem = body(campus.post("/v1/footprints", meeting(**changes)), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert body(campus.get("/v1/footprints"))["items"] == []


def test_noise_of_floating_point_is_no_kilogram() -> None:
    assert tonnes_up(0.1 + 0.2) == Decimal("0.300")
    assert tonnes_up(0.3000011) == Decimal("0.301")
