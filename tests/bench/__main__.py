"""`make bench`: measure, write var/bench/report.json and report.md, print the table. `python -m tests.bench http`
measures one area only.
"""

import contextlib
import sys
import tempfile
import time
from pathlib import Path

from deploy.embedded import EmbeddedPostgres
from shared import logs
from tests.bench import (
    accumulation,
    allocation,
    capacity,
    consumer,
    covenants,
    database,
    events,
    http,
    peers,
    prescreens,
    prices,
    scoring,
    sink,
)
from tests.bench.harness import Row, progress, write

AREAS = {
    "accumulation": accumulation.rows,
    "http": http.rows,
    "peers": peers.rows,
    "scoring": scoring.rows,
    "database": database.rows,
    "events": events.rows,
    "consumer": consumer.rows,
    "sink": sink.rows,
    "allocation": allocation.rows,
    "capacity": capacity.rows,
    "covenants": covenants.rows,
    "prices": prices.rows,
    "prescreens": prescreens.rows,
}
FOLDER = Path("var/bench")


def main(wanted: list[str]) -> None:
    """Measure the areas wanted, or all."""
    if unknown := set(wanted) - set(AREAS):
        sys.exit(f"no such area: {', '.join(sorted(unknown))}. Areas: {', '.join(AREAS)}")
    started = time.monotonic()
    rows: list[Row] = []
    # Lines of log are written, as they are in service, but not to the terminal.
    logs.set_up("json", role="bench")
    with (
        tempfile.TemporaryDirectory(prefix="hw-bench-") as folder,
        tempfile.TemporaryFile("w", encoding="utf-8") as lines,
        contextlib.redirect_stdout(lines),
        EmbeddedPostgres(Path(folder)) as postgres,
    ):
        for area in wanted or AREAS:
            rows += AREAS[area](postgres)
    table = write(rows, FOLDER)
    progress(f"measured for {time.monotonic() - started:.0f} s\n")
    print(table)
    print(f"\nwritten to {FOLDER}/report.json and {FOLDER}/report.md")


if __name__ == "__main__":
    main(sys.argv[1:])
