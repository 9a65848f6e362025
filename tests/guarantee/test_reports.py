"""The report: figures that rest on rows, counted twice, and a difference that shows."""

import io
from decimal import Decimal
from uuid import uuid4

import openpyxl
import pytest
from sqlalchemy import create_engine, delete, update

from services.guarantee.actions import reports
from services.guarantee.actions.calls import close_loan, open_call, pay_call, share_recovery
from services.guarantee.actions.guarantees import amortise_guarantee, issue_guarantee, reserve_guarantee
from services.guarantee.tables import Bucket, Call, JournalRow
from shared.events.parts import PledgedAsset
from tests.guarantee.stories import accepted, asked, closed, defaulted, guarantee, ready, recovered, repaid, yuan
from tests.harness import GUARANTOR, OTHER_GUARANTOR, body, client


@pytest.fixture
def book(guarantee_db, sealed):
    """A small loan, a big one, one called, paid and recovered in part, one that is over, and one held."""
    sessions = guarantee_db.sessions
    ready(sessions, sealed, other_liability=yuan(1_000_000))
    pledges = tuple(
        PledgedAsset(asset_id=uuid4(), valuation_version=1, county="youyu", tonnes=Decimal(t), value=yuan(1))
        for t in ("1200.500", "0.025")
    )
    small = asked(obligor="small", amount=yuan("1000000.01"), pledges=pledges)
    big = asked(obligor="big", small_or_farmer=False, scheme="4-2-2-2", amount=yuan(9_000_000), county="pinglu")
    over = asked(obligor="small", amount=yuan(300_000), pledges=pledges)
    called = asked(obligor="called", amount=yuan(500_000), scheme="4-2-2-2")
    waiting = asked(obligor="called", amount=yuan(100_000))
    with sealed(sessions, GUARANTOR) as session:
        for request in (small, big, over, called):
            reserve_guarantee(session, request)
            session.flush()
            issue_guarantee(session, accepted(request, guarantee(session, request.loan_id).id))
        reserve_guarantee(session, waiting)
        amortise_guarantee(session, repaid(small.loan_id, yuan("333333.33")))
        close_loan(session, closed(over.loan_id))
        open_call(session, defaulted(called.loan_id, yuan(500_000)))
        session.flush()
        (call,) = session.query(Call).all()
        pay_call(session, call.id, "")
        share_recovery(session, recovered(called.loan_id, yuan("100000.01")))
    return guarantee_db


def answered(database, **query):
    return body(client("guarantee", database, "guarantor", GUARANTOR).get("/v1/reports/supervision", **query))


def rows_behind(database, figure):
    found = body(
        client("guarantee", database, "guarantor", GUARANTOR).get("/v1/reports/supervision/rows", figure=figure)
    )
    assert found["next"] is None
    return found["items"]


def test_every_figure_is_counted_twice_names_its_rule_and_is_the_sum_of_its_rows(book):
    report = answered(book)
    figures = {one["name"]: one for one in report["figures"]}
    assert {name: one["value"] for name, one in figures.items()} == {
        # 80 % of 333,333.33 and of 500,000.00 at 75 %, each use rounded up, and 80 % of 9,000,000.00 whole
        "liability.in_force": "7700000.01",
        "liability.held": "60000.00",
        "liability.other": "1000000.00",
        "liability.total": "8760000.01",
        "liability.leverage": "0.043500",
        "liability.leverage_by_test": "10.000000",
        "concentration.obligor": "7200000.00",
        "concentration.county": "7200000.00",
        "reguarantee.province": "2030000.00",
        "reguarantee.national": "1900000.00",
        "view.gross": "7866666.66",
        "view.net": "3933333.33",
        "view.cash_back": "3933333.33",
        "compensation.open": "0.00",
        "compensation.paid": "400000.00",
        "compensation.recovered": "80000.01",
        "compensation.subrogated": "319999.99",
        "receivable.province": "80000.00",
        "receivable.national": "80000.00",
        "receivable.pool": "0.00",
        "compensation.released": "240000.00",
        "compensation.rate": "1.666667",
        "support.all": "7866666.66",
        "support.all.loans": "3",
        "support.small": "666666.66",
        "support.small.loans": "2",
        "carbon.pledged": "1200.525",
        "support.small_share": "0.084746",
        "support.small_household_share": "1.000000",
    }
    assert report["reconciliation"] | {"compared": 0} == {
        "agrees": True, "compared": 0, "differences": 0, "first": [],
    }  # fmt: skip
    assert report["reconciliation"]["compared"] > 30
    assert figures["concentration.obligor"]["key"] == "big"
    assert figures["concentration.obligor"]["limit"] == "20000000.00"
    assert figures["concentration.obligor"]["headroom"] == "12800000.00"
    assert figures["support.small_share"]["headroom"] == "-0.715254"
    assert (figures["liability.total"]["rule"], figures["liability.total"]["verified"]) == ("G16", "read")
    assert report["unverified_parameters"] == ["county_cap", "deduct_reguarantee", "leverage_test", "weight_applies_to"]
    for name in reports.ROWS:
        items = rows_behind(book, name)
        assert sum(Decimal(one["value"]) for one in items) == Decimal(figures[name]["value"]), name
        assert figures[name]["rows"] == len(items)
    assert figures["compensation.rate"]["rows_of"] == ["compensation.paid", "compensation.released"]
    assert figures["compensation.rate"]["rows"] == 2


def test_a_planted_difference_shows_where_it_is(book):
    admin = create_engine(book.admin_url)
    with admin.begin() as past_every_door:
        for planted in (
            update(Bucket).where(Bucket.kind == "county", Bucket.key == "pinglu").values(posted=1),
            update(Bucket).where(Bucket.kind == "headroom").values(posted=1),
            update(Call).values(subrogated_claim=yuan("319999.98")),
            delete(JournalRow).where(JournalRow.kind == "recovery", JournalRow.credit == "national"),
        ):
            past_every_door.execute(planted)
    admin.dispose()
    report = answered(book)["reconciliation"]
    assert not report["agrees"]
    found = {(one["what"], one["key"]): one["difference"] for one in report["first"]}
    assert found[("county.posted", "pinglu")] == "-7199999.99"
    assert found[("compensation.recovered", "")] == "20000.00"
    assert found[("receivable.national", "")] == "-20000.00"
    assert found[("compensation.subrogated", "")] == "-20000.01"
    assert found[("headroom.posted", "")] == found[("liability.in_force", "")] == "-7700000.00"
    assert len(found) == report["differences"] == 7


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_report_is_a_table_to_keep(book, kind):
    got = client("guarantee", book, "guarantor", GUARANTOR).get("/v1/reports/supervision", format=kind)
    assert got.headers["Content-Disposition"] == f'attachment; filename="supervision.{kind}"'
    if kind == "csv":
        header, *lines = got.data.decode("utf-8-sig").splitlines()
        assert header == ",".join(reports.COLUMNS)
        assert any(line.startswith("support.small_share,") and ",least,-0.715254,," in line for line in lines)
        assert lines[0].startswith("liability.in_force,在保责任余额,liability balance in force,,7700000.01,CNY,")
    else:
        lines = list(openpyxl.load_workbook(io.BytesIO(got.data)).active.iter_rows(values_only=True))
        assert lines[0] == reports.COLUMNS
        assert lines[1][4] == "7700000.01"
        del lines[0]
    assert len(lines) == len(answered(book)["figures"])


def test_a_book_of_nothing_has_no_ratios_and_nobody_sees_anothers(book, sealed):
    stranger = client("guarantee", book, "guarantor", OTHER_GUARANTOR)
    assert stranger.get("/v1/reports/supervision").status_code == 404
    ready(book.sessions, sealed, OTHER_GUARANTOR, net_assets=yuan(0))
    figures = {one["name"]: one for one in body(stranger.get("/v1/reports/supervision"))["figures"]}
    empty = ("liability.leverage", "liability.leverage_by_test", "compensation.rate", "support.small_share")
    assert {figures[name]["value"] for name in empty} == {None}
    assert {one["rows"] for one in figures.values()} == {0}
    assert body(stranger.get("/v1/reports/supervision/rows", figure="view.gross"))["items"] == []
    assert stranger.get("/v1/reports/supervision/rows", figure="nothing").status_code == 422
