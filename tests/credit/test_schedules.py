"""Schedules: when principal falls due, on which working day, by which day count, and who reads it."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from services.credit.actions import schedules
from services.credit.actions.dates import months_after
from shared import clock
from shared.events.credit import LegsRequested, LoanDisbursed
from shared.events.sink import Removals
from tests.conftest import Database
from tests.credit.story import Story, amount, application, money
from tests.harness import body


@pytest.fixture
def story(credit_db: Database) -> Story:
    return Story(credit_db)


def issuances(*tonnes_by_month: tuple[int, int]) -> dict[str, Any]:
    """The forest's issuances so many months from now, with their tonnes."""
    today = clock.today()
    return {
        "removals": tuple(
            Removals(
                verified_on=months_after(today, months) + timedelta(days=9),
                mean=Decimal(tonnes),
                p10=Decimal(tonnes) / 2,
                p50=Decimal(tonnes),
                p90=Decimal(tonnes) * 2,
            )
            for months, tonnes in tonnes_by_month
        )
    }


def schedule(story: Story) -> Any:
    return body(story.officer.get(f"/v1/loans/{story.loan_id}/schedule"))


def fen(row: Any, name: str) -> Decimal:
    return Decimal(row[name]["amount"])


def test_principal_follows_the_issuances_and_every_leg_is_told_the_last_due_day(story: Story) -> None:
    story.value(**issuances((8, 10_000), (20, 30_000), (44, 1_000)))
    proposed = story.to("proposed", repayment="issuance_matched", day_count="ACT/365")
    rows = schedule(story)["items"]
    due = {row["number"]: fen(row, "principal") for row in rows if fen(row, "principal")}
    # What comes after the loan has matured repays nothing.
    assert due == {9: money(250_000), 21: money(750_000)}
    told = proposed["offer"]["payload"]["schedule"]
    assert told["first_principal_on"] == rows[8]["due_on"]
    assert (told["payments"], told["first_principal"], told["day_count"]) == (36, "250000.00", "ACT/365")
    assert Decimal(told["interest"]) == sum(fen(row, "interest") for row in rows)
    story.approve()
    story.post("acceptance")
    story.tell(story.placed(), story.bound(), story.issued())
    loan = story.post("disbursement")
    # A later valuation changes what the carbon is worth, not what was agreed.
    story.value(2, **issuances((30, 50_000)))
    agreed = schedule(story)
    assert {row["number"]: fen(row, "principal") for row in agreed["items"] if fen(row, "principal")} == due
    (disbursed,) = story.told(LoanDisbursed)
    assert loan["matures_on"] == disbursed.matures_on.isoformat() == agreed["items"][-1]["due_on"]
    assert (agreed["indicative"], agreed["days_to_be_confirmed"]) == (False, True)


def test_grace_ends_with_the_first_issuance(story: Story) -> None:
    story.value(**issuances((14, 40_000)))
    loan = story.to("proposed", grace_to_first_issuance=True)
    assert loan["grace_months"] == 14
    rows = schedule(story)["items"]
    assert [row["number"] for row in rows if not fen(row, "principal")] == list(range(1, 15))
    assert date.fromisoformat(rows[14]["due_on"]) >= months_after(clock.today(), 14) + timedelta(days=9)
    assert sum(fen(row, "principal") for row in rows) == money(1_000_000)


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"repayment": "issuance_matched"}, "/repayment"),
        ({"grace_to_first_issuance": True}, "/grace_to_first_issuance"),
        ({"grace_to_first_issuance": True, "grace_months": 3}, "/grace_months"),
        ({"repayment": "issuance_matched", "grace_months": 3}, "/grace_months"),
        ({"day_count": "ACT/ACT"}, "/day_count"),
    ],
)
def test_what_no_issuance_of_the_term_carries_is_refused(story: Story, asked: dict[str, Any], pointer: str) -> None:
    story.value()
    problem = body(story.officer.post("/v1/loans", application(**asked)), 422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert body(story.officer.get("/v1/loans"))["items"] == []


@pytest.mark.parametrize("day_count", list(schedules.DAY_COUNTS))
def test_what_accrues_until_the_first_due_day_is_what_the_schedule_says(story: Story, day_count: str) -> None:
    story.to("performing", day_count=day_count, repayment="equal_instalment")
    told = schedule(story)
    assert told["day_count"] == day_count
    first = told["items"][0]
    until = date.fromisoformat(first["due_on"]) - clock.today()
    with clock.travelled(until):
        assert story.loan()["balance"]["interest"] == first["interest"]
        due = amount(fen(first, "principal") + fen(first, "interest"))
        paid = story.post("repayments", {"amount": due}, status=201)
        assert paid["balance"]["principal"] == first["balance"]


@pytest.mark.parametrize("repayment", ["equal_instalment", "interest_only", "issuance_matched"])
def test_the_legs_are_told_when_which_principal_falls_due(story: Story, repayment: str) -> None:
    story.value(**issuances((14, 20_000), (26, 20_000)))
    story.to("performing", repayment=repayment)
    (asked,), (disbursed,) = story.told(LegsRequested), story.told(LoanDisbursed)
    rows = [row for row in schedule(story)["items"] if fen(row, "principal")]
    assert [(one.month, one.due_on.isoformat(), one.principal) for one in disbursed.schedule] == [
        (row["number"], row["due_on"], fen(row, "principal")) for row in rows
    ]
    # Before the legs answered the rate was estimated without them, so an annuity differs a little.
    assert [(one.month, one.due_on) for one in asked.schedule] == [
        (one.month, one.due_on) for one in disbursed.schedule
    ]
    assert sum(one.principal for one in asked.schedule) == money(1_000_000)


def test_a_calendar_that_changes_moves_no_day_that_was_agreed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.to("ready")
    planned = schedule(story)
    story.post("disbursement")
    agreed = schedule(story)
    assert agreed["items"] == planned["items"]
    monkeypatch.setattr(schedules, "working_day", lambda day: day + timedelta(days=11))
    assert schedule(story) == agreed


def test_every_due_day_is_worked_and_none_moves_by_more_than_a_holiday() -> None:
    for start in (date(2025, 8, 29), date(2026, 1, 31), date(2025, 9, 1)):
        days = schedules.due_days(start, 12)
        assert all(one < other for one, other in pairwise(days))
        for number, day in enumerate(days, 1):
            assert timedelta(0) <= day - months_after(start, number) <= timedelta(days=9)
    assert schedules.due_days(date(2026, 1, 16), 1) == [date(2026, 2, 24)], "the spring festival of 2026"
