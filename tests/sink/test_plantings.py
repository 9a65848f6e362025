"""Plantings and adoptions: forecast growth becomes an allowance, and never a credit."""

import threading
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from services.sink.actions.plantings import AdoptionFacts, adopt
from services.sink.tables import Asset, Planting
from shared import clock
from shared.errors import ConflictError
from tests.conftest import Database
from tests.harness import BUREAU, body
from tests.sink.compensation import MEMBER, OTHER_MEMBER, bureau, member, tag
from tests.sink.examples import asset_request, forests, minted, square

YEAR = clock.today().year


def grove(place: int = 5, **changes: Any) -> dict[str, Any]:
    """A memorial grove of pines and poplars, planted this year."""
    return {
        "name": "右玉纪念林",
        "purpose": "memorial",
        "county": "youyu",
        "geometry": square(place),
        "species": [
            {"species": "pinus_tabuliformis", "share": "0.5"},
            {"species": "populus_simonii", "share": "0.5"},
        ],
        "planted_year": YEAR,
        "survival": "0.8",
        "trees": 90_000,
    } | changes


def planted(database: Database, place: int = 5, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = body(bureau(database).post("/v1/plantings", grove(place, **changes)), 201)
    return made


def test_a_planting_allows_what_it_is_forecast_to_grow_and_says_that_it_is_a_forecast(sink_db: Database) -> None:
    seen = planted(sink_db)
    assert seen["ex_ante"] is True
    assert [one["year"] for one in seen["schedule"]] == list(range(YEAR, YEAR + 20))
    grown = [Decimal(one["grown_tonnes"]) for one in seen["schedule"]]
    assert grown == sorted(grown)
    assert grown[-1] == Decimal(seen["allowance_tonnes"]) > 0
    assert "planting.deduction" in seen["unverified_parameters"]
    assert body(member(sink_db).get(f"/v1/plantings/{seen['id']}")) == seen


def test_the_allowance_is_in_proportion_to_survival(sink_db: Database) -> None:
    most, half = (planted(sink_db, place, survival=share) for place, share in ((5, "0.8"), (6, "0.4")))
    # The two squares lie side by side, so they differ by a hair in area as well.
    ratio = Decimal(half["allowance_tonnes"]) / Decimal(most["allowance_tonnes"])
    assert float(ratio) == pytest.approx(0.5, rel=1e-3)


def test_growth_before_the_entry_allows_nothing(sink_db: Database) -> None:
    old = planted(sink_db, planted_year=YEAR - 15)
    assert old["schedule"][0]["year"] == YEAR
    # Were the fifteen years before counted, the first year would hold most of the stock.
    assert Decimal(old["schedule"][0]["grown_tonnes"]) < Decimal(old["allowance_tonnes"]) / 10


def test_ground_that_earns_credits_gives_no_allowance_and_the_other_way_round(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    problem = body(bureau(sink_db).post("/v1/plantings", grove(0)), 409)
    assert problem["type"].endswith("/overlap")
    planted(sink_db, 7)
    assert body(bureau(sink_db).post("/v1/plantings", grove(7)), 409)["type"].endswith("/overlap")
    assert body(bureau(sink_db).post("/v1/assets", asset_request(7)), 409)["type"].endswith("/overlap")
    body(bureau(sink_db).post("/v1/assets", asset_request(8)), 201)


def test_no_column_of_a_planting_leads_to_an_issuance(sink_db: Database) -> None:
    planting = planted(sink_db)
    assert not {key.column.table.name for column in inspect(Planting).columns for key in column.foreign_keys}
    issuance = {
        "asset_id": planting["id"],
        "origin": "ccer:x",
        "vintage_from": f"{YEAR - 1}-01-01",
        "vintage_to": f"{YEAR - 1}-12-31",
        "tonnes": "1",
    }
    body(minted(sink_db, issuance), 404)
    with sink_db.sessions() as session:
        assert session.query(Asset).count() == 0


def test_trees_are_adopted_until_none_is_left_and_their_allowances_fit_into_the_plantings(sink_db: Database) -> None:
    planting = planted(sink_db)
    held = Decimal(0)
    for trees, holder in ((29_999, MEMBER), (30_000, OTHER_MEMBER), (30_001, None)):
        asked = {"adopter": "王家", "trees": trees, "holder": holder, "dedication": "纪念祖父"}
        made = body(bureau(sink_db).post(f"/v1/plantings/{planting['id']}/adoptions", asked), 201)
        assert made["ex_ante"] is True
        assert made["institution"] == (holder or BUREAU)
        held += Decimal(made["allowance_tonnes"])
    allowance = Decimal(planting["allowance_tonnes"])
    assert allowance - Decimal("0.003") < held <= allowance
    body(bureau(sink_db).post(f"/v1/plantings/{planting['id']}/adoptions", {"adopter": "x", "trees": 1}), 409)
    # Who adopted what is the holder's and the bureau's business alone.
    assert len(body(bureau(sink_db).get("/v1/adoptions"))["items"]) == 3
    (own,) = body(member(sink_db).get("/v1/adoptions"))["items"]
    assert own["trees"] == 29_999
    body(member(sink_db, OTHER_MEMBER).get(f"/v1/adoptions/{own['id']}"), 404)


def test_a_count_of_survivors_changes_what_is_still_to_grow_and_takes_nothing_away(sink_db: Database) -> None:
    planting = planted(sink_db, planted_year=YEAR - 5)
    path = f"/v1/plantings/{planting['id']}"
    adoption = body(bureau(sink_db).post(f"{path}/adoptions", {"adopter": "x", "trees": 45_000}), 201)
    planting = body(bureau(sink_db).get(path))
    count = {"survival": "0.4", "counted_on": clock.today().isoformat()}
    fewer = body(bureau(sink_db).post(f"{path}/survival-counts", count, If_Match=tag(planting)))
    before, after = ([Decimal(one["grown_tonnes"]) for one in seen["schedule"]] for seen in (planting, fewer))
    assert after[0] == before[0]
    assert after == sorted(after)
    # Half the survivors bind half as much, and what this year's claims may rest on is regrown first.
    assert float(after[-1]) == pytest.approx(float(before[-1]) / 2, rel=1e-6)
    held = body(bureau(sink_db).get(f"/v1/adoptions/{adoption['id']}"))
    assert Decimal(held["allowance_tonnes"]) <= after[-1] / 2
    assert Decimal(held["allowance_tonnes"]) > after[-1] / 2 - Decimal("0.001")
    none = {"survival": "0.0001", "counted_on": clock.today().isoformat()}
    dead = body(bureau(sink_db).post(f"{path}/survival-counts", none, If_Match=tag(fewer)))
    assert {Decimal(one["grown_tonnes"]) for one in dead["schedule"]} == {before[0]}
    for when in (f"{YEAR - 6}-12-31", f"{YEAR + 1}-01-01", f"{YEAR - 5}-07-01"):
        problem = body(
            bureau(sink_db).post(f"{path}/survival-counts", count | {"counted_on": when}, If_Match=tag(dead)), 422
        )
        assert problem["errors"][0]["pointer"] == "/counted_on"
    body(member(sink_db).post(f"{path}/survival-counts", count, If_Match=tag(dead)), 403)


def test_of_two_who_adopt_the_last_trees_one_gets_them(sink_db: Database, sealed: Any) -> None:
    planting = UUID(planted(sink_db, trees=100)["id"])
    start, outcomes = threading.Barrier(2), []

    def race(adopter: str) -> None:
        start.wait(10)
        try:
            with sealed(sink_db.sessions, BUREAU) as session:
                adopt(session, planting, AdoptionFacts(adopter, 60))
            outcomes.append("adopted")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=race, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["adopted", "refused"]
    with sealed(sink_db.sessions, BUREAU) as session:
        assert trees_left(session, planting) == 40


def trees_left(session: Session, planting_id: UUID) -> int:
    planting = session.get_one(Planting, planting_id)
    return planting.trees - planting.adopted_trees


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"species": [{"species": "hippophae", "share": "1"}]}, "/species"),
        ({"species": [{"species": "pinus_tabuliformis", "share": "0.9"}]}, "/species"),
        ({"species": []}, "/species"),
        ({"planted_year": YEAR + 1}, "/planted_year"),
        ({"trees": 10_000_000}, "/trees"),
        ({"trees": 0}, "/trees"),
        ({"trees": True}, "/trees"),
        ({"survival": "0"}, "/survival"),
        ({"geometry": square(5, side=0.00000001)}, "/geometry"),
        ({"purpose": "credits"}, "/purpose"),
        ({"grown_kg": [1]}, "/grown_kg"),
    ],
)
def test_a_planting_that_cannot_be_is_refused_by_name(sink_db: Database, changes: dict[str, Any], pointer: str) -> None:
    problem = body(bureau(sink_db).post("/v1/plantings", grove(**changes)), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert body(bureau(sink_db).get("/v1/plantings"))["items"] == []
