"""Ground on the map: a GeoJSON polygon or several, read with suspicion; areas and overlaps on an equal-area projection.

What is drawn badly but means one thing only is repaired, and the repair is told. What could mean two things is refused.
The datum is WGS 84, which the national CGCS 2000 equals to within a metre. That positions were shifted (GCJ-02, by
some hundred metres) cannot be seen in the numbers; that they are metres of a projection can.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import MultiPolygon, Polygon, STRtree
from shapely.validation import explain_validity

from services.sink.formulas.parcels import repair_change
from shared.bulk import Json
from shared.errors import InvalidError
from shared.parameters import InForce

#: Albers' equal-area projection with the standard parallels used for maps of China.
_EQUAL_AREA = "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +datum=WGS84 +units=m"
#: More corners than any parcel needs and few enough to intersect at once.
MAX_VERTICES = 1000
M2_PER_HA = 10_000

# A pyproj transformer belongs to one thread.
_local = threading.local()


@dataclass(frozen=True)
class Parcel:
    """A polygon or several in degrees, longitude first."""

    degrees: Polygon | MultiPolygon
    #: What was wrong with the drawing and was repaired, by code.
    repairs: tuple[str, ...] = ()

    @cached_property
    def metres(self) -> Polygon | MultiPolygon:
        """The ground on the equal-area projection."""
        return shapely.transform(self.degrees, _project)

    @cached_property
    def area_m2(self) -> float:
        """Area on the equal-area projection. [m2]"""
        return float(self.metres.area)

    @property
    def smallest_part_m2(self) -> float:
        """Area of the smallest of its pieces. [m2]"""
        if isinstance(self.metres, Polygon):
            return self.area_m2
        return float(shapely.area(shapely.get_parts(self.metres)).min())

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north. [degrees]"""
        return self.degrees.bounds  # type: ignore[no-any-return]

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of a point inside. [degrees]"""
        point = self.degrees.centroid
        if not self.degrees.contains(point):
            point = self.degrees.representative_point()
        return float(point.x), float(point.y)

    @cached_property
    def text(self) -> Json:
        """The ground as GeoJSON, outer rings anticlockwise as RFC 7946 asks, written already."""
        return Json(shapely.to_geojson(shapely.orient_polygons(self.degrees)))

    def geojson(self) -> dict[str, Any]:
        """The same as data."""
        return dict(shapely.geometry.mapping(shapely.orient_polygons(self.degrees)))

    def covers_the_same(self, other: "Parcel") -> bool:
        """Whether two drawings are of the same ground, whichever corner they begin at."""
        return bool(shapely.equals_exact(self.degrees.normalize(), other.degrees.normalize(), 1e-9))


def parcel(geometry: Mapping[str, Any], p: InForce) -> Parcel:
    """Read a GeoJSON Polygon or MultiPolygon of positions in pairs; refuse what is no piece of ground hereabouts."""
    (read,) = parcels([geometry], p)
    if isinstance(read, InvalidError):
        raise read
    return read


def parcels(geometries: Sequence[Mapping[str, Any]], p: InForce) -> list[Parcel | InvalidError]:
    """Read many geometries and measure them together; those that are no piece of ground come back as the refusal."""
    found: list[Parcel | InvalidError] = []
    for geometry in geometries:
        try:
            found.append(_sound(_drawn(geometry, p), p))
        except InvalidError as refusal:
            found.append(refusal)
    _measure([one for one in found if isinstance(one, Parcel)])
    return found


def _measure(many: Sequence[Parcel]) -> None:
    """Let parcels know what each would work out alone."""
    degrees = _shapes(many)
    metres = shapely.transform(degrees, _project)
    centres = shapely.centroid(degrees)
    outside = ~shapely.contains(degrees, centres)
    centres[outside] = shapely.point_on_surface(degrees[outside])
    columns = (
        metres,
        shapely.area(metres).tolist(),
        map(tuple, shapely.bounds(degrees).tolist()),
        map(tuple, shapely.get_coordinates(centres).tolist()),
        map(Json, shapely.to_geojson(shapely.orient_polygons(degrees))),
    )
    for one, *known in zip(many, *columns, strict=True):
        # A cached property is read from here.
        vars(one).update(zip(("metres", "area_m2", "bounds", "centre", "text"), known, strict=True))


def _shapes(many: Sequence[Parcel]) -> NDArray[np.object_]:
    return np.array([one.degrees for one in many], dtype=object)


def _drawn(geometry: Mapping[str, Any], p: InForce) -> Polygon | MultiPolygon:
    several = geometry["type"] == "MultiPolygon"
    polygons = geometry["coordinates"] if several else [geometry["coordinates"]]
    if sum(len(ring) for rings in polygons for ring in rings) > MAX_VERTICES:
        raise _refused(f"a polygon has at most {MAX_VERTICES} corners; simplify it")
    read = []
    for piece, rings in enumerate(polygons):
        where = f"/{piece}" if several else ""
        for number, ring in enumerate(rings):
            if list(ring[0]) != list(ring[-1]):
                raise _refused("a ring ends where it begins", f"{where}/{number}")
            _in_place(ring, f"{where}/{number}", p)
        read.append(Polygon(rings[0], rings[1:]))
    return MultiPolygon(read) if several else read[0]


def _sound(drawn: Polygon | MultiPolygon, p: InForce) -> Parcel:
    """The ground that a drawing means, if it means one thing."""
    if drawn.is_valid:
        if drawn.area == 0:
            raise _refused("the polygon encloses nothing")
        return Parcel(shapely.remove_repeated_points(drawn))
    fault = explain_validity(drawn)
    repaired = _polygonal(shapely.make_valid(drawn), p["register.repair"])
    if repaired.is_empty or repaired.area == 0:
        raise _refused("the polygon encloses nothing")
    # `area` of an invalid polygon is that of the shoelace formula.
    change = float(repair_change(abs(drawn.area), repaired.area))
    if change > p["register.repair"]:
        raise _refused(
            f"the polygon is not valid: {fault}; repairing it would change {change:.1%} of its area, draw it again"
        )
    return Parcel(repaired, (f"geometry_repaired:{_code(fault)}",))


def _polygonal(mended: Any, negligible: float) -> Polygon | MultiPolygon:
    """What of a mended drawing is ground: without the lines, the points and the crumbs that crossings cut off."""
    # A collection may hold collections; taken apart twice, there are none left.
    pieces = [one for one in shapely.get_parts(shapely.get_parts(mended)) if isinstance(one, Polygon)]
    total = sum(one.area for one in pieces)
    whole = shapely.union_all([one for one in pieces if one.area > negligible * total])
    return whole if isinstance(whole, Polygon | MultiPolygon) else Polygon()


def _code(fault: str) -> str:
    """The name of a fault without its place: "Ring Self-intersection[112 39]" is ring_self_intersection."""
    return re.sub(r"[^a-z]+", "_", fault.partition("[")[0].lower()).strip("_")


def stored_parcel(geometry: Mapping[str, Any]) -> Parcel:
    """A polygon from the register; it was checked when it went in."""
    return Parcel(shapely.geometry.shape(geometry))


def stored_parcels(geometries: Sequence[str]) -> list[Parcel]:
    """Polygons from the register, given as the text of their JSON."""
    return [Parcel(one) for one in shapely.from_geojson(list(geometries))]


def overlap_m2(one: Parcel, other: Parcel) -> float:
    """Ground that two parcels share. [m2]"""
    return float(overlaps_m2([one], [other])[0])


def overlaps_m2(ones: Sequence[Parcel], others: Sequence[Parcel]) -> NDArray[np.float64]:
    """Ground that each of the ones shares with the other at its place. [m2]"""
    shared = np.zeros(len(ones))
    left, right = _shapes(ones), _shapes(others)
    # A common border is no ground, and most neighbours share no more.
    places = np.flatnonzero(shapely.intersects(left, right) & ~shapely.touches(left, right)).tolist()
    if places:
        one, other = ([side[place].metres for place in places] for side in (ones, others))
        shared[places] = shapely.area(shapely.intersection(one, other))
    return shared


def crossings(parcels: Sequence[Parcel]) -> NDArray[np.int64]:
    """Pairs of places, the later first, of parcels that touch or cross each other."""
    shapes = _shapes(parcels)
    pairs = STRtree(shapes).query(shapes, predicate="intersects").T
    return np.asarray(pairs[pairs[:, 1] < pairs[:, 0]])


def _in_place(ring: Sequence[Sequence[float]], where: str, p: InForce) -> None:
    extent = p["register.extent"]
    west, south, east, north = (extent[side] for side in ("west", "south", "east", "north"))
    for index, (longitude, latitude) in enumerate(ring):
        if west <= longitude <= east and south <= latitude <= north:
            continue
        here = f"{where}/{index}"
        if abs(longitude) > 180 or abs(latitude) > 180:
            raise _refused("the position looks like metres of a projection; give WGS 84 or CGCS 2000 in degrees", here)
        if west <= latitude <= east and south <= longitude <= north:
            raise _refused("the axes look swapped: GeoJSON writes longitude first, then latitude", here)
        raise _refused(f"the position lies outside of {west}-{east}° E, {south}-{north}° N", here)


def _project(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    if not hasattr(_local, "transformer"):
        _local.transformer = Transformer.from_crs("EPSG:4326", _EQUAL_AREA, always_xy=True)
    return np.column_stack(_local.transformer.transform(positions[:, 0], positions[:, 1]))


def _refused(detail: str, where: str = "") -> InvalidError:
    pointer = f"/geometry/coordinates{where}"
    return InvalidError(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])


def distance_m(ground: Parcel, longitude: float, latitude: float) -> float:
    """How far a position lies outside of a parcel; nothing inside. [m on the equal-area projection]"""
    position = shapely.transform(shapely.Point(longitude, latitude), _project)
    return float(ground.metres.distance(position))
