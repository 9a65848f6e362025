"""`make test-faults`: a storm of minutes, and what was found: `python -m tests.faults --minutes 60 --seed 7`."""

import argparse
import sys
import time

from rich.console import Console
from rich.table import Column, Table

from tests.faults.storm import play


def main() -> int:
    """Play a storm and tell; the exit code says whether all was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=3)
    asked = parser.parse_args()
    console, began = Console(highlight=False), time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:7.1f}  {line}", style="dim", markup=False, soft_wrap=True)

    told = play(60 * asked.minutes, asked.seed, asked.clients, say=say)
    storm = told.storm
    table = Table("what", Column("times", justify="right"), title=f"{asked.minutes:g} minutes, seed {asked.seed}")
    figures = {
        **{f"fault: {kind}": times for kind, times in sorted(storm.harms.items())},
        **{f"command {outcome}": times for outcome, times in sorted(storm.history.outcomes().items())},
        **{f"clients saw: {what}": times for what, times in sorted(storm.seen.items())},
        **{f"loans {state}": times for state, times in sorted(told.loans.items())},
        "events": told.events,
    }
    for what, times in figures.items():
        table.add_row(what, f"{times:,}")
    console.print(table)
    for kind, why in storm.missing.items():
        console.print(f"not tried, {kind}: {why}", style="yellow")
    for fault in told.faults:
        console.print(fault, style="red", markup=False, soft_wrap=True)
    if not told.faults:
        console.print("all was kept: what clients were told is what the databases hold, and the books add up")
    return 1 if told.faults else 0


if __name__ == "__main__":
    sys.exit(main())
