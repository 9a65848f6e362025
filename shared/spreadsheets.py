"""Spreadsheets that people send and get: CSV and the first sheet of an Excel workbook.

A file is looked at as a whole when it comes in: what is wrong with all of it is refused at once. What is wrong with a
row is told of that row, and the others go on. Rows are read from any byte on, so that reading can stop there.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, BinaryIO

import openpyxl
from openpyxl.cell.cell import ERROR_CODES, ILLEGAL_CHARACTERS_RE
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from shared.errors import InvalidError

FORMATS = ("csv", "xlsx")
CHARSETS = ("utf-8", "gb18030")
#: Longest line of a CSV file. [bytes]
MAX_ROW = 1024 * 1024
#: What a workbook may unpack to, and what of it may be the texts that are held in memory. [bytes]
_MAX_UNPACKED, _MAX_TEXTS = 512 * 1024 * 1024, 128 * 1024 * 1024
#: Rows of a sheet of Excel.
_MAX_SHEET = 1_048_576
_CHUNK = 256 * 1024
#: Signs with which a spreadsheet takes a text for a formula, and the numbers that begin with one and are none.
_FORMULA = tuple("=+-@\t\r")
_NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """What a header may name, and what it must."""

    known: Sequence[str]
    required: Sequence[str]

    def demand(self, names: Sequence[str], what: str = "columns") -> None:
        """Refuse a header that lacks a column, has one twice, or one that nobody knows: misspelt, it would be lost."""
        missing = [name for name in self.required if name not in names]
        unknown = sorted({name for name in names if name not in self.known})
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
        raise refused(f"has other {what} than the template; {'; '.join(parts)}", told[:100])


@dataclass(frozen=True)
class Layout:
    """How a file is to be read."""

    #: csv or xlsx, or what else whoever reads it knows.
    reading: str
    charset: str
    columns: tuple[str, ...]
    #: The byte at which the first row begins.
    start: int
    #: How many rows there may be.
    expected: int


@dataclass(frozen=True)
class Row:
    """A row of a file: what it holds, or what is wrong with it by JSON Pointer, unless it is blank."""

    #: As its reader counts: a table's header is row 1.
    number: int
    #: The byte at which the next one begins.
    after: int
    content: Mapping[str, Any]
    errors: tuple[tuple[str, str], ...] = ()
    blank: bool = False


def refused(detail: str, errors: Sequence[tuple[str, str]] = ()) -> InvalidError:
    """The refusal of a whole file."""
    return InvalidError(f"the file {detail}", errors=[{"pointer": where, "detail": told} for where, told in errors])


def inspect(file: BinaryIO, format_: str, charset: str, columns: Columns) -> Layout:
    """Look at a whole file before anything of it is taken; refuse what no row can be read from."""
    file.seek(0)
    return _inspect_sheet(file, columns) if format_ == "xlsx" else _inspect_csv(file, charset, columns)


def read(file: BinaryIO, format_: str, charset: str, columns: Columns) -> Iterator[Row]:
    """Every row of a file that is small enough to be read in one go."""
    layout = inspect(file, format_, charset, columns)
    if format_ == "xlsx":
        for number, cells in enumerate(_under_header(file, layout), 2):
            yield _row(number, 0, cells, layout.columns)
    else:
        yield from rows(file, layout, layout.start, 1)


def cell_fault(text: str, *, free: bool) -> str | None:
    """What keeps a cell from being a value. Free text is anything, so there each sign that begins a formula does."""
    if text[:1] == "=" or (free and text[:1] in _FORMULA):
        return "begins with = + - or @, as a formula does; give the value itself"
    return "is an error of the spreadsheet; give the value itself" if text in ERROR_CODES else None


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


# -- CSV --------------------------------------------------------------------------------------------------------------


def _inspect_csv(file: BinaryIO, charset: str, columns: Columns) -> Layout:
    """Read every line once: each is text of the charset, and none without end."""
    lines, ascii_, utf8 = 0, True, True
    for line in iter(lambda: file.readline(MAX_ROW), b""):
        lines += 1
        if lines == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise refused("is UTF-16; save it as UTF-8")
        if len(line) == MAX_ROW:
            raise refused(f"has more than {MAX_ROW} bytes in line {lines}; do its lines end?")
        ascii_ = ascii_ and line.isascii()
        utf8 = utf8 and _is_text(line, "utf-8")
        if charset == "utf-8" and not utf8:
            raise refused(f"is not UTF-8 in line {lines}; save it so, or say charset=gb18030 if that is what it is")
        if charset == "gb18030" and not _is_text(line, charset):
            raise refused(f"is not GB 18030 in line {lines}")
    if charset == "gb18030" and utf8 and not ascii_:
        raise refused("is UTF-8; leave the charset out")
    return _csv_layout(file, charset, columns, lines)


def _is_text(line: bytes, charset: str) -> bool:
    try:
        line.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


def _csv_layout(file: BinaryIO, charset: str, columns: Columns, lines: int) -> Layout:
    file.seek(0)
    source = _Lines(file, charset, 0)
    try:
        header = next(csv.reader(source, strict=True), [])
    except csv.Error as error:
        raise refused(f"is not CSV with commas and quotes: {error}") from None
    names = tuple(name.strip().removeprefix("\ufeff") for name in header)
    if len(names) == 1 and any(sign in names[0] for sign in ";\t"):
        raise refused("parts its columns by other signs than commas")
    columns.demand(names)
    layout = Layout("csv", charset, names, source.at, max(1, lines - 1))
    if all(row.blank for row in rows(file, layout, layout.start, 1)):
        raise refused("has a header and no rows")
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


def rows(file: BinaryIO, layout: Layout, after: int, number: int) -> Iterator[Row]:
    """Rows of CSV from a byte on, behind the row of that number."""
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
        yield _row(number, lines.at, cells, layout.columns)


def _row(number: int, after: int, cells: Sequence[str], columns: Sequence[str]) -> Row:
    if not any(cell.strip() for cell in cells):
        return Row(number, after, {}, blank=True)
    if len(cells) != len(columns):
        return Row(number, after, {}, (("", f"has {len(cells)} cells where the header has {len(columns)}"),))
    content = dict(zip(columns, cells, strict=True))
    return Row(number, after, content, tuple(_no_text(content)) if "\0" in "".join(cells) else ())


def _no_text(content: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The database keeps no text with this sign in it."""
    return ((f"/{name}", "holds the control character 0") for name, cell in content.items() if "\0" in cell)


# -- sheets -----------------------------------------------------------------------------------------------------------


def _inspect_sheet(file: BinaryIO, columns: Columns) -> Layout:
    try:
        with zipfile.ZipFile(file) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise refused("is no workbook of Excel (xlsx)") from None
    texts = sum(part.file_size for part in parts if part.filename.lower().endswith("sharedstrings.xml"))
    if sum(part.file_size for part in parts) > _MAX_UNPACKED or texts > _MAX_TEXTS:
        raise refused("unpacks to more than anybody needs here; send it as CSV")
    found = _sheet_rows(file, 256)
    names = tuple(next(found, ()))
    while names and not names[-1]:
        names = names[:-1]
    columns.demand(names)
    if not any(any(cells) for cells in found):
        raise refused("has a header and no rows")
    return Layout("xlsx", "utf-8", names, 0, 1)


def _sheet_rows(file: BinaryIO, width: int) -> Iterator[list[str]]:
    """Rows of the first sheet as texts, formulas as they are written."""
    file.seek(0)
    try:
        book = openpyxl.load_workbook(file, read_only=True, keep_links=False)
        for number, cells in enumerate(book.worksheets[0].iter_rows(max_col=width, values_only=True), 1):
            if number > _MAX_SHEET:
                raise refused("has more rows than a sheet of Excel")
            yield [cell_text(cell) for cell in cells]
    except InvalidError:
        raise
    except Exception as error:
        # openpyxl raises whatever its parser meets: it promises no type of its own.
        raise refused(f"is no workbook that can be read ({type(error).__name__})") from None


def _under_header(file: BinaryIO, layout: Layout) -> Iterator[list[str]]:
    # One column more than the header has: what stands there must not be lost without a word.
    width = len(layout.columns)
    for cells in islice(_sheet_rows(file, width + 1), 1, None):
        yield cells if any(cells[width:]) else cells[:width]


def csv_of_sheet(file: BinaryIO, layout: Layout) -> Iterator[bytes]:
    """What stands under the header of the first sheet as CSV, row for row, in pieces."""
    made = io.StringIO()
    writer = csv.writer(made)
    for cells in _under_header(file, layout):
        if any(cells):
            writer.writerow(cells)
        else:
            made.write("\n")
        if made.tell() > _CHUNK:
            yield made.getvalue().encode()
            made.seek(0)
            made.truncate()
    yield made.getvalue().encode()


# -- what people get --------------------------------------------------------------------------------------------------


def written(format_: str, header: Sequence[str], lines: Iterable[Sequence[str]]) -> bytes:
    """A file to download; a text that a spreadsheet would run as a formula gets a mark before it."""
    safe = ([_marked(cell) for cell in line] for line in lines)
    if format_ == "csv":
        made = io.StringIO()
        writer = csv.writer(made)
        writer.writerow(header)
        writer.writerows(safe)
        # With the mark, Excel reads it as UTF-8.
        return made.getvalue().encode("utf-8-sig")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("rows")
    sheet.append(list(header))
    for line in safe:
        sheet.append([re.sub(ILLEGAL_CHARACTERS_RE, "", cell) for cell in line])
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


def _marked(cell: str) -> str:
    return f"'{cell}" if cell[:1] in _FORMULA and not _NEGATIVE.fullmatch(cell) else cell
