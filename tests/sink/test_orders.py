"""Orders: quoted, paid, retired whole or not at all, and certified for anybody to verify."""

import re
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from services.sink.actions.certificates import CODE_PATTERN, digest
from services.sink.actions.orders import record_receipt, retire_order
from services.sink.actions.settlement import ShortError, available
from services.sink.actions.units import retire_credits
from services.sink.tables import Asset, CompensationOrder, Retirement
from shared import clock
from shared.errors import RefusalError, StateError
from shared.events.sink import CreditsRetired
from tests.conftest import Database
from tests.harness import BUREAU, INSURER, body, client, published
from tests.sink.compensation import (
    MEMBER,
    OTHER_MEMBER,
    bureau,
    issued,
    meeting,
    member,
    money,
    order,
    paid,
    retired,
    tag,
)
from tests.sink.examples import forests, read_asset
from tests.sink.test_ledger import pledge


def test_a_quote_is_the_spot_price_and_the_margin_for_the_tonnes_of_a_footprint(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "100")
    campus = member(sink_db)
    footprint = body(campus.post("/v1/footprints", meeting()), 201)
    made = body(campus.post("/v1/compensation-orders", order(tonnes=None, footprint_id=footprint["id"])), 201)
    assert (made["tonnes"], made["state"], made["institution"]) == ("7.000", "quoted", MEMBER)
    spot, unit = Decimal(made["spot_price"]["amount"]), Decimal(made["unit_price"]["amount"])
    assert made["margin"] == "0.0500"
    assert unit == round(spot * Decimal("1.05") + Decimal("1e-9"), 2)
    assert Decimal(made["amount"]["amount"]) == round(unit * 7, 2)
    assert {"footprint.meal", "compensation.margin"} <= set(made["unverified_parameters"])
    # What is on order already is not ordered twice, until the order is taken back.
    again = order(tonnes=None, footprint_id=footprint["id"])
    assert body(campus.post("/v1/compensation-orders", again), 409)
    body(campus.post(f"/v1/compensation-orders/{made['id']}/cancellation", If_Match=tag(made)))
    body(campus.post("/v1/compensation-orders", again), 201)


def use_up(database: Database, sealed: Any, asset: Asset, tonnes: str) -> None:
    with sealed(database.sessions, BUREAU) as session:
        retire_credits(session, asset.id, Decimal(tonnes), "shown at a fair")


def test_what_is_not_there_is_not_quoted(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "4", "5")
    problem = body(member(sink_db).post("/v1/compensation-orders", order()), 409)
    assert problem["type"].endswith("/units-short")
    body(member(sink_db).post("/v1/compensation-orders", order(tonnes="9")), 201)


def test_a_paid_order_retires_units_and_gets_a_certificate_that_anybody_verifies(
    sink_db: Database, sealed: Any
) -> None:
    first, second = issued(sink_db, sealed, "6", "100")
    done = retired(sink_db, member(sink_db))
    assert done["state"] == "retired"
    assert re.fullmatch(CODE_PATTERN, done["certificate_code"])
    assert read_asset(sink_db, first.id).retired_tonnes == 6
    assert read_asset(sink_db, second.id).retired_tonnes == 4
    told = published(sink_db, CreditsRetired)
    assert sorted(event.tonnes for event in told) == [4, 6]
    assert all(done["id"] in event.reason for event in told)

    insurer = client("sink", sink_db, "insurer", INSURER)
    certificate = body(insurer.get(f"/v1/certificates/{done['certificate_code']}"))
    assert certificate["state"] == "valid"
    assert certificate["content"]["beneficiary"] == "雁门大学"
    assert certificate["content"]["tonnes"] == "10.000"
    assert {one["retirement_id"] for one in certificate["content"]["retirements"]} == {
        str(event.retirement_id) for event in told
    }
    assert body(insurer.get("/v1/certificates/HW-22222-22222-22222-22222"), 404)


def test_the_page_of_a_certificate_prints_by_itself_and_runs_nothing(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "100")
    done = retired(sink_db, member(sink_db), beneficiary="<script>alert(1)</script>")
    answer = member(sink_db).get(f"/v1/certificates/{done['certificate_code']}/page")
    assert answer.mimetype == "text/html"
    page = answer.get_data(as_text=True)
    assert "碳汇补偿证书" in page
    assert "Certificate of carbon compensation" in page
    assert done["certificate_code"] in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=|https?://|url\(", page)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_certificate_whose_text_or_retirements_changed_is_not_valid(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "100")
    code = retired(sink_db, member(sink_db))["certificate_code"]
    with sink_db.owner.begin() as connection:
        connection.execute(text("ALTER TABLE certificates NO FORCE ROW LEVEL SECURITY"))
        changed = connection.scalar(
            text("UPDATE certificates SET content = replace(content, '10.000', '99.000') RETURNING content")
        )
        connection.execute(text("ALTER TABLE certificates FORCE ROW LEVEL SECURITY"))
    assert body(member(sink_db).get(f"/v1/certificates/{code}"))["state"] == "void"
    with sink_db.owner.begin() as connection:
        connection.execute(text("ALTER TABLE certificates NO FORCE ROW LEVEL SECURITY"))
        # A forger who hashes anew still cannot make the register say what it does not.
        connection.execute(text("UPDATE certificates SET content_hash = :h"), {"h": digest(changed)})
        connection.execute(text("ALTER TABLE certificates FORCE ROW LEVEL SECURITY"))
    assert body(member(sink_db).get(f"/v1/certificates/{code}"))["state"] == "void"
    page = member(sink_db).get(f"/v1/certificates/{code}/page").get_data(as_text=True)
    assert "NOT VALID" in page


def test_an_order_that_the_units_do_not_cover_retires_nothing_and_can_be_paid_back(
    sink_db: Database, sealed: Any
) -> None:
    asset, _ = issued(sink_db, sealed, "4", "6")
    made = paid(sink_db, member(sink_db))
    path = f"/v1/compensation-orders/{made['id']}"
    # Between the payment and the retirement somebody else used up a unit.
    use_up(sink_db, sealed, asset, "1")
    problem = body(bureau(sink_db).post(f"{path}/retirement", If_Match=tag(made)), 409)
    assert problem["type"].endswith("/units-short")
    assert "9.000 t" in problem["detail"]
    assert [one["tonnes"] for one in body(bureau(sink_db).get("/v1/retirements"))["items"]] == ["1.000"]
    assert len(published(sink_db, CreditsRetired)) == 1
    assert body(member(sink_db).get(path))["state"] == "paid"
    with sink_db.sessions() as session:
        assert available(session, BUREAU) == 9
    back = body(bureau(sink_db).post(f"{path}/refund", {"reference": "slip 8"}, If_Match=tag(made)))
    assert (back["state"], back["refund_reference"]) == ("refunded", "slip 8")
    body(bureau(sink_db).post(f"{path}/retirement", If_Match=tag(back)), 409)


def test_of_two_orders_for_the_last_units_one_gets_all_and_the_other_nothing(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "7", "8")
    orders = [UUID(paid(sink_db, member(sink_db, who))["id"]) for who in (MEMBER, OTHER_MEMBER)]
    start, outcomes = threading.Barrier(2), []

    def race(order_id: UUID) -> None:
        start.wait(10)
        try:
            with sealed(sink_db.sessions, BUREAU) as session:
                retire_order(session, order_id)
            outcomes.append("retired")
        except ShortError:
            outcomes.append("short")

    threads = [threading.Thread(target=race, args=(one,)) for one in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["retired", "short"]
    with sealed(sink_db.sessions, BUREAU) as session:
        assert sorted(session.get_one(CompensationOrder, one).state for one in orders) == ["paid", "retired"]
        assert sum(row.tonnes for row in session.query(Retirement)) == 10
        assert available(session, BUREAU) == 5


def test_pledged_units_do_not_serve_an_order(sink_db: Database, sealed: Any) -> None:
    (asset,) = issued(sink_db, sealed, "100")
    made = paid(sink_db, member(sink_db))
    with sealed(sink_db.sessions, BUREAU) as session:
        free = session.get_one(type(asset), asset.id).free_tonnes
    pledge(sink_db, sealed, asset, str(free - Decimal("9.5")))
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ShortError, match=r"9\.000 t"):
        retire_order(session, UUID(made["id"]))


def test_only_the_registrar_records_money_and_only_the_buyer_takes_back(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, "100")
    campus = member(sink_db)
    made = body(campus.post("/v1/compensation-orders", order()), 201)
    path = f"/v1/compensation-orders/{made['id']}"
    receipt = {"amount": made["amount"], "reference": "x"}
    body(campus.post(f"{path}/receipt", receipt, If_Match=tag(made)), 403)
    # Another bureau may record money, but not this: it does not even see the order.
    elsewhere = client("sink", sink_db, "bureau", "bureau-elsewhere")
    body(elsewhere.post(f"{path}/receipt", receipt, If_Match=tag(made)), 404)
    body(bureau(sink_db).post(f"{path}/cancellation", If_Match=tag(made)), 403)
    body(bureau(sink_db).post(f"{path}/retirement", If_Match=tag(made)), 409)
    body(member(sink_db, OTHER_MEMBER).get(path), 404)
    assert body(member(sink_db, OTHER_MEMBER).get("/v1/compensation-orders"))["items"] == []
    assert [one["id"] for one in body(bureau(sink_db).get("/v1/compensation-orders"))["items"]] == [made["id"]]


def test_a_receipt_is_of_the_quoted_amount_once_and_in_time(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued(sink_db, sealed, "100")
    made = body(member(sink_db).post("/v1/compensation-orders", order()), 201)
    path = f"/v1/compensation-orders/{made['id']}/receipt"
    wrong = {"amount": money("1.00"), "reference": "x"}
    problem = body(bureau(sink_db).post(path, wrong, If_Match=tag(made)), 422)
    assert problem["errors"][0]["pointer"] == "/amount"
    later = clock.now() + timedelta(days=15)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(StateError, match="run out"):
            record_receipt(session, UUID(made["id"]), Decimal(made["amount"]["amount"]), "late")
    right = {"amount": made["amount"], "reference": "x"}
    body(bureau(sink_db).post(path, right, If_Match=tag(made)))
    body(bureau(sink_db).post(path, right, If_Match='"v1"'), 412)
    body(bureau(sink_db).post(path, right, If_Match='"v2"'), 409)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"tonnes": None}, "/tonnes"),
        ({"footprint_id": "00000000-0000-0000-0000-000000000000"}, "/tonnes"),
        ({"registrar": "nobody"}, "/registrar"),
        ({"tonnes": "0"}, "/tonnes"),
        ({"tonnes": "1.0001"}, "/tonnes"),
        ({"tonnes": 10}, "/tonnes"),
        ({"beneficiary": "a\x00b"}, "/beneficiary"),
        ({"state": "paid"}, "/state"),
    ],
)
def test_an_order_that_cannot_be_is_refused_by_name(
    sink_db: Database, sealed: Any, changes: dict[str, Any], pointer: str
) -> None:
    forests(sink_db, sealed)
    problem = body(member(sink_db).post("/v1/compensation-orders", order(**changes)), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]


def test_nobody_orders_for_anothers_footprint(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    theirs = body(member(sink_db).post("/v1/footprints", meeting()), 201)["id"]
    asked = order(tonnes=None, footprint_id=theirs)
    body(member(sink_db, OTHER_MEMBER).post("/v1/compensation-orders", asked), 404)


def test_a_refused_step_leaves_the_database_as_it_was(sink_db: Database, sealed: Any) -> None:
    (asset,) = issued(sink_db, sealed, "10")
    made = paid(sink_db, member(sink_db))
    use_up(sink_db, sealed, asset, "7")
    with pytest.raises(RefusalError), sealed(sink_db.sessions, BUREAU) as session:
        retire_order(session, UUID(made["id"]))
    with sink_db.owner.connect() as connection:
        for table, rows in (("retirements", 1), ("compensation_retirements", 0), ("certificates", 0)):
            connection.execute(text(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"))
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == rows
