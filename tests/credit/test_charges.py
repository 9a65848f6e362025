"""Late charges and fees: counted here a day at a time, charged by the service from one due day to the next."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.credit.formulas.schedule import accrued_interest, compound_interest, penalty_interest
from shared import clock
from tests.conftest import Database
from tests.credit.story import Story, amount, money
from tests.harness import body

FEN = Decimal("0.01")


@pytest.fixture
def story(credit_db: Database) -> Story:
    return Story(credit_db)


@given(st.integers(0, 10**12), st.floats(0, 0.2), st.floats(0, 1), st.integers(0, 400), st.integers(0, 400))
def test_late_interest_is_the_contract_s_and_its_markup_however_the_days_are_cut(
    owed: int, rate: float, markup: float, days: int, more: int
) -> None:
    plain = accrued_interest(owed, rate, days, 360)
    beside, whole = penalty_interest(owed, rate, markup, days, 360), compound_interest(owed, rate, markup, days, 360)
    # A rate is kept to 1e-9 a year.
    slack = 1 + owed * days / 360 * 1e-9
    assert abs(whole - plain - beside) <= slack + 1
    assert beside <= plain + 1 if markup <= 1 else True
    cut = penalty_interest(owed, rate, markup, days, 360) + penalty_interest(owed, rate, markup, more, 360)
    assert abs(cut - penalty_interest(owed, rate, markup, days + more, 360)) <= 1


def ledger(story: Story) -> Any:
    return body(story.officer.get(f"/v1/loans/{story.loan_id}/payments"))


def test_what_is_late_bears_what_was_agreed_and_is_paid_first(story: Story) -> None:
    loan = story.to("performing", repayment="equal_instalment")
    rate = Decimal(loan["offer"]["annual_rate"])
    assert Decimal(loan["offer"]["payload"]["late_rate"]) == (rate * Decimal("1.5")).quantize(Decimal("1e-8"))
    rows = body(story.officer.get(f"/v1/loans/{story.loan_id}/schedule"))["items"]
    first, second = (
        (date.fromisoformat(row["due_on"]), money(row["principal"]["amount"]), money(row["interest"]["amount"]))
        for row in rows[:2]
    )
    start, end = clock.today(), second[0] + timedelta(days=20)
    with clock.travelled(first[0] - start):
        assert story.loan()["balance"]["charges"] == amount(0)

    # By hand, a day at a time: principal late bears half the rate more, interest late one and a half rates.
    late_principal = first[1] * (end - first[0]).days + second[1] * (end - second[0]).days
    late_interest = first[2] * (end - first[0]).days + second[2] * (end - second[0]).days
    expected = rate / 360 * (late_principal / 2 + late_interest * Decimal("1.5"))
    with clock.travelled(end - start):
        owed = story.loan()["balance"]
        charges = money(owed["charges"]["amount"])
        assert abs(charges - expected) <= 2 * FEN
        parts = sum(money(owed[name]["amount"]) for name in ("principal", "interest", "charges"))
        assert money(owed["owed"]["amount"]) == parts
        # Charges, then interest, then principal; who pays the two instalments alone stays late by the charges.
        due = sum(part for row in (first, second) for part in row[1:])
        paid = story.post("repayments", {"amount": amount(due)}, status=201)
        assert paid["balance"]["charges"] == amount(0)
        assert paid["balance"]["charges_paid"] == amount(charges)
        assert paid["risk"]["days_past_due"] == 20
        told = ledger(story)
        assert told["items"][-1]["charges"] == amount(charges)
        assert sum(money(one["amount"]["amount"]) for one in told["charges"]) == charges
        assert {(one["kind"], one["from_day"]) for one in told["charges"]} == {
            (kind, row[0].isoformat()) for kind in ("late_principal", "late_interest") for row in (first, second)
        }
        # The loan is not over while a charge is owed.
        owed = story.loan()["balance"]["owed"]
        story.post("repayments", {"amount": amount(money(owed["amount"]) + FEN)}, status=409)
        assert story.post("repayments", {"amount": owed}, status=201)["state"] == "closed"


def test_a_fee_is_of_the_tariff_or_refused(story: Story) -> None:
    story.to("performing", repayment="equal_instalment")

    def fee(kind: str, value: Any, status: int = 201) -> Any:
        content = {"kind": kind, "amount": amount(value), "comment": "valued anew"}
        return story.post("fees", content, status=status)

    assert fee("appraisal", 3_000)["balance"]["charges"] == amount(3_000)
    assert fee("appraisal", 5_001, 409)["errors"][0]["code"] == "fee_too_high"
    assert fee("enforcement", 100, 409)["errors"][0]["code"] == "nothing_to_enforce"
    story.post("fees", {"kind": "commitment", "amount": amount(1), "comment": "no"}, status=422)
    with clock.travelled(timedelta(days=45)):
        charged = fee("enforcement", 100)["balance"]
        assert money(charged["charges"]["amount"]) > 3_100  # what is late bears its own
    assert [one["kind"] for one in ledger(story)["charges"]] == ["appraisal", "enforcement"]


def test_below_the_limit_the_bank_appraises_by_itself(story: Story) -> None:
    story.to("performing", amount=amount(299_999.99))
    refused = story.post("fees", {"kind": "appraisal", "amount": amount(1), "comment": "no"}, status=409)
    assert refused["errors"][0]["code"] == "bank_appraises"
    assert story.loan()["balance"]["charges"] == amount(0)


def test_recovered_money_pays_charges_after_the_claim_and_the_interest(story: Story) -> None:
    story.to("performing", repayment="equal_instalment")
    with clock.travelled(timedelta(days=100)):
        owed = story.loan()["balance"]
        loan = story.post("default", {"ground": "overdue", "comment": "100 days"})
        assert loan["balance"]["charges"] == owed["charges"] != amount(0)
        claim, interest, charges = (money(owed[name]["amount"]) for name in ("principal", "interest", "charges"))
        whole = claim + interest + charges + 7
        loan = story.post("recoveries", {"amount": amount(whole), "costs": amount(0), "source": "carbon"}, status=201)
        assert (loan["balance"]["charges"], loan["balance"]["surplus"]) == (amount(0), amount(7))
        assert ledger(story)["items"][-1]["charges"] == amount(charges)
