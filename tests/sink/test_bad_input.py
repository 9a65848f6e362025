"""What cannot be is refused over HTTP with the field that says so, and leaves no row behind in any table."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from services.sink.actions.pledges import freeze_pledges
from services.sink.tables import Asset
from shared import clock
from tests.conftest import Database
from tests.harness import BANK, BUREAU, Client, body, client
from tests.sink.examples import asset_request, minted, read_asset, square
from tests.sink.test_ledger import forest, issue, pledge


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The registrar."""
    return client("sink", sink_db, "bureau", BUREAU)


def rows(database: Database) -> dict[str, int]:
    """How many rows each table holds, whoever they belong to."""
    admin = create_engine(database.admin_url)
    try:
        with admin.connect() as connection:
            tables = connection.scalars(
                text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
            ).all()
            return {name: connection.scalar(text(f'SELECT count(*) FROM "{name}"')) or 0 for name in tables}
    finally:
        admin.dispose()


def refused(database: Database, http: Client, path: str, sent: Any, pointer: str) -> dict[str, Any]:
    """Send what must be refused with this field, and see that nothing was written."""
    before = rows(database)
    answer = http.post(path, sent)
    assert answer.status_code in (409, 422), (path, answer.get_json())
    problem = body(answer, answer.status_code)
    assert [error["pointer"] for error in problem.get("errors", ())] == [pointer], problem
    assert problem["detail"]
    assert rows(database) == before
    return problem


def ring(*corners: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in (*corners, corners[0])]]}


_BOW_TIE = ring((112.0, 39.2), (112.01, 39.21), (112.01, 39.2), (112.0, 39.21))
_SWAPPED = ring((39.2, 112.0), (39.21, 112.0), (39.21, 112.01), (39.2, 112.01))
_METRES = ring((500000.0, 4340000.0), (500900.0, 4340000.0), (500900.0, 4340900.0), (500000.0, 4340900.0))
_LINE = ring((112.0, 39.2), (112.01, 39.2), (112.02, 39.2))
_FOREST: dict[str, tuple[dict[str, Any], str]] = {
    "ground that crosses itself": ({"geometry": _BOW_TIE}, "/geometry/coordinates"),
    "ground without an area": ({"geometry": _LINE}, "/geometry/coordinates"),
    "ground without positions": ({"geometry": {"type": "Polygon", "coordinates": []}}, "/geometry/coordinates"),
    "ground as large as a county": ({"geometry": square(side=1.0)}, "/geometry"),
    "ground as small as a room": ({"geometry": square(side=0.00005)}, "/geometry"),
    "axes swapped": ({"geometry": _SWAPPED}, "/geometry/coordinates/0/0"),
    "metres of a projected datum": ({"geometry": _METRES}, "/geometry/coordinates/0/0"),
    "another country": ({"geometry": ring((8.0, 47.0), (8.01, 47.0), (8.01, 47.01))}, "/geometry/coordinates/0/0"),
    "a line": ({"geometry": {"type": "LineString", "coordinates": [[112.0, 39.2]]}}, "/geometry/type"),
    "a negative volume": ({"volume_m3_ha": "-1"}, "/volume_m3_ha"),
    "an impossible volume": ({"volume_m3_ha": "1001"}, "/volume_m3_ha"),
    "a volume that its age cannot have": ({"volume_m3_ha": "900"}, "/volume_m3_ha"),
    "a negative survival": ({"survival": "-0.1"}, "/survival"),
    "more survivors than trees": ({"survival": "1.1"}, "/survival"),
    "no survivor": ({"survival": "0"}, "/survival"),
    "planted in the future": ({"planted_year": clock.today().year + 1}, "/planted_year"),
    "planted before anybody remembers": ({"planted_year": 1600}, "/planted_year"),
    "a species that nobody knows": ({"species": [{"species": "baobab", "share": "1"}]}, "/species/0/species"),
    "more than the whole": ({"species": [{"species": "larix_principis", "share": "1.2"}]}, "/species/0/share"),
    "measured tomorrow": ({"measured_on": (clock.today() + timedelta(days=1)).isoformat()}, "/measured_on"),
    "a number that is none": ({"volume_m3_ha": "NaN"}, "/volume_m3_ha"),
}


@pytest.mark.parametrize("case", _FOREST)
def test_a_forest_that_cannot_be_is_refused(sink_db: Database, bureau: Client, case: str) -> None:
    changes, pointer = _FOREST[case]
    refused(sink_db, bureau, "/v1/assets", asset_request(**changes), pointer)


_TREE = "/strata/0/plots/0/trees/0"
_PLOT: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "a negative diameter": (("trees", 0, "diameter_cm"), "-3", f"{_TREE}/diameter_cm"),
    "an impossible diameter": (("trees", 0, "diameter_cm"), "400", f"{_TREE}/diameter_cm"),
    "a negative height": (("trees", 0, "height_m"), "-3", f"{_TREE}/height_m"),
    "an impossible height": (("trees", 0, "height_m"), "90", f"{_TREE}/height_m"),
    "a tree too tall for its diameter": (("trees", 0, "height_m"), "38", f"{_TREE}/height_m"),
    "a species that nobody knows": (("trees", 0, "species"), "baobab", f"{_TREE}/species"),
    "a plot outside of the parcel": (("position",), [112.5, 39.6], "/strata/0/plots/0/position"),
    "a plot with swapped axes": (("position",), [39.2, 112.0], "/strata/0/plots/0/position"),
    "a plot without an area": (("area_m2",), "0", "/strata/0/plots/0/area_m2"),
}


def surveyed(asset: Asset) -> dict[str, Any]:
    """A survey of two plots of single trees."""
    trees = [{"species": "larix_principis", "diameter_cm": "12", "height_m": "9"}]
    west, south = asset.geometry["coordinates"][0][0]
    plot = {"area_m2": "600", "trees": trees * 40, "position": [west + 0.005, south + 0.005]}
    plots = [{**plot, "name": "P1"}, {**plot, "name": "P2"}]
    strata = [{"name": "whole", "area_ha": str(asset.area_ha), "plots": plots}]
    return {"measured_on": clock.today().isoformat(), "strata": strata}


def test_plots_and_surveys_that_cannot_be_are_refused(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = forest(sink_db, sealed)
    path = f"/v1/assets/{asset.id}/measurements"
    for case, (place, wrong, pointer) in _PLOT.items():
        sent = json.loads(json.dumps(surveyed(asset)))
        inside = sent["strata"][0]["plots"][0]
        for step in place[:-1]:
            inside = inside[step]
        inside[place[-1]] = wrong
        assert refused(sink_db, bureau, path, sent, pointer), case
    tomorrow = (clock.today() + timedelta(days=1)).isoformat()
    refused(sink_db, bureau, path, surveyed(asset) | {"measured_on": tomorrow}, "/measured_on")
    refused(sink_db, bureau, path, surveyed(asset) | {"measured_on": "1990-01-01"}, "/measured_on")
    grown = [{"age": -3, "share": "0.2"}]
    refused(sink_db, bureau, path, surveyed(asset) | {"thinnings": grown}, "/thinnings/0/age")
    body(bureau.post(path, surveyed(asset)), 201)


def test_units_that_cannot_be_issued_are_refused(sink_db: Database, sealed: Any, bureau: Client) -> None:
    asset = forest(sink_db, sealed)
    issue(sink_db, sealed, asset, 9, day=3)
    today, day = clock.today(), timedelta(days=1)
    sent = {"asset_id": str(asset.id), "origin": "second", "tonnes": "9"}
    sent |= {"vintage_from": today.isoformat(), "vintage_to": today.isoformat()}

    def wrong(pointer: str, **changes: Any) -> None:
        told = {name: str(value) for name, value in changes.items()}
        refused(sink_db, bureau, "/v1/issuance-proposals", sent | told, pointer)

    wrong("/vintage_to", vintage_to=today + day)
    wrong("/vintage_from", vintage_from=asset.crediting_from - day)
    wrong("/vintage_to", vintage_from=today, vintage_to=today - day)
    wrong("/vintage_from", vintage_from=today - 3 * day)
    wrong("/tonnes", tonnes="0")
    wrong("/tonnes", tonnes="-1")
    wrong("/tonnes", tonnes="1.5")
    wrong("/tonnes", tonnes="100000")
    with sink_db.sessions() as session:
        origin = session.scalar(text("SELECT origin FROM issuances"))
    wrong("/origin", origin=origin)
    before = rows(sink_db)
    assert minted(sink_db, sent | {"asset_id": str(uuid4())}).status_code == 404
    assert rows(sink_db) == before


_USES: dict[str, dict[str, str]] = {
    "/v1/retirements": {"reason": "a meeting"},
    "/v1/cancellations": {"reason": "error of entry"},
    "/v1/transfers": {"to": "Trader"},
}


@pytest.mark.parametrize("path", _USES)
def test_units_that_are_forecast_pledged_or_frozen_are_not_used(
    sink_db: Database, sealed: Any, bureau: Client, path: str
) -> None:
    asset = forest(sink_db, sealed)
    sent = {"asset_id": str(asset.id), "tonnes": "10"} | _USES[path]
    assert "forecast" in refused(sink_db, bureau, path, sent, "/tonnes")["detail"]
    issue(sink_db, sealed, asset, 90)
    held = pledge(sink_db, sealed, asset, str(read_asset(sink_db, asset.id).free_tonnes - 5))
    assert "pledged" in refused(sink_db, bureau, path, sent, "/tonnes")["detail"]
    with sealed(sink_db.sessions, BANK) as session:
        freeze_pledges(session, held.loan_id)
    assert "frozen" in refused(sink_db, bureau, path, sent, "/tonnes")["detail"]
    refused(sink_db, bureau, path, sent | {"holder": "Nobody"}, "/tonnes")
    refused(sink_db, bureau, path, sent | {"tonnes": "0.5"}, "/tonnes")
    body(bureau.post(path, sent | {"tonnes": "5"}), 201)


def test_prices_with_gaps_or_out_of_order_make_no_curve(sink_db: Database, bureau: Client) -> None:
    start = clock.today() - timedelta(days=900)
    days = [start + timedelta(days=30 * number) for number in range(30)]

    def history(dates: list[Any], price: str = "60.00") -> dict[str, Any]:
        prices = [{"on": day.isoformat(), "price": f"{60 + n % 5}.00"} for n, day in enumerate(dates)]
        prices[-1]["price"] = price
        return {
            "name": "gaps", "source": "a bulletin", "instrument": "ccer", "process": "lognormal", "prices": prices,
        }  # fmt: skip

    path, cases = "/v1/price-histories", list[tuple[dict[str, Any], str]]()
    cases.append((history([*days[:10], *days[14:]]), "/prices/10/on"))
    cases.append((history([*days[:3], days[2], *days[3:]]), "/prices/3/on"))
    cases.append((history([days[1], days[0], *days[2:]]), "/prices/1/on"))
    cases.append((history(days[:5]), "/prices"))
    cases.append((history(days, "0.00"), f"/prices/{len(days) - 1}/price"))
    cases.append((history(days, "-5.00"), f"/prices/{len(days) - 1}/price"))
    for sent, pointer in cases:
        refused(sink_db, bureau, path, sent, pointer)
    curve = {"name": "c", "reversion": "0.2", "volatility": "0.3", "source": "a bulletin"}
    price: Callable[[str], dict[str, str]] = lambda amount: {"amount": amount, "currency": "CNY"}  # noqa: E731
    for spot, level, pointer in (("-1.00", "60.00", "/spot_price"), ("60.00", "0.00", "/long_run_price")):
        sent = curve | {"spot_price": price(spot), "long_run_price": price(level)}
        before = rows(sink_db)
        problem = body(bureau.post("/v1/price-curves", sent), 422)
        assert problem["errors"][0]["pointer"].startswith(pointer)
        assert rows(sink_db) == before
    assert Decimal(0) == sum(count for name, count in rows(sink_db).items() if name.startswith("price_"))
