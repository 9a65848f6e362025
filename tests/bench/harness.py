"""How we measure on a small shared machine: interleaved rounds, medians of ratios, CPU before wall time.

A row compares the cost of ours with the cost of a reference that could not do less. ratio = reference ÷ ours, so that
1 means as cheap as the reference and more is better.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One comparison. Without a goal it is there to be known, not to be met."""

    area: str
    name: str
    ours: float
    reference: float
    unit: str
    ratio: float
    goal: float | None
    target: float | None
    met: bool | None
    smallest: float
    largest: float
    note: str = ""

    @classmethod
    def of(
        cls,
        area: str,
        name: str,
        costs: Sequence[tuple[float, float]],
        *,
        unit: str,
        goal: float | None,
        target: float | None = None,
        note: str = "",
    ) -> "Row":
        """A row of the costs of ours and of the reference, round by round; the first round only warms up."""
        kept = costs[1:]
        ratios = [theirs / own for own, theirs in kept]
        ratio = statistics.median(ratios)
        return cls(
            area=area,
            name=name,
            ours=_short(statistics.median(own for own, _ in kept)),
            reference=_short(statistics.median(theirs for _, theirs in kept)),
            unit=unit,
            ratio=_short(ratio),
            goal=goal,
            target=target,
            met=None if goal is None else ratio >= goal,
            smallest=_short(min(ratios)),
            largest=_short(max(ratios)),
            note=note,
        )


def measure(
    what: str, ours: Callable[[], float], reference: Callable[[], float], rounds: int = 7
) -> list[tuple[float, float]]:
    """Run ours and the reference by turns, now one first and now the other; their costs, round by round."""
    costs = []
    for turn in range(rounds):
        progress(f"{what}: round {turn + 1} of {rounds}")
        if turn % 2:
            theirs, own = reference(), ours()
        else:
            own, theirs = ours(), reference()
        costs.append((own, theirs))
    return costs


Costs = list[tuple[float, float]]


def measure_both(
    what: str,
    ours: Callable[[], tuple[float, float]],
    reference: Callable[[], tuple[float, float]],
    rounds: int = 7,
) -> tuple[Costs, Costs]:
    """Measure what gives CPU and wall time at once; the costs of each, round by round."""
    walls: tuple[list[float], list[float]] = ([], [])

    def cpu(side: int, run: Callable[[], tuple[float, float]]) -> float:
        spent, wall = run()
        walls[side].append(wall)
        return spent

    return measure(what, lambda: cpu(0, ours), lambda: cpu(1, reference), rounds), list(zip(*walls, strict=True))


def compare(
    area: str,
    name: str,
    ours: Callable[[], float],
    reference: Callable[[], float],
    *,
    unit: str,
    goal: float | None,
    target: float | None = None,
    rounds: int = 7,
    note: str = "",
) -> Row:
    """Measure, and keep the medians. Each callable does its work once and returns its cost in `unit`."""
    costs = measure(f"{area}: {name}", ours, reference, rounds)
    return Row.of(area, name, costs, unit=unit, goal=goal, target=target, note=note)


def progress(text: str) -> None:
    """Show what goes on: in place on a terminal, as lines elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


class Spent:
    """CPU of this process and wall time since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def per(self, items: int) -> tuple[float, float]:
        """CPU and wall time for one of so many items. [µs]"""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        return cpu / items * 1e6, wall / items * 1e6


def write(rows: Sequence[Row], folder: Path) -> str:
    """Write report.json and report.md; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    lines = [
        "| area | what | ours | reference | unit | ratio (range) | goal → target | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.area} | {r.name} | {r.ours} | {r.reference} | {r.unit} | {r.ratio} ({r.smallest}–{r.largest})"
        f" | {_goal(r)} | {'–' if r.met is None else 'yes' if r.met else 'no'} |"
        for r in rows
    ]
    table = "\n".join(lines)
    notes = "\n".join(f"* **{r.name}**: {r.note}." for r in rows if r.note)
    (folder / "report.md").write_text(f"# Measurements\n\n{machine()}\n\n{table}\n\n{notes}\n", encoding="utf-8")
    return table


def machine() -> str:
    """What it was measured on, and how busy that was with other things."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}; load"
        f" over the last 1, 5 and 15 minutes {', '.join(f'{load:.1f}' for load in os.getloadavg())}. A ratio is"
        " reference ÷ ours in the same round; median of the rounds, smallest and largest in brackets."
    )


def _goal(row: Row) -> str:
    if row.goal is None:
        return "–"
    return f"{row.goal}" if row.target is None else f"{row.goal} → {row.target}"


def _short(value: float) -> float:
    return round(value, 3) if value < 100 else round(value, 1)
