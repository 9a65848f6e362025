"""What nobody of ours would send, on the real topics: dead letters, tombstones, replay."""

from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared import inbox
from shared.errors import RefusalError
from shared.events.base import REGISTRY
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer
from shared.settings import Settings
from tests.broker.conftest import (
    TOPIC,
    Broker,
    effects,
    eventually,
    number,
    on_topic,
    producing,
    withdrawn,
    working,
    write,
)
from tests.broker.effects import BANK, listening, note
from tests.conftest import Database
from tests.harness import record

Headers = list[tuple[str, bytes]]


def poison() -> dict[str, tuple[bytes | None, bytes, Headers]]:
    """Key, value and headers of records that no handler will see."""
    good = record(withdrawn(uuid4(), "?"))
    value, headers = good.value or b"", list(good.headers)

    def changed(name: str, content: bytes) -> Headers:
        return [(n, content if n == name else v) for n, v in headers]

    return {
        "not JSON": (b"k", b"{", headers),
        "no envelope": (None, b"{}", []),
        "not UTF-8": (b"k", b"\xff\xfe", headers),
        "undeclared type": (b"k", value, changed("ce_type", b"heartwood.credit.Nonsense.v1")),
        "version 2": (b"k", value, changed("ce_type", b"heartwood.credit.LoanWithdrawn.v2")),
        "NUL in the type": (b"k", value, changed("ce_type", b"heartwood\x00")),
        "NUL in a text": (b"k", value.replace(b"?", b"\\u0000"), headers),
        "half a surrogate pair": (b"k", value.replace(b"?", b"\\ud800"), headers),
        "NUL in a header's name": (b"k", b"{", [*headers, ("na\0me", b"\0")]),
        "an endless sequence": (b"k", value, changed("ce_sequence", b"9" * 30)),
        "no sequence": (b"k", value, changed("ce_sequence", b"first")),
        "another subject": (b"k", value, changed("ce_subject", str(uuid4()).encode())),
        "endless nesting": (b"k", b"[" * 100_000, headers),
    }


def test_poison_becomes_dead_letters_with_all_their_bytes_and_the_rest_goes_on(
    broker: Broker, here: Database, configured: Settings
) -> None:
    loan, bad = uuid4(), poison()
    large = [] if broker.keeps else [(b"k", b"x" * 4_500_000, bad["not JSON"][2])]  # an Apache Kafka takes 1 MB
    with working(configured) as worker:
        write(here, withdrawn(loan, "1"))
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 1)
        with producing(configured) as producer:
            for key, value, headers in [*bad.values(), *large, *bad.values()]:
                producer.send(TOPIC, value, key, headers, partition=0).get(10)
        write(here, withdrawn(loan, "2"), withdrawn(uuid4(), "1"), withdrawn(uuid4(), "1"), withdrawn(uuid4(), "1"))
        counts, dead = worker.door.consumer.counts, len(bad) + len(large)
        assert eventually(lambda: counts["applied"] == 5)
        assert eventually(lambda: (counts["dead"], counts["duplicates"]) == (dead, len(bad)))
        assert eventually(lambda: number(here, "SELECT count(*) FROM dead_letters WHERE published_at IS NULL") == 0)
        write(here, withdrawn(loan, "3"))
        assert eventually(lambda: counts["applied"] == 6)
    letters = on_topic(configured, f"{TOPIC}.dead")
    assert len(letters) == dead
    assert all(dict(letter.headers)["dead_reason"] for letter in letters)
    for key, value, headers in bad.values():
        (copy,) = (r for r in letters if r.value == value and list(r.headers[:-4]) == _as_stored(headers))
        assert copy.key == key
    if large:
        (copy,) = (letter for letter in letters if "dead_value" in dict(letter.headers))
        with here.worker_sessions() as session:
            whole = session.get_one(inbox.DeadLetter, UUID(dict(copy.headers)["dead_id"].decode()))
            assert whole.value == large[0][1]


def _as_stored(headers: Headers) -> Headers:
    return [(name.replace("\0", "\\x00"), value) for name, value in headers]


class Unreadable(str):
    """A header's name that is not UTF-8 on the wire."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"na\xff\xfeme"


def test_a_header_whose_name_is_not_utf_8_stops_nothing_on_its_partition(
    broker: Broker, here: Database, configured: Settings
) -> None:
    loan = uuid4()
    one, two = record(withdrawn(loan, "1"), 1), record(withdrawn(loan, "2"), 2)
    extra = (Unreadable("?"), b"\xff")
    with working(configured, parts="consume relay") as worker, producing(configured) as producer:
        producer.send(TOPIC, b"{", b"k", [extra], partition=0)
        producer.send(TOPIC, one.value, one.key, [*one.headers, extra], partition=0)
        producer.send(TOPIC, two.value, two.key, list(two.headers), partition=0).get(10)
        counts = worker.door.consumer.counts
        assert eventually(lambda: (counts["applied"], counts["dead"]) == (2, 1))
        assert eventually(lambda: number(here, "SELECT count(*) FROM dead_letters WHERE published_at IS NULL") == 0)
    assert effects(here) == {str(loan): ["1", "2"]}
    (letter,) = on_topic(configured, f"{TOPIC}.dead")
    assert (letter.value, letter.headers[0]) == (b"{", ("na\\xff\\xfeme", b"\xff"))


def test_a_refused_event_can_be_replayed_and_its_successors_did_not_wait(here: Database, configured: Settings) -> None:
    loan, refuse = uuid4(), [True]

    def handler(session: Session, event: LoanWithdrawn) -> None:
        if event.reason == "2" and refuse[0]:
            raise RefusalError("not like this")
        note(session, str(event.loan_id), event.reason)

    consumer = Consumer("credit", {LoanWithdrawn: handler}, lambda event: BANK)
    with working(configured, consumer) as worker:
        write(here, *(withdrawn(loan, str(n)) for n in (1, 2, 3)))
        assert eventually(lambda: effects(here).get(str(loan)) == ["1", "3"])
        refuse[0] = False
        with here.worker_sessions.begin() as session:
            (letter,) = inbox.dead_letters(session)
            assert inbox.replay(session, worker.door.consumer, letter.id) == "applied"
        assert effects(here)[str(loan)] == ["1", "3", "2"]


def test_events_behind_one_of_a_later_version_wait_for_the_program_that_knows_it(
    here: Database, configured: Settings
) -> None:
    loan = uuid4()
    known = REGISTRY.pop(LoanWithdrawn.type_name())
    try:
        with working(configured) as worker:
            write(here, withdrawn(loan, "1"))
            assert eventually(lambda: worker.door.consumer.counts["dead"] == 1)
            REGISTRY[known.type_name()] = known
            write(here, withdrawn(loan, "2"), withdrawn(loan, "3"))
            assert eventually(lambda: worker.door.consumer.counts["parked"] == 2)
            assert effects(here) == {}
            with here.worker_sessions.begin() as session:
                (letter,) = inbox.dead_letters(session)
                assert inbox.replay(session, worker.door.consumer, letter.id) == "applied"
            assert eventually(lambda: effects(here).get(str(loan)) == ["1", "2", "3"])
            assert eventually(lambda: number(here, "SELECT count(*) FROM inbox_parked") == 0)
    finally:
        REGISTRY[known.type_name()] = known


def test_a_tombstone_is_passed_over(here: Database, configured: Settings) -> None:
    loan = uuid4()
    with working(configured) as worker:
        write(here, withdrawn(loan, "1"))
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 1)
        with producing(configured) as producer:
            for partition in range(3):
                producer.send(TOPIC, None, str(loan).encode(), partition=partition).get(10)
        write(here, withdrawn(loan, "2"))
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 2)
        assert eventually(lambda: worker.door.consumer.counts["tombstones"] == 3)
    with here.worker.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM dead_letters")) == 0


def test_a_forged_event_under_a_known_id_has_no_effect(here: Database, configured: Settings) -> None:
    loan = uuid4()
    with working(configured, listening()) as worker:
        write(here, withdrawn(loan, "1"))
        assert eventually(lambda: worker.door.consumer.counts["applied"] == 1)
        (sent,) = on_topic(configured)
        event_id = UUID(dict(sent.headers)["ce_id"].decode())
        forged = record(withdrawn(loan, "forged"), 2, event_id=event_id)
        with producing(configured) as producer:
            producer.send(TOPIC, forged.value, forged.key, list(forged.headers)).get(10)
        assert eventually(lambda: worker.door.consumer.counts["duplicates"] == 1)
    assert effects(here) == {str(loan): ["1"]}
