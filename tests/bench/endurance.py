"""A whole register valued anew by a worker that is killed half-way: `python -m tests.bench.endurance 1000000`.

It tells how fast it went, how much memory the worker held as it went on, and that after the kill every forest has one
new valuation and one event, no more and no less. `--minutes` bounds it; how far it came by then is told.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from deploy.embedded import EmbeddedPostgres
from services.sink.actions.prices import decide_curve, propose_curve
from services.sink.consumers import DOOR
from shared import audit, db, jobs
from shared.events.sink import CarbonAssetValued
from tests.bench.sink import CURVE, memory, seed_register
from tests.conftest import Database, make_database
from tests.harness import BUREAU


@dataclass
class Endured:
    """What became of it."""

    forests: int
    done: int = 0
    seconds: float = 0
    killed_at: int = 0
    #: Forests done, and memory of the worker then. [MB]
    memory: list[tuple[int, float]] = field(default_factory=list)


def endure(postgres: EmbeddedPostgres, forests: int, minutes: float) -> Endured:
    """Value so many forests anew, with a kill when half of them are done."""
    database = make_database(postgres, "sink", "endurance_sink")
    try:
        seed_register(database, forests)
        with database.sessions.begin() as session:
            db.act_for(session, BUREAU)
            curve = propose_curve(session, CURVE, "maker")
            audit.seal(session)
        with database.sessions.begin() as session:
            db.act_for(session, BUREAU)
            decide_curve(session, curve.id, curve.payload_hash, "checker", True)
            audit.seal(session)
        found = _worked(database, database.url(postgres, "worker"), Endured(forests), minutes)
        _demand_whole(database, found.done)
        return found
    finally:
        database.dispose()


def _worked(database: Database, url: str, found: Endured, minutes: float) -> Endured:
    started = time.monotonic()
    worker = _worker(url)
    try:
        while found.done < found.forests and time.monotonic() - started < 60 * minutes:
            if (code := worker.poll()) is not None and code != 0:
                raise SystemExit(f"the worker ended with {code}")
            time.sleep(0.05)
            before, found.done = found.done, _done(database)
            if found.done > before:
                found.memory.append((found.done, memory("VmRSS", worker.pid)))
            if not found.killed_at and found.done >= found.forests // 2:
                found.killed_at = found.done
                worker.kill()
                worker.wait()
                worker = _worker(url)
    finally:
        worker.kill()
        worker.wait()
    found.seconds, found.done = time.monotonic() - started, _done(database)
    return found


def _worker(url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.bench.endurance", "--work", url])


def _work(url: str) -> None:
    engine = db.engine(url)
    while jobs.run_step(db.sessions(engine), DOOR.jobs):
        pass
    engine.dispose()


def _done(database: Database) -> int:
    with database.worker_sessions.begin() as session:
        db.act_for(session, BUREAU)
        return int(session.execute(text("SELECT done FROM jobs WHERE kind = 'revalue'")).scalar_one())


def _demand_whole(database: Database, done: int) -> None:
    """Every forest that is done has one valuation, one event and one entry of the audit; no other has any."""
    with database.worker_sessions.begin() as session:
        db.act_for(session, BUREAU)

        def count(what: str) -> Any:
            return session.execute(text(f"SELECT count(*), count(DISTINCT of) FROM ({what}) AS x (of)")).one()

        for what in (
            "SELECT asset_id FROM valuations",
            f"SELECT key FROM outbox WHERE type = '{CarbonAssetValued.type_name()}'",
            "SELECT subject FROM audit_entries WHERE action = 'value_asset'",
            "SELECT id FROM assets WHERE valuation_version = 1",
        ):
            if tuple(count(what)) != (done, done):
                raise SystemExit(f"{what}: {count(what)} where {done} are done")
        if (broken := audit.verify(session, BUREAU)) is not None:
            raise SystemExit(f"the audit does not hold: {broken}")


def main() -> None:
    """Run it on a database of its own and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("forests", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        return _work(asked.work)
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder, EmbeddedPostgres(Path(folder)) as postgres:
        found = endure(postgres, asked.forests, asked.minutes)
    speed = found.done / found.seconds
    print(f"{found.done:,} of {found.forests:,} forests in {found.seconds:.0f} s, {speed:.0f} a second")
    print(f"killed with {found.killed_at:,} done; every forest done has one valuation, one event, one audit entry")
    for at, used in found.memory[:: max(1, len(found.memory) // 10)]:
        print(f"  {at:>9,} done: the worker holds {used:.0f} MB")


if __name__ == "__main__":
    main()
