"""Calls: opened at default, paid once, recoveries shared back to the fen, and a journal that always sums to zero."""

from decimal import Decimal

import pytest
from sqlalchemy import func, select

from services.guarantee.actions import calls
from services.guarantee.actions.guarantees import issue_guarantee, reserve_guarantee
from services.guarantee.tables import Call, JournalRow, Recovery
from shared.errors import NotFoundError, StateError
from shared.events.guarantee import GuaranteeCalled, GuaranteePaid, GuaranteeReleased, RecoveryShared
from tests.guarantee.stories import (
    accepted,
    asked,
    closed,
    defaulted,
    guarantee,
    parts,
    ready,
    recovered,
    used,
    yuan,
)
from tests.harness import GUARANTOR, OTHER_GUARANTOR, published


@pytest.fixture
def sessions(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    return guarantee_db.sessions


@pytest.fixture
def loan(sessions, sealed):
    """A loan with a guarantee in force."""
    request = asked()
    with sealed(sessions, GUARANTOR) as session:
        reserve_guarantee(session, request)
        session.flush()
        issue_guarantee(session, accepted(request, guarantee(session, request.loan_id).id))
    return request.loan_id


def do(sessions, sealed, action, *arguments):
    with sealed(sessions, GUARANTOR) as session:
        return action(session, *arguments)


def call_of(sessions, sealed, loan):
    with sealed(sessions, GUARANTOR) as session:
        return session.scalars(select(Call).where(Call.loan_id == loan)).one()


def accounts(sessions, sealed, loan):
    call = call_of(sessions, sealed, loan)
    with sealed(sessions, GUARANTOR) as session:
        return {name: str(sum_) for name, sum_ in calls.balances(calls.journal(session, call.id)).items()}


def test_a_default_opens_a_call_whose_shares_sum_to_the_balance(guarantee_db, sessions, sealed, loan):
    for _ in range(2):
        do(sessions, sealed, calls.open_call, defaulted(loan, yuan("10000.01")))
    (event,) = published(guarantee_db, GuaranteeCalled)
    assert event.balance == yuan("10000.01") == event.shares.total
    assert parts(event.shares) == {
        "primary": "4000.01",
        "province": "3000.00",
        "national": "0.00",
        "bank": "2000.00",
        "pool": "1000.00",
    }
    call = call_of(sessions, sealed, loan)
    assert (call.state, call.payable, call.subrogated_claim) == ("open", yuan("8000.01"), yuan(0))


def test_the_guarantor_pays_all_but_the_bank_share_once(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    call = call_of(sessions, sealed, loan)
    paid = do(sessions, sealed, calls.pay_call, call.id, "transfer 7")
    assert (paid.state, paid.paid, paid.reference) == ("paid", yuan(800_000), "transfer 7")
    with pytest.raises(StateError, match="the call is paid"):
        do(sessions, sealed, calls.pay_call, call.id, "transfer 8")
    (event,) = published(guarantee_db, GuaranteePaid)
    assert event.paid == event.shares.total - event.shares.bank == yuan(800_000)
    assert accounts(sessions, sealed, loan) == {
        "bank": "0.00",
        "cash": "-800000.00",
        "subrogated": "400000.00",
        "province": "300000.00",
        "pool": "100000.00",
    }


def test_nobody_pays_the_call_of_another_guarantor(sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    call = call_of(sessions, sealed, loan)
    with pytest.raises(NotFoundError), sealed(sessions, OTHER_GUARANTOR) as session:
        calls.pay_call(session, call.id, "")


def test_a_recovery_goes_back_by_the_same_shares_less_its_costs(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    call = call_of(sessions, sealed, loan)
    do(sessions, sealed, calls.pay_call, call.id, "")
    event = recovered(loan, yuan("510000.01"), costs=yuan(10_000))
    for _ in range(2):
        do(sessions, sealed, calls.share_recovery, event)
    (shared,) = published(guarantee_db, RecoveryShared)
    assert shared.net == yuan("500000.01") == shared.shares.total
    assert parts(shared.shares) == {
        "primary": "200000.01",
        "province": "150000.00",
        "national": "0.00",
        "bank": "100000.00",
        "pool": "50000.00",
    }
    call = call_of(sessions, sealed, loan)
    assert (call.recovered, call.subrogated_claim) == (yuan("500000.01"), yuan("399999.99"))
    assert accounts(sessions, sealed, loan) == {
        "bank": "400000.01",
        "cash": "-800000.00",
        "subrogated": "199999.99",
        "province": "150000.00",
        "pool": "50000.00",
    }


def test_a_recovery_before_the_payment_ends_at_the_same_balances(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    call = call_of(sessions, sealed, loan)
    do(sessions, sealed, calls.share_recovery, recovered(loan, yuan("510000.01"), costs=yuan(10_000)))
    assert call_of(sessions, sealed, loan).subrogated_claim == 0
    do(sessions, sealed, calls.pay_call, call.id, "")
    call = call_of(sessions, sealed, loan)
    assert (call.paid, call.subrogated_claim) == (yuan(800_000), yuan("399999.99"))
    assert accounts(sessions, sealed, loan)["bank"] == "400000.01"


def test_costs_above_a_recovery_leave_nothing_to_share(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    do(sessions, sealed, calls.share_recovery, recovered(loan, yuan(100), costs=yuan(101)))
    (shared,) = published(guarantee_db, RecoveryShared)
    assert shared.net == shared.shares.total == 0


def test_a_recovery_without_a_call_passes_quietly(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.share_recovery, recovered(loan, yuan(100)))
    do(sessions, sealed, calls.share_recovery, recovered(asked().loan_id, yuan(100)))
    assert published(guarantee_db, RecoveryShared) == []


def test_room_is_held_until_a_called_loan_is_closed_and_paid(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    do(sessions, sealed, calls.close_loan, closed(loan, "written_off"))
    assert published(guarantee_db, GuaranteeReleased) == []
    do(sessions, sealed, calls.pay_call, call_of(sessions, sealed, loan).id, "")
    assert isinstance(published(guarantee_db)[-1], GuaranteeReleased)
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == {}


def test_a_paid_call_is_released_with_the_loan(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    do(sessions, sealed, calls.pay_call, call_of(sessions, sealed, loan).id, "")
    for _ in range(2):
        do(sessions, sealed, calls.close_loan, closed(loan, "written_off"))
    (event,) = published(guarantee_db, GuaranteeReleased)
    assert event.reason == "the loan was closed: written off"


def test_a_call_falls_away_when_the_borrower_pays_after_all(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan))
    do(sessions, sealed, calls.close_loan, closed(loan, "repaid"))
    call = call_of(sessions, sealed, loan)
    assert call.state == "cancelled"
    assert set(accounts(sessions, sealed, loan).values()) == {"0.00"}
    with pytest.raises(StateError):
        do(sessions, sealed, calls.pay_call, call.id, "")
    do(sessions, sealed, calls.share_recovery, recovered(loan, yuan(1)))
    assert published(guarantee_db, RecoveryShared) == []


def test_nothing_owed_calls_nothing(guarantee_db, sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan, yuan(0)))
    assert published(guarantee_db, GuaranteeCalled) == []


def test_all_recoveries_and_the_journal_conserve_every_fen(sessions, sealed, loan):
    do(sessions, sealed, calls.open_call, defaulted(loan, yuan("999999.97")))
    amounts = ["0.01", "0.02", "0.03", "333333.33", "12345.67"]
    for amount in amounts:
        do(sessions, sealed, calls.share_recovery, recovered(loan, yuan(amount)))
    do(sessions, sealed, calls.pay_call, call_of(sessions, sealed, loan).id, "")
    with sealed(sessions, GUARANTOR) as session:
        net = session.scalar(select(func.sum(Recovery.net)))
        rows = session.scalars(select(JournalRow)).all()
    call = call_of(sessions, sealed, loan)
    assert net == call.recovered == sum(map(Decimal, amounts))
    sums = calls.balances(rows)
    assert sum(sums.values()) == 0
    assert sums["bank"] == call.recovered_for_guarantors
