"""Files of parcels: spreadsheets and GeoJSON, read row by row from any byte on, so that reading can stop there.

What their cells say becomes the request to register a forest.
"""

import io
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import shapely

from services.sink.actions.parameters import PERILS
from shared import spreadsheets, strict_json
from shared.spreadsheets import MAX_ROW, Layout, Row, cell_fault, cell_text, refused

FORMATS = (*spreadsheets.FORMATS, "geojson")
#: Largest file. [bytes]
MAX_FILE = 128 * 1024 * 1024
_CHUNK = 256 * 1024

REQUIRED = ("reference", "name", "county", "geometry", "planted_year", "survival", "title_until", "crediting_until")
_HAZARDS = {f"hazard_{peril}": peril for peril in PERILS}
COLUMNS = (
    *REQUIRED,
    "kind",
    "programme",
    "species",
    "row_spacing_m",
    "plant_spacing_m",
    "site_class",
    "elevation_m",
    "slope_degrees",
    "volume_m3_ha",
    "crown_cover",
    "sampling_uncertainty",
    "measured_on",
    "project_area_ha",
    "title_kind",
    "title_number",
    "owner",
    "crediting_from",
    *_HAZARDS,
)
_COLUMNS = spreadsheets.Columns(COLUMNS, REQUIRED)
_WHOLE = {"planted_year", "elevation_m", "slope_degrees"}
#: Texts that a spreadsheet would run as a formula if it ever got them back.
_TEXTS = {"reference", "name", "title_number", "owner"}
#: What no number is written with, NaN among it, is nothing to be read here.
_POLYGON_TEXT = re.compile(r"(MULTI)?POLYGON\s*\([-+0-9.eE,()\s]*", re.IGNORECASE | re.ASCII)
#: Coordinate reference systems in degrees whose positions are, to a metre, those of WGS 84.
_DEGREES = re.compile(r"CRS84$|EPSG:{1,2}(4326|4490)$", re.IGNORECASE)


def inspect(file: BinaryIO, format_: str, charset: str) -> Layout:
    """Look at a whole file before anything of it is taken; refuse what no row can be read from."""
    file.seek(0)
    if format_ == "geojson":
        return _inspect_collection(file)
    return spreadsheets.inspect(file, format_, charset, _COLUMNS)


def read(file: BinaryIO, layout: Layout, after: int, number: int) -> Iterator[Row]:
    """Rows from a byte on, behind the row of that number. A file that ends too early is refused there."""
    if layout.reading == "csv":
        return spreadsheets.rows(file, layout, after, number)
    return _member_rows(file, layout, after, number)


def request_of(row: Row, reading: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The request to register what a row holds, and what of it could not be read, by JSON Pointer."""
    if reading == "rows":
        return dict(row.content), []
    request: dict[str, Any] = {}
    hazards: dict[str, Any] = {}
    errors: list[tuple[str, str]] = []
    for name, value in row.content.items():
        where = f"/{name}"
        if isinstance(value, dict | list):
            if name in ("geometry", "species", "hazards"):
                request[name] = value
            else:
                errors.append((where, "a single value is expected"))
            continue
        text = cell_text(value)
        if not text:
            continue
        if (fault := cell_fault(text, free=name in _TEXTS)) is not None:
            errors.append((where, fault))
        elif name == "geometry":
            _read_geometry(text, request, errors)
        elif name == "species":
            request[name] = [_read_share(part) for part in text.split(";") if part.strip()]
        elif name in _HAZARDS:
            hazards[_HAZARDS[name]] = text
        elif name in _WHOLE and re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
            request[name] = int(text)
        else:
            request[name] = text
    if hazards:
        request["hazards"] = {**request.get("hazards", {}), **hazards}
    if "reference" not in request and not any(where == "/reference" for where, _ in errors):
        errors.append(("/reference", "is needed in a file: it keeps a parcel from going in twice"))
    return request, errors


def _read_share(part: str) -> dict[str, Any]:
    species, colon, share = part.partition(":")
    return {"species": species.strip(), "share": share.strip() if colon else "1"}


def _read_geometry(text: str, request: dict[str, Any], errors: list[tuple[str, str]]) -> None:
    try:
        if text.startswith("{"):
            request["geometry"] = strict_json.loads(text.encode())
        elif _POLYGON_TEXT.fullmatch(text):
            request["geometry"] = dict(shapely.geometry.mapping(shapely.from_wkt(text)))
        else:
            raise ValueError("it is written otherwise")
    except (ValueError, shapely.GEOSException) as error:
        told = str(error).partition("\n")[0][:120]
        errors.append(("/geometry", f"is neither a POLYGON or MULTIPOLYGON in WKT nor a GeoJSON geometry: {told}"))


# -- collections ------------------------------------------------------------------------------------------------------

#: Whole strings and brackets outside of them; a quote alone is a string that has not ended yet.
_SIGNS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}"]', re.DOTALL)
_SPACE = b" \t\r\n"


def _inspect_collection(file: BinaryIO) -> Layout:
    head = file.read(MAX_ROW)
    before, start = _head(head)
    crs = before.get("crs")
    named = crs.get("properties", {}).get("name") if isinstance(crs, dict) else None
    if crs is not None and not (isinstance(named, str) and _DEGREES.search(named)):
        raise refused("is in a projection; give WGS 84 or CGCS 2000 in degrees")
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(max(0, size - 4096))
    if not file.read().rstrip(_SPACE).endswith(b"}"):
        raise refused("ends in the middle")
    file.seek(0)
    features = sum(chunk.count(b'"Feature"') for chunk in iter(lambda: file.read(_CHUNK), b""))
    layout = Layout("geojson", "utf-8", (), start, max(1, features))
    first = next(_member_rows(file, layout, start, 0), None)
    if first is None:
        raise refused("has no features")
    if not first.errors:
        names = [name for name in first.content if name != "hazards"]
        _COLUMNS.demand(names, "properties")
    return layout


def _head(head: bytes) -> tuple[dict[str, Any], int]:
    """The members of a FeatureCollection before its features, and the byte at which the first feature begins."""
    found: dict[str, Any] = {}
    at = _skip(head, 0)
    if head[at : at + 1] != b"{":
        raise refused("is no GeoJSON FeatureCollection")
    at += 1
    while True:
        at = _skip(head, at, b",")
        end = _end_of_value(head, at)
        colon = _skip(head, end) if end else -1
        if end is None or head[at : at + 1] != b'"' or head[colon : colon + 1] != b":":
            raise refused("is no GeoJSON FeatureCollection, or its features come too late")
        name = _loaded(head[at:end])
        at = _skip(head, colon + 1)
        if name == "features":
            if head[at : at + 1] != b"[":
                raise refused("has no list of features")
            return found, at + 1
        end = _end_of_value(head, at)
        if end is None:
            raise refused("is no GeoJSON FeatureCollection, or its features come too late")
        found[name] = _loaded(head[at:end])
        at = end


def _loaded(raw: bytes) -> Any:
    try:
        return strict_json.loads(raw)
    except strict_json.JsonError as error:
        raise refused(f"is not JSON: {error}") from None


def _skip(text: bytes, at: int, also: bytes = b"") -> int:
    skipped = _SPACE + also
    while text[at : at + 1] and text[at : at + 1] in skipped:
        at += 1
    return at


def _end_of_value(text: bytes, at: int) -> int | None:
    """The byte behind a JSON value, if it ends within the text."""
    if text[at : at + 1] in (b"", b"]", b"}"):
        return None
    if text[at : at + 1] not in (b"{", b"[", b'"'):
        end = re.compile(rb"[,\]}\s]").search(text, at)
        return end.start() if end else None
    depth = 0
    for sign in _SIGNS.finditer(text, at):
        first = text[sign.start()]
        if first in b"{[":
            depth += 1
        elif first in b"]}":
            depth -= 1
        elif sign.end() - sign.start() == 1:
            return None
        if depth == 0:
            return sign.end()
    return None


def _member_rows(file: BinaryIO, layout: Layout, after: int, number: int) -> Iterator[Row]:
    """Members of a list from a byte on; the list ends the rows."""
    file.seek(after)
    text, at = b"", 0
    while True:
        number += 1
        at = _skip(text, at, b",")
        while (end := _end_of_value(text, at)) is None and text[at : at + 1] != b"]":
            more = file.read(_CHUNK)
            if not more:
                raise refused(f"ends in the middle of row {number}")
            text, after, at = text[at:] + more, after + at, 0
            at = _skip(text, at, b",")
            if len(text) - at > MAX_ROW + _CHUNK:
                raise refused(f"has more than {MAX_ROW} bytes in row {number}")
        if end is None or text[at : at + 1] == b"]":
            return
        raw, at = text[at:end], end
        try:
            yield _member(strict_json.loads(raw), layout.reading, number, after + end)
        except strict_json.JsonError as error:
            yield Row(number, after + end, {}, (("", str(error)),))


def _member(value: Any, reading: str, number: int, after: int) -> Row:
    if reading == "rows":
        return Row(number, after, value)
    if not isinstance(value, dict) or value.get("type") != "Feature":
        return Row(number, after, {}, (("", "a Feature is expected"),))
    properties = value.get("properties")
    if not isinstance(properties, dict) or not isinstance(value.get("geometry"), dict):
        return Row(number, after, {}, (("", "a Feature has properties and a geometry"),))
    if "geometry" in properties:
        return Row(number, after, {}, (("/geometry", "stands among the properties; a Feature has its own"),))
    return Row(number, after, {"geometry": value["geometry"], **properties})


# -- templates --------------------------------------------------------------------------------------------------------

_EXAMPLE_RING = [[112.0, 39.5], [112.01, 39.5], [112.01, 39.51], [112.0, 39.51], [112.0, 39.5]]
_EXAMPLE: dict[str, str] = {
    "reference": "EXAMPLE-1",
    "name": "Example parcel",
    "county": "youyu",
    "geometry": "POLYGON ((112 39.5, 112.01 39.5, 112.01 39.51, 112 39.51, 112 39.5))",
    "planted_year": "2015",
    "survival": "0.85",
    "title_until": "2065-12-31",
    "crediting_until": "2045-12-31",
    "kind": "forest",
    "programme": "ccer",
    "species": "larix_principis:0.6;pinus_tabuliformis:0.4",
    "row_spacing_m": "3",
    "plant_spacing_m": "2",
    "site_class": "medium",
    "volume_m3_ha": "20",
    "sampling_uncertainty": "0.15",
    "title_kind": "certificate",
    "title_number": "EXAMPLE-TITLE-1",
    "owner": "owner-0001",
    "hazard_fire": "0.4",
}


def template(format_: str) -> bytes:
    """A file with every column and one example row, to be filled in and sent back."""
    cells = [_EXAMPLE.get(name, "") for name in COLUMNS]
    if format_ == "geojson":
        properties = {name: _EXAMPLE.get(name) for name in COLUMNS if name != "geometry"}
        geometry = {"type": "Polygon", "coordinates": [_EXAMPLE_RING]}
        feature = {"type": "Feature", "properties": properties, "geometry": geometry}
        return json.dumps({"type": "FeatureCollection", "features": [feature]}, indent=2).encode()
    return spreadsheets.written(format_, COLUMNS, [cells])
