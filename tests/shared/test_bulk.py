import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg.errors
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from services.credit.tables import Loan
from shared import bulk
from shared.db import act_for, is_passing, table_of
from shared.outbox import Outbox
from tests.conftest import Database
from tests.credit.story import Story
from tests.harness import BANK, BUREAU, OTHER_BANK


@pytest.fixture(autouse=True, params=[0, bulk.MANY], ids=["copied", "few"])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every promise holds whichever way the rows go."""
    monkeypatch.setattr(bulk, "MANY", request.param)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "institution": BUREAU,
        "topic": "sink.events",
        "key": "k",
        "type": "t",
        "payload": {},
        "occurred_at": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        "traceparent": "",
        "request_id": "",
        "state_topic": None,
    } | changes


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_goes_in_is_what_stands_there_in_its_order(sink_db: Database, many: list[tuple[str, str]]) -> None:
    key = str(uuid4())
    rows = [row(key=key, type=kind, payload={"said": said}) for kind, said in many]
    with sink_db.worker_sessions.begin() as session:
        act_for(session, BUREAU)
        bulk.insert_mappings(session, table_of(Outbox), rows)
    with sink_db.worker_sessions() as session:
        found = session.execute(
            text("SELECT sequence, id, type, payload, occurred_at FROM outbox WHERE key = :k ORDER BY sequence"),
            {"k": key},
        ).all()
    assert [tuple(one) for one in found] == [
        (number, one["id"], one["type"], one["payload"], one["occurred_at"]) for number, one in enumerate(rows, 1)
    ]


def test_json_that_is_written_already_is_not_written_twice(sink_db: Database) -> None:
    written = bulk.Json(json.dumps({"name": '右玉 \\ "一号"\n\t'}, ensure_ascii=False))
    with sink_db.worker_sessions.begin() as session:
        act_for(session, BUREAU)
        bulk.insert_mappings(session, table_of(Outbox), [row(payload=written), row(payload="a text")])
    with sink_db.worker_sessions() as session:
        assert session.scalars(text("SELECT payload FROM outbox ORDER BY sequence")).all() == [
            {"name": '右玉 \\ "一号"\n\t'},
            "a text",
        ]


def test_rows_of_another_institution_are_refused_all_together(sink_db: Database) -> None:
    with sink_db.sessions.begin() as session:
        act_for(session, BUREAU)
        with pytest.raises(DBAPIError) as refused:
            bulk.insert_mappings(session, table_of(Outbox), [row(), row(institution=BANK)])
        session.rollback()
    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
    with sink_db.worker_sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM outbox")) == 0


def test_bulk_rows_go_in_twice_in_one_transaction(sink_db: Database) -> None:
    with sink_db.sessions.begin() as session:
        act_for(session, BUREAU)
        for _ in range(2):
            bulk.insert_mappings(session, table_of(Outbox), [row()])
        bulk.insert_mappings(session, table_of(Outbox), [])
    with sink_db.worker_sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM outbox")) == 2


def test_a_connection_that_is_lost_amid_the_rows_is_told_as_passing(sink_db: Database) -> None:
    admin = create_engine(sink_db.admin_url)

    def rows(server: int) -> Iterator[tuple[Any, ...]]:
        yield tuple(row().values())
        with admin.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": server})
        for _ in range(10_000):
            yield tuple(row().values())

    with sink_db.worker_sessions() as session:
        act_for(session, BUREAU)
        server = session.scalars(text("SELECT pg_backend_pid()")).one()
        with pytest.raises(DBAPIError) as lost:
            bulk.insert(session, table_of(Outbox), list(row()), rows(server))
    admin.dispose()
    assert is_passing(lost.value)
    with sink_db.worker_sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM outbox")) == 0


def test_rows_are_changed_by_their_key_and_their_version_rises(credit_db: Database) -> None:
    story = Story(credit_db)
    story.to("structuring")
    with credit_db.worker_sessions.begin() as session:
        act_for(session, BANK)
        before = session.get_one(Loan, story.loan_id).version
        changed = [(story.loan_id, Decimal("0.5"), bulk.Json('[{"code": "x"}]')), (uuid4(), None, bulk.Json("[]"))]
        bulk.update(session, table_of(Loan), "id", ("loan_to_value", "covenant_reasons"), changed)
        bulk.update(session, table_of(Loan), "id", ("loan_to_value",), [])
    with credit_db.worker_sessions() as session:
        act_for(session, BANK)
        loan = session.get_one(Loan, story.loan_id)
        assert (loan.loan_to_value, loan.covenant_reasons) == (Decimal("0.5"), [{"code": "x"}])
        assert loan.version == before + 1


def test_rows_of_another_institution_are_not_changed(credit_db: Database) -> None:
    story = Story(credit_db)
    story.to("structuring")
    with credit_db.worker_sessions.begin() as session:
        act_for(session, OTHER_BANK)
        bulk.update(session, table_of(Loan), "id", ("verifier",), [(story.loan_id, "x")])
    assert story.loan()["verifier"] is None
