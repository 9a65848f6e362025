"""Files of parcels: what is taken, what is refused and where, and that nothing is lost or doubled on the way."""

import csv
import io
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text

from services.sink import consumers
from services.sink.actions import assets, files, imports
from services.sink.actions.files import COLUMNS, REQUIRED
from services.sink.consumers import DOOR
from services.sink.tables import Asset, AssetImport, AssetImportParcel, AssetImportPiece
from shared import jobs
from shared.errors import InvalidError
from shared.events.sink import AssetRegistered, CarbonAssetValued
from shared.spreadsheets import CHARSETS, Row
from tests.conftest import Database
from tests.harness import BANK, BUREAU, Client, body, client, published
from tests.sink.examples import square, years_from_today

FILES = "/v1/asset-imports/files"


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The bureau's surveyor."""
    return client("sink", sink_db, "bureau", BUREAU)


def cells(place: int = 0, **changes: Any) -> dict[str, Any]:
    """A row of a file: a forest at a numbered place."""
    ring = square(place)["coordinates"][0]
    given: dict[str, Any] = {
        "reference": f"YY-{place:05}",
        "name": f"Parcel {place}",
        "county": "youyu",
        "geometry": f"POLYGON (({', '.join(f'{x} {y}' for x, y in ring)}))",
        "species": "larix_principis:0.6; pinus_tabuliformis:0.4",
        "planted_year": "2012",
        "survival": "0.85",
        "volume_m3_ha": "20",
        "hazard_fire": "0.4",
        "title_until": years_from_today(40).isoformat(),
        "crediting_until": years_from_today(25).isoformat(),
    }
    return given | changes


def table(*rows: dict[str, Any]) -> bytes:
    """Rows as CSV."""
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue().encode()


def sheet(*rows: dict[str, Any]) -> bytes:
    """Rows as a workbook of Excel."""
    book = openpyxl.Workbook()
    page = book.active
    page.append(list(rows[0]))
    for row in rows:
        page.append(list(row.values()))
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


def collection(*rows: dict[str, Any], **members: Any) -> bytes:
    """Rows as a GeoJSON FeatureCollection."""
    features = [
        {
            "type": "Feature",
            "properties": {name: value for name, value in row.items() if name != "geometry"},
            "geometry": square(place),
        }
        for place, row in enumerate(rows)
    ]
    return json.dumps({"type": "FeatureCollection", **members, "features": features}).encode()


def run(database: Database) -> int:
    """Do the steps of all jobs; says how many."""
    steps = 0
    while jobs.run_step(database.worker_sessions, DOOR.jobs):
        steps += 1
    return steps


def imported(database: Database, clerk: Client, content: bytes, **query: str) -> dict[str, Any]:
    """What became of a file, sent and taken in."""
    query = {"format": "csv"} | query
    started = clerk.send(f"{FILES}?{'&'.join(f'{n}={v}' for n, v in query.items())}", content)
    body(started, 202)
    run(database)
    found: dict[str, Any] = body(clerk.get(started.headers["Location"]))
    job = body(clerk.get(f"/v1/jobs/{found['id']}"))
    assert (job["state"], job["done"]) == ("finished", job["total"]), job
    return found


def counts(one: dict[str, Any]) -> tuple[int, int, int]:
    return one["registered"], one["known"], one["refused"]


def errors(clerk: Client, one: dict[str, Any]) -> list[tuple[int, str, str]]:
    listed = body(clerk.get(f"/v1/asset-imports/{one['id']}/errors", limit=100))["items"]
    return sorted((error["row"], error["field"], error["message"]) for error in listed)


def entered(database: Database) -> list[Asset]:
    with database.sessions() as session:
        return list(session.scalars(select(Asset).order_by(Asset.reference)))


# -- what is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "query"),
    [
        (table(cells(0), cells(1)), {"format": "csv"}),
        (b"\xef\xbb\xbf" + table(cells(0), cells(1)), {"format": "csv"}),
        (
            table(cells(0, name="右玉一号"), cells(1)).decode().encode("gb18030"),
            {"format": "csv", "charset": "gb18030"},
        ),
        (table(cells(0), cells(1)).replace(b"\r\n", b"\n"), {"format": "csv"}),
        (sheet(cells(0), cells(1)), {"format": "xlsx"}),
        (
            sheet(
                cells(0, planted_year=2012, survival=0.85, title_until=date(2090, 1, 1)), cells(1, survival=0.1 + 0.2)
            ),
            {"format": "xlsx"},
        ),
        (collection(cells(0), cells(1)), {"format": "geojson"}),
        (
            collection(cells(0, survival=0.85, planted_year=2012, owner=None), cells(1), name="youyu 2026"),
            {"format": "geojson"},
        ),
        (
            collection(
                cells(0), cells(1), crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
            ),
            {"format": "geojson"},
        ),
    ],
    ids=["csv", "marked", "gb18030", "newlines", "xlsx", "typed xlsx", "geojson", "typed geojson", "geojson with crs"],
)
def test_a_file_of_each_kind_goes_in_and_is_valued(
    sink_db: Database, bureau: Client, content: bytes, query: dict[str, str]
) -> None:
    one = imported(sink_db, bureau, content, **query)
    assert counts(one) == (2, 0, 0), errors(bureau, one)
    assert one["finished_at"] is not None
    first, second = entered(sink_db)
    assert (first.reference, second.reference, first.planted_year) == ("YY-00000", "YY-00001", 2012)
    assert first.species == [
        {"species": "larix_principis", "share": "0.6"},
        {"species": "pinus_tabuliformis", "share": "0.4"},
    ]
    assert first.hazards == {"fire": "0.4"}
    assert {first.valuation_version, second.valuation_version} == {1}
    assert len(published(sink_db, AssetRegistered)) == len(published(sink_db, CarbonAssetValued)) == 2
    with sink_db.sessions() as session:
        assert session.scalars(select(AssetImportPiece.number)).all() == []


@pytest.mark.parametrize("kind", files.FORMATS)
def test_a_template_comes_back_as_it_is_given_out(sink_db: Database, bureau: Client, kind: str) -> None:
    given = bureau.get("/v1/asset-imports/template", format=kind)
    assert given.headers["Content-Disposition"] == f'attachment; filename="parcels.{kind}"'
    one = imported(sink_db, bureau, given.data, format=kind)
    assert counts(one) == (1, 0, 0), errors(bureau, one)
    (asset,) = entered(sink_db)
    assert (asset.title_kind, asset.owner, str(asset.row_spacing_m)) == ("certificate", "owner-0001", "3.00")


def test_a_multipolygon_and_geojson_in_a_cell_are_ground_as_well(sink_db: Database, bureau: Client) -> None:
    polygons = [square(0)["coordinates"], square(1)["coordinates"]]
    several = json.dumps({"type": "MultiPolygon", "coordinates": polygons})
    one = imported(sink_db, bureau, table(cells(0, geometry=several)))
    assert counts(one) == (1, 0, 0), errors(bureau, one)
    assert entered(sink_db)[0].geometry["type"] == "MultiPolygon"


def test_blank_rows_are_passed_over_and_counted_as_the_file_has_them(sink_db: Database, bureau: Client) -> None:
    header, first, second = table(cells(0), cells(1, survival="2")).splitlines(keepends=True)
    one = imported(sink_db, bureau, header + b"\r\n" + first + b",,,,,,,,,,\r\n" + second + b"\r\n")
    assert counts(one) == (1, 0, 1)
    assert [row for row, _, _ in errors(bureau, one)] == [5]
    rows = [cells(0), {}, cells(1, survival="2")]
    one = imported(sink_db, bureau, sheet(*(row or dict.fromkeys(rows[0]) for row in rows)), format="xlsx")
    assert counts(one) == (0, 1, 1)
    assert [row for row, _, _ in errors(bureau, one)] == [4]


# -- what is refused --------------------------------------------------------------------------------------------------


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("content", "query", "told"),
    [
        (table(without(cells(), "county") | {"volumen": "20"}), {}, "missing: county; unknown: volumen"),
        (table(cells()).replace(b"reference,name", b"name,name", 1), {}, "missing: reference; twice: name"),
        (table(cells()).replace(b",", b";"), {}, "other signs than commas"),
        (table(cells(name="右玉")).decode().encode("gb18030"), {}, "not UTF-8 in line 2"),
        (table(cells(name="右玉")), {"charset": "gb18030"}, "is UTF-8; leave the charset out"),
        (table(cells()).decode().encode("utf-16"), {}, "UTF-16"),
        (table(cells()).splitlines(keepends=True)[0], {}, "a header and no rows"),
        (b"\x00" * 2_000_000, {}, "do its lines end"),
        (b'"' + b"x" * 200_000 + b"\n", {}, "field larger"),
        (table(cells()), {"format": "xlsx"}, "no workbook"),
        (sheet(without(cells(), "name")), {"format": "xlsx"}, "missing: name"),
        (sheet(cells())[:-200], {"format": "xlsx"}, "no workbook"),
        (b"[]", {"format": "geojson"}, "no GeoJSON FeatureCollection"),
        (b'{"type": "Feature"}', {"format": "geojson"}, "no GeoJSON FeatureCollection"),
        (b'{"type": "FeatureCollection", "features": []}', {"format": "geojson"}, "has no features"),
        (b'{"type": "FeatureCollection", "features": {}}', {"format": "geojson"}, "no list of features"),
        (collection(cells())[:-1], {"format": "geojson"}, "ends in the middle"),
        (collection(cells() | {"fid": 1}), {"format": "geojson"}, "unknown: fid"),
        (
            collection(cells(), crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4546"}}),
            {"format": "geojson"},
            "in a projection",
        ),
    ],
)
def test_a_file_that_no_row_can_be_read_from_is_refused_at_once(
    sink_db: Database, bureau: Client, content: bytes, query: dict[str, str], told: str
) -> None:
    query = {"format": "csv"} | query
    problem = body(bureau.send(f"{FILES}?{'&'.join(f'{n}={v}' for n, v in query.items())}", content), 422)
    assert told in problem["detail"]
    assert body(bureau.get("/v1/asset-imports"))["items"] == []
    assert run(sink_db) == 0


OPEN_RING = '{"type": "Polygon", "coordinates": [[[112, 39.5], [112, 39.6], [112.1, 39.6], [112, 39.4]]]}'


def test_a_wrong_header_is_told_column_by_column(sink_db: Database, bureau: Client) -> None:
    content = table(without(cells(), "survival") | {"survivl": "0.8"})
    problem = body(bureau.send(f"{FILES}?format=csv", content), 422)
    assert problem["errors"] == [
        {"pointer": "/survival", "detail": "is missing"},
        {"pointer": "/survivl", "detail": "is not known"},
    ]


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"survival": "85 %"}, "/survival", "decimal"),
        ({"survival": "-0.1"}, "/survival", "not negative"),
        ({"planted_year": "2012.5"}, "/planted_year", "integer"),
        ({"planted_year": "3000"}, "/planted_year", "2200"),
        ({"county": "atlantis"}, "/county", "one of"),
        ({"reference": ""}, "/reference", "is needed"),
        ({"name": "=HYPERLINK(1)"}, "/name", "formula"),
        ({"name": "@SUM(A1)"}, "/name", "formula"),
        ({"reference": "-1+2"}, "/reference", "formula"),
        ({"reference": "+8"}, "/reference", "formula"),
        ({"volume_m3_ha": "=A1*2"}, "/volume_m3_ha", "formula"),
        ({"name": "a\0b"}, "/name", "control character"),
        ({"title_until": "31.12.2060"}, "/title_until", "date"),
        ({"species": "baobab"}, "/species/0/species", "one of"),
        ({"species": "larix_principis:0.5"}, "/species", "sum to 1"),
        ({"geometry": "POINT (112 39.5)"}, "/geometry", "neither"),
        ({"geometry": "POLYGON ((112 39.5, 112.01 39.5"}, "/geometry", "neither"),
        ({"geometry": "POLYGON Z ((112 39 1, 112.1 39 1, 112 39.1 1, 112 39 1))"}, "/geometry", "neither"),
        ({"geometry": '{"type": "Polygon"'}, "/geometry", "neither"),
        ({"geometry": '{"type": "Polygon", "coordinates": []}'}, "/geometry/coordinates", "length"),
        (
            {"geometry": "POLYGON ((39.5 112, 39.5 112.01, 39.51 112.01, 39.5 112))"},
            "/geometry/coordinates/0/0",
            "swapped",
        ),
        (
            {"geometry": "POLYGON ((500000 4370000, 501000 4370000, 501000 4371000, 500000 4370000))"},
            "/geometry/coordinates/0/0",
            "metres",
        ),
        ({"hazard_fire": "1.5"}, "/hazards/fire/value", "0 to 1"),
        ({"hazard_fire": "-0.1"}, "/hazards/fire/value", "not negative"),
        ({"survival": "NaN"}, "/survival", "decimal"),
        ({"survival": "0,85"}, "/survival", "decimal"),
        ({"survival": "0"}, "/survival", "nothing that stands"),
        ({"volume_m3_ha": "inf"}, "/volume_m3_ha", "decimal"),
        ({"volume_m3_ha": "1,000"}, "/volume_m3_ha", "decimal"),
        ({"volume_m3_ha": "1e2"}, "/volume_m3_ha", "decimal"),
        ({"volume_m3_ha": "20 m3"}, "/volume_m3_ha", "decimal"),
        ({"volume_m3_ha": "#DIV/0!"}, "/volume_m3_ha", "error of the spreadsheet"),
        ({"name": "#REF!"}, "/name", "error of the spreadsheet"),
        ({"planted_year": "2,012"}, "/planted_year", "integer"),
        ({"planted_year": "NaN"}, "/planted_year", "integer"),
        ({"geometry": "POLYGON EMPTY"}, "/geometry", "neither"),
        ({"geometry": "POLYGON ((112 39.5, 112.01 nan, 112.01 39.51, 112 39.5))"}, "/geometry", "neither"),
        (
            {"geometry": "POLYGON ((112 39.5, 112.01 39.51, 112.01 39.5, 112 39.51, 112 39.5))"},
            "/geometry/coordinates",
            "not valid",
        ),
        ({"geometry": '{"type": "Polygon", "coordinates": [[[112, NaN], [112, 1]]]}'}, "/geometry", "neither"),
        (
            {"geometry": '{"type": "Polygon", "coordinates": [[[112, "39"], [112, 39], [112, 39], [112, 39]]]}'},
            "/geometry/coordinates/0/0/1",
            "number",
        ),
        ({"geometry": OPEN_RING}, "/geometry/coordinates/0", "ends where it begins"),
    ],
)
def test_a_row_that_cannot_go_in_is_told_with_its_field_and_the_others_go_on(
    sink_db: Database, bureau: Client, changes: dict[str, str], field: str, told: str
) -> None:
    one = imported(sink_db, bureau, table(cells(0), cells(1, **changes), cells(2)))
    assert counts(one) == (2, 0, 1)
    assert [(row, where) for row, where, _ in errors(bureau, one)] == [(3, field)]
    ((_, _, message),) = errors(bureau, one)
    assert told.lower() in message.lower()


def test_a_formula_of_excel_is_refused_where_it_stands(sink_db: Database, bureau: Client) -> None:
    one = imported(sink_db, bureau, sheet(cells(0), cells(1, survival="=0.5+0.3")), format="xlsx")
    assert counts(one) == (1, 0, 1)
    assert [(row, field) for row, field, _ in errors(bureau, one)] == [(3, "/survival")]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (b"YY-1,too few\r\n", "cells where the header has"),
        (b'YY-1,"quoted"badly,x\r\n', "not CSV"),
    ],
)
def test_a_line_that_is_no_row_is_told_and_the_next_one_read(
    sink_db: Database, bureau: Client, broken: bytes, told: str
) -> None:
    header, first, second = table(cells(0), cells(1)).splitlines(keepends=True)
    one = imported(sink_db, bureau, header + first + broken + second)
    assert counts(one) == (2, 0, 1)
    ((row, field, message),) = errors(bureau, one)
    assert (row, field) == (3, "")
    assert told in message


@pytest.mark.parametrize(
    "wrong", [b"17", b'{"type": "Feature", "properties": null}', b'{"type": "Feature", "type": 1}']
)
def test_a_member_that_is_no_feature_is_told_and_the_next_one_read(
    sink_db: Database, bureau: Client, wrong: bytes
) -> None:
    content = collection(cells(0), cells(1)).replace(b"]]}}, {", b"]]}}, " + wrong + b", {")
    one = imported(sink_db, bureau, content, format="geojson")
    assert counts(one) == (2, 0, 1)
    assert [row for row, _, _ in errors(bureau, one)] == [2]


def test_more_errors_than_anybody_reads_are_counted_and_the_first_are_kept(
    sink_db: Database, bureau: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MAX_ERRORS", 30)
    monkeypatch.setattr(consumers, "READ_AT_ONCE", 400)
    header, row = table(cells(0, survival="2")).splitlines(keepends=True)
    one = imported(sink_db, bureau, header + row * 1100)
    assert counts(one) == (0, 0, 1100)
    assert one["errors"] == 1100
    first = body(bureau.get(f"/v1/asset-imports/{one['id']}/errors", limit=20))
    rest = body(bureau.get(f"/v1/asset-imports/{one['id']}/errors", limit=20, cursor=first["next"]))
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (20, 10, None)
    downloaded = bureau.get(f"/v1/asset-imports/{one['id']}/errors/file")
    lines = list(csv.reader(io.StringIO(downloaded.data.decode("utf-8-sig"))))
    assert lines[0] == ["row", "field", "message"]
    assert [line[:2] for line in lines[1:]] == [[str(number), "/survival"] for number in range(2, 32)]
    assert len(body(bureau.get(f"/v1/jobs/{one['id']}"))["log"]) == 1000


def test_a_workbook_that_unpacks_without_end_is_refused_unread(sink_db: Database, bureau: Client) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made, made.open("xl/sharedStrings.xml", "w") as part:
        for _ in range(130):
            part.write(b" " * 1024 * 1024)
    problem = body(bureau.send(f"{FILES}?format=xlsx", packed.getvalue()), 422)
    assert "unpacks to more" in problem["detail"]


def test_a_file_is_sent_as_it_is_and_not_without_end(sink_db: Database, bureau: Client, tmp_path: Path) -> None:
    content = table(cells())
    assert bureau.send(f"{FILES}?format=csv", content, Content_Type="text/csv").status_code == 415
    assert bureau.send(f"{FILES}?format=csv", b"").status_code == 400
    assert bureau.send(f"{FILES}?format=ods", content).status_code == 422
    assert bureau.send(f"{FILES}?format=csv&dry_run=maybe", content).status_code == 422
    assert bureau.send(f"{FILES}?format=csv&charset=latin-1", content).status_code == 422
    assert bureau.send(f"{FILES}?format=csv", content, Idempotency_Key="").status_code == 400
    headers = {"Authorization": f"Bearer {bureau.bearer}", "Idempotency-Key": "k"}
    with (tmp_path / "long").open("w+b") as long:
        long.truncate(files.MAX_FILE + 1)
        sent = {"content_type": "application/octet-stream", "headers": headers}
        answer = bureau.http.post(f"{FILES}?format=csv", input_stream=long, **sent)
    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"
    officer = client("sink", sink_db, "officer", BANK)
    assert officer.send(f"{FILES}?format=csv", content).status_code == 403
    assert run(sink_db) == 0


def test_a_file_sent_twice_under_one_key_is_one_import(sink_db: Database, bureau: Client) -> None:
    key = str(uuid4())
    first = bureau.send(f"{FILES}?format=csv", table(cells()), Idempotency_Key=key)
    again = bureau.send(f"{FILES}?format=csv", table(cells()), Idempotency_Key=key)
    assert body(again, 202) == body(first, 202)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(body(bureau.get("/v1/asset-imports"))["items"]) == 1
    assert bureau.send(f"{FILES}?format=csv", table(cells(1)), Idempotency_Key=key).status_code == 422
    assert bureau.send(f"{FILES}?format=csv&dry_run=true", table(cells()), Idempotency_Key=key).status_code == 422


def test_an_import_is_its_institutions_own(sink_db: Database, bureau: Client) -> None:
    one = imported(sink_db, bureau, table(cells(0, survival="2")))
    stranger = client("sink", sink_db, "bureau", "bureau-elsewhere")
    for path in ("", "/errors", "/errors/file"):
        assert stranger.get(f"/v1/asset-imports/{one['id']}{path}").status_code == 404
    assert body(stranger.get("/v1/asset-imports"))["items"] == []


# -- twice, half and not at all ---------------------------------------------------------------------------------------


def test_the_same_file_again_finds_everything_known_and_writes_nothing(sink_db: Database, bureau: Client) -> None:
    content = table(*(cells(place) for place in range(5)))
    assert counts(imported(sink_db, bureau, content)) == (5, 0, 0)
    told = len(published(sink_db))
    again = imported(sink_db, bureau, content)
    assert counts(again) == (0, 5, 0)
    assert len(published(sink_db)) == told
    moved = imported(sink_db, bureau, table(cells(9, reference="YY-00001")))
    assert errors(bureau, moved) == [(2, "/reference", "in the register already")]


def test_a_row_that_stands_twice_in_a_file_goes_in_once(sink_db: Database, bureau: Client) -> None:
    one = imported(sink_db, bureau, table(cells(0), cells(0), cells(0, reference="YY-other")))
    assert counts(one) == (1, 1, 1)
    assert [(row, field) for row, field, _ in errors(bureau, one)] == [(4, "/geometry")]


@pytest.mark.parametrize(("make", "kind"), [(table, "csv"), (sheet, "xlsx"), (collection, "geojson")])
def test_an_import_that_is_killed_goes_on_behind_its_last_batch(
    sink_db: Database, bureau: Client, monkeypatch: pytest.MonkeyPatch, make: Any, kind: str
) -> None:
    monkeypatch.setattr(consumers, "IMPORTED_AT_ONCE", 3)
    rows = [cells(place) if place != 4 else cells(place, survival="2") for place in range(10)]
    started = body(bureau.send(f"{FILES}?format={kind}", make(*rows)), 202)
    for _ in range(2):
        assert jobs.run_step(sink_db.worker_sessions, DOOR.jobs)
    halfway = len(entered(sink_db))
    assert 0 < halfway < 9
    honest = assets.import_assets

    class KilledError(BaseException):
        """The process is gone: nothing tidies up behind it."""

    def killed(session: Any, many: Any) -> Any:
        honest(session, many)
        session.flush()
        raise KilledError

    monkeypatch.setattr(assets, "import_assets", killed)
    with pytest.raises(KilledError):
        jobs.run_step(sink_db.worker_sessions, DOOR.jobs)
    assert len(entered(sink_db)) == halfway
    assert body(bureau.get(f"/v1/jobs/{started['id']}"))["state"] == "running"
    monkeypatch.setattr(assets, "import_assets", honest)
    run(sink_db)
    one = body(bureau.get(f"/v1/asset-imports/{started['id']}"))
    assert counts(one) == (9, 0, 1)
    assert len({asset.reference for asset in entered(sink_db)}) == len(entered(sink_db)) == 9
    assert len(published(sink_db, AssetRegistered)) == 9
    assert [row for row, _, _ in errors(bureau, one)] == [6 if kind != "geojson" else 5]


def test_an_import_is_cancelled_and_resumed_over_http(
    sink_db: Database, bureau: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "IMPORTED_AT_ONCE", 2)
    started = body(bureau.send(f"{FILES}?format=csv", table(*(cells(place) for place in range(6)))), 202)
    jobs.run_step(sink_db.worker_sessions, DOOR.jobs)
    job = f"/v1/jobs/{started['id']}"
    seen = body(bureau.get(job))
    assert (seen["done"], seen["total"], seen["state"]) == (2, 6, "running")
    body(bureau.post(f"{job}/cancellation"))
    assert run(sink_db) == 0
    body(bureau.post(f"{job}/resumption"))
    run(sink_db)
    assert counts(body(bureau.get(f"/v1/asset-imports/{started['id']}"))) == (6, 0, 0)


def test_a_collection_that_ends_in_the_middle_fails_and_is_sent_again_whole(sink_db: Database, bureau: Client) -> None:
    content = collection(cells(0), cells(1))
    torn = content[: content.rindex(b"title_until")] + b'"}'
    started = body(bureau.send(f"{FILES}?format=geojson", torn), 202)
    run(sink_db)
    job = body(bureau.get(f"/v1/jobs/{started['id']}"))
    assert job["state"] == "failed"
    assert "ends in the middle of row 2" in job["log"][-1]["error"]
    assert entered(sink_db) == []
    assert counts(imported(sink_db, bureau, content, format="geojson")) == (2, 0, 0)


def test_a_dry_run_judges_every_row_and_registers_nothing(
    sink_db: Database, bureau: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small batches: what one finds right, the next must be held against.
    monkeypatch.setattr(consumers, "IMPORTED_AT_ONCE", 2)
    imported(sink_db, bureau, table(cells(7)))
    told = len(published(sink_db))
    rows = [
        cells(0),
        cells(1, survival="2"),
        cells(2),
        cells(3),
        cells(7),
        cells(8, reference="YY-00007"),
        cells(4),
        cells(2, reference="YY-other"),
        cells(0),
    ]
    content = table(*rows)
    checked = imported(sink_db, bureau, content, dry_run="true")
    found = errors(bureau, checked)
    assert [(row, field) for row, field, _ in found] == [(3, "/survival"), (7, "/reference"), (9, "/geometry")]
    assert (len(entered(sink_db)), len(published(sink_db))) == (1, told)
    with sink_db.sessions() as session:
        assert session.scalars(select(AssetImportParcel.id)).all() == []
    done = imported(sink_db, bureau, content)
    assert errors(bureau, done) == found
    assert counts(done) == counts(checked) == (4, 2, 3)


def test_another_registrars_ground_is_refused_without_a_word_of_whose_it_is(sink_db: Database, bureau: Client) -> None:
    imported(sink_db, bureau, table(cells(0, name="Secret hill", owner="owner-77")))
    stranger = client("sink", sink_db, "bureau", "bureau-elsewhere")
    one = imported(sink_db, stranger, table(cells(0)))
    assert errors(stranger, one) == [(2, "/geometry", "overlaps ground that is in the register already")]
    shown = json.dumps(body(stranger.get(f"/v1/jobs/{one['id']}"))) + json.dumps(one)
    assert not any(word in shown for word in ("Secret hill", "owner-77", BUREAU))


def test_a_batch_takes_as_many_statements_for_many_rows_as_for_few(
    sink_db: Database, bureau: Client, sealed: Any
) -> None:
    def statements(places: range) -> int:
        ran: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            ran.append(statement)

        body(bureau.send(f"{FILES}?format=csv", table(*(cells(place) for place in places))), 202)
        event.listen(sink_db.worker, "before_cursor_execute", note)
        try:
            assert run(sink_db) == 1
        finally:
            event.remove(sink_db.worker, "before_cursor_execute", note)
        return len(ran)

    # Fewer rows than fifty go in without the detour of COPY.
    assert statements(range(60)) == statements(range(60, 150))


def test_the_counts_of_an_import_cannot_be_negative(sink_db: Database, bureau: Client) -> None:
    one = imported(sink_db, bureau, table(cells(0)))
    with sink_db.sessions() as session:
        session.execute(text("SELECT set_config('app.institution', :i, true)"), {"i": BUREAU})
        with pytest.raises(Exception, match="ck_asset_imports_counts"):
            session.execute(text("UPDATE asset_imports SET known = -1"))
        session.rollback()
        session.execute(text("SELECT set_config('app.institution', :i, true)"), {"i": BUREAU})
        assert session.get_one(AssetImport, UUID(one["id"])).known == 0


# -- reading, without a database --------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def read_all(content: bytes, kind: str, charset: str = "utf-8") -> list[Row]:
    """Every row, each time from where the one before ended, as a killed import would."""
    file = io.BytesIO(content)
    layout = files.inspect(file, kind, charset)
    after, number = layout.start, 1 if kind == "csv" else 0
    rows: list[Row] = []
    while (row := next(files.read(file, layout, after, number), None)) is not None:
        rows.append(row)
        after, number = row.after, row.number
    assert rows == list(files.read(file, layout, layout.start, 1 if kind == "csv" else 0))
    return rows


@settings(deadline=None, max_examples=60)
@given(st.lists(NAMES, min_size=1, max_size=8), st.sampled_from(CHARSETS), st.sampled_from(["\n", "\r\n"]))
def test_a_table_read_with_any_stops_is_the_table_that_was_written(names: list[str], charset: str, ending: str) -> None:
    made = io.StringIO()
    writer = csv.DictWriter(made, list(REQUIRED), lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows([cells_of(name) for name in names])
    content = made.getvalue().encode(charset)
    if charset == "gb18030" and not content.isascii():
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return
    rows = read_all(content, "csv", charset)
    assert [row.content["name"] for row in rows] == names
    assert [row.number for row in rows] == list(range(2, len(names) + 2))


def cells_of(name: str) -> dict[str, str]:
    return dict.fromkeys(REQUIRED, "x") | {"name": name}


@settings(deadline=None, max_examples=60)
@given(st.lists(NAMES, min_size=1, max_size=8), st.sampled_from([None, 2]), st.booleans())
def test_a_collection_read_with_any_stops_is_the_collection_that_was_written(
    names: list[str], indent: int | None, ascii_: bool
) -> None:
    features = [
        {"type": "Feature", "geometry": {"type": "P"}, "properties": dict.fromkeys(REQUIRED[:3] + REQUIRED[4:], name)}
        for name in names
    ]
    whole = {"name": names[0], "type": "FeatureCollection", "features": features, "more": {"x": [1, "]"]}}
    rows = read_all(json.dumps(whole, indent=indent, ensure_ascii=ascii_).encode(), "geojson")
    assert [row.content["name"] for row in rows] == names
    assert [row.number for row in rows] == list(range(1, len(names) + 1))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400), st.sampled_from(files.FORMATS))
def test_bytes_that_are_no_file_of_parcels_are_refused_with_a_reason(content: bytes, kind: str) -> None:
    with pytest.raises(InvalidError, match=r"^the file "):
        files.inspect(io.BytesIO(content), kind, "utf-8")


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(COLUMNS), NAMES))
def test_any_cells_become_a_request_or_errors(given_cells: dict[str, str]) -> None:
    request, told = files.request_of(Row(2, 0, given_cells), "csv")
    assert set(request) <= {*COLUMNS, "hazards"}
    assert all(where.startswith("/") for where, _ in told)
    assert all(not str(request.get(name, "")).startswith("=") for name in ("name", "owner", "reference"))
