"""Covenants: 100,000 loans tested anew by one price curve in one batch, against one bulk update of the same rows."""

import json
import resource
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import create_engine, select, text

from deploy.embedded import EmbeddedPostgres
from services.credit.actions.states import LIVE
from services.credit.tables import Loan
from shared import bulk, inbox
from shared.db import act_for, table_of
from tests.bench.harness import Row, measure_both, progress
from tests.conftest import Database, make_database
from tests.credit.book import Lent, lend
from tests.credit.story import Story, valued
from tests.harness import BANK, door, record

FORESTS, LOANS_EACH, ROUNDS = 100, 1_000, 6


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure CPU of client and database together, and the memory of ten times as many loans."""
    database = make_database(postgres, "credit", "bench_covenants")
    try:
        story = Story(database)
        story.to("performing")
        forests = [uuid4() for _ in range(FORESTS)]
        loans: list[UUID] = []
        for number, forest in enumerate(forests):
            progress(f"covenants: lending on forest {number + 1} of {FORESTS}")
            # From 30 to 84 % of the value; one in a hundred is called when the price falls, cured when it rises.
            loans += lend(
                database,
                story.loan_id,
                [
                    Lent(Decimal(600 + one) if one % 100 else Decimal("1790"), {forest: "40.000"})
                    for one in range(LOANS_EACH)
                ],
            )
        _vacuum(database)
        market = _Market(database, forests)
        market.told(forests)  # every forest has a value, every loan a test
        market.told(forests[: FORESTS // 10])
        small = _peak()
        market.told(forests)
        whole = _peak()
        costs, walls = measure_both(
            "covenants",
            lambda: _spent(database, lambda: market.told(forests)),
            lambda: _spent(database, partial(_update, database, _ready(database))),
            ROUNDS,
        )
        note = (
            f"ours is a batch of {FORESTS} valuations through the inbox: {len(loans):,} loans locked, read, tested"
            " (loan to value, freshness, cover, guarantee, debt service) and written, a kept test for each, one in a"
            " hundred called or cured with its event, history, audit and timer; the reference copies ready rows of the"
            " same columns of the same loans and updates them in one statement. CPU of the client and the database's"
            f" server processes together. Peak memory of the client after a tenth of them {small:.0f} MB, after all"
            f" {whole:.0f} MB"
        )
        return [
            Row.of(
                "covenants",
                f"{len(loans):,} covenants re-tested vs one bulk update of the same rows, CPU",
                costs,
                unit="s CPU",
                goal=0.33,
                note=note,
            ),
            Row.of("covenants", "the same, wall", walls, unit="s wall", goal=None),
        ]
    finally:
        database.dispose()


class _Market:
    """A price that falls and rises by turns, told to the inbox as the register tells it."""

    def __init__(self, database: Database, forests: list[UUID]) -> None:
        self.database = database
        self.numbers = dict.fromkeys(forests, 0)
        self.low = False

    def told(self, forests: list[UUID]) -> None:
        """Value some forests anew in one batch."""
        self.low = not self.low
        records = []
        for forest in forests:
            self.numbers[forest] += 1
            number = self.numbers[forest]
            event = valued(forest, number, 2_500_000 if self.low else 3_000_000)
            records.append(record(event, number))
        inbox.receive(self.database.worker_sessions, door("credit").consumer, records, "bench")


COLUMNS = ("state", "steps", "loan_to_value", "shortfall", "covenant_reasons", "tested_at", "updated_at", "cure_by")


def _ready(database: Database) -> list[tuple[Any, ...]]:
    """The loans as they stand, as rows to be written again."""
    with database.worker_sessions.begin() as session:
        act_for(session, BANK)
        query = select(Loan.id, *(getattr(Loan, name) for name in COLUMNS)).where(Loan.state.in_(LIVE))
        return [
            (*one[:5], bulk.Json(json.dumps(one[5], ensure_ascii=False)), *one[6:]) for one in session.execute(query)
        ]


def _update(database: Database, changed: list[tuple[Any, ...]]) -> None:
    with database.worker_sessions.begin() as session:
        act_for(session, BANK)
        bulk.update(session, table_of(Loan), "id", COLUMNS, changed)


def _spent(database: Database, work: Callable[[], None]) -> tuple[float, float]:
    """CPU of this process and of the database's for it, and wall time. [s]"""
    _vacuum(database)
    servers, cpu, wall = _servers(database), time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu + _servers(database) - servers, wall


def _servers(database: Database) -> float:
    """CPU that the server processes of the worker's connections have used. [s]"""
    with database.worker.connect() as connection:
        query = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user")
        pids = connection.scalars(query).all()
    fields = [Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / 100


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _vacuum(database: Database) -> None:
    """As autovacuum would have done by then, so that no round pays for the rows of the one before."""
    admin = create_engine(database.admin_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
    admin.dispose()
