"""What the tables themselves refuse, whatever the code above them does."""

from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from services.guarantee.actions import calls
from services.guarantee.actions.guarantees import issue_guarantee, reserve_guarantee
from services.guarantee.tables import Bucket, Call
from shared import db
from tests.guarantee.stories import accepted, asked, defaulted, guarantee, ready, recovered, yuan
from tests.harness import GUARANTOR


@pytest.fixture
def called(guarantee_db, sealed):
    """A call with a recovery, and so with a journal."""
    ready(guarantee_db.sessions, sealed)
    request = asked()
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        reserve_guarantee(session, request)
        session.flush()
        issue_guarantee(session, accepted(request, guarantee(session, request.loan_id).id))
        calls.open_call(session, defaulted(request.loan_id))
        calls.share_recovery(session, recovered(request.loan_id, yuan(100)))
    return guarantee_db


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("posted = posted + 1", "within_cap"),
        ("pending = cap_effective + 1", "within_cap"),
        ("posted = -1", "posted_not_negative"),
        ("pending = -1", "pending_not_negative"),
        ("cap_effective = cap_effective + 5, posted = posted + 4", "over_limit_is_exact"),
        ("cap_legal = cap_legal - 2, posted = posted - 1", "over_limit_is_exact"),
        ("kind = 'sector'", "kind"),
    ],
)
def test_no_bucket_can_be_overdrawn(guarantee_db, sealed, change, constraint):
    ready(guarantee_db.sessions, sealed)
    with sealed(guarantee_db.sessions, GUARANTOR) as session:
        bucket = session.scalars(select(Bucket).where(Bucket.kind == "province")).one()
        session.execute(text("UPDATE buckets SET posted = cap_legal WHERE id = :id"), {"id": bucket.id})
    statement = text(f"UPDATE buckets SET {change} WHERE id = :id")
    with pytest.raises(IntegrityError, match=constraint), sealed(guarantee_db.sessions, GUARANTOR) as session:
        session.execute(statement, {"id": bucket.id})


@pytest.mark.parametrize("role", ["app", "worker"])
@pytest.mark.parametrize("table", ["journal_rows", "recoveries"])
@pytest.mark.parametrize("change", ["UPDATE {} SET institution = institution", "DELETE FROM {}"])
def test_nobody_may_rewrite_the_journal(called, sealed, role, table, change):
    sessions = called.sessions if role == "app" else called.worker_sessions
    with pytest.raises(ProgrammingError, match="permission denied"), sealed(sessions, GUARANTOR) as session:
        session.execute(text(change.format(table)))


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("share_pool = share_pool + 0.01", "shares_sum_to_the_balance"),
        ("payable = payable - 0.01", "payable_is_all_but_the_bank_share"),
        ("state = 'paid'", "paid_in_full_or_not"),
        ("state = 'paid', paid = payable - 0.01", "paid_in_full_or_not"),
        ("paid = payable", "paid_in_full_or_not"),
    ],
)
def test_no_call_can_lose_a_fen(called, sealed, change, constraint):
    with pytest.raises(IntegrityError, match=constraint), sealed(called.sessions, GUARANTOR) as session:
        session.execute(text(f"UPDATE calls SET {change}"))


@pytest.mark.parametrize(
    ("table", "change", "constraint"),
    [
        ("guarantees", "share_pool = share_pool + 0.01", "shares_sum_to_the_amount"),
        ("guarantees", "balance = amount + 0.01", "balance_within_amount"),
        ("guarantees", "claim_until = NULL", "issued_with_its_clock"),
        ("reservations", "balance = amount + 1", "balance_within_amount"),
        ("reservations", "state = 'released'", "ended_holds_nothing"),
        ("profiles", "leverage_class = 12", "leverage_class"),
        ("counties", "pool_balance = -1", "not_negative"),
    ],
)
def test_no_row_can_contradict_itself(called, sealed, table, change, constraint):
    with pytest.raises(IntegrityError, match=constraint), sealed(called.sessions, GUARANTOR) as session:
        session.execute(text(f"UPDATE {table} SET {change}"))


@pytest.mark.parametrize(
    ("debit", "credit", "amount", "constraint"),
    [
        ("bank", "bank", 1, "two_accounts"),
        ("bank", "cash", 0, "amount_positive"),
        ("bank", "elsewhere", 1, "accounts"),
    ],
)
def test_every_journal_row_has_two_accounts_and_an_amount(called, sealed, debit, credit, amount, constraint):
    statement = text(
        "INSERT INTO journal_rows (id, institution, call_id, kind, source, debit, credit, amount, booked_at, hash)"
        " VALUES (:id, :institution, :call, 'payment', :id, :debit, :credit, :amount, now(), '')"
    )
    with called.sessions() as session:
        db.act_for(session, GUARANTOR)
        row = {"id": uuid4(), "institution": GUARANTOR, "call": session.scalars(select(Call.id)).one()}
        with pytest.raises(IntegrityError, match=constraint):
            session.execute(statement, row | {"debit": debit, "credit": credit, "amount": amount})


def test_a_loan_has_one_guarantee_and_a_guarantee_one_call(called, sealed):
    fresh = "jsonb_build_object('id', gen_random_uuid())"
    copied = f"INSERT INTO calls SELECT (jsonb_populate_record(c, {fresh})).* FROM calls c"
    with pytest.raises(IntegrityError, match="uq_calls_guarantee_id"), sealed(called.sessions, GUARANTOR) as session:
        session.execute(text(copied))
