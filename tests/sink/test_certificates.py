"""Certificates of liens and of retired units: one code, one way to verify, and the register has the last word."""

import importlib
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from services.sink.actions.certificates import CODE_PATTERN, digest, verify
from services.sink.actions.pledges import freeze_pledges
from services.sink.consumers import TIMERS
from services.sink.tables import Certificate
from shared import clock, schema, timers
from shared.strict_json import canonical
from tests.conftest import Database, make_database
from tests.harness import BANK, BUREAU, INSURER, OTHER_BANK, Client, body, client
from tests.sink.compensation import issued, member, retired
from tests.sink.examples import forests, years_from_today
from tests.sink.test_ledger import forest, issue, pledge
from tests.sink.test_register import insert, required


@pytest.fixture
def officer(sink_db: Database) -> Client:
    return client("sink", sink_db, "officer", BANK)


@pytest.fixture
def insurer(sink_db: Database) -> Client:
    return client("sink", sink_db, "insurer", INSURER)


def page_at(person: Client, path: str) -> Any:
    return person.http.get(path, headers={"Authorization": f"Bearer {person.bearer}"})


def verified(person: Client, code: str) -> dict[str, Any]:
    seen: dict[str, Any] = body(person.get(f"/v1/certificates/{code}"))
    return seen


def test_a_certificate_says_what_stands_and_anybody_with_its_code_can_verify_it(
    sink_db: Database, sealed: Any, officer: Client, insurer: Client
) -> None:
    asset = forest(sink_db, sealed)
    held = pledge(sink_db, sealed, asset, "20.5")
    path = f"/v1/pledges/{held.id}/certificate"
    first = body(officer.get(path))
    assert re.fullmatch(CODE_PATTERN, first["code"])
    assert (first["kind"], first["state"]) == ("lien", "valid")
    assert (first["content"]["bank"], first["content"]["tonnes"], first["content"]["serials"]) == (BANK, "20.500", [])
    assert verified(insurer, first["code"]) == first
    assert insurer.get(path).status_code == 404
    for wrong in ("0" * 40, first["code"][:-1], first["code"].lower(), "%27", "%00"):
        assert insurer.get(f"/v1/certificates/{wrong}").status_code == 404
    again = body(officer.post(path), 201)
    assert again["code"] != first["code"]
    # Both are true: nothing has changed between them.
    assert {verified(insurer, one["code"])["state"] for one in (first, again)} == {"valid"}


def test_an_issuance_supersedes_a_certificate_at_once_and_a_new_one_follows_by_itself(
    sink_db: Database, sealed: Any, officer: Client, insurer: Client
) -> None:
    asset = forest(sink_db, sealed)
    mine, theirs = pledge(sink_db, sealed, asset, "20.5"), pledge(sink_db, sealed, asset, "10", OTHER_BANK)
    path = f"/v1/pledges/{mine.id}/certificate"
    first = body(officer.get(path))
    other = client("sink", sink_db, "officer", OTHER_BANK)
    before = body(other.get(f"/v1/pledges/{theirs.id}/certificate"))
    issue(sink_db, sealed, asset, 30)
    seen = body(officer.get(path))
    assert (seen["code"], seen["state"]) == (first["code"], "superseded")
    assert seen["content"]["serials"] == []
    (serials,) = seen["register"]["serials"]
    assert seen["register"]["forecast_tonnes"] == "0.500"
    assert timers.run_due(sink_db.worker_sessions, TIMERS) == 1
    second = body(officer.get(path))
    assert second["code"] != first["code"]
    assert (second["state"], second["content"]["serials"]) == ("valid", [serials])
    assert verified(insurer, second["code"]) == second
    assert verified(insurer, first["code"])["state"] == "superseded"
    assert "SUPERSEDED" in page_at(insurer, f"/v1/certificates/{first['code']}/page").get_data(as_text=True)
    # Every bank with a lien gets its own, and sees no other's.
    assert body(other.get(f"/v1/pledges/{theirs.id}/certificate"))["code"] != before["code"]
    assert other.get(path).status_code == 404
    with sealed(sink_db.sessions, BUREAU) as session:
        assert session.query(Certificate).count() == 0
    # Nothing changed since, so nothing is certified anew.
    with sealed(sink_db.sessions, BUREAU) as session:
        timers.put(session, "certify_liens", asset.id, clock.now() - timedelta(seconds=1))
    timers.run_due(sink_db.worker_sessions, TIMERS)
    assert body(officer.get(path)) == second


def test_an_issuance_that_reaches_no_lien_certifies_nothing(sink_db: Database, sealed: Any) -> None:
    issue(sink_db, sealed, forest(sink_db, sealed), 30)
    assert timers.run_due(sink_db.worker_sessions, TIMERS) == 0


def test_each_change_of_a_lien_is_certified_and_the_code_of_before_is_superseded(
    sink_db: Database, sealed: Any, officer: Client
) -> None:
    asset = forest(sink_db, sealed)
    held = pledge(sink_db, sealed, asset, "5")
    path = f"/v1/pledges/{held.id}/certificate"
    placed = body(officer.get(path))["code"]
    with sealed(sink_db.sessions, BANK) as session:
        freeze_pledges(session, held.loan_id)
    frozen = body(officer.get(path))
    assert (frozen["state"], frozen["content"]["state"]) == ("valid", "frozen")
    assert verified(officer, placed)["state"] == "superseded"


def test_the_page_of_a_lien_prints_by_itself_and_runs_nothing(sink_db: Database, sealed: Any, officer: Client) -> None:
    (asset,) = forests(sink_db, sealed, name="<script>alert(1)</script>")
    held = pledge(sink_db, sealed, asset, "5")
    path = f"/v1/pledges/{held.id}/certificate"
    page = page_at(officer, f"{path}/page")
    html = page.get_data(as_text=True)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "<script" not in html
    assert body(officer.get(path))["code"] in html
    assert "质押登记证明" in html
    assert "Certificate of a lien" in html
    assert "@page{size:A4" in html
    assert not re.search(r"(src|href)=|https?://|url\(", html)
    assert "style-src 'unsafe-inline'" in page.headers["Content-Security-Policy"]


def test_the_page_of_a_lien_names_vintage_serials_title_and_when_it_was_checked(
    sink_db: Database, sealed: Any, officer: Client
) -> None:
    title = {"owner": "owner-17", "title_kind": "certificate", "title_number": "晋（2020）右玉县不动产权第0001号"}
    (asset,) = forests(sink_db, sealed, crediting_from=years_from_today(-8), **title)
    held = pledge(sink_db, sealed, asset, "2000")
    for day, tonnes in ((1, 40), (0, 30)):
        issue(sink_db, sealed, asset, tonnes, day=day)
    timers.run_due(sink_db.worker_sessions, TIMERS)
    path = f"/v1/pledges/{held.id}/certificate"
    seen = body(officer.get(path))
    assert seen["content"]["owner"] == "owner-17"
    ranges = [written.rpartition(":") for written in seen["content"]["serials"]]
    assert len(ranges) == 2
    html = page_at(officer, f"{path}/page").get_data(as_text=True)
    for (batch, _, numbers), day, tonnes in zip(ranges, (1, 0), (40, 30), strict=True):
        vintage = clock.today() - timedelta(days=day)
        first, last = numbers.split("-")
        assert int(last) - int(first) + 1 == tonnes
        cells = (batch, f"{vintage} – {vintage}", f"{first} – {last}", tonnes)
        assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" in html
    assert "owner-17" in html
    assert title["title_number"] in html
    assert re.search(r"核对于北京时间 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", html)
    # On paper every sheet names the code and its number.
    assert re.search(rf'@bottom-center{{content:"{seen["code"]} · " counter\(page\)', html)


def test_a_certificate_cannot_be_changed_without_its_being_told(
    sink_db: Database, sealed: Any, officer: Client
) -> None:
    (asset,) = forests(sink_db, sealed)
    held = pledge(sink_db, sealed, asset, "5")
    code = body(officer.get(f"/v1/pledges/{held.id}/certificate"))["code"]
    admin = create_engine(sink_db.admin_url)
    with admin.begin() as connection:
        connection.execute(text("UPDATE certificates SET content = replace(content, '5.000', '6.000')"))
    admin.dispose()
    assert verified(officer, code)["state"] == "void"
    with sealed(sink_db.sessions, BANK) as session, pytest.raises(Exception, match="permission denied"):
        session.execute(text("UPDATE certificates SET content = '{}'"))


def test_liens_and_retired_units_are_verified_the_same_way(
    sink_db: Database, sealed: Any, officer: Client, insurer: Client
) -> None:
    (asset,) = issued(sink_db, sealed, "100")
    code = retired(sink_db, member(sink_db))["certificate_code"]
    lien_code = body(officer.get(f"/v1/pledges/{pledge(sink_db, sealed, asset, '5').id}/certificate"))["code"]
    for one, kind in ((code, "purchase"), (lien_code, "lien")):
        seen = verified(insurer, one)
        assert (seen["kind"], seen["state"]) == (kind, "valid")
        assert seen["content_hash"] == digest(canonical(seen["content"]).decode())
        assert re.fullmatch(CODE_PATTERN, one)
        assert f"SHA-256 {seen['content_hash']}" in page_at(insurer, f"/v1/certificates/{one}/page").get_data(True)


def test_codes_that_people_hold_stay_good_when_the_tables_become_one(postgres: Any, sealed: Any) -> None:
    database = make_database(postgres, "sink", "one_table_of_certificates")
    migration = importlib.import_module("services.sink.migrations.sink_0007_certificates")
    admin = create_engine(database.admin_url)
    words = {
        "lien": canonical(
            {
                "pledge_id": str(UUID(int=2)),
                "tonnes": "7.000",
                "serials": [],
                "state": "placed",
                "forecast_tonnes": "7.000",
            }
        ).decode(),
        "purchase": canonical(
            {"kind": "purchase", "subject": str(UUID(int=3)), "tonnes": "0", "retirements": []}
        ).decode(),
    }
    old_code, new_code = digest(words["lien"])[:40], "HW-22222-33333-44444-55555"
    try:
        schema.undo("sink", database.owner)
        schema.migrate("sink", database.owner, migration.down_revision)
        with admin.begin() as connection:
            insert(connection, "assets", required(connection, "assets") | {"id": f"'{UUID(int=1)}'"})
            of_bank = {"institution": f"'{BANK}'", "asset_id": f"'{UUID(int=1)}'"}
            pledged = required(connection, "pledges") | {"id": f"'{UUID(int=2)}'", "tonnes": "7", "state": "'placed'"}
            insert(connection, "pledges", pledged | of_bank)
            row = {"institution": f"'{BANK}'", "issued_at": "now()"}
            lien_row = {"code": f"'{old_code}'", "pledge_id": f"'{UUID(int=2)}'", "content": f"'{words['lien']}'"}
            insert(connection, "lien_certificates", row | lien_row)
            bought = {"code": f"'{new_code}'", "registrar": "'x'", "content": f"'{words['purchase']}'"}
            bought |= {"id": "gen_random_uuid()", "content_hash": f"'{digest(words['purchase'])}'"}
            insert(connection, "compensation_certificates", row | bought)
        schema.migrate("sink", database.owner)
        with sealed(database.sessions, INSURER) as session:
            lien, purchase = verify(session, old_code), verify(session, new_code)
        # The lien of the test has no units in the ledger, so the register says something else.
        assert (lien.kind, lien.state, lien.content["tonnes"]) == ("lien", "superseded", "7.000")
        assert (purchase.kind, purchase.state) == ("purchase", "valid")
        with database.worker_sessions() as session:
            assert session.scalar(text("SELECT institution FROM watchers")) == BANK
    finally:
        admin.dispose()
        database.dispose()
