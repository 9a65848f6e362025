"""A cluster restored to a moment: it is what was there, a rehearsal finds where it is not, and readers notice."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from deploy import rehearse
from deploy.embedded import EmbeddedPostgres
from shared import audit, db, inbox, outbox
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer, Record
from shared.outbox import Outbox, envelope
from shared.strict_json import canonical
from tests.conftest import Database, make_database

BANK = "bank-yanmen"


@pytest.fixture
def cluster() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="hw-") as folder, EmbeddedPostgres(Path(folder), durable=False) as made:
        yield made


def tell(sessions: Any, loan: UUID, *reasons: str) -> None:
    """Do something that is told and on record."""
    for reason in reasons:
        with sessions.begin() as session:
            db.act_for(session, BANK)
            outbox.put(session, LoanWithdrawn(loan_id=loan, bank=BANK, insurer="i", guarantor="g", reason=reason))
            audit.record(session, "withdraw_loan", loan, reason=reason)
            audit.seal(session)


def sent(sessions: Any) -> list[Record]:
    """What a relay would send."""
    with sessions() as session:
        rows = session.query(Outbox).order_by(Outbox.sequence).all()
    return [
        Record(row.topic, 0, n, row.key.encode(), canonical(row.payload), tuple(envelope(row).headers()))
        for n, row in enumerate(rows)
    ]


def test_what_is_restored_is_what_was_there_and_its_readers_notice_what_it_forgot(
    cluster: EmbeddedPostgres, place: Path
) -> None:
    credit = make_database(cluster, "credit", "restored_credit")
    reader = make_database(cluster, "insurance", "restored_reader")
    loan, url, name = uuid4(), cluster.url(), "restored_credit"
    tell(credit.sessions, loan, "1")
    with rehearse.backed_up(url, place / "backup") as backup:
        tell(credit.sessions, loan, "2", "3")
        seen = rehearse.look(url, name)
        rehearse.name_moment(url, backup)
        tell(credit.sessions, loan, "4", "5")
        later = rehearse.look(url, name)
    restored = rehearse.restore(backup, place / "restored")
    again = Database(
        "credit", name, *(db.engine(restored.url(f"credit_{r}", name)) for r in ("owner", "app", "worker"))
    )

    def compared(before: rehearse.Seen) -> rehearse.Outcome:
        outcome = rehearse.Outcome()
        rehearse._compare("credit", name, before, before, restored, url, outcome)
        return outcome

    try:
        outcome = compared(seen)
        assert outcome.faults == []
        assert (outcome.events, outcome.chains, outcome.deeds, outcome.moving) == (3, 1, 3, 0)
        assert any("outbox has 3 rows, there were 5" in fault for fault in compared(later).faults)
        assert any("the last deeds of bank-yanmen are missing" in fault for fault in compared(later).faults)

        # The others have heard all five. The restored one numbers what it does now as it had numbered what it forgot.
        heard: list[str] = []
        consumer = Consumer("insurance", {LoanWithdrawn: lambda _, event: heard.append(event.reason)}, lambda _: BANK)
        inbox.receive(reader.worker_sessions, consumer, sent(credit.worker_sessions), "one")
        tell(again.sessions, loan, "4 again", "5 again", "6")
        inbox.receive(reader.worker_sessions, consumer, sent(again.worker_sessions), "two")
        assert heard == ["1", "2", "3", "4", "5", "6"]
        assert consumer.counts == {"applied": 6, "duplicates": 3, "contested": 2}

        # Whatever is amiss in the restored one is found.
        with rehearse._superuser(restored.url(), name) as connection:
            connection.execute(text("UPDATE audit_entries SET actor = 'nobody' WHERE number = 2"))
            connection.execute(text("DELETE FROM outbox WHERE sequence = 2"))
            connection.execute(text("DELETE FROM alembic_version WHERE version_num LIKE 'plumbing%'"))
        told = "\n".join(compared(seen).faults)
        for fault in ("breaks at 2", "not numbered without a gap", "unsent events", "heartwood migrate credit", "rows"):
            assert fault in told
    finally:
        again.dispose()
        restored.stop()
        credit.dispose()
        reader.dispose()


def test_a_whole_rehearsal_tells_what_it_compared(cluster: EmbeddedPostgres, place: Path) -> None:
    credit = make_database(cluster, "credit", "rehearsed_credit")
    tell(credit.sessions, uuid4(), "1", "2")
    credit.dispose()
    outcome = rehearse.rehearse(cluster.url(), place, {"credit": "rehearsed_credit"}, lambda line: None)
    assert outcome.faults == []
    assert (outcome.events, outcome.deeds) == (2, 2)
    assert [*outcome.seconds] == ["backup", "look", "restore", "comparison", "checksums"]
