"""Deadlines: each fires once, under its institution, unless it was moved or cancelled; a broken one stops no other."""

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared import audit, clock, db, timers, watchers
from shared.timers import Timer
from tests.conftest import Database

BANK, OTHER = "bank-yanmen", "bank-sanggan"


def put(
    database: Database, sealed: Any, subject: UUID, minutes: float = -1, kind: str = "legs", bank: str = BANK
) -> None:
    with sealed(database.sessions, bank) as session:
        timers.put(session, kind, subject, clock.now() + timedelta(minutes=minutes))


def fired(database: Database, bank: str = BANK) -> list[str]:
    with database.sessions() as session:
        db.act_for(session, bank)
        return list(session.scalars(select(audit.AuditEntry.subject).order_by(audit.AuditEntry.number)))


def waiting(database: Database) -> int:
    with database.worker_sessions() as session:
        return session.scalar(text("SELECT count(*) FROM timers")) or 0


def note(session: Session, subject: UUID) -> None:
    audit.record(session, "fired", subject)


def run(database: Database, **handlers: Any) -> int:
    return timers.run_due(database.worker_sessions, handlers or {"legs": note})


def test_a_timer_fires_when_it_is_due_and_once(credit_db, sealed) -> None:
    subject = uuid4()
    put(credit_db, sealed, subject, minutes=5)
    assert run(credit_db) == 0
    with clock.travelled(timedelta(minutes=5)):
        assert run(credit_db) == 1
        assert run(credit_db) == 0
    assert fired(credit_db) == [str(subject)]
    assert waiting(credit_db) == 0


def test_a_timer_that_is_set_again_moves(credit_db, sealed) -> None:
    subject = uuid4()
    put(credit_db, sealed, subject, minutes=-1)
    put(credit_db, sealed, subject, minutes=10)
    assert (run(credit_db), waiting(credit_db)) == (0, 1)
    put(credit_db, sealed, subject, minutes=-2)
    assert run(credit_db) == 1


def test_cancelled_timers_do_not_fire_and_others_do(credit_db, sealed) -> None:
    subject, other = uuid4(), uuid4()
    for kind in ("legs", "offer", "binding"):
        put(credit_db, sealed, subject, kind=kind)
    put(credit_db, sealed, other)
    with sealed(credit_db.sessions, BANK) as session:
        timers.cancel(session, subject, "legs", "offer", "never set")
    assert run(credit_db, legs=note, offer=note, binding=note) == 2
    assert sorted(fired(credit_db)) == sorted([str(subject), str(other)])


def test_another_institution_cannot_cancel_a_timer(credit_db, sealed) -> None:
    subject = uuid4()
    put(credit_db, sealed, subject)
    with sealed(credit_db.sessions, OTHER) as session:
        timers.cancel(session, subject, "legs")
    assert run(credit_db) == 1


def test_a_timer_set_in_a_transaction_that_fails_was_never_set(credit_db) -> None:
    with credit_db.sessions() as session:
        db.act_for(session, BANK)
        timers.put(session, "legs", uuid4(), clock.now())
        session.rollback()
    assert waiting(credit_db) == 0


def test_a_timer_runs_under_the_institution_that_set_it(credit_db, sealed) -> None:
    put(credit_db, sealed, uuid4())
    put(credit_db, sealed, uuid4(), bank=OTHER)
    seen = []

    def look(session: Session, subject: UUID) -> None:
        note(session, subject)
        seen.append((db.tenant(session), session.info["actor"]))

    assert run(credit_db, legs=look) == 2
    assert sorted(seen) == [(OTHER, "timer:legs"), (BANK, "timer:legs")]
    assert (len(fired(credit_db)), len(fired(credit_db, OTHER))) == (1, 1)


def test_a_timer_of_an_unknown_kind_waits(credit_db, sealed) -> None:
    put(credit_db, sealed, uuid4(), kind="of a later version")
    assert (run(credit_db), waiting(credit_db)) == (0, 1)


def test_timers_fire_in_the_order_of_their_deadlines_and_not_endlessly(credit_db, sealed) -> None:
    subjects = [uuid4() for _ in range(5)]
    for minutes, subject in zip((-1, -5, -3, -2, -4), subjects, strict=True):
        put(credit_db, sealed, subject, minutes)
    assert timers.run_due(credit_db.worker_sessions, {"legs": note}, limit=3) == 3
    assert fired(credit_db) == [str(subjects[i]) for i in (1, 4, 2)]
    assert run(credit_db) == 2


def test_under_two_workers_each_timer_fires_once(credit_db, sealed) -> None:
    subjects = [uuid4() for _ in range(30)]
    for subject in subjects:
        put(credit_db, sealed, subject)
    met, failures = threading.Barrier(3), []

    def work() -> None:
        met.wait(60)
        try:
            run(credit_db)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sorted(fired(credit_db)) == sorted(map(str, subjects))


def test_a_timer_that_is_moved_while_it_is_taken_does_not_fire(credit_db, sealed) -> None:
    """The worker has read that it is due; before it takes it, somebody moves it."""
    subject = uuid4()
    put(credit_db, sealed, subject)
    sessions, moved = credit_db.worker_sessions, []

    class Late:
        """The factory of sessions, with somebody quicker than its second transaction."""

        def __call__(self) -> Session:
            return sessions()

        def begin(self) -> Any:
            if not moved:
                moved.append(True)
                put(credit_db, sealed, subject, minutes=10)
            return sessions.begin()

    assert timers.run_due(Late(), {"legs": note}) == 1  # type: ignore[arg-type]
    assert (fired(credit_db), waiting(credit_db)) == ([], 1)


def test_a_timer_whose_handler_fails_waits_and_stops_no_other(credit_db, sealed) -> None:
    broken, fine = uuid4(), uuid4()
    put(credit_db, sealed, broken, minutes=-5)
    put(credit_db, sealed, fine)
    faults = [True]

    def fragile(session: Session, subject: UUID) -> None:
        note(session, subject)
        session.flush()
        if subject == broken and faults:
            raise ZeroDivisionError

    assert run(credit_db, legs=fragile) == 2
    assert fired(credit_db) == [str(fine)], "what the failing handler did is undone"
    assert run(credit_db, legs=fragile) == 0, "it is tried again later, not at once"
    faults.clear()
    with clock.travelled(timers.RETRY):
        assert run(credit_db, legs=fragile) == 1
    assert fired(credit_db) == [str(fine), str(broken)]


def test_a_fault_that_passes_leaves_the_timer_as_it_was(credit_db, sealed) -> None:
    subject = uuid4()
    put(credit_db, sealed, subject)

    def dying(session: Session, subject: UUID) -> None:
        note(session, subject)
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        with credit_db.worker.connect() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:p)"), {"p": pid})
        session.execute(text("SELECT 1"))

    with pytest.raises(OperationalError):
        run(credit_db, legs=dying)
    assert run(credit_db) == 1, "due still, at once"
    assert fired(credit_db) == [str(subject)]


def test_the_application_sees_its_own_timers_only(credit_db, sealed) -> None:
    put(credit_db, sealed, uuid4())
    with credit_db.sessions() as session:
        assert session.scalars(select(Timer)).all() == []
        db.act_for(session, OTHER)
        assert session.scalars(select(Timer)).all() == []


def test_watchers_hear_in_turn_each_under_its_own_institution(credit_db, sealed) -> None:
    forest = uuid4()
    for bank in (BANK, OTHER, BANK):
        with sealed(credit_db.sessions, bank) as session:
            watchers.watch(session, forest, forest, uuid4())
    with credit_db.worker_sessions.begin() as session:
        acted = []
        for institution in watchers.each(session, forest):
            acted.append((institution, db.tenant(session)))
            note(session, forest)
        audit.seal(session)
    assert acted == [(OTHER, OTHER), (BANK, BANK)]
    assert fired(credit_db) == fired(credit_db, OTHER) == [str(forest)]
