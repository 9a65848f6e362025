"""Ground on the map: areas against geodesics, what is repaired and told, what is refused and why, who overlaps whom."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import Polygon
from shapely.geometry import shape

from services.sink.actions import geometry
from services.sink.actions.assets import OverlapError, import_assets
from services.sink.actions.parameters import PARAMETERS
from shared import clock
from shared.errors import InvalidError
from tests.conftest import Database
from tests.harness import BUREAU, Client, body, client
from tests.sink.examples import asset_request, facts, square

P = PARAMETERS.at(clock.today())
GEOD = Geod(ellps="WGS84")
#: A part of an area to which projection and geodesic agree for parcels of some kilometres.
CLOSE = 1e-6


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The bureau's surveyor."""
    return client("sink", sink_db, "bureau", BUREAU)


def drawn(*corners: tuple[float, float], side: float = 0.001) -> dict[str, Any]:
    """A polygon by its corners, in steps from a place in Youyu."""
    ring = [(112.5 + x * side, 39.9 + y * side) for x, y in (*corners, corners[0])]
    return {"type": "Polygon", "coordinates": [ring]}


def several(*places: int, side: float = 0.01) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": [square(place, side=side)["coordinates"] for place in places]}


def geodesic_area(ground: Any) -> float:
    return abs(GEOD.geometry_area_perimeter(ground)[0])


# -- area -------------------------------------------------------------------------------------------------------------

INSIDE = st.tuples(
    st.floats(111.6, 113.9),
    st.floats(38.9, 40.5),
    st.lists(st.floats(50, 5000), min_size=3, max_size=12),
)


@settings(deadline=None, max_examples=60)
@given(INSIDE)
def test_an_area_is_that_of_the_geodesic_polygon(place: tuple[float, float, list[float]]) -> None:
    west, south, radii = place
    star = []
    for number, metres in enumerate(radii):
        lon, lat, _ = GEOD.fwd(west, south, 360 * number / len(radii), metres)
        star.append((lon, lat))
    polygon = Polygon(star)
    if not polygon.is_valid:
        return
    # An edge is straight on the projection and bends on the ground, but less than a circle of latitude would.
    edges = [GEOD.line_length(*zip(*ends, strict=True)) for ends in pairwise(polygon.exterior.coords)]
    bent = sum(length**3 for length in edges) * math.tan(math.radians(south)) / (12 * GEOD.a)
    assert bent < 1e-3 * max(radii) ** 2
    assert math.isclose(geometry.Parcel(polygon).area_m2, geodesic_area(polygon), rel_tol=CLOSE, abs_tol=bent)


def test_a_hole_and_a_second_piece_count_in_the_area() -> None:
    whole, hole, piece = square(0), square(0, side=0.002), square(1)
    hole_ring = [(x + 0.003, y + 0.003) for x, y in hole["coordinates"][0]]
    read = geometry.parcel(
        {"type": "MultiPolygon", "coordinates": [[*whole["coordinates"], hole_ring], piece["coordinates"]]}, P
    )
    ring = geodesic_area(shape(whole)) - geodesic_area(Polygon(hole_ring))
    assert math.isclose(read.area_m2, ring + geodesic_area(shape(piece)), rel_tol=CLOSE)
    assert math.isclose(read.smallest_part_m2, ring, rel_tol=CLOSE)
    assert read.geojson()["type"] == "MultiPolygon"


# -- repair -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corners", "fault"),
    [
        # A spike: out along a line and back again.
        (((0, 0), (10, 0), (10, 10), (15, 10), (10, 10), (0, 10)), "self_intersection"),
        # A ring that touches itself at a corner.
        (((0, 0), (10, 0), (10, 10), (5, 10), (7, 5), (5, 0), (3, 5), (5, 10), (0, 10)), "self_intersection"),
        # A crumb beyond a crossing, of a square metre in a square kilometre.
        (
            ((0, 0), (10, 0), (10, 10), (4.999, 10), (5.001, 10.004), (4.999, 10.004), (5.001, 10), (0, 10)),
            "self_inter",
        ),
    ],
    ids=["spike", "touching ring", "crumb"],
)
def test_what_means_one_thing_is_repaired_and_the_repair_is_told(
    sink_db: Database, bureau: Client, corners: tuple[tuple[float, float], ...], fault: str
) -> None:
    badly = drawn(*corners)
    assert not shape(badly).is_valid
    asset = body(bureau.post("/v1/assets", asset_request(geometry=badly)), 201)
    (told,) = [flag for flag in asset["flags"] if flag.startswith("geometry_repaired:")]
    assert fault in told
    kept = shape(asset["geometry"])
    assert kept.is_valid
    assert math.isclose(float(asset["area_ha"]) * 10_000, geodesic_area(kept), rel_tol=1e-4)
    assert abs(kept.area / shape(badly).area - 1) <= P["register.repair"]


def test_what_is_drawn_well_has_no_flag_of_repair(sink_db: Database, bureau: Client) -> None:
    asset = body(bureau.post("/v1/assets", asset_request(geometry=several(0, 1))), 201)
    assert [flag for flag in asset["flags"] if "repaired" in flag] == []
    assert asset["geometry"]["type"] == "MultiPolygon"


@pytest.mark.parametrize(
    ("ground", "told"),
    [
        (drawn((0, 0), (10, 10), (10, 0), (0, 10)), "Self-intersection"),
        # A figure of eight with unequal halves: the smaller one is a tenth.
        (drawn((0, 0), (10, 0), (10, 10), (4, 12), (4, 10), (6, 12), (0, 10)), "Self-intersection"),
        (drawn((0, 0), (10, 0), (0, 0), (10, 0)), "encloses nothing"),
        (several(0, 0), "would change"),
        (
            {"type": "MultiPolygon", "coordinates": [square(0)["coordinates"], square(0, side=0.005)["coordinates"]]},
            "would change",
        ),
        (
            {"type": "Polygon", "coordinates": square(0)["coordinates"] + square(5)["coordinates"]},
            "would change",
        ),
    ],
    ids=["bow tie", "uneven eight", "line", "twice", "nested", "hole outside"],
)
def test_what_could_mean_two_things_is_refused(ground: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidError, match=told):
        geometry.parcel(ground, P)


CORNER = st.tuples(st.integers(0, 12), st.integers(0, 12))


@settings(deadline=None, max_examples=60)
@given(st.lists(CORNER, min_size=3, max_size=9))
def test_any_ring_is_sound_ground_of_about_its_drawn_area_or_refused(corners: list[tuple[int, int]]) -> None:
    ground = drawn(*corners)
    try:
        read = geometry.parcel(ground, P)
    except InvalidError:
        return
    assert read.degrees.is_valid
    assert read.area_m2 > 0
    assert math.isclose(read.degrees.area, shape(ground).area, rel_tol=P["register.repair"] * 1.01)
    assert bool(read.repairs) == (not shape(ground).is_valid)
    again = geometry.parcel(read.geojson(), P)
    assert again.covers_the_same(read)
    assert again.repairs == ()


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ground", "pointer", "told"),
    [
        (
            {"type": "Polygon", "coordinates": [[[lat, lon] for lon, lat in square()["coordinates"][0]]]},
            "/geometry/coordinates/0/0",
            "look swapped",
        ),
        (
            {
                "type": "MultiPolygon",
                "coordinates": [
                    square()["coordinates"],
                    [[[lat, lon] for lon, lat in square(1)["coordinates"][0]]],
                ],
            },
            "/geometry/coordinates/1/0/0",
            "look swapped",
        ),
        (
            {
                "type": "Polygon",
                "coordinates": [[[500_000, 4.37e6], [501_000, 4.37e6], [501_000, 4.38e6], [5e5, 4.37e6]]],
            },
            "/geometry/coordinates/0/0",
            "metres of a projection",
        ),
        # Taiyuan: in China, in the province, not in the city.
        (
            {"type": "Polygon", "coordinates": [[[112.5, 37.8], [112.6, 37.8], [112.6, 37.9], [112.5, 37.8]]]},
            "/geometry/coordinates/0/0",
            "outside of",
        ),
        ({"type": "MultiPolygon", "coordinates": []}, "/geometry/coordinates", "between"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, "/geometry/coordinates/0", "between"),
        ({"type": "MultiPolygon", "coordinates": [square()["coordinates"]] * 21}, "/geometry/coordinates", "between"),
        ({"type": "LineString", "coordinates": [[112, 39.5], [113, 39.5]]}, "/geometry/type", "Polygon"),
        ({"type": 7, "coordinates": []}, "/geometry/type", "Polygon"),
        ({"coordinates": []}, "/geometry/type", "Polygon"),
        (7, "/geometry", "GeoJSON"),
        (square(side=0.55), "/geometry", "greater than"),
        (several(0, 1, side=0.0001), "/geometry", "continuous plot"),
    ],
)
def test_ground_that_cannot_be_registered_is_refused_with_its_place_and_the_reason(
    sink_db: Database, bureau: Client, ground: Any, pointer: str, told: str
) -> None:
    problem = body(bureau.post("/v1/assets", asset_request(geometry=ground)), 422)
    found = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert told in found[pointer]


def test_one_small_piece_is_enough_to_refuse_a_parcel(sink_db: Database, bureau: Client) -> None:
    small = square(1, side=0.0001)["coordinates"]
    ground = {"type": "MultiPolygon", "coordinates": [square(0)["coordinates"], small]}
    problem = body(bureau.post("/v1/assets", asset_request(geometry=ground)), 422)
    assert "a continuous plot has" in problem["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"owner": "140602198801011234"}, "/owner"),
        ({"owner": "14060219880101123X"}, "/owner"),
        ({"owner": "张三"}, "/owner"),
        ({"owner": "Zhang San"}, "/owner"),
        ({"owner": "Zhang.San"}, "/owner"),
        ({"title_kind": "hearsay"}, "/title_kind"),
        ({"row_spacing_m": "3"}, "/row_spacing_m"),
        ({"row_spacing_m": "0", "plant_spacing_m": "2"}, "/row_spacing_m"),
        ({"slope_degrees": 91}, "/slope_degrees"),
        ({"site_class": "fine"}, "/site_class"),
    ],
)
def test_a_fact_that_cannot_be_kept_is_refused(
    sink_db: Database, bureau: Client, changes: dict[str, Any], pointer: str
) -> None:
    problem = body(bureau.post("/v1/assets", asset_request(**changes)), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]


def test_title_owner_planting_and_site_are_kept_and_shown(sink_db: Database, bureau: Client) -> None:
    given_facts = {
        "title_kind": "contract",
        "title_number": "晋(2021)右玉县不动产权第0000001号",
        "owner": "91140600MA0K000000",
        "row_spacing_m": "1.00",
        "plant_spacing_m": "0.50",
        "site_class": "poor",
        "elevation_m": 1340,
        "slope_degrees": 12,
    }
    asset = body(bureau.post("/v1/assets", asset_request(**given_facts)), 201)
    assert {name: asset[name] for name in given_facts} == given_facts
    assert "planted_too_densely" in asset["flags"]
    bare = body(bureau.post("/v1/assets", asset_request(1)), 201)
    assert all(bare[name] is None for name in given_facts)
    assert "planted_too_densely" not in bare["flags"]


# -- overlap ----------------------------------------------------------------------------------------------------------


def moved(place: int, east: float) -> dict[str, Any]:
    ring = [[x + east, y] for x, y in square(place)["coordinates"][0]]
    return {"type": "Polygon", "coordinates": [ring]}


@pytest.mark.parametrize(
    ("ground", "registered"),
    [
        (moved(0, 0.01), True),  # a common border
        (moved(0, 0.01 - 0.00002), True),  # less than half a hundredth of it
        (moved(0, 0.01 - 0.0002), False),  # two hundredths
        (several(1, 3), True),  # around it, with an extent that covers it
        (several(3, 0), False),  # one piece of two
    ],
)
def test_a_border_is_shared_and_ground_is_not(
    sink_db: Database, bureau: Client, sealed: Any, ground: dict[str, Any], registered: bool
) -> None:
    body(bureau.post("/v1/assets", asset_request(0)), 201)
    with sealed(sink_db.sessions, "bureau-elsewhere") as session:
        (entered,) = import_assets(session, [facts(geometry=ground)])
        assert isinstance(entered, OverlapError) != registered


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=7))
def test_of_many_parcels_at_once_those_go_in_that_would_one_by_one(boxes: list[tuple[int, int, int]]) -> None:
    grounds = [drawn((x, y), (x + side, y), (x + side, y + side), (x, y + side)) for x, y, side in boxes]
    parcels = [geometry.parcel(ground, P) for ground in grounds]
    pairs = geometry.crossings(parcels).tolist()
    for number, parcel in enumerate(parcels):
        expected = {other for other in range(number) if parcel.degrees.intersects(parcels[other].degrees)}
        assert {other for later, other in pairs if later == number} == expected
        for other in expected:
            shared = geometry.overlap_m2(parcel, parcels[other])
            assert math.isclose(
                shared, geodesic_area(parcel.degrees.intersection(parcels[other].degrees)), rel_tol=1e-4, abs_tol=1
            )
