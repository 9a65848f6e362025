"""`heartwood guarantee allocate` and `verify`: files in, certificate out."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.guarantee.allocation import checker
from services.guarantee.allocation.allocate import allocate, certificate
from services.guarantee.allocation.queue_file import read_queue
from services.guarantee.allocation.search import Effort, Progress
from services.guarantee.allocation.what_if import changed, what_if


def run(
    queue_file: Path, seed: int, target: float | None, changes: Sequence[str], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Place the queue of a file. Raises QueueError, which is a ValueError, with part, row and field."""
    queue = read_queue(queue_file.read_bytes())
    for change in changes:
        changed(queue, change)
    effort = Effort(target=target)
    effort = replace(effort, limits=replace(effort.limits, seed=seed))
    started = time.monotonic()

    def watch(progress: Progress) -> bool:
        if progress.stage:
            gap = "" if progress.value <= 0 else f", value {progress.value / 100:,.0f} CNY, gap {progress.gap:.4%}"
            tell(f"{time.monotonic() - started:6.0f} s  {progress.stage}: bound {progress.bound / 100:,.0f} CNY{gap}")
        return True

    made = allocate(queue, effort, watch)
    return certificate(made, effort, [what_if(made, change) for change in changes])


def verify(queue_file: Path, certificate_file: Path) -> tuple[list[str], dict[str, Any]]:
    """What is wrong with a certificate, nothing if it holds; and the certificate."""
    raw = certificate_file.read_bytes()
    found = checker.faults(queue_file.read_bytes(), raw)
    try:
        told = json.loads(raw)
    except ValueError:
        told = {}
    return found, told if isinstance(told, dict) else {}
