"""Ratings of non-permanence: the answers decide what the buffer takes, and never less than the programme asks."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.sink.tables import Asset
from shared import clock
from tests.conftest import Database
from tests.harness import BANK, BUREAU, Client, body, client
from tests.sink.examples import minted, read_asset, story
from tests.sink.test_ledger import by_account, forest


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The registrar."""
    return client("sink", sink_db, "bureau", BUREAU)


def answers(**changes: Any) -> dict[str, Any]:
    """Internal 8, external 5, natural 20·0.5 + 4 = 14: 27 in all."""
    fire = {"peril": "fire", "loss_share": "0.3", "return_period_years": "5", "mitigation": "one_measure"}
    pest = {"peril": "pest", "loss_share": "0.04", "return_period_years": "5", "mitigation": "none"}
    return {
        "rated_on": clock.today().isoformat(),
        "internal": {"management": "2", "financial_viability": "2", "opportunity_cost": "0", "longevity": "4"},
        "external": {"tenure": "2.5", "community": "2.5", "political": "0"},
        "natural": [fire, pest],
        "evidence": "archive 2026-17",
    } | changes


def issued(database: Database, asset: Asset, tonnes: str, origin: str, day: int = 0) -> dict[str, Any]:
    vintage = (clock.today() - timedelta(days=day)).isoformat()
    sent = {"asset_id": str(asset.id), "origin": origin, "tonnes": tonnes}
    return dict(body(minted(database, sent | {"vintage_from": vintage, "vintage_to": vintage}), 201))


def test_an_issuance_gives_the_rated_share_to_the_buffer_and_says_by_what(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = forest(sink_db, sealed)
    plain = issued(sink_db, asset, "90", "1", day=1)
    assert (plain["buffer_tonnes"], plain["buffer_share"], plain["buffer_basis"]) == ("10.000", "0.1000", "programme")
    assert plain["rating_id"] is None
    rated = body(bureau.post(f"/v1/assets/{asset.id}/ratings", answers()), 201)
    assert (rated["internal_points"], rated["external_points"], rated["natural_points"]) == ("8.00", "5.00", "14.00")
    assert (rated["buffer_share"], rated["failed"]) == ("0.2700", False)
    valued = story(sink_db, asset.id)[-1]
    # The forecast is what the owner gets of it.
    assert (valued.buffer, valued.version) == (Decimal("0.27"), 3)
    kept = issued(sink_db, asset, "73", "2")
    assert (kept["buffer_tonnes"], kept["buffer_share"], kept["buffer_basis"]) == ("27.000", "0.2700", "rating")
    assert kept["rating_id"] == rated["id"]
    assert by_account(sink_db, asset) == [("buffer", 10), ("free", 90), ("buffer", 27), ("free", 73)]
    (listed,) = body(client("sink", sink_db, "officer", BANK).get(f"/v1/assets/{asset.id}/ratings"))["items"]
    assert listed == rated
    (last, *_) = body(bureau.get(f"/v1/assets/{asset.id}/valuations"))["items"]
    assert (last["buffer_basis"], last["cause"]) == ("rating", "issuance")


def test_a_rating_below_the_programmes_share_lowers_nothing(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = forest(sink_db, sealed)
    mild = {"peril": "fire", "loss_share": "0.01", "return_period_years": "200", "mitigation": "none"}
    none = dict.fromkeys(("management", "financial_viability", "opportunity_cost", "longevity"), "0")
    none_outside = dict.fromkeys(("tenure", "community", "political"), "0")
    best = answers(natural=[mild], internal=none, external=none_outside)
    # The least a rating comes to is above this programme's share.
    assert body(bureau.post(f"/v1/assets/{asset.id}/ratings", best), 201)["buffer_share"] == "0.1200"
    with sealed(sink_db.sessions, BUREAU) as session:
        session.get_one(Asset, asset.id).programme = "gold_standard"
    assert issued(sink_db, asset, "80", "1")["buffer_tonnes"] == "20.000"


def test_a_risk_too_great_for_any_buffer_leaves_nothing_to_issue(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = forest(sink_db, sealed)
    fire = {"peril": "fire", "loss_share": "0.8", "return_period_years": "3", "mitigation": "none"}
    rated = body(bureau.post(f"/v1/assets/{asset.id}/ratings", answers(natural=[fire])), 201)
    assert (rated["failed"], rated["buffer_share"]) == (True, "1.0000")
    assert (story(sink_db, asset.id)[-1].removals[0].mean, read_asset(sink_db, asset.id).forecast_tonnes) == (0, 0)
    day = clock.today().isoformat()
    sent = {"asset_id": str(asset.id), "origin": "1", "tonnes": "1", "vintage_from": day, "vintage_to": day}
    problem = body(minted(sink_db, sent), 409)
    assert problem["errors"][0]["pointer"] == "/tonnes"
    # What is mended is rated anew; the day's rating before stands.
    twice = bureau.post(f"/v1/assets/{asset.id}/ratings", answers())
    assert body(twice, 409)["type"].endswith("/rated-before")
    with clock.travelled(timedelta(days=1)):
        body(bureau.post(f"/v1/assets/{asset.id}/ratings", answers()), 201)
    assert read_asset(sink_db, asset.id).forecast_tonnes > 0


def test_an_older_rating_is_kept_and_decides_nothing(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = forest(sink_db, sealed)
    body(bureau.post(f"/v1/assets/{asset.id}/ratings", answers()), 201)
    told = len(story(sink_db, asset.id))
    older = (clock.today() - timedelta(days=400)).isoformat()
    harvest = {"peril": "harvest", "loss_share": "0.6", "return_period_years": "9", "mitigation": "none"}
    body(bureau.post(f"/v1/assets/{asset.id}/ratings", answers(rated_on=older, natural=[harvest])), 201)
    assert len(story(sink_db, asset.id)) == told
    assert read_asset(sink_db, asset.id).rated_share == Decimal("0.27")


def test_a_rating_that_cannot_be_is_refused(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = forest(sink_db, sealed)
    path, fire = f"/v1/assets/{asset.id}/ratings", answers()["natural"][0]
    for pointer, changes in (
        ("/rated_on", {"rated_on": (clock.today() + timedelta(days=1)).isoformat()}),
        ("/natural", {"natural": []}),
        ("/natural", {"natural": [fire, fire]}),
        ("/natural/0/loss_share", {"natural": [fire | {"loss_share": "1.1"}]}),
        ("/natural/0/mitigation", {"natural": [fire | {"mitigation": "prayer"}]}),
        ("/internal/management", {"internal": answers()["internal"] | {"management": "-1"}}),
        ("/evidence", {"evidence": ""}),
    ):
        problem = body(bureau.post(path, answers(**changes)), 422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], problem
    other = client("sink", sink_db, "bureau", "bureau-elsewhere")
    assert other.post(path, answers()).status_code == 403
    assert body(bureau.get(path))["items"] == []
