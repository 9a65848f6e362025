"""Four eyes: another person, exactly what was prepared, in time, once."""

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from shared import approvals, audit, clock, db
from shared.approvals import Approval
from shared.errors import ConflictError, ForbiddenError
from tests.conftest import Database

BANK, OTHER = "bank-yanmen", "bank-sanggan"
OFFER = {"amount": "1000.00", "rate": "0.045", "名": "朔州"}


@pytest.fixture
def asked(credit_db: Database, sealed: Any) -> UUID:
    subject = uuid4()
    ask(credit_db, sealed, subject)
    return subject


def ask(database: Database, sealed: Any, subject: UUID, payload: dict[str, Any] = OFFER, days: int = 7) -> str:
    with sealed(database.sessions, BANK) as session:
        expires = clock.now() + timedelta(days=days)
        return approvals.ask(session, "offer", subject, payload, "ann", expires).payload_hash


def decide(
    database: Database, sealed: Any, subject: UUID, checker: str = "bob", approve: bool = True, **more: Any
) -> str:
    with sealed(database.sessions, more.get("bank", BANK), checker) as session:
        seen = more.get("seen", approvals.payload_hash(OFFER))
        return approvals.decide(session, "offer", subject, seen, checker, approve).state


def states(database: Database, subject: UUID) -> list[str]:
    with database.sessions() as session:
        db.act_for(session, BANK)
        return list(session.scalars(select(Approval.state).where(Approval.subject == subject).order_by(Approval.id)))


@pytest.mark.parametrize(("approve", "state"), [(True, "approved"), (False, "rejected")])
def test_another_person_decides_and_the_audit_knows_both(credit_db, sealed, asked, approve, state) -> None:
    assert decide(credit_db, sealed, asked, approve=approve) == state
    with credit_db.sessions() as session:
        db.act_for(session, BANK)
        row = session.scalars(select(Approval)).one()
        assert (row.maker, row.checker, row.state, row.decided_at is not None) == ("ann", "bob", state, True)
        entry = session.scalars(select(audit.AuditEntry)).one()
        assert (entry.action, entry.actor, entry.detail["maker"]) == (f"offer_{state}", "bob", "ann")


def test_the_maker_cannot_decide(credit_db, sealed, asked) -> None:
    for approve in (True, False):
        with pytest.raises(ForbiddenError, match="ask a colleague"):
            decide(credit_db, sealed, asked, checker="ann", approve=approve)
    assert states(credit_db, asked) == ["open"]


@pytest.mark.parametrize("seen", ["", "0" * 64, "ÿ" * 64, approvals.payload_hash(OFFER | {"amount": "1000.01"})])
def test_what_was_not_seen_is_not_approved(credit_db, sealed, asked, seen) -> None:
    with pytest.raises(ConflictError, match="not what you saw"):
        decide(credit_db, sealed, asked, seen=seen)
    assert states(credit_db, asked) == ["open"]


def test_after_its_expiry_nothing_is_approved(credit_db, sealed, asked) -> None:
    with clock.travelled(timedelta(days=7)), pytest.raises(ConflictError, match="expired"):
        decide(credit_db, sealed, asked)
    with clock.travelled(timedelta(days=7) - timedelta(minutes=1)):
        assert decide(credit_db, sealed, asked) == "approved"


def test_what_is_decided_is_decided(credit_db, sealed, asked) -> None:
    decide(credit_db, sealed, asked, approve=False)
    with pytest.raises(ConflictError, match="nothing waits"):
        decide(credit_db, sealed, asked, checker="eve")
    assert states(credit_db, asked) == ["rejected"]


def test_nothing_is_decided_that_was_not_asked(credit_db, sealed, asked) -> None:
    for subject, bank in ((uuid4(), BANK), (asked, OTHER)):
        with pytest.raises(ConflictError, match="nothing waits"):
            decide(credit_db, sealed, subject, bank=bank)
    with sealed(credit_db.sessions, OTHER) as session:
        assert approvals.pending(session, "offer", asked) is None
    with sealed(credit_db.sessions, BANK) as session:
        assert approvals.pending(session, "offer", asked).payload == OFFER
        assert approvals.pending(session, "curve", asked) is None


def test_of_two_at_once_exactly_one_decides(credit_db, sealed, asked) -> None:
    met, outcomes = threading.Barrier(8), []

    def one(checker: str) -> None:
        met.wait(60)
        try:
            outcomes.append(decide(credit_db, sealed, asked, checker=checker, approve=checker < "c4"))
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=one, args=(f"c{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == sorted([*states(credit_db, asked), *["refused"] * 7])


def test_an_edited_request_supersedes_the_one_before(credit_db, sealed, asked) -> None:
    edited = OFFER | {"amount": "2000.00"}
    seen = ask(credit_db, sealed, asked, edited)
    assert states(credit_db, asked) == ["superseded", "open"]
    with pytest.raises(ConflictError, match="not what you saw"):
        decide(credit_db, sealed, asked)
    assert decide(credit_db, sealed, asked, seen=seen) == "approved"
    assert states(credit_db, asked) == ["superseded", "approved"]


def test_two_requests_at_once_leave_one_open(credit_db, sealed) -> None:
    subject, met, failed = uuid4(), threading.Barrier(4), []

    def one() -> None:
        met.wait(60)
        try:
            ask(credit_db, sealed, subject)
        except IntegrityError as error:
            failed.append(error.orig.sqlstate)  # type: ignore[union-attr]

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert states(credit_db, subject).count("open") == 1
    assert set(failed) <= {"23505"}, "the door makes a 409 of it"


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert approvals.payload_hash(OFFER) == approvals.payload_hash(dict(reversed(OFFER.items())))
    assert approvals.payload_hash(OFFER) != approvals.payload_hash(OFFER | {"rate": "0.046"})


def test_nobody_enters_an_approval_for_another_institution(credit_db, sealed) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), sealed(credit_db.sessions, BANK) as session:
        session.add(
            Approval(
                institution=OTHER,
                action="offer",
                subject=uuid4(),
                payload={},
                payload_hash="",
                maker="ann",
                state="open",
                expires_at=clock.now(),
            )
        )


def test_an_edited_audit_entry_is_found(credit_db, sealed, asked) -> None:
    decide(credit_db, sealed, asked)
    other = uuid4()
    ask(credit_db, sealed, other)
    decide(credit_db, sealed, other)
    with credit_db.sessions() as session:
        assert audit.verify(session, BANK) is None
    with credit_db.owner.begin() as connection:
        connection.execute(text("ALTER TABLE audit_entries NO FORCE ROW LEVEL SECURITY"))
        try:
            connection.execute(text("UPDATE audit_entries SET actor = 'eve' WHERE number = 1"))
        finally:
            connection.execute(text("ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY"))
    with credit_db.sessions() as session:
        found = audit.verify(session, BANK)
        assert found == audit.Break(BANK, 1, "the entry was changed")
