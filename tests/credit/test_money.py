"""Whatever happens to a loan, its money adds up to the fen: everything paid out is received, shared or written off."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from services.credit.tables import Loan, charges_of, payments_of
from shared import clock
from shared.db import act_for
from shared.events import credit
from tests.conftest import Database
from tests.credit.story import Story, amount, money
from tests.harness import body

FEN = Decimal("0.01")
AMOUNTS = st.decimals(min_value=FEN, max_value=Decimal("400000"), places=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("days"), st.integers(min_value=1, max_value=40)),
        st.tuples(st.just("repay"), AMOUNTS),
        st.tuples(st.just("claim"), AMOUNTS),
        st.tuples(st.just("default"), st.none()),
        st.tuples(st.just("guarantee"), st.none()),
        st.tuples(st.just("recover"), st.tuples(AMOUNTS, st.integers(min_value=0, max_value=100))),
        st.tuples(st.just("share"), st.none()),
        st.tuples(st.just("close"), st.none()),
    ),
    max_size=10,
)


def checked(story: Story) -> Any:
    """The loan, after every identity was checked on its ledger."""
    with story.database.sessions() as session:
        act_for(session, story.bank)
        loan = session.get_one(Loan, story.loan_id)
        payments = payments_of(session, loan.id)
        assert loan.disbursed == loan.principal_repaid + loan.recovered + loan.balance + loan.unrecovered
        repaid = [one for one in payments if one.source in ("borrower", "insurance")]
        recoveries = [one for one in payments if one.source == "recovery"]
        assert loan.principal_repaid == sum(one.principal for one in repaid)
        assert loan.recovered == sum(one.principal for one in recoveries)
        assert loan.recovered_by_bank == sum(one.bank_part or 0 for one in recoveries)
        assert loan.guarantee_received == sum(one.amount for one in payments if one.source == "guarantee")
        assert loan.surplus == sum(one.surplus for one in payments)
        assert loan.interest_paid == sum(one.interest for one in payments)
        assert loan.charges_paid == sum(one.charges for one in payments)
        assert loan.charges_paid + loan.charges_due == sum(one.amount for one in charges_of(session, loan.id))
        kept = sum((one.bank_part or Decimal(0) for one in payments), Decimal(0))
        if loan.state == "closed":
            assert loan.disbursed + loan.bank_surplus == kept + loan.written_off
            assert not (loan.bank_surplus and loan.written_off)
        for one in payments:
            if one.source != "guarantee":
                assert one.amount == one.costs + one.charges + one.principal + one.interest + one.surplus
        return loan


def step(story: Story, what: str, given_: Any, unshared: list[Any]) -> None:
    """Take a step if the loan's state allows it; what it refuses changes nothing."""
    loan = story.loan()
    if what == "repay":
        before = loan["balance"]["owed"]
        answer = story.officer.post(f"/v1/loans/{story.loan_id}/repayments", {"amount": amount(given_)})
        too_much = loan["state"] in ("performing", "margin_called") and given_ > Decimal(before["amount"])
        assert answer.status_code == 409 if too_much else answer.status_code in (201, 409)
    elif what == "claim":
        story.tell(story.claim_paid(given_), copies=2)
    elif what == "default":
        story.officer.post(f"/v1/loans/{story.loan_id}/default", {"ground": "overdue", "comment": "late"})
    elif what == "guarantee" and loan["state"] == "defaulted" and loan["guarantee"]["state"] == "issued":
        claim = story.told(credit.LoanDefaulted)[0].balance
        story.tell(story.called(claim), story.guarantee_paid(claim))
    elif what == "recover":
        whole, part = given_
        costs = (whole * part / 100).quantize(FEN)
        answer = story.officer.post(
            f"/v1/loans/{story.loan_id}/recoveries",
            {"amount": amount(whole), "costs": amount(costs), "source": "carbon"},
        )
        assert answer.status_code in (201, 409)
    elif what == "share":
        for received in story.told(credit.RecoveryReceived):
            if received.recovery_id not in unshared:
                unshared.append(received.recovery_id)
                story.tell(story.shared(received))
    elif what == "close":
        story.officer.post(f"/v1/loans/{story.loan_id}/closing")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, principal=st.decimals(min_value=Decimal(1000), max_value=Decimal(1_000_000), places=2))
def test_the_money_of_a_loan_adds_up_after_any_history(
    credit_db: Database, steps: list[tuple[str, Any]], principal: Decimal
) -> None:
    story = Story(credit_db, asset=uuid4(), county=f"county-{uuid4().hex[:8]}")
    story.to("performing", amount=amount(principal))
    shared: list[Any] = []
    passed = timedelta()
    for what, given_ in steps:
        if what == "days":
            passed += timedelta(days=given_)
            continue
        with clock.travelled(passed):
            step(story, what, given_, shared)
        checked(story)
    with clock.travelled(passed):
        # Bring the story to its end, so that every history is closed and settled.
        step(story, "default", None, shared)
        step(story, "guarantee", None, shared)
        step(story, "share", None, shared)
        story.officer.post(f"/v1/loans/{story.loan_id}/closing")
    loan = checked(story)
    note(f"{loan.state} {loan.outcome}")
    assert loan.state == "closed"
    if loan.outcome != "repaid":
        closed = story.told(credit.LoanClosed)
        assert len(closed) == 1


def test_the_fen_of_repeated_rounding_never_make_a_negative_loss(credit_db: Database) -> None:
    story = Story(credit_db)
    story.to("performing", amount=amount("1000.00"))
    with clock.travelled(timedelta()):
        story.post("default", {"ground": "overdue", "comment": "late"})
        story.tell(story.called("1000.00"), story.guarantee_paid("1000.00"))
        for _ in range(5):
            story.post("recoveries", {"amount": amount("200.00"), "costs": amount(0), "source": "carbon"}, status=201)
        for received in story.told(credit.RecoveryReceived):
            # A sharing that rounds each bank part up by a fen.
            story.tell(story.shared(received, bank=Decimal("40.01")))
        loan = story.post("closing")
    assert loan["outcome"] == "recovered"
    assert loan["balance"]["written_off"] == amount(0)
    assert loan["balance"]["bank_surplus"] == amount("0.05")


def test_the_ledger_s_claim_ends_exactly_at_zero(credit_db: Database) -> None:
    story = Story(credit_db)
    story.to("defaulted")
    story.tell(story.called(1_000_000), story.guarantee_paid(1_000_000))
    for part in ("333333.33", "333333.33", "333333.34"):
        story.post("recoveries", {"amount": amount(part), "costs": amount(0), "source": "carbon"}, status=201)
    balance = story.loan()["balance"]
    assert balance["principal"] == amount(0)
    assert balance["recovered"] == amount(1_000_000)
    assert money(balance["surplus"]["amount"]) == 0
    assert len(body(story.officer.get(f"/v1/loans/{story.loan_id}/payments"))["items"]) == 4
