"""Placing whole queues: what may be missing to the optimum, and the CPU it takes beside the linear model's own.

Seeded queues; each size is placed for three seeds, one after another. HEARTWOOD_BENCH_QUEUES says which sizes, as
`loans x guarantors` (1000x10 if not said; 10000x20 and 100000x20 take minutes), HEARTWOOD_BENCH_REFERENCE how many CPU
seconds the linear and the integer model of scipy may take each (60; 0 leaves them out).
"""

import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, milp

from deploy.embedded import EmbeddedPostgres
from services.guarantee.allocation.allocate import allocate
from services.guarantee.allocation.placing import bid_price, first_come
from services.guarantee.allocation.prices import Pricing
from services.guarantee.allocation.problem import Problem
from services.guarantee.allocation.queue_file import make_queue
from tests.bench.harness import Row, progress
from tests.bench.queues import queue

SIZES = os.environ.get("HEARTWOOD_BENCH_QUEUES", "1000x10").split(",")
SECONDS = float(os.environ.get("HEARTWOOD_BENCH_REFERENCE", "60"))
#: Most that may be missing to the best bound. [-]
GOALS = {"1000x10": 0.002, "10000x20": 0.0002, "100000x20": 0.003}
SEEDS = (1, 2, 3)
YUAN_10_000 = 1e6


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure each size."""
    return [row for size in SIZES for row in _size(size)]


def _size(size: str) -> list[Row]:
    loans, guarantors = (int(number) for number in size.split("x"))
    gaps, costs, came, bid, full = [], [], [], [], []
    for seed in SEEDS:
        progress(f"allocation {size}: seed {seed}")
        read = make_queue(queue(loans, guarantors, seed), "")
        made, cost = _timed(lambda read=read: allocate(read))  # type: ignore[misc]
        problem, bound = made.problem, float(made.sharp_bound)
        line, whole = _references(problem)
        if whole is not None:
            bound = min(bound, whole[1])
            full.append(1 - whole[0] / bound)
        gaps.append(1 - made.value / bound)
        costs.append((cost, line or cost))
        came.append(1 - first_come(problem).value / bound)
        # Prices of another queue of the same kind, as the day before would have left them.
        other = allocate(make_queue(queue(loans, guarantors, seed + 100), ""))
        known = dict(zip((one.id for one in other.problem.queue.buckets), other.prices.tolist(), strict=False))
        yesterday = np.array([*(known.get(one.id, 0.0) for one in read.buckets), 0.0])
        reduced = Pricing(problem, np.zeros(problem.loans, bool)).reduced(yesterday)
        bid.append(1 - bid_price(problem, reduced).value / bound)
    goal = GOALS.get(size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = (
        f"gap {_percent(gaps)}; first come {_percent(came)}; bid prices of another queue {_percent(bid)}"
        + (f"; full integer model in the same time {_percent(full)}" if full else "")
        + ("" if goal is None else f"; goal {goal:.2%}")
        + f"; peak {peak:.0f} MB"
    )
    gap, cost = statistics.median(gaps), statistics.median(cost for cost, _ in costs)
    line = statistics.median(line for _, line in costs)
    met = None if goal is None else gap <= goal
    ratio = round(line / cost, 4)
    return [Row("allocation", f"place {size}", cost, line, "CPU s", ratio, None, None, met, ratio, ratio, note)]


def _references(problem: Problem) -> tuple[float | None, tuple[float, float] | None]:
    """CPU of the linear model, and value and bound of the integer one, by scipy on the whole queue."""
    if SECONDS <= 0:
        return None, None
    given = _model(problem)
    _, line = _timed(lambda: milp(**given, options={"time_limit": SECONDS}))
    whole, _ = _timed(lambda: milp(**given, integrality=np.ones(len(problem.value)), options={"time_limit": SECONDS}))
    if whole.mip_dual_bound is None:
        return line, None
    value = 0.0 if whole.x is None else float(problem.value[whole.x > 0.5].sum())
    return line, (value, -float(whole.mip_dual_bound) * YUAN_10_000)


def _model(problem: Problem) -> dict[str, Any]:
    columns, kinds = problem.row.shape
    cap = problem.cap[:-1].astype(np.float64)
    uses = sp.csr_matrix(
        (problem.use.ravel().astype(np.float64), problem.row.ravel(), np.arange(0, columns * kinds + 1, kinds)),
        shape=(columns, problem.rows),
    )[:, :-1]
    unit = np.maximum(cap, 1.0)
    one_place = sp.csr_matrix((np.ones(columns), (problem.loan, np.arange(columns))), shape=(problem.loans, columns))
    matrix = sp.vstack([sp.diags(1 / unit) @ uses.T, one_place]).tocsr()
    upper = np.concatenate([cap / unit, np.ones(problem.loans)])
    return {
        "c": -problem.value / YUAN_10_000,
        "constraints": LinearConstraint(matrix, ub=upper),
        "bounds": Bounds(0, 1),
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.process_time()
    made = work()
    return made, time.process_time() - begun


def _percent(shares: list[float]) -> str:
    return f"{statistics.median(shares):.3%} ({min(shares):.3%} to {max(shares):.3%})"
