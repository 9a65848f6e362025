"""Place a queue and write the certificate that anybody can check: docs/guarantee.md."""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import numpy as np

from services.guarantee.allocation.fairness import refusals
from services.guarantee.allocation.placing import NONE, Placing, first_come
from services.guarantee.allocation.prices import Pricing, dual_prices, published
from services.guarantee.allocation.problem import Flags, Floats, Ints, Problem, demand_columns, make_problem
from services.guarantee.allocation.queue_file import Queue
from services.guarantee.allocation.search import Effort, Progress, Search, Watch

FORMAT = "guarantee-allocation/1"
#: Stands for no class: behind all others.
LAST = 10


@dataclass(frozen=True)
class Stage:
    """How one class was served; None is the class of all others."""

    rank: int | None
    loans: int
    served: int
    value: int
    bound: int
    gap: float


@dataclass(frozen=True)
class Allocation:
    """A placing with the prices that bound it. `value` is rounded down and `bound` up to whole fen.

    The sharp prices leave out columns that break a limit by themselves: no placing has them, so their bound is lower.
    """

    problem: Problem
    placing: Placing
    prices: Floats
    sharp_prices: Floats
    value: int
    bound: int
    sharp_bound: int
    stages: tuple[Stage, ...]
    must: Flags

    @property
    def gap(self) -> float:
        """What may be missing to the optimum, as a share of the sharp bound."""
        return gap(self.value, self.sharp_bound)


def gap(value: int, bound: int) -> float:
    """What may be missing to the optimum, as a share of the bound; never rounded down."""
    return math.ceil((bound - value) / bound * 1e9) / 1e9 if bound > 0 else 0.0


def nobody_waits(progress: Progress) -> bool:
    """Watch nothing and want everything."""
    return True


class Run:
    """A queue on its way to a placing, class by class; `state` goes into JSON, so that another process can go on.

    Raises QueueError where the queue cannot be placed, InfeasibleError where not all can be served that must be, and
    CancelledError when nobody wants the answer any more.
    """

    def __init__(
        self,
        queue: Queue,
        effort: Effort | None = None,
        watch: Watch = nobody_waits,
        warm: Mapping[str, float] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.queue, self.effort, self.watch = queue, effort or Effort(), watch
        self.problem = make_problem(queue)
        self.possible = self.problem.possible()
        self.ranks = np.array([LAST if loan.rank is None else loan.rank for loan in queue.loans], np.int64)
        #: Class 0 is placed together with the first of the others: it is served whatever they are worth.
        self.order = sorted({int(rank) for rank in self.ranks if rank > 0}) or [LAST]
        self.must = self.ranks == 0
        demand_columns(queue, np.bincount(self.problem.loan[self.possible], minlength=self.problem.loans), self.must)
        self.chosen = np.full(self.problem.loans, NONE, np.int64)
        self.stages: list[Stage] = []
        self.prices = self._by_row(warm or {})
        if state is None:
            self._begin()
            return
        self.stages = [Stage(**one) for one in state["stages"]]
        self.must[state["must"]] = True
        self.chosen[self.problem.loan[state["columns"]]] = state["columns"]
        self.prices = self._by_row(state["prices"])
        self._begin()
        if state["turn"]:
            self.search.resume(state["turn"], state["fruitless"], self.prices, self._inside(self.chosen))

    @property
    def finished(self) -> bool:
        """Whether every class has been placed."""
        return len(self.stages) == len(self.order)

    @property
    def progress(self) -> Progress:
        """Value and bound of the class that is being placed."""
        return Progress("", self.search.placing.value, self.search.bound)

    def state(self) -> dict[str, Any]:
        """Where it stands."""
        return {
            "stages": [asdict(stage) for stage in self.stages],
            "must": np.flatnonzero(self.must).tolist(),
            "columns": self.chosen[self.chosen != NONE].tolist(),
            "prices": _by_bucket(self.queue, self.search.prices if self.search.turn else self.prices),
            "turn": self.search.turn,
            "fruitless": self.search.fruitless,
        }

    def advance(self) -> None:
        """Take one turn; after the last one of a class its loans stay served, and the next class begins."""
        search, problem = self.search, self.problem
        search.advance()
        inside = search.placing.chosen
        self.chosen = np.where(inside == NONE, NONE, self.kept[inside] if len(self.kept) else NONE)
        if not search.finished:
            return
        rank = self.order[len(self.stages)]
        of_rank, served = self.ranks == rank, self.chosen != NONE
        value, bound = math.floor(problem.exact_value(self.chosen[served].tolist())), math.ceil(search.bound)
        name = None if rank == LAST else rank
        self.stages.append(
            Stage(name, int(of_rank.sum()), int((of_rank & served).sum()), value, bound, gap(value, bound))
        )
        self.prices = search.prices
        if not self.finished:
            self.must = self.must | (of_rank & served)
            self._begin()

    def result(self) -> Allocation:
        """The placing, counted once more, with prices that bound it."""
        assert self.finished, "not placed yet"
        problem, search = self.problem, self.search
        placing = Placing(problem, self.chosen)
        demand_lawful(problem, placing, self.must)
        prices = search.prices
        bound = math.ceil(search.bound)
        if not self.possible.all():
            pricing = Pricing(problem, self.must)
            again, _ = dual_prices(pricing, self.effort.price_steps // 2, prices, rate=0.02)
            prices = min(prices, published(again), key=pricing.safe_bound)
            bound = math.ceil(pricing.safe_bound(prices))
            # The same prices bound fewer columns at least as well.
            search.take_prices(prices)
        sharp, value = math.ceil(search.bound), self.stages[-1].value
        return Allocation(problem, placing, prices, search.prices, value, bound, sharp, tuple(self.stages), self.must)

    def _begin(self) -> None:
        """Lay out the next class with those before it, from the prices and places there are."""
        rank = self.order[min(len(self.stages), len(self.order) - 1)]
        part, self.kept = self.problem.only(self.possible & (self.ranks <= rank)[self.problem.loan], self.must)
        base = self._inside(self.chosen) if self.stages else None
        self.search = Search(part, self.must, self.effort, self.watch, self.prices, base)

    def _inside(self, chosen: Ints) -> Ints:
        """Columns by their numbers in the part of the problem that is being placed."""
        inside = np.full(len(self.problem.loan), NONE)
        inside[self.kept] = np.arange(len(self.kept))
        return np.where(chosen == NONE, NONE, inside[chosen] if len(inside) else NONE)

    def _by_row(self, prices: Mapping[str, float]) -> Floats:
        return np.array([*(prices.get(one.id, 0.0) for one in self.queue.buckets), 0.0])


def allocate(
    queue: Queue, effort: Effort | None = None, watch: Watch = nobody_waits, warm: Mapping[str, float] | None = None
) -> Allocation:
    """Place a whole queue at once."""
    run = Run(queue, effort, watch, warm)
    while not run.finished:
        run.advance()
    return run.result()


def demand_lawful(problem: Problem, placing: Placing, must: Flags) -> None:
    """Count everything again in whole numbers before anybody is told of it."""
    columns = placing.columns
    assert (problem.loan[columns] == np.flatnonzero(placing.chosen != NONE)).all(), "a column of another loan"
    assert (problem.usage(columns) <= problem.cap).all(), "a limit is broken"
    assert (placing.chosen[must] != NONE).all(), "a loan that must be served is not"


def certificate(made: Allocation, effort: Effort, what_if: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """What is written down of an allocation."""
    problem, queue = made.problem, made.problem.queue
    used = problem.usage(made.placing.columns)
    came = first_come(problem)
    columns = [int(column) for column in made.placing.columns]
    return {
        "format": FORMAT,
        "queue_sha256": queue.digest,
        "value": made.value,
        "bound": made.bound,
        "gap": gap(made.value, made.bound),
        "sharp": {"bound": made.sharp_bound, "gap": made.gap, "prices": _by_bucket(queue, made.sharp_prices)},
        "loans": problem.loans,
        "placed": len(columns),
        "amount": sum(queue.loans[problem.loan[column]].amount for column in columns),
        "carbon": float(sum((queue.loans[problem.loan[column]].carbon for column in columns), Fraction(0))),
        "classes": [asdict(stage) for stage in made.stages],
        "served_first": [queue.loans[number].id for number in np.flatnonzero(made.must)],
        "placing": [
            {
                "loan": queue.loans[problem.loan[column]].id,
                "guarantor": queue.guarantors[problem.guarantor[column]].id,
                "scheme": queue.schemes[problem.scheme[column]].id,
            }
            for column in columns
        ],
        "prices": _by_bucket(queue, made.prices),
        "binding": [
            {
                "bucket": one.id, "kind": one.kind, "keys": list(one.keys), "cap": one.cap, "used": int(taken),
                "price": float(price), "cap_worth": round(float(price) * one.cap),
            }
            for one, taken, price in zip(queue.buckets, used, made.sharp_prices, strict=False)
            if price > 0
        ],
        "refusals": refusals(problem, made.placing, made.sharp_prices),
        "first_come": {"value": math.floor(problem.exact_value(came.columns.tolist())), "placed": len(came.columns)},
        "what_if": list(what_if),
        "effort": asdict(effort),
        "versions": {name: version(name) for name in ("heartwood", "highspy", "numpy", "scipy")}
        | {"python": platform.python_version()},
    }  # fmt: skip


def _by_bucket(queue: Queue, prices: Floats) -> dict[str, float]:
    return {one.id: float(price) for one, price in zip(queue.buckets, prices, strict=False) if price > 0}
