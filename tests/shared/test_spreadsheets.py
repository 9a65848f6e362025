"""Files that people send and get: nothing is read wrongly, and nothing that is given back runs as a formula."""

import io

import openpyxl
import pytest

from shared import spreadsheets
from shared.errors import InvalidError
from shared.spreadsheets import Columns

COLUMNS = Columns(("a", "b"), ("a",))
LINES = [("=1+1", "x"), ("-2+1", "@y"), ("\t3", "plain"), ("zh 右玉", "\x07")]


def test_what_is_downloaded_holds_no_formula() -> None:
    lines = spreadsheets.written("csv", ("a", "b"), LINES).decode("utf-8-sig").splitlines()
    assert lines == ["a,b", "'=1+1,x", "'-2+1,'@y", "'\t3,plain", "zh 右玉,\x07"]
    assert spreadsheets.written("csv", ("a",), [("-2",), ("-2.50",), ("-",)]).split() == [
        b"\xef\xbb\xbfa",
        b"-2",
        b"-2.50",
        b"'-",
    ]
    sheet = openpyxl.load_workbook(io.BytesIO(spreadsheets.written("xlsx", ("a", "b"), LINES))).active
    assert [cell.data_type for row in sheet.iter_rows() for cell in row if cell.value] == ["s"] * 9
    assert [row[0].value for row in sheet.iter_rows()] == ["a", "'=1+1", "'-2+1", "'\t3", "zh 右玉"]


@pytest.mark.parametrize("kind", spreadsheets.FORMATS)
def test_what_was_written_is_read(kind: str) -> None:
    written = spreadsheets.written(kind, ("a", "b"), [("1", "two"), ("", ""), ("3", "")])
    rows = list(spreadsheets.read(io.BytesIO(written), kind, "utf-8", COLUMNS))
    assert [(row.number, row.blank, dict(row.content)) for row in rows] == [
        (2, False, {"a": "1", "b": "two"}),
        (3, True, {}),
        (4, False, {"a": "3", "b": ""}),
    ]


@pytest.mark.parametrize(
    ("text", "free", "is_one"),
    [
        ("=A1", False, True),
        ("-1.5", False, False),
        ("+1", True, True),
        ("@SUM(A1)", True, True),
        ("#DIV/0!", False, True),
        ("#REF!", True, True),
        ("No. 7 = 8", True, False),
    ],
)
def test_a_formula_is_known_by_its_beginning(text: str, free: bool, is_one: bool) -> None:
    assert (spreadsheets.cell_fault(text, free=free) is not None) is is_one


def test_a_header_is_refused_column_by_column() -> None:
    with pytest.raises(InvalidError) as refusal:
        list(spreadsheets.read(io.BytesIO(b"b,b,c\n1,2,3\n"), "csv", "utf-8", COLUMNS))
    assert [(error["pointer"], error["detail"]) for error in refusal.value.errors] == [
        ("/a", "is missing"),
        ("/c", "is not known"),
        ("/b", "stands twice"),
    ]
