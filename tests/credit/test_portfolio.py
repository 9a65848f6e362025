"""The book of live loans: warnings by money at risk, what it is made of, what a stress does to it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from services.credit.actions import watching
from shared import clock
from tests.conftest import Database
from tests.credit.book import Lent, lend
from tests.credit.story import ASSET, Story, amount, valued
from tests.harness import OTHER_BANK, body

OTHER = uuid4()


@pytest.fixture
def story(credit_db: Database, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A bank with one sound loan of a million, and three copies of it on another forest that differ."""
    monkeypatch.setattr(watching, "BLOCK", 2)  # the book is read in several blocks
    told = Story(credit_db)
    told.to("performing")
    told.tell(valued(OTHER, 1, 3_000_000, county="pinglu"))
    soon = (clock.today() + timedelta(days=10)).isoformat()
    county = {"county": "pinglu"}
    lend(
        credit_db,
        told.loan_id,
        [
            Lent(Decimal(1_900_000), {OTHER: "40000.000"}, loan=county),  # 79 % of 2.4 m: close to 85 %
            Lent(Decimal(600_000), {OTHER: "40000.000"}, loan=county, cover={"expiry": soon}),
            Lent(Decimal(500_000), {OTHER: "40000.000"}, loan=county, guarantee={"state": "released"}),
        ],
    )
    return told


def get(story: Story, path: str, **query: Any) -> Any:
    return body(story.officer.get(f"/v1/{path}", **query))


def test_warnings_come_by_money_at_risk_and_a_sound_loan_does_not(story: Story) -> None:
    found = get(story, "warnings")
    assert [(one["balance"], [why["code"] for why in one["grounds"]]) for one in found["items"]] == [
        (amount(600_000), ["cover_ending"]),
        (amount(500_000), ["guarantee_lost"]),
        (amount(1_900_000), ["margin_close"]),
    ]
    # The way from 1.9 m to three quarters of 2.4 m.
    assert found["items"][2]["at_risk"] == amount(100_000)
    assert (found["loans"], found["at_risk"]) == (3, amount(1_200_000))
    assert len(get(story, "warnings", limit=1)["items"]) == 1
    assert all(why["zh"] and why["en"] for one in found["items"] for why in one["grounds"])


def test_a_valuation_that_ages_and_then_cannot_be_used_is_warned_of(story: Story) -> None:
    with clock.travelled(timedelta(days=125)):
        grounds = {one["ground"]: one["loans"] for one in get(story, "warnings")["by_ground"]}
        assert grounds["valuation_ageing"] == 4
        assert grounds["past_due"] == 4
    with clock.travelled(timedelta(days=160)):
        found = get(story, "warnings")
        grounds = {one["ground"]: one["loans"] for one in found["by_ground"]}
        assert grounds["valuation_unusable"] == 4
        assert found["items"][0]["loan_to_value"] is None
        assert found["at_risk"] == amount(4_000_000)


def test_the_book_adds_up_however_it_is_cut(story: Story) -> None:
    book = get(story, "portfolio")
    assert (book["loans"], book["balance"]) == (4, amount(4_000_000))
    for cut in (book["loan_to_value"], book["classes"]):
        assert sum(one["loans"] for one in cut) == 4
        assert sum(Decimal(one["balance"]["amount"]) for one in cut) == 4_000_000
    places = {one["name"]: one for one in book["concentrations"] if one["dimension"] == "county"}
    assert places["pinglu"]["share"] == "0.75000000"
    assert places["pinglu"]["cap"] == "0.25000000"
    for dimension in ("county", "fire_zone", "verifier", "guarantor", "borrower"):
        parts = [one for one in book["concentrations"] if one["dimension"] == dimension]
        assert sum(Decimal(one["share"]) for one in parts) == 1


def test_a_stress_breaks_what_a_price_that_low_would_break_and_keeps_nothing(story: Story) -> None:
    before = story.loan()
    found = body(story.officer.post("/v1/stress", {"price_change": "-0.35"}))
    assert found["before"]["broken"] == 1  # the guarantee that was let go
    # A million on 1.56 m holds, 1.9 m does not.
    assert (found["newly_broken"], found["after"]["broken"]) == (1, 2)
    assert found["worst"][0]["balance"] == amount(1_900_000)
    assert Decimal(found["worst"][0]["stressed_loan_to_value"]) == pytest.approx(Decimal("1.21794872"))
    assert found["after"]["uncovered"] == amount(340_000)
    assert story.loan() == before
    # The same as if every forest were told to be worth that much.
    story.tell(valued(ASSET, 2, 1_950_000), valued(OTHER, 2, 1_950_000))
    called = {one["balance"]["amount"] for one in get(story, "warnings")["items"] if one["state"] == "margin_called"}
    assert called == {"1900000.00", "500000.00"}


def test_a_fire_takes_from_its_county_alone(story: Story) -> None:
    found = body(story.officer.post("/v1/stress", {"price_change": "0", "burnt_county": "youyu", "fire_loss": "1"}))
    assert (found["burnt_forests"], found["newly_broken"]) == (1, 1)
    assert found["worst"][0]["stressed_loan_to_value"] is None
    assert found["worst"][0]["shortfall"] == amount(1_000_000)
    nowhere = body(story.officer.post("/v1/stress", {"price_change": "0", "burnt_county": "nowhere"}))
    assert (nowhere["burnt_forests"], nowhere["newly_broken"]) == (0, 0)
    assert nowhere["before"] == nowhere["after"]


@pytest.mark.parametrize(
    "wrong", [{}, {"price_change": "-1.5"}, {"price_change": 0.35}, {"price_change": "0", "fire_loss": "2"}], ids=str
)
def test_a_stress_that_cannot_be_is_refused(story: Story, wrong: dict[str, Any]) -> None:
    body(story.officer.post("/v1/stress", wrong), 422)


def test_each_covenant_is_shown_with_its_limit_and_every_test(story: Story) -> None:
    story.value(2, 1_400_000)
    found = get(story, f"loans/{story.loan_id}/covenants")
    verdicts = {one["covenant"]: one["verdict"] for one in found["items"]}
    assert verdicts == {
        "loan_to_value": "broken",
        "valuation_fresh": "kept",
        "insurance": "kept",
        "guarantee": "kept",
        "pledge": "kept",
        "debt_service_cover": "not tested",
    }
    assert [one["cause"] for one in found["tests"]] == ["valuation", "disbursement"]
    assert found["tests"][0]["pledges"][0]["version"] == 2
    assert len(get(story, f"loans/{story.loan_id}/classes")["items"]) == 2


def test_another_bank_sees_an_empty_book_and_no_covenants(story: Story) -> None:
    stranger = Story(story.database, bank=OTHER_BANK)
    assert get(stranger, "warnings")["loans"] == get(stranger, "portfolio")["loans"] == 0
    assert body(stranger.officer.post("/v1/stress", {"price_change": "-0.35"}))["after"]["broken"] == 0
    for path in ("covenants", "classes"):
        body(stranger.officer.get(f"/v1/loans/{story.loan_id}/{path}"), 404)
    waiting = stranger.apply(borrower_reference="FILE-1")
    assert waiting["state"] != "performing"
    body(stranger.officer.get(f"/v1/loans/{stranger.loan_id}/covenants"), 404)
