"""A reversal drawn on the map: what it lies on is damaged, and nothing else."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.sink.actions.reversals import report_polygon_reversal
from shared import clock
from shared.errors import ConflictError, InvalidError
from shared.events.sink import CarbonAssetValued, ReversalReported
from tests.conftest import Database
from tests.harness import BUREAU, body, client, published
from tests.sink.examples import SIDE, facts, forests, imported, read_asset, square


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


#: Over the eastern half of the forest at place 0 and the whole of the one at place 1, a kilometre and more to its east.
HALF_AND_WHOLE = box(112.0 + SIDE / 2, 39.19, 112.035, 39.22)


def test_a_fire_on_the_map_damages_what_it_lies_on(sink_db: Database, sealed: Any) -> None:
    half, whole, spared = forests(sink_db, sealed, 3)
    with sealed(sink_db.sessions, BUREAU) as session:
        rows = report_polygon_reversal(session, "fire", clock.today(), HALF_AND_WHOLE, Decimal("0.6"))
    assert {row.asset_id for row in rows} == {half.id, whole.id}
    damaged = {row.asset_id: row.damaged_ha for row in rows}
    assert damaged[half.id] == pytest.approx(half.area_ha / 2, rel=Decimal("0.001"))
    assert damaged[whole.id] == pytest.approx(whole.area_ha, abs=Decimal("0.0002"))
    # 0.03° by 0.03° of ground at 39.2° N, most of it no forest of this register.
    assert {row.event_area_ha for row in rows} == {rows[0].event_area_ha}
    assert rows[0].event_area_ha == pytest.approx(Decimal(863), abs=Decimal(5))
    assert len({row.event_id for row in rows}) == 1
    assert read_asset(sink_db, half.id).live_share == pytest.approx(Decimal("0.7"), abs=Decimal("0.001"))
    assert read_asset(sink_db, whole.id).live_share == pytest.approx(Decimal("0.4"), abs=Decimal("0.001"))
    assert read_asset(sink_db, spared.id).live_share == 1
    told = published(sink_db, ReversalReported)
    assert all(0 < one.carbon_emitted < one.live_carbon_lost for one in told)
    assert len(published(sink_db, CarbonAssetValued)) == 3 + 2


def test_two_halves_of_a_fire_take_what_the_whole_takes(sink_db: Database, sealed: Any) -> None:
    one, other = forests(sink_db, sealed, 2)
    west, middle, east = 112.02, 112.02 + SIDE / 2, 112.02 + SIDE
    with sealed(sink_db.sessions, BUREAU) as session:
        (whole,) = report_polygon_reversal(session, "fire", clock.today(), square(0), Decimal("0.3"))
        (left,) = report_polygon_reversal(
            session, "fire", clock.today(), box(west, 39.2, middle, 39.21), Decimal("0.3")
        )
        (right,) = report_polygon_reversal(
            session, "fire", clock.today(), box(middle, 39.2, east, 39.21), Decimal("0.3")
        )
    assert whole.asset_id == one.id
    assert left.asset_id == right.asset_id == other.id
    assert left.damaged_ha + right.damaged_ha == pytest.approx(whole.damaged_ha, abs=Decimal("0.001"))


def test_a_neighbour_that_the_fire_only_touches_is_spared(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    beside = box(112.0 + SIDE, 39.2, 112.0 + 2 * SIDE, 39.21)
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ConflictError, match="no forest"):
        report_polygon_reversal(session, "fire", clock.today(), beside, Decimal("0.5"))
    assert read_asset(sink_db, asset.id).live_share == 1


def test_a_forest_with_a_hole_is_spared_where_nothing_of_it_stands(sink_db: Database, sealed: Any) -> None:
    ring = square()["coordinates"][0]
    hole = [[112.004, 39.204], [112.004, 39.206], [112.006, 39.206], [112.006, 39.204], [112.004, 39.204]]
    with sealed(sink_db.sessions, BUREAU) as session:
        imported(session, [facts(geometry={"type": "Polygon", "coordinates": [ring, hole]})])
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ConflictError, match="no forest"):
        report_polygon_reversal(
            session, "fire", clock.today(), box(112.0045, 39.2045, 112.0055, 39.2055), Decimal("0.5")
        )


def test_forests_of_another_register_or_measured_later_are_not_hit(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    with sealed(sink_db.sessions, "bureau-elsewhere") as session, pytest.raises(ConflictError, match="no forest"):
        report_polygon_reversal(session, "fire", clock.today(), square(), Decimal("0.5"))
    with sealed(sink_db.sessions, BUREAU) as session:
        with pytest.raises(ConflictError, match="no forest"):
            report_polygon_reversal(session, "fire", clock.today() - timedelta(days=1), square(), Decimal("0.5"))
        with pytest.raises(InvalidError, match="future"):
            report_polygon_reversal(session, "fire", clock.today() + timedelta(days=1), square(), Decimal("0.5"))


def test_the_map_comes_in_over_http_and_is_refused_where_it_is_wrong(sink_db: Database, sealed: Any) -> None:
    half, whole = forests(sink_db, sealed, 2)
    bureau = client("sink", sink_db, "bureau", BUREAU)
    event = {"peril": "fire", "occurred_on": clock.today().isoformat(), "severity": "0.5"}
    bow = HALF_AND_WHOLE["coordinates"][0]
    crossed = {"type": "Polygon", "coordinates": [[bow[0], bow[2], bow[1], bow[3], bow[0]]]}
    for wrong, pointer in [
        ({**event, "geometry": crossed}, "/geometry/coordinates"),
        ({**event, "geometry": HALF_AND_WHOLE, "event_area_ha": "900"}, "/event_area_ha"),
        ({**event, "geometry": HALF_AND_WHOLE, "county": "youyu"}, ""),
        ({**event, "geometry": {"type": "Point", "coordinates": [112.0, 39.2]}}, "/geometry/type"),
    ]:
        refused = body(bureau.post("/v1/reversals", wrong), 422)
        assert pointer in {error["pointer"] for error in refused["errors"]}, refused
    del event["severity"]
    assert bureau.post("/v1/reversals", {**event, "geometry": HALF_AND_WHOLE}).status_code == 422
    told = body(bureau.post("/v1/reversals", {**event, "severity": "0.5", "geometry": HALF_AND_WHOLE}), 201)
    assert {one["asset_id"] for one in told["items"]} == {str(half.id), str(whole.id)}
    for one in told["items"]:
        assert float(one["carbon_emitted"]) < float(one["live_carbon_lost"])
        assert float(one["value_after"]["mean"]["amount"]) < float(one["value_before"]["mean"]["amount"])
        assert one["value_after"]["expected_shortfall"] is not None
