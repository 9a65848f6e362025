"""The inbox where events wait for each other, are refused, replayed, or come under a wrong name."""

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared import audit, inbox
from shared.db import act_for
from shared.errors import RefusalError
from shared.events.base import REGISTRY
from shared.events.credit import LoanExpired, LoanWithdrawn
from shared.inbox import Batched, Consumer
from tests.conftest import Database
from tests.harness import record

BANK = "bank-yanmen"


def withdrawn(loan: Any, reason: str) -> LoanWithdrawn:
    return LoanWithdrawn(loan_id=loan, bank=BANK, insurer="i", guarantor="g", reason=reason)


def applied(database: Database) -> list[int]:
    with database.worker.connect() as connection:
        return list(connection.scalars(text("SELECT sequence FROM inbox ORDER BY sequence")))


def parked(database: Database) -> int:
    with database.worker.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM inbox_parked")) or 0)


def listening(*refused: str) -> Consumer:
    def handler(session: Any, event: Any) -> None:
        if event.reason in refused:
            raise RefusalError(f"no {event.reason}")

    return Consumer("credit", {LoanWithdrawn: handler}, lambda event: BANK)


def test_a_refused_event_that_waited_takes_only_itself_down(credit_db: Database) -> None:
    loan, consumer = uuid4(), listening("2")
    one, two, three = (record(withdrawn(loan, str(n)), n, offset=n) for n in (1, 2, 3))
    inbox.receive(credit_db.worker_sessions, consumer, [two], "one")
    inbox.receive(credit_db.worker_sessions, consumer, [three], "one")
    inbox.receive(credit_db.worker_sessions, consumer, [one], "one")
    assert applied(credit_db) == [1, 3]
    assert parked(credit_db) == 0
    with credit_db.worker_sessions() as session:
        (letter,) = inbox.dead_letters(session)
        assert letter.offset == two.offset
        assert inbox.offsets(session, "one") == {("credit.events", 0): one.offset + 1}


def test_what_waited_behind_a_dead_letter_goes_on(credit_db: Database) -> None:
    loan, consumer = uuid4(), listening("1")
    one, two = (record(withdrawn(loan, str(n)), n) for n in (1, 2))
    inbox.receive(credit_db.worker_sessions, consumer, [two])
    inbox.receive(credit_db.worker_sessions, consumer, [one])
    assert applied(credit_db) == [2]
    assert parked(credit_db) == 0


def test_replays_follow_the_order_of_the_aggregate(credit_db: Database) -> None:
    loan, consumer = uuid4(), listening()
    records = [record(withdrawn(loan, str(n)), n) for n in (1, 2, 3)]
    known = REGISTRY.pop(LoanWithdrawn.type_name())
    try:
        inbox.receive(credit_db.worker_sessions, consumer, [*records[:2], *records[:2]])
    finally:
        REGISTRY[known.type_name()] = known
    inbox.receive(credit_db.worker_sessions, consumer, records[2:])
    with credit_db.worker_sessions() as session:
        second, first = inbox.dead_letters(session)
    with credit_db.worker_sessions() as session, pytest.raises(RefusalError, match=r"number 1 of .* comes first"):
        inbox.replay(session, consumer, second.id)
    for letter in (first, second):
        with credit_db.worker_sessions.begin() as session:
            assert inbox.replay(session, consumer, letter.id) == "applied"
    assert applied(credit_db) == [1, 2]
    assert inbox.receive_waiting(credit_db.worker_sessions, consumer) == 1
    assert inbox.receive_waiting(credit_db.worker_sessions, consumer) == 0
    assert applied(credit_db) == [1, 2, 3]


def test_a_waiting_event_that_can_no_longer_be_read_becomes_a_dead_letter(credit_db: Database) -> None:
    loan, consumer = uuid4(), listening()
    one, two = (record(withdrawn(loan, str(n)), n) for n in (1, 2))
    inbox.receive(credit_db.worker_sessions, consumer, [two])
    with credit_db.worker_sessions.begin() as session:
        session.execute(text("UPDATE inbox_sequences SET last = 1"))
    known = REGISTRY.pop(LoanWithdrawn.type_name())
    try:
        assert inbox.receive_waiting(credit_db.worker_sessions, consumer) == 1
    finally:
        REGISTRY[known.type_name()] = known
    assert parked(credit_db) == 0
    with credit_db.worker_sessions() as session:
        assert len(inbox.dead_letters(session)) == 1
    inbox.receive(credit_db.worker_sessions, consumer, [one])
    assert applied(credit_db) == []


def test_a_number_that_is_dealt_a_second_time_is_no_duplicate(credit_db: Database) -> None:
    """A sender restored to an earlier moment numbers new events as it had numbered others before."""
    loan, consumer = uuid4(), listening()
    skipped = LoanExpired(loan_id=loan, bank=BANK, insurer="i", guarantor="g", deadline="offer")

    def receive(*records: inbox.Record) -> Counter[str]:
        consumer.counts.clear()
        inbox.receive(credit_db.worker_sessions, consumer, records, "one")
        return Counter(consumer.counts)

    # Made in another order than numbered, as by two transactions at once: ids alone would mislead.
    third, first = (record(withdrawn(loan, str(n)), n) for n in (3, 1))
    second = record(skipped, 2)
    assert receive(first, second, third) == {"applied": 2, "skipped": 1}
    assert receive(first, second, third) == {"duplicates": 3}
    again = [record(withdrawn(loan, f"{n} again"), n) for n in (2, 3)]
    assert receive(*again) == {"contested": 2}
    assert receive(first, second, third, *again) == {"duplicates": 5}
    assert receive(record(withdrawn(loan, "4"), 4)) == {"applied": 1}
    assert applied(credit_db) == [1, 3, 4]
    # Two wait under one number; and one waits under a number that another one has by then.
    waiting, other, sixth, fifth = (record(withdrawn(loan, str(n)), n) for n in (6, 6, 5, 5))
    assert receive(waiting, other, waiting) == {"parked": 1, "contested": 1, "duplicates": 1}
    with credit_db.worker_sessions.begin() as session:
        session.execute(text("UPDATE inbox_sequences SET last = 6"))
    assert inbox.receive_waiting(credit_db.worker_sessions, consumer) == 0
    assert consumer.counts["contested"] == 2
    assert receive(sixth, fifth) == {"contested": 2}
    with credit_db.worker_sessions() as session:
        letters = inbox.dead_letters(session)
        assert len(letters) == 6
        assert all("restore to an earlier moment" in letter.reason for letter in letters)
    # It is for a person to say which of them are to have their effect.
    for letter in reversed(letters[-2:]):
        with credit_db.worker_sessions.begin() as session:
            assert inbox.replay(session, consumer, letter.id) == "applied"
    assert receive(*again) == {"duplicates": 2}
    assert applied(credit_db) == [1, 2, 3, 3, 4]


def test_a_wait_that_is_cut_short_makes_no_dead_letter(credit_db: Database) -> None:
    class Cut(Exception):
        pass

    def busy(session: Any, event: Any) -> None:
        session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '40P01'; END $$"))

    def pause(attempt: int) -> None:
        raise Cut

    consumer = Consumer("credit", {LoanWithdrawn: busy}, lambda event: BANK)
    with pytest.raises(Cut):
        inbox.receive(credit_db.worker_sessions, consumer, [record(withdrawn(uuid4(), "1"))], "one", pause)
    with credit_db.worker_sessions() as session:
        assert not inbox.dead_letters(session)
        assert inbox.offsets(session, "one") == {}


# -- events that are taken together ---------------------------------------------------------------------------------


def gathering(given: list[list[str]], *refused: str) -> Consumer:
    """A consumer that takes withdrawals together and expiries one by one, and keeps what it was given at a time."""

    def together(session: Any, many: Any) -> None:
        if any(one.event.reason in refused for one in many):
            raise RefusalError("not these")
        given.append([one.event.reason for one in many])

    def alone(session: Any, event: Any) -> None:
        given.append([event.deadline])

    handlers = {LoanWithdrawn: Batched(together), LoanExpired: alone}
    return Consumer("credit", handlers, lambda event: event.bank)


def test_events_that_follow_each_other_for_one_tenant_are_given_together(credit_db: Database) -> None:
    given: list[list[str]] = []
    consumer = gathering(given)
    first, second, third = (uuid4() for _ in range(3))
    expired = LoanExpired(loan_id=second, bank=BANK, insurer="i", guarantor="g", deadline="offer")
    stranger = LoanWithdrawn(loan_id=third, bank="bank-sanggan", insurer="i", guarantor="g", reason="f")
    records = [
        record(withdrawn(first, "a"), 1),
        record(withdrawn(first, "b"), 2),
        record(withdrawn(second, "c"), 1),
        record(expired, 2),
        record(withdrawn(first, "d"), 4),  # waits for number 3
        record(withdrawn(second, "e"), 3),
        record(stranger, 1),
        record(withdrawn(first, "between"), 3),
    ]
    inbox.receive(credit_db.worker_sessions, consumer, [*records, records[0]], "one")
    assert given == [["a", "b", "c"], ["offer"], ["e"], ["f"], ["between", "d"]]
    assert consumer.counts["applied"] == 8
    assert consumer.counts["duplicates"] == 1
    assert parked(credit_db) == 0


def test_a_refused_one_of_a_batch_takes_only_itself_down(credit_db: Database) -> None:
    given: list[list[str]] = []
    loans = [uuid4() for _ in range(3)]
    records = [record(withdrawn(loan, str(n)), offset=n) for n, loan in enumerate(loans)]
    inbox.receive(credit_db.worker_sessions, gathering(given, "1"), records, "one")
    assert given == [["0"], ["2"]]
    with credit_db.worker_sessions() as session:
        assert len(inbox.dead_letters(session)) == 1


def test_every_effect_of_a_batch_names_the_event_it_is_an_effect_of(credit_db: Database) -> None:
    def together(session: Any, many: Any) -> None:
        for one in many:
            with one.cause(session):
                audit.record(session, "heard", one.event.loan_id)

    records = [record(withdrawn(uuid4(), "r")) for _ in range(2)]
    consumer = Consumer("credit", {LoanWithdrawn: Batched(together)}, lambda event: BANK)
    inbox.receive(credit_db.worker_sessions, consumer, records, "one")
    with credit_db.worker_sessions() as session:
        act_for(session, BANK)
        found = session.execute(text("SELECT actor, subject FROM audit_entries ORDER BY number")).all()
    envelopes = [inbox.read(one)[0] for one in records]
    assert [tuple(one) for one in found] == [(f"event:{one.id}", one.subject) for one in envelopes]
