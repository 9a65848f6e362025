"""What the database is asked for each piece of work: counts, which hold on any machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import marshmallow
import pytest
from sqlalchemy import Engine, event

from shared import inbox
from shared.events.credit import LoanWithdrawn
from shared.inbox import Consumer
from tests.conftest import Database
from tests.credit.story import ASSET, OTHER_ASSET, Story, application, valued
from tests.harness import BANK, body, door, record


@dataclass
class Asked:
    """What went over a connection."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0
    connections: int = 0


@contextmanager
def counted(engine: Engine) -> Iterator[Asked]:
    """Count what an engine is asked in a block."""
    asked = Asked()

    def statement(_: object, __: object, text: str, *___: object) -> None:
        asked.statements.append(text)

    def commit(_: object) -> None:
        asked.commits += 1

    def checkout(*_: object) -> None:
        asked.connections += 1

    listeners = (("before_cursor_execute", statement), ("commit", commit), ("checkout", checkout))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield asked
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)


def question(*asset_ids: UUID) -> dict[str, object]:
    asked = ("borrower_kind", "industry", "amount", "term_months")
    whole = application(assets=[{"asset_id": str(one), "tonnes": "20000.000"} for one in asset_ids])
    return {name: whole[name] for name in (*asked, "assets")}


def test_an_application_takes_22_statements_and_one_commit(credit_db: Database) -> None:
    story = Story(credit_db)
    story.value()
    story.apply()
    with counted(credit_db.app) as asked:
        loan = story.apply(borrower_reference="FILE-2026-0002")
    assert loan["state"] == "structuring"
    assert (len(asked.statements), asked.commits, asked.connections) == (22, 1, 1)
    assert sum(text.startswith("UPDATE") for text in asked.statements) == 1, "only the end of the audit chain moves"


@pytest.mark.parametrize("forests", [1, 2])
def test_a_question_about_forests_takes_one_statement(credit_db: Database, forests: int) -> None:
    story = Story(credit_db)
    story.tell(valued(ASSET), valued(OTHER_ASSET))
    body(story.officer.post("/v1/score", question()))  # which card decides is remembered for some seconds
    with counted(credit_db.app) as asked:
        body(story.officer.post("/v1/score", question(*[ASSET, OTHER_ASSET][:forests])))
    assert (len(asked.statements), asked.commits, asked.connections) == (1, 0, 1)


def test_a_question_without_forests_takes_no_connection(credit_db: Database) -> None:
    story = Story(credit_db)
    body(story.officer.post("/v1/score", question()))
    with counted(credit_db.app) as asked:
        body(story.officer.post("/v1/score", question()))
    assert (asked.statements, asked.commits, asked.connections) == ([], 0, 0)


@pytest.mark.parametrize("content", [question(), {"amount": "much"}], ids=["answered", "refused"])
def test_no_request_makes_a_schema(
    credit_db: Database, monkeypatch: pytest.MonkeyPatch, content: dict[str, object]
) -> None:
    story = Story(credit_db)
    story.officer.post("/v1/score", content)
    made: list[object] = []
    real = marshmallow.Schema.__init__

    def init(schema: marshmallow.Schema, **options: object) -> None:
        made.append(schema)
        real(schema, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(marshmallow.Schema, "__init__", init)
    story.officer.post("/v1/score", content)
    assert made == []


@pytest.mark.parametrize("count", [10, 100])
def test_a_batch_of_events_takes_as_many_statements_however_large_it_is(credit_db: Database, count: int) -> None:
    consumer = Consumer("credit", {LoanWithdrawn: lambda session, event: None}, lambda event: BANK)
    records = [
        record(LoanWithdrawn(loan_id=uuid4(), bank=BANK, insurer="i", guarantor="g", reason="r"), offset=offset)
        for offset in range(count)
    ]
    with counted(credit_db.worker) as asked:
        inbox.receive(credit_db.worker_sessions, consumer, records, "test")
    assert consumer.counts == {"applied": count}
    assert (len(asked.statements), asked.commits, asked.connections) == (8, 1, 1)


@pytest.mark.parametrize("count", [10, 100])
def test_a_batch_of_valuations_takes_as_many_statements_however_large_it_is(credit_db: Database, count: int) -> None:
    records = [record(valued(uuid4()), offset=offset) for offset in range(count)]
    with counted(credit_db.worker) as asked:
        inbox.receive(credit_db.worker_sessions, door("credit").consumer, records, "test")
    assert (len(asked.statements), asked.commits) == (11, 1)
