"""How we measure on a small shared machine: interleaved rounds, medians of ratios, CPU before wall time.

A row compares the cost of ours with the cost of a reference that could not do less. ratio = reference ÷ ours, so that
1 means as cheap as the reference and more is better.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One comparison."""

    area: str
    name: str
    ours: float
    reference: float
    unit: str
    ratio: float
    goal: float
    met: bool
    smallest: float
    largest: float
    note: str = ""


def compare(
    area: str,
    name: str,
    ours: Callable[[], float],
    reference: Callable[[], float],
    *,
    unit: str,
    goal: float,
    rounds: int = 7,
    note: str = "",
) -> Row:
    """Run ours and the reference by turns, forwards then backwards, drop the first round, keep the medians.

    Each callable does its work once and returns its cost in `unit`.
    """
    costs: list[tuple[float, float]] = []
    for turn in range(rounds):
        if turn % 2:
            theirs, own = reference(), ours()
        else:
            own, theirs = ours(), reference()
        costs.append((own, theirs))
    kept = costs[1:]
    ratios = [theirs / own for own, theirs in kept]
    ratio = statistics.median(ratios)
    return Row(
        area=area,
        name=name,
        ours=round(statistics.median(own for own, _ in kept), 3),
        reference=round(statistics.median(theirs for _, theirs in kept), 3),
        unit=unit,
        ratio=round(ratio, 3),
        goal=goal,
        met=ratio >= goal,
        smallest=round(min(ratios), 3),
        largest=round(max(ratios), 3),
        note=note,
    )


def cpu_of(work: Callable[[], object], items: int) -> float:
    """CPU of this process for one item of a piece of work. [µs]"""
    before = time.process_time()
    work()
    return (time.process_time() - before) / items * 1e6


def wall_of(work: Callable[[], object], items: int) -> float:
    """Wall time for one item of a piece of work. [µs]"""
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) / items * 1e6


def write(rows: list[Row], folder: Path) -> str:
    """Write report.json and report.md; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    lines = [
        "| area | what | ours | reference | unit | ratio (range) | goal | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.area} | {r.name} | {r.ours} | {r.reference} | {r.unit} | {r.ratio} ({r.smallest}–{r.largest}) | {r.goal}"
        f" | {'yes' if r.met else 'no'} |"
        for r in rows
    ]
    table = "\n".join(lines)
    notes = "\n".join(f"* {r.name}: {r.note}" for r in rows if r.note)
    (folder / "report.md").write_text(f"{table}\n\n{notes}\n", encoding="utf-8")
    return table
