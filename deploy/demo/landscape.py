"""Where the demo's parcels lie: a rough box per county, a grid in it, and one quadrilateral per chosen cell.

The boxes are nobody's boundaries. They lie about where the six counties lie, do not overlap, and are large enough for
the forest put into them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pyproj import Geod

Point = tuple[float, float]
Ring = tuple[Point, ...]

GEOD = Geod(ellps="WGS84")
SQUARE_METRES_OF_A_MU = 10_000 / 15
_CELL_KM = 3.75  # large enough for the largest parcel, small enough for the county with the least room
_LONGEST_HALF_SIDE = 0.94  # of half a cell: neighbours never touch


@dataclass(frozen=True, kw_only=True)
class County:
    """A county of Shuozhou and its rough box, in degrees."""

    code: str
    zh: str
    en: str
    west: float
    south: float
    east: float
    north: float


COUNTIES = {
    county.code: county
    for county in (
        County(code="shuocheng", zh="朔城区", en="Shuocheng", west=112.00, south=39.10, east=112.61, north=39.395),
        County(code="pinglu", zh="平鲁区", en="Pinglu", west=111.92, south=39.43, east=112.61, north=39.775),
        County(code="shanyin", zh="山阴县", en="Shanyin", west=112.64, south=39.20, east=112.97, north=39.77),
        County(code="yingxian", zh="应县", en="Yingxian", west=113.00, south=39.28, east=113.55, north=39.70),
        County(code="youyu", zh="右玉县", en="Youyu", west=112.05, south=39.81, east=112.66, north=40.28),
        County(code="huairen", zh="怀仁市", en="Huairen", west=112.81, south=39.80, east=113.31, north=40.08),
    )
}


def geodesic_mu(ring: Ring) -> float:
    """Area enclosed by a closed ring on the WGS 84 ellipsoid. [mu]"""
    longitudes, latitudes = zip(*ring, strict=True)
    area, _ = GEOD.polygon_area_perimeter(longitudes, latitudes)
    return abs(float(area)) / SQUARE_METRES_OF_A_MU


def cells(county: County, number: int, rng: Random) -> list[tuple[Point, Point]]:
    """Choose `number` cells of a county's grid in clumps, listed from north to south and from west to east.

    A cell is its south-western and its north-eastern corner, in degrees.
    """
    columns = max(1, int((county.east - county.west) * _degree_km(county) / _CELL_KM))
    rows = max(1, int((county.north - county.south) * 111.0 / _CELL_KM))
    if number > columns * rows:
        raise ValueError(f"{county.code} has {columns * rows} cells, too few for {number} parcels")
    # Forest lies in clumps, so that one fire can meet several parcels.
    clumps = [(rng.random() * columns, rng.random() * rows) for _ in range(max(4, number // 10))]
    places = [(column, row) for row in range(rows) for column in range(columns)]
    remoteness = {
        (column, row): min(math.hypot(column - x, row - y) for x, y in clumps) + 2.0 * rng.random()
        for column, row in places
    }
    chosen = sorted(sorted(places, key=lambda place: (remoteness[place], place))[:number], key=_reading_order)
    width, height = (county.east - county.west) / columns, (county.north - county.south) / rows
    return [
        (
            (county.west + column * width, county.south + row * height),
            (county.west + (column + 1) * width, county.south + (row + 1) * height),
        )
        for column, row in chosen
    ]


def quadrilateral(cell: tuple[Point, Point], area_mu: int, rng: Random) -> Ring:
    """Lay a slightly irregular quadrilateral of the area into a cell; the closed ring runs counter-clockwise."""
    (west, south), (east, north) = cell
    shape = _unit_shape(area_mu / geodesic_mu(((west, south), (east, south), (east, north), (west, north))), rng)
    ring = _placed(shape, cell, 1.0)
    # Scaling about the centre is quadratic in area up to the bend of the earth: twice is enough.
    scale = math.sqrt(area_mu / geodesic_mu(ring))
    scale *= math.sqrt(area_mu / geodesic_mu(_placed(shape, cell, scale)))
    if max(abs(value) for point in shape for value in point) * scale >= 1:
        raise ValueError(f"{area_mu} mu do not fit into a cell of {_CELL_KM} km")
    return _placed(shape, cell, scale)


def _degree_km(county: County) -> float:
    return 111.32 * math.cos(math.radians((county.south + county.north) / 2))


def _reading_order(place: tuple[int, int]) -> tuple[int, int]:
    column, row = place
    return -row, column


def _unit_shape(share_of_cell: float, rng: Random) -> list[Point]:
    """Draw corners about a cell's centre, where 1 is the edge of the cell."""
    side = math.sqrt(share_of_cell)
    stretch = min(rng.uniform(0.75, 1.33), _LONGEST_HALF_SIDE / side)
    stretch = max(stretch, side / _LONGEST_HALF_SIDE)
    half_width, half_height = side * stretch, side / stretch
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    # A corner is only ever drawn inwards, by less than what would make the figure hollow.
    play = 0.16 * max(0.0, 1 - side)
    return [
        (x * half_width * (1 - play * rng.random()), y * half_height * (1 - play * rng.random())) for x, y in corners
    ]


def _placed(shape: Sequence[Point], cell: tuple[Point, Point], scale: float) -> Ring:
    (west, south), (east, north) = cell
    corners = [
        (
            round((west + east) / 2 + x * scale * (east - west) / 2, 7),
            round((south + north) / 2 + y * scale * (north - south) / 2, 7),
        )
        for x, y in shape
    ]
    return (*corners, corners[0])
