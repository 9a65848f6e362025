"""Outbox, relay and inbox on real PostgreSQL: nothing lost, nothing twice, in order. A list is the broker."""

import json
import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from shared import audit, clock, db, inbox, outbox, relay
from shared.errors import InvalidError, RefusalError
from shared.events.base import encode
from shared.events.credit import LoanExpired, LoanWithdrawn
from shared.inbox import Consumer, Record
from shared.relay import BrokerError, LostOwnershipError, Message, Relay, acquire
from tests.conftest import Database
from tests.harness import record

BANK = "bank-yanmen"


class ListBroker:
    """A broker that is a list; fails, forgets or is replaced when told to."""

    def __init__(self, cluster: str = "one") -> None:
        self.cluster, self.log, self.fail_at = cluster, [], -1

    def cluster_id(self) -> str:
        return self.cluster

    def send(self, messages: Any) -> Any:
        return list(messages)

    def settle(self, sent: Any) -> None:
        for message in sent:
            if len(self.log) == self.fail_at:
                raise BrokerError("no acknowledgement")
            self.log.append(message)

    def close(self) -> None:
        pass

    def records(self) -> list[Record]:
        return [as_record(m, i) for i, m in enumerate(self.log)]


def as_record(message: Message, offset: int) -> Record:
    return Record(message.topic, 0, offset, message.key, message.value, tuple(message.headers))


def withdrawn(loan: UUID, reason: str = "because") -> LoanWithdrawn:
    return LoanWithdrawn(loan_id=loan, bank=BANK, insurer="i", guarantor="g", reason=reason)


def put(database: Database, *events: Any) -> None:
    with database.sessions.begin() as session:
        db.act_for(session, BANK)
        for event in events:
            outbox.put(session, event)


@pytest.fixture
def broker() -> ListBroker:
    return ListBroker()


@pytest.fixture
def holder(credit_db: Database):
    with credit_db.worker.connect() as connection:
        connection.detach()
        yield connection


@pytest.fixture
def relaying(holder, broker: ListBroker) -> Relay:
    token = acquire(holder)
    assert token is not None
    made = Relay(holder, broker, token, batch=3)
    made.follow(broker.cluster_id())
    return made


def listening(seen: list[Any], fault: Any = None) -> Consumer:
    def handler(session: Any, event: Any) -> None:
        if fault:
            fault(event)
        session.execute(text("SELECT 1"))
        audit.record(session, "heard", event.loan_id, reason=event.reason)
        seen.append((event.loan_id, event.reason))

    return Consumer("credit", {LoanWithdrawn: handler}, lambda event: BANK)


# -- out --------------------------------------------------------------------------------------------------------------


def test_events_of_one_aggregate_are_numbered_from_one_without_gaps(credit_db, relaying, broker) -> None:
    loan, other = uuid4(), uuid4()
    put(credit_db, withdrawn(loan, "1"), withdrawn(other, "1"), withdrawn(loan, "2"))
    put(credit_db, withdrawn(loan, "3"))
    assert relaying.drain() == 4
    numbers = [dict(m.headers)["ce_sequence"] for m in broker.log if m.key == str(loan).encode()]
    assert numbers == [b"1", b"2", b"3"]
    assert relaying.drain() == 0


def test_a_transaction_that_rolls_back_publishes_nothing_and_leaves_no_gap(credit_db, relaying, broker) -> None:
    loan = uuid4()
    with credit_db.sessions() as session:
        db.act_for(session, BANK)
        outbox.put(session, withdrawn(loan))
        session.flush()
        session.rollback()
    put(credit_db, withdrawn(loan, "kept"))
    relaying.drain()
    assert [dict(m.headers)["ce_sequence"] for m in broker.log] == [b"1"]


def test_an_event_that_commits_late_is_sent_all_the_same(credit_db, relaying, broker) -> None:
    late, early = uuid4(), uuid4()
    with credit_db.sessions() as slow:
        db.act_for(slow, BANK)
        outbox.put(slow, withdrawn(late))
        slow.flush()
        put(credit_db, withdrawn(early))
        assert relaying.drain() == 1
        slow.commit()
    assert relaying.drain() == 1
    assert [m.key for m in broker.log] == [str(early).encode(), str(late).encode()]


def test_two_transactions_of_one_aggregate_wait_for_each_other(credit_db, relaying, broker) -> None:
    loan, order = uuid4(), []
    first_wrote = threading.Event()

    def second() -> None:
        first_wrote.wait(60)
        put(credit_db, withdrawn(loan, "second"))
        order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with credit_db.sessions.begin() as session:
        db.act_for(session, BANK)
        outbox.put(session, withdrawn(loan, "first"))
        session.flush()
        first_wrote.set()
        thread.join(0.3)
        assert order == []
    thread.join(60)
    relaying.drain()
    assert [b'"first"' in (m.value or b"") for m in broker.log] == [True, False]


def test_what_was_not_acknowledged_goes_again_in_order_under_the_same_id(credit_db, holder, relaying, broker) -> None:
    loan = uuid4()
    put(credit_db, *(withdrawn(loan, str(n)) for n in range(8)))
    broker.fail_at = 5
    with pytest.raises(BrokerError):
        relaying.drain()
    broker.fail_at = -1
    Relay(holder, broker, relaying.token, batch=3).drain()
    ids: dict[bytes, list[int]] = {}
    for message in broker.log:
        headers = dict(message.headers)
        ids.setdefault(headers["ce_id"], []).append(int(headers["ce_sequence"]))
    assert len(ids) == 8
    assert max(len(set(numbers)) for numbers in ids.values()) == 1
    seen: list[Any] = []
    inbox.receive(credit_db.worker_sessions, listening(seen), broker.records())
    assert [reason for _, reason in seen] == [str(n) for n in range(8)]


def test_another_cluster_gets_every_event_again_in_order(credit_db, relaying, broker) -> None:
    loan = uuid4()
    put(credit_db, withdrawn(loan, "1"), withdrawn(loan, "2"))
    relaying.drain()
    seen: list[Any] = []
    consumer = listening(seen)
    inbox.receive(credit_db.worker_sessions, consumer, broker.records(), "one")
    broker.cluster, broker.log = "two", []
    assert relaying.follow("two")
    put(credit_db, withdrawn(loan, "3"))
    relaying.drain()
    with credit_db.worker_sessions() as session:
        assert inbox.offsets(session, "two") == {}
    inbox.receive(credit_db.worker_sessions, consumer, broker.records(), "two")
    assert [reason for _, reason in seen] == ["1", "2", "3"]
    assert consumer.counts["duplicates"] == 2


def test_only_one_relay_is_active_and_its_successor_fences_it(credit_db, holder, relaying, broker) -> None:
    with credit_db.worker.connect() as waiting:
        waiting.detach()
        assert acquire(waiting, patience=1000) is None
        put(credit_db, withdrawn(uuid4()))
        with waiting.begin():
            waiting.execute(text("UPDATE relay_lease SET seen_at = seen_at - interval '1 hour'"))
        assert acquire(waiting, patience=30) is None
        for _ in range(50):
            if (token := acquire(waiting, patience=1000)) is not None:
                break
        assert token == relaying.token + 1
        with pytest.raises((OperationalError, LostOwnershipError)):
            relaying.drain()
        assert broker.log == []
        holder.invalidate()
        assert Relay(waiting, broker, token).drain() == 1


@pytest.mark.parametrize("waiting", ["an event", "a dead letter"])
def test_a_relay_with_an_old_token_sends_and_marks_nothing(credit_db, holder, relaying, broker, waiting: str) -> None:
    if waiting == "an event":
        put(credit_db, withdrawn(uuid4()))
    else:
        inbox.receive(credit_db.worker_sessions, listening([]), [Record("credit.events", 0, 0, b"k", b"{", ())])
    with holder.begin():
        holder.execute(text("UPDATE relay_lease SET token = token + 1"))
    with pytest.raises(LostOwnershipError):
        relaying.drain()
    assert broker.log == []
    with credit_db.worker_sessions() as session:
        unsent = session.scalar(text("SELECT count(*) FROM outbox_unsent"))
        unpublished = session.scalar(text("SELECT count(*) FROM dead_letters WHERE published_at IS NULL"))
    assert unsent + unpublished == 1


def test_a_relay_without_work_notices_that_it_was_replaced(holder, relaying) -> None:
    with holder.begin():
        holder.execute(text("UPDATE relay_lease SET token = token + 1"))
    with pytest.raises(LostOwnershipError):
        relaying.follow("one")


def test_only_the_relays_own_connection_does_not_wait_for_the_disk(credit_db, broker) -> None:
    asked: list[bool] = []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) > 3

    sources: list[str] = []

    def look() -> None:
        with credit_db.worker.connect() as other:
            sources.append(other.scalar(text("SELECT source FROM pg_settings WHERE name = 'synchronous_commit'")) or "")

    class Watched(ListBroker):
        def cluster_id(self) -> str:
            look()
            return "one"

    relay.run(credit_db.worker, Watched, stopping)
    look()
    assert len(sources) > 1
    assert "session" not in sources


def test_an_event_that_no_broker_would_take_is_refused_where_it_is_written(credit_db, relaying, broker) -> None:
    largest = outbox.LARGEST - len(json.dumps(encode(withdrawn(uuid4(), ""))))
    with pytest.raises(InvalidError, match=f"LoanWithdrawn.v1 of {outbox.LARGEST + 2} bytes"):
        put(credit_db, withdrawn(uuid4()), withdrawn(uuid4(), "x" * largest + "é"))
    assert relaying.drain() == 0
    put(credit_db, withdrawn(uuid4(), "x" * (largest - 2) + "é"))
    assert relaying.drain() == 1
    assert len(broker.log[0].value) == outbox.LARGEST


def test_the_application_role_cannot_read_the_outbox_nor_write_for_another_institution(credit_db) -> None:
    put(credit_db, withdrawn(uuid4()))
    with credit_db.sessions() as session:
        db.act_for(session, BANK)
        with pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text("SELECT * FROM outbox"))
    with credit_db.sessions() as session:
        db.act_for(session, BANK)
        outbox.put(session, withdrawn(uuid4())).institution = "bank-sanggan"
        with pytest.raises(ProgrammingError, match="row-level security"):
            session.flush()


# -- in ---------------------------------------------------------------------------------------------------------------


def test_each_event_has_one_effect_however_often_it_comes(credit_db) -> None:
    loan, seen = uuid4(), []
    records = [record(withdrawn(loan, str(n)), n) for n in (1, 2, 3)]
    consumer = listening(seen)
    for batch in ([*records, *records], records, [records[1]], [records[0], records[0]]):
        inbox.receive(credit_db.worker_sessions, consumer, batch)
    assert [reason for _, reason in seen] == ["1", "2", "3"]


def test_a_batch_of_nothing_changes_nothing(credit_db) -> None:
    consumer = listening([])
    inbox.receive(credit_db.worker_sessions, consumer, [], "one")
    assert not consumer.counts
    with credit_db.worker_sessions() as session:
        assert inbox.offsets(session, "one") == {}


def test_an_event_that_comes_too_early_waits_for_its_predecessor(credit_db) -> None:
    loan, seen = uuid4(), []
    one, two, three = (record(withdrawn(loan, str(n)), n) for n in (1, 2, 3))
    consumer = listening(seen)
    inbox.receive(credit_db.worker_sessions, consumer, [three])
    inbox.receive(credit_db.worker_sessions, consumer, [two, two])
    assert seen == []
    with credit_db.worker_sessions() as session:
        assert inbox.oldest_parked(session) > 0
    inbox.receive(credit_db.worker_sessions, consumer, [one])
    assert [reason for _, reason in seen] == ["1", "2", "3"]
    with credit_db.worker_sessions() as session:
        assert inbox.oldest_parked(session) == 0


def test_a_type_nobody_handles_is_counted_and_its_successors_go_on(credit_db) -> None:
    loan, seen = uuid4(), []
    expired = LoanExpired(loan_id=loan, bank=BANK, insurer="i", guarantor="g", deadline="legs")
    consumer = listening(seen)
    inbox.receive(credit_db.worker_sessions, consumer, [record(expired, 1), record(withdrawn(loan), 2)])
    assert len(seen) == 1
    assert consumer.counts["skipped"] == 1


def changed(name: str, value: bytes) -> tuple[tuple[str, bytes], ...]:
    """The headers of a good record with one of them changed."""
    return tuple((n, value if n == name else v) for n, v in record(withdrawn(uuid4())).headers)


POISON: dict[str, Record] = {
    "not JSON": Record("credit.events", 0, 0, b"k", b"{", tuple(record(withdrawn(uuid4()), 1).headers)),
    "no envelope": Record("credit.events", 0, 1, b"k", b"{}", ()),
    "not UTF-8": Record("credit.events", 0, 2, b"k", b"\xff\xfe", tuple(record(withdrawn(uuid4()), 1).headers)),
    "undeclared type": Record(
        "credit.events",
        0,
        3,
        b"k",
        b"{}",
        tuple(
            (n, b"heartwood.credit.Nonsense.v1" if n == "ce_type" else v) for n, v in record(withdrawn(uuid4())).headers
        ),
    ),
    "version 2": Record(
        "credit.events",
        0,
        4,
        b"k",
        b"{}",
        changed("ce_type", b"heartwood.credit.LoanWithdrawn.v2"),
    ),
    "a field missing": Record("credit.events", 0, 5, b"k", b"{}", tuple(record(withdrawn(uuid4())).headers)),
    "endless nesting": Record("credit.events", 0, 6, b"k", b"[" * 100_000, tuple(record(withdrawn(uuid4())).headers)),
    "a sequence of zero": Record(
        "credit.events",
        0,
        7,
        b"k",
        b"{}",
        changed("ce_sequence", b"0"),
    ),
    "another subject": Record(
        "credit.events",
        0,
        8,
        b"k",
        record(withdrawn(uuid4())).value,
        tuple(record(withdrawn(uuid4())).headers),
    ),
    "five megabytes": Record("credit.events", 0, 9, b"k", b"x" * 5_000_000, tuple(record(withdrawn(uuid4())).headers)),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_poison_becomes_one_dead_letter_and_what_follows_is_handled(credit_db, poison: Record) -> None:
    loan, seen = uuid4(), []
    consumer = listening(seen)
    good = record(withdrawn(loan), 1, offset=poison.offset + 1)
    inbox.receive(credit_db.worker_sessions, consumer, [poison, good], "one")
    assert len(seen) == 1
    with credit_db.worker_sessions() as session:
        (letter,) = inbox.dead_letters(session)
        assert (letter.value, letter.offset) == (poison.value, poison.offset)
        assert letter.reason
        assert inbox.offsets(session, "one") == {("credit.events", 0): good.offset + 1}


def test_a_tombstone_is_counted_and_passed_over(credit_db) -> None:
    seen: list[Any] = []
    consumer = listening(seen)
    inbox.receive(credit_db.worker_sessions, consumer, [Record("credit.events", 0, 0, b"k", None, ())], "one")
    assert consumer.counts["tombstones"] == 1
    with credit_db.worker_sessions() as session:
        assert not inbox.dead_letters(session)
        assert inbox.offsets(session, "one") == {("credit.events", 0): 1}


def test_a_refused_event_becomes_a_dead_letter_and_its_neighbours_keep_their_effect(
    credit_db, relaying, broker
) -> None:
    loan, seen, refuse = uuid4(), [], [True]

    def fault(event: Any) -> None:
        if event.reason == "2" and refuse[0]:
            raise RefusalError("not like this")

    consumer = listening(seen, fault)
    inbox.receive(credit_db.worker_sessions, consumer, [record(withdrawn(loan, str(n)), n) for n in (1, 2, 3)])
    # The first batch's effects on this list were rolled back in the database; what counts is the inbox.
    with credit_db.worker_sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM inbox")) == 2
        (letter,) = inbox.dead_letters(session)
        assert "not like this" in letter.reason
    relaying.drain()
    (dead,) = broker.log
    assert dead.topic == "credit.events.dead"
    assert dead.value == letter.value
    assert b"not like this" in dict(dead.headers)["dead_reason"]
    refuse[0] = False
    with credit_db.worker_sessions.begin() as session:
        assert inbox.replay(session, consumer, letter.id) == "applied"
    with credit_db.worker_sessions.begin() as session:
        assert inbox.replay(session, consumer, letter.id) == "replayed before"
        assert session.scalar(text("SELECT count(*) FROM inbox")) == 3
        assert not inbox.dead_letters(session)


def test_a_fault_that_passes_is_repeated_and_leaves_no_dead_letter(credit_db) -> None:
    loan, seen, tries = uuid4(), [], []

    def fault(event: Any) -> None:
        tries.append(event)
        if len(tries) < 4:
            with credit_db.worker_sessions() as session:
                session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '40P01'; END $$"))

    inbox.receive(credit_db.worker_sessions, listening(seen, fault), [record(withdrawn(loan), 1)])
    assert len(seen) == 1
    with credit_db.worker_sessions() as session:
        assert not inbox.dead_letters(session)


def test_a_wrong_program_stops_and_nothing_moves(credit_db) -> None:
    def fault(event: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        inbox.receive(credit_db.worker_sessions, listening([], fault), [record(withdrawn(uuid4()), 1)], "one")
    with credit_db.worker_sessions() as session:
        assert inbox.offsets(session, "one") == {}
        assert session.scalar(text("SELECT count(*) FROM inbox")) == 0


def test_two_consumers_of_one_event_apply_it_once(credit_db) -> None:
    loan, seen = uuid4(), []
    one = record(withdrawn(loan), 1)
    threads = [
        threading.Thread(target=inbox.receive, args=(credit_db.worker_sessions, listening(seen), [one]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 1


# -- audit ------------------------------------------------------------------------------------------------------------


def test_an_audit_chain_holds_and_names_the_first_broken_link(credit_db, sealed) -> None:
    for number in range(5):
        with sealed(credit_db.sessions, BANK) as session:
            audit.record(session, "did", uuid4(), number=number)
    with credit_db.sessions() as session:
        assert audit.verify(session, BANK) is None
        entry = session.get_one(audit.AuditEntry, (BANK, 3))
        with pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text("UPDATE audit_entries SET actor = 'nobody'"))
        session.rollback()
    del entry
    for change, where in (
        ("UPDATE audit_entries SET detail = '{\"number\": 9}' WHERE number = 3", 3),
        ("DELETE FROM audit_entries WHERE number = 2", 2),
    ):
        with credit_db.owner.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE audit_entries NO FORCE ROW LEVEL SECURITY")
            connection.exec_driver_sql(change)
            connection.exec_driver_sql("ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY")
        with credit_db.sessions() as session:
            broken = audit.verify(session, BANK)
            assert broken is not None
            assert broken.number == where


def test_chains_of_institutions_grow_apart_under_many_threads(credit_db, sealed) -> None:
    def work(institution: str) -> None:
        for _ in range(10):
            with sealed(credit_db.sessions, institution) as session:
                audit.record(session, "did", uuid4())

    threads = [threading.Thread(target=work, args=(f"bank-{n % 2}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for n in range(2):
        with credit_db.sessions() as session:
            assert audit.verify(session, f"bank-{n}") is None
            assert session.get_one(audit.AuditHead, f"bank-{n}").number == 20


def test_the_clock_speaks_utc_and_the_business_day_is_that_of_shanghai() -> None:
    assert clock.now().utcoffset().total_seconds() == 0  # type: ignore[union-attr]
    assert clock.BUSINESS.key == "Asia/Shanghai"
