"""Files of parcels: CSV, GeoJSON and sheets of Excel, read row by row from any byte on, so that reading can stop there.

A file is looked at as a whole when it comes in: what is wrong with all of it is refused at once. What is wrong with a
row is told of that row, and the others go on.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, BinaryIO

import openpyxl
import shapely
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from services.sink.actions.parameters import PERILS
from shared import strict_json
from shared.errors import InvalidError

FORMATS = ("csv", "xlsx", "geojson")
CHARSETS = ("utf-8", "gb18030")
#: Largest file. [bytes]
MAX_FILE = 128 * 1024 * 1024
#: Longest line of a CSV file, and longest feature of a GeoJSON file. [bytes]
MAX_ROW = 1024 * 1024
#: What a workbook may unpack to, and what of it may be the texts that are held in memory. [bytes]
_MAX_UNPACKED, _MAX_TEXTS = 512 * 1024 * 1024, 128 * 1024 * 1024
#: Rows of a sheet of Excel.
_MAX_SHEET = 1_048_576
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
_WHOLE = {"planted_year", "elevation_m", "slope_degrees"}
#: Texts that a spreadsheet would run as a formula if it ever got them back.
_TEXTS = {"reference", "name", "title_number", "owner"}
_POLYGON_TEXT = re.compile(r"(MULTI)?POLYGON\s*\(", re.IGNORECASE)
#: Coordinate reference systems in degrees whose positions are, to a metre, those of WGS 84.
_DEGREES = re.compile(r"CRS84$|EPSG:{1,2}(4326|4490)$", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a file is to be read."""

    #: rows, csv, geojson or xlsx
    reading: str
    charset: str
    columns: tuple[str, ...]
    #: The byte at which the first row begins.
    start: int
    #: How many rows there may be.
    expected: int


@dataclass(frozen=True)
class Row:
    """A row of a file: what it holds, or what is wrong with it, unless it is blank."""

    #: As its reader counts: a table's header is row 1, the first feature is 1.
    number: int
    #: The byte at which the next one begins.
    after: int
    content: Mapping[str, Any]
    errors: tuple[tuple[str, str], ...] = ()
    blank: bool = False


def inspect(file: BinaryIO, format_: str, charset: str) -> Layout:
    """Look at a whole file before anything of it is taken; refuse what no row can be read from."""
    file.seek(0)
    if format_ == "xlsx":
        return _inspect_sheet(file)
    if format_ == "geojson":
        return _inspect_collection(file)
    return _inspect_table(file, charset)


def read(file: BinaryIO, layout: Layout, after: int, number: int) -> Iterator[Row]:
    """Rows from a byte on, behind the row of that number. A file that ends too early is refused there."""
    if layout.reading == "csv":
        return _table_rows(file, layout, after, number)
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
        if text[0] == "=" or (name in _TEXTS and text[0] in "+-@"):
            errors.append((where, "begins with = + - or @, as a formula does; give the value itself"))
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


def cell_text(value: Any) -> str:
    """What a cell says, as text: numbers as decimals, days as 2026-05-01."""
    if value is None:
        return ""
    if isinstance(value, ArrayFormula | DataTableFormula):
        return "="
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # A spreadsheet keeps 0.85 as the nearest binary fraction.
        return format(round(value, 10), ".10f").rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value).strip()


def _read_share(part: str) -> dict[str, Any]:
    species, colon, share = part.partition(":")
    return {"species": species.strip(), "share": share.strip() if colon else "1"}


def _read_geometry(text: str, request: dict[str, Any], errors: list[tuple[str, str]]) -> None:
    try:
        if text.startswith("{"):
            request["geometry"] = strict_json.loads(text.encode())
        elif _POLYGON_TEXT.match(text):
            request["geometry"] = dict(shapely.geometry.mapping(shapely.from_wkt(text)))
        else:
            raise ValueError("it begins otherwise")
    except (ValueError, shapely.GEOSException) as error:
        told = str(error).partition("\n")[0][:120]
        errors.append(("/geometry", f"is neither a POLYGON or MULTIPOLYGON in WKT nor a GeoJSON geometry: {told}"))


def _refused(detail: str, errors: Sequence[tuple[str, str]] = ()) -> InvalidError:
    return InvalidError(f"the file {detail}", errors=[{"pointer": where, "detail": told} for where, told in errors])


def _demand_columns(names: Sequence[str], required: Sequence[str], what: str) -> None:
    """Refuse a header that lacks a column, has one twice, or one that nobody knows: misspelt, it would be lost."""
    missing = [name for name in required if name not in names]
    unknown = sorted({name for name in names if name not in COLUMNS})
    twice = sorted({name for name in names if names.count(name) > 1} - set(unknown))
    told = [
        *((f"/{name}", "is missing") for name in missing),
        *((f"/{name[:64]}", "is not known") for name in unknown),
        *((f"/{name}", "stands twice") for name in twice),
    ]
    if not told:
        return
    parts = [
        f"{label} {', '.join(some[:20])}"
        for label, some in (("missing:", missing), ("unknown:", [n[:64] for n in unknown]), ("twice:", twice))
        if some
    ]
    raise _refused(f"has other {what} than the template; {'; '.join(parts)}", told[:100])


# -- tables -----------------------------------------------------------------------------------------------------------


def _inspect_table(file: BinaryIO, charset: str) -> Layout:
    """Read every line once: each is text of the charset, and none without end."""
    lines, ascii_, utf8 = 0, True, True
    for line in iter(lambda: file.readline(MAX_ROW), b""):
        lines += 1
        if lines == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise _refused("is UTF-16; save it as UTF-8")
        if len(line) == MAX_ROW:
            raise _refused(f"has more than {MAX_ROW} bytes in line {lines}; do its lines end?")
        ascii_ = ascii_ and line.isascii()
        utf8 = utf8 and _is_text(line, "utf-8")
        if charset == "utf-8" and not utf8:
            raise _refused(f"is not UTF-8 in line {lines}; save it so, or say charset=gb18030 if that is what it is")
        if charset == "gb18030" and not _is_text(line, charset):
            raise _refused(f"is not GB 18030 in line {lines}")
    if charset == "gb18030" and utf8 and not ascii_:
        raise _refused("is UTF-8; leave the charset out")
    return _table_layout(file, charset, lines)


def _is_text(line: bytes, charset: str) -> bool:
    try:
        line.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


def _table_layout(file: BinaryIO, charset: str, lines: int) -> Layout:
    file.seek(0)
    source = _Lines(file, charset, 0)
    try:
        header = next(csv.reader(source, strict=True), [])
    except csv.Error as error:
        raise _refused(f"is not CSV with commas and quotes: {error}") from None
    names = tuple(name.strip().removeprefix("\ufeff") for name in header)
    if len(names) == 1 and any(sign in names[0] for sign in ";\t"):
        raise _refused("parts its columns by other signs than commas")
    _demand_columns(names, REQUIRED, "columns")
    layout = Layout("csv", charset, names, source.at, max(1, lines - 1))
    if all(row.blank for row in _table_rows(file, layout, layout.start, 1)):
        raise _refused("has a header and no rows")
    return layout


class _Lines:
    """Lines of a file as text, and the byte behind the last one given."""

    def __init__(self, file: BinaryIO, charset: str, at: int) -> None:
        self._file, self._charset, self.at = file, charset, at

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_ROW)
        if not line:
            raise StopIteration
        self.at += len(line)
        return line.decode(self._charset)


def _table_rows(file: BinaryIO, layout: Layout, after: int, number: int) -> Iterator[Row]:
    file.seek(after)
    lines = _Lines(file, layout.charset, after)
    reader = csv.reader(lines, strict=True)
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, lines.at, {}, (("", f"not CSV: {error}"),))
            continue
        if not any(cell.strip() for cell in cells):
            yield Row(number, lines.at, {}, blank=True)
        elif len(cells) != len(layout.columns):
            told = f"has {len(cells)} cells where the header has {len(layout.columns)}"
            yield Row(number, lines.at, {}, (("", told),))
        else:
            yield Row(number, lines.at, dict(zip(layout.columns, cells, strict=True)))


# -- sheets -----------------------------------------------------------------------------------------------------------


def _inspect_sheet(file: BinaryIO) -> Layout:
    try:
        with zipfile.ZipFile(file) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise _refused("is no workbook of Excel (xlsx)") from None
    texts = sum(part.file_size for part in parts if part.filename.lower().endswith("sharedstrings.xml"))
    if sum(part.file_size for part in parts) > _MAX_UNPACKED or texts > _MAX_TEXTS:
        raise _refused("unpacks to more than a register of forests needs; send it as CSV")
    rows = _sheet_rows(file, 256)
    names = tuple(next(rows, ()))
    while names and not names[-1]:
        names = names[:-1]
    _demand_columns(names, REQUIRED, "columns")
    if not any(any(cells) for cells in rows):
        raise _refused("has a header and no rows")
    return Layout("xlsx", "utf-8", names, 0, 1)


def _sheet_rows(file: BinaryIO, width: int) -> Iterator[list[str]]:
    """Rows of the first sheet as texts, formulas as they are written."""
    file.seek(0)
    try:
        book = openpyxl.load_workbook(file, read_only=True, keep_links=False)
        for number, cells in enumerate(book.worksheets[0].iter_rows(max_col=width, values_only=True), 1):
            if number > _MAX_SHEET:
                raise _refused("has more rows than a sheet of Excel")
            yield [cell_text(cell) for cell in cells]
    except InvalidError:
        raise
    except Exception as error:
        # openpyxl raises whatever its parser meets: it promises no type of its own.
        raise _refused(f"is no workbook that can be read ({type(error).__name__})") from None


def table_of_sheet(file: BinaryIO, layout: Layout) -> Iterator[bytes]:
    """What stands under the header of the first sheet as CSV, row for row, in pieces."""
    made = io.StringIO()
    writer = csv.writer(made)
    # One column more than the header has: what stands there must not be lost without a word.
    for cells in islice(_sheet_rows(file, len(layout.columns) + 1), 1, None):
        shown = cells if any(cells[len(layout.columns) :]) else cells[: len(layout.columns)]
        if any(shown):
            writer.writerow(shown)
        else:
            made.write("\n")
        if made.tell() > _CHUNK:
            yield made.getvalue().encode()
            made.seek(0)
            made.truncate()
    yield made.getvalue().encode()


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
        raise _refused("is in a projection; give WGS 84 or CGCS 2000 in degrees")
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(max(0, size - 4096))
    if not file.read().rstrip(_SPACE).endswith(b"}"):
        raise _refused("ends in the middle")
    file.seek(0)
    features = sum(chunk.count(b'"Feature"') for chunk in iter(lambda: file.read(_CHUNK), b""))
    layout = Layout("geojson", "utf-8", (), start, max(1, features))
    first = next(_member_rows(file, layout, start, 0), None)
    if first is None:
        raise _refused("has no features")
    if not first.errors:
        names = [name for name in first.content if name != "hazards"]
        _demand_columns(names, REQUIRED, "properties")
    return layout


def _head(head: bytes) -> tuple[dict[str, Any], int]:
    """The members of a FeatureCollection before its features, and the byte at which the first feature begins."""
    found: dict[str, Any] = {}
    at = _skip(head, 0)
    if head[at : at + 1] != b"{":
        raise _refused("is no GeoJSON FeatureCollection")
    at += 1
    while True:
        at = _skip(head, at, b",")
        end = _end_of_value(head, at)
        colon = _skip(head, end) if end else -1
        if end is None or head[at : at + 1] != b'"' or head[colon : colon + 1] != b":":
            raise _refused("is no GeoJSON FeatureCollection, or its features come too late")
        name = _loaded(head[at:end])
        at = _skip(head, colon + 1)
        if name == "features":
            if head[at : at + 1] != b"[":
                raise _refused("has no list of features")
            return found, at + 1
        end = _end_of_value(head, at)
        if end is None:
            raise _refused("is no GeoJSON FeatureCollection, or its features come too late")
        found[name] = _loaded(head[at:end])
        at = end


def _loaded(raw: bytes) -> Any:
    try:
        return strict_json.loads(raw)
    except strict_json.JsonError as error:
        raise _refused(f"is not JSON: {error}") from None


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
                raise _refused(f"ends in the middle of row {number}")
            text, after, at = text[at:] + more, after + at, 0
            at = _skip(text, at, b",")
            if len(text) - at > MAX_ROW + _CHUNK:
                raise _refused(f"has more than {MAX_ROW} bytes in row {number}")
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
    if format_ == "csv":
        filled = io.StringIO()
        csv.writer(filled).writerows([COLUMNS, cells])
        # With the mark, Excel reads it as UTF-8.
        return filled.getvalue().encode("utf-8-sig")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("parcels")
    sheet.append(list(COLUMNS))
    sheet.append(cells)
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


def written(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table as CSV; a text that a spreadsheet would run as a formula gets a mark before it."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(header)
    writer.writerows([f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell for cell in line] for line in lines)
    return made.getvalue()
