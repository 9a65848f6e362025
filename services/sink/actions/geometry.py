"""Ground on the map: a GeoJSON polygon read with suspicion, its area and overlaps on an equal-area projection."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import Polygon, STRtree
from shapely.validation import explain_validity

from shared.errors import InvalidError

#: Albers' equal-area projection with the standard parallels used for maps of China.
_EQUAL_AREA = "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +datum=WGS84 +units=m"
#: Where a parcel can lie, generously: west, east, south and north of China. [degrees]
_WEST, _EAST, _SOUTH, _NORTH = 73.0, 136.0, 3.0, 54.0
#: More corners than any parcel needs and few enough to intersect at once.
MAX_VERTICES = 1000
M2_PER_HA = 10_000

# A pyproj transformer belongs to one thread.
_local = threading.local()


@dataclass(frozen=True)
class Parcel:
    """A polygon in degrees, longitude first."""

    degrees: Polygon

    @cached_property
    def metres(self) -> Polygon:
        """The polygon on the equal-area projection."""
        return shapely.transform(self.degrees, _project)

    @property
    def area_m2(self) -> float:
        """Area on the equal-area projection. [m2]"""
        return float(self.metres.area)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north. [degrees]"""
        return self.degrees.bounds  # type: ignore[no-any-return]

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of a point inside. [degrees]"""
        point = self.degrees.centroid
        if not self.degrees.contains(point):
            point = self.degrees.representative_point()
        return float(point.x), float(point.y)

    def geojson(self) -> dict[str, Any]:
        """The polygon as GeoJSON, outer ring anticlockwise as RFC 7946 asks."""
        return dict(shapely.geometry.mapping(shapely.orient_polygons(self.degrees)))


def parcel(geometry: Mapping[str, Any]) -> Parcel:
    """Read a GeoJSON polygon whose rings are arrays of pairs; refuse what is no piece of ground in China."""
    rings = [[tuple(position) for position in ring] for ring in geometry["coordinates"]]
    if sum(len(ring) for ring in rings) > MAX_VERTICES:
        raise _refused(f"a polygon has at most {MAX_VERTICES} corners; simplify it")
    for number, ring in enumerate(rings):
        if ring[0] != ring[-1]:
            raise _refused("a ring ends where it begins", f"/{number}")
        _in_place(ring, number)
    polygon = Polygon(rings[0], rings[1:])
    if not polygon.is_valid:
        raise _refused(f"the polygon is not valid: {explain_validity(polygon)}")
    if polygon.is_empty or polygon.area == 0:
        raise _refused("the polygon encloses nothing")
    return Parcel(polygon)


def stored_parcel(geometry: Mapping[str, Any]) -> Parcel:
    """A polygon from the register; it was checked when it went in."""
    return Parcel(shapely.geometry.shape(geometry))


def overlap_m2(one: Parcel, other: Parcel) -> float:
    """Ground that two parcels share. [m2]"""
    if not one.degrees.intersects(other.degrees):
        return 0.0
    return float(one.metres.intersection(other.metres).area)


def neighbours(parcels: Sequence[Parcel]) -> list[set[int]]:
    """For each parcel the earlier ones of the list that it touches or crosses."""
    earlier: list[set[int]] = [set() for _ in parcels]
    if len(parcels) < 2:
        return earlier
    tree = STRtree([one.degrees for one in parcels])
    for left, right in tree.query([one.degrees for one in parcels], predicate="intersects").T.tolist():
        if right < left:
            earlier[left].add(right)
    return earlier


def _in_place(ring: Sequence[tuple[float, float]], number: int) -> None:
    for index, (longitude, latitude) in enumerate(ring):
        if _WEST <= longitude <= _EAST and _SOUTH <= latitude <= _NORTH:
            continue
        where = f"/{number}/{index}"
        if _WEST <= latitude <= _EAST and _SOUTH <= longitude <= _NORTH:
            raise _refused("the axes are swapped: GeoJSON writes longitude first, then latitude", where)
        raise _refused(f"the position lies outside of {_WEST}-{_EAST}° E, {_SOUTH}-{_NORTH}° N", where)


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
