"""The database: a loan application saved whole, against a raw transaction that writes as many rows of the same size."""

import io
import json
import sys
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
from flask import Flask
from sqlalchemy import event as engine_events
from sqlalchemy import text

from deploy.embedded import EmbeddedPostgres
from shared.ids import uuid7
from tests.bench.harness import Row, Spent, measure_both
from tests.conftest import Database, make_database
from tests.credit.story import amount, application, valued
from tests.harness import app, deliver, token

ALONE, TOGETHER, THREADS, ROUNDS = 120, 30, 8, 6
#: Tables whose rows make up one saved application.
TABLES = (
    "loans",
    "loan_assets",
    "loan_covers",
    "loan_guarantees",
    "loan_history",
    "decisions",
    "watchers",
    "timers",
    "outbox",
    "outbox_sequences",
    "outbox_unsent",
    "idempotent_answers",
    "audit_entries",
)


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure CPU in one thread and wall time in eight."""
    database = make_database(postgres, "credit", "bench_database")
    try:
        deliver("credit", database, valued())
        served = app("credit", database)
        banks = [f"bank-bench-{number}" for number in range(THREADS)]
        for bank in banks:
            _apply(served, bank)
        statements, count, size = _what_it_takes(served, database, banks[0])
        with database.owner.begin() as connection:
            connection.execute(
                text(
                    "CREATE TABLE bare_rows (id uuid PRIMARY KEY, institution text NOT NULL, kind text NOT NULL,"
                    " payload jsonb NOT NULL, at timestamptz NOT NULL)"
                )
            )
            connection.execute(text("GRANT INSERT ON bare_rows TO credit_app"))
        url = database.url(postgres, "app").replace("postgresql+psycopg", "postgresql")
        payload = json.dumps({"text": "x" * size})
        note = (
            f"ours is POST /v1/loans through the WSGI door, token, validation, judgement, price and answer included:"
            f" {statements} statements and one commit for {count} rows, triggers and row-level security included;"
            f" the raw side inserts {count} rows of {size} bytes of JSON each by {count} prepared statements and one"
            " commit, with nothing computed"
        )

        def ours(work: int, threads: int) -> tuple[float, float]:
            return _spent(threads, work, lambda number: lambda: _apply(served, banks[number]))

        def bare(work: int, threads: int) -> tuple[float, float]:
            connections = [psycopg.connect(url) for _ in range(threads)]
            try:
                return _spent(threads, work, lambda number: lambda: _write(connections[number], count, payload))
            finally:
                for connection in connections:
                    connection.close()

        alone = measure_both("database: one thread", lambda: ours(ALONE, 1), lambda: bare(ALONE, 1), ROUNDS)
        together = measure_both(
            "database: 8 threads", lambda: ours(TOGETHER, THREADS), lambda: bare(TOGETHER, THREADS), ROUNDS
        )
        return [
            Row.of(
                "database",
                "application saved vs raw psycopg, client CPU, 1 thread",
                alone[0],
                unit="µs CPU per decision",
                goal=0.35,
                note=note,
            ),
            Row.of(
                "database",
                "application saved vs raw psycopg, wall, 8 threads",
                together[1],
                unit="µs wall per decision",
                goal=0.5,
                note="the same work by eight threads of one process, each for a bank of its own",
            ),
        ]
    finally:
        database.dispose()


def _spent(threads: int, work: int, make: Callable[[int], Callable[[], None]]) -> tuple[float, float]:
    """CPU and wall time of one piece of work, when so many threads each do it `work` times."""
    failures: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            for _ in range(work):
                one()
        except BaseException as error:
            failures.append(error)

    started = [threading.Thread(target=run, args=(make(number),)) for number in range(threads)]
    spent = Spent()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    costs = spent.per(threads * work)
    if failures:
        raise failures[0]
    return costs


def _write(connection: "psycopg.Connection[Any]", count: int, payload: str) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        for _ in range(count):
            cursor.execute(
                "INSERT INTO bare_rows (id, institution, kind, payload, at) VALUES (%s, %s, %s, %s, now())",
                (uuid7(), "bank-bench", "row", payload),
                prepare=True,
            )


_tokens: dict[str, str] = {}


def _apply(served: Flask, bank: str) -> None:
    """One application at the WSGI door; it must be taken."""
    if bank not in _tokens:
        _tokens[bank] = token("officer", bank)
    content = json.dumps(application(borrower_reference=f"FILE-{uuid4()}", amount=amount(4_000))).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/loans",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_AUTHORIZATION": f"Bearer {_tokens[bank]}",
        "HTTP_IDEMPOTENCY_KEY": str(uuid4()),
        "wsgi.input": io.BytesIO(content),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    statuses: list[str] = []
    answer = served.wsgi_app(environ, lambda status, headers, error=None: statuses.append(status))  # type: ignore[arg-type,misc,return-value]
    text_ = b"".join(answer).decode()
    assert statuses == ["201 CREATED"], text_[:500]
    assert '"state":"structuring"' in text_, "an application that goes another way writes other rows"


def _what_it_takes(served: Flask, database: Database, bank: str) -> tuple[int, int, int]:
    """Statements, rows, and mean size of a row of one application."""
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    before = _rows(database)
    engine_events.listen(database.app, "before_cursor_execute", count)
    _apply(served, bank)
    engine_events.remove(database.app, "before_cursor_execute", count)
    after = _rows(database)
    rows_, size = after[0] - before[0], after[1] - before[1]
    return statements, rows_, size // rows_


def _rows(database: Database) -> tuple[int, int]:
    """How many rows the tables hold, and how large they are."""
    query = " UNION ALL ".join(f"SELECT count(*) AS n, sum(pg_column_size(t.*)) AS s FROM {name} t" for name in TABLES)
    with psycopg.connect(database.admin_url.replace("postgresql+psycopg", "postgresql")) as connection:
        found = connection.execute(f"SELECT sum(n), sum(s) FROM ({query}) AS all_of_them").fetchone()  # type: ignore[call-overload]
    assert found is not None
    return int(found[0]), int(found[1])
