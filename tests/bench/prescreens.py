"""Pre-screening: a file of would-be applications scored and priced, against the database's own COPY of what is kept.

HEARTWOOD_BENCH_PRESCREENS says how many applications the file has (2,000 if not said).
"""

import io
import os
from collections.abc import Iterable

from deploy.embedded import EmbeddedPostgres
from services.credit.actions import prescreens
from services.credit.consumers import DOOR
from services.credit.tables import Prescreen
from shared import audit, db, jobs
from tests.bench.harness import Row, Spent, progress
from tests.bench.sink import copied
from tests.conftest import make_database
from tests.credit.story import ASSET, Story
from tests.harness import BANK

APPLICATIONS = int(os.environ.get("HEARTWOOD_BENCH_PRESCREENS", "2000"))


def rows(postgres: EmbeddedPostgres) -> Iterable[Row]:
    """Measure the job that screens a file."""
    database = make_database(postgres, "credit", "bench_prescreens")
    try:
        Story(database).value()
        progress(f"prescreens: a file of {APPLICATIONS:,} applications")
        spent = Spent()
        with database.sessions.begin() as session:
            db.act_for(session, BANK)
            made = prescreens.start(
                session, io.BytesIO(_file()), format_="csv", charset="utf-8", dry_run=False, officer="bench"
            )
            audit.seal(session)
        while jobs.run_step(database.worker_sessions, DOOR.jobs):
            pass
        cpu, wall = spent.per(APPLICATIONS)
        with database.sessions.begin() as session:
            db.act_for(session, BANK)
            assert session.get_one(Prescreen, made.id).screened == APPLICATIONS
        bare = copied(database, ["prescreen_batches"]) / APPLICATIONS * 1e6
    finally:
        database.dispose()
    yield Row.of(
        "credit",
        f"{APPLICATIONS:,} applications screened vs COPY of the results",
        [(wall, bare)] * 2,
        unit="µs wall per application",
        goal=None,
        note=f"{1e6 / wall:.0f} applications a second, {cpu:.0f} µs of each this process's CPU: read from CSV, judged"
        " with reasons, priced, kept in batches of 500. The reference copies the results from memory. One round",
    )


def _file() -> bytes:
    header = "reference,borrower_kind,industry,amount,term_months,employees,guaranteed_share,asset_id,tonnes"
    lines = (
        f"FILE-{n},cooperative,022,{100_000 + n * 37}.00,{12 + n % 48},{1 + n % 40},0.8,{ASSET},{10_000 + n}.000"
        for n in range(APPLICATIONS)
    )
    return "\r\n".join([header, *lines]).encode()
