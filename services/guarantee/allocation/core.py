"""The undecided part of a placing as a linear or an integer model, solved by HiGHS.

What the solver answers is only a proposal. Its columns are counted again in whole numbers by placing.py, and its duals
become a bound only by way of L(λ) in prices.py: nothing here is believed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np

from services.guarantee.allocation.placing import NONE, Placing
from services.guarantee.allocation.problem import Flags, Floats, Ints, Problem

#: Rows are scaled to about 1; large ones are shaved by the solver's own tolerance, so that what it calls feasible is.
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Limits:
    """Where the solver stops. Counts, so that a run replays; the clock is only there for a solver that hangs."""

    nodes: int = 5
    gap: float = 1e-4
    seed: int = 1
    seconds: float = 300.0


@dataclass(frozen=True)
class Proposal:
    """What HiGHS answered: how far each column is taken, prices of the rows [fen per unit], and its own bound [fen]."""

    taken: Floats
    prices: Floats
    bound: float
    status: str


class Core:
    """A model of the loans that are free, while all others stay where they are."""

    def __init__(
        self, problem: Problem, placing: Placing, columns: Ints, must: Flags, wanted: Callable[[], bool], limits: Limits
    ) -> None:
        """`columns` are all that may ever be in it, sorted by loan; which are, `add` says."""
        self.problem, self.limits = problem, limits
        self.loans = np.unique(problem.loan[columns])
        now = placing.chosen[self.loans]
        room = placing.room + problem.usage(now[now != NONE])
        self.columns, self.scale = np.zeros(0, np.int64), float(np.abs(problem.value[columns]).max(initial=1.0))
        self._at = np.full(problem.loans, -1)
        self._at[self.loans] = np.arange(len(self.loans))
        most, largest = np.zeros(problem.rows), np.ones(problem.rows)
        use = problem.use[columns].astype(np.float64)
        # Of a loan's columns at most one is taken, so no row fills up with more than the largest of each loan.
        for kind in range(use.shape[1]):
            np.add.at(most, problem.row[columns, kind], np.maximum(use[:, kind], 0.0))
            np.maximum.at(largest, problem.row[columns, kind], np.abs(use[:, kind]))
        cap = room.astype(np.float64)
        self.tight = np.flatnonzero(most[:-1] > cap[:-1])
        self._row = np.full(problem.rows, -1)
        self._row[self.tight] = len(self.loans) + np.arange(len(self.tight))
        self._unit = np.maximum(largest, np.abs(cap) / 1e3)
        self._solver = solver = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy says nothing of it
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("random_seed", limits.seed),
            ("mip_max_nodes", limits.nodes),
            ("mip_rel_gap", limits.gap),
            ("time_limit", limits.seconds),
            ("mip_feasibility_tolerance", TOLERANCE),
            ("primal_feasibility_tolerance", TOLERANCE),
        ):
            solver.setOptionValue(name, value)

        def look(event: highspy.HighsCallbackEvent) -> None:
            event.interrupt(not wanted())

        solver.cbSimplexInterrupt += look
        solver.cbMipInterrupt += look
        full = cap[self.tight] / self._unit[self.tight]
        # Uses are whole: where the tolerance is less than half of one, a row may be filled to its brim.
        shaved = np.where(self._unit[self.tight] * TOLERANCE < 0.5, 0.0, TOLERANCE * np.clip(full, 0.0, 1.0))
        upper = np.concatenate([np.ones(len(self.loans)), full - shaved])
        lower = np.full(len(upper), -highspy.kHighsInf)
        lower[: len(self.loans)][must[self.loans]] = 1.0
        nothing = np.zeros(0)
        solver.addRows(len(upper), lower, upper, 0, np.zeros(len(upper), np.int32), nothing.astype(np.int32), nothing)

    def add(self, columns: Ints) -> int:
        """Let columns in that are not in yet; how many there were."""
        problem = self.problem
        columns = np.setdiff1d(columns, self.columns)
        if not len(columns):
            return 0
        row, use = self._row[problem.row[columns]], problem.use[columns] / self._unit[problem.row[columns]]
        row = np.concatenate([self._at[problem.loan[columns]][:, None], row], axis=1)
        use = np.concatenate([np.ones((len(columns), 1)), use], axis=1)
        kept = (row >= 0) & (use != 0)
        starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])[:-1]
        self._solver.addCols(
            len(columns), -problem.value[columns] / self.scale, np.zeros(len(columns)), np.ones(len(columns)),
            int(kept.sum()), starts.astype(np.int32), row[kept].astype(np.int32), use[kept],
        )  # fmt: skip
        self.columns = np.concatenate([self.columns, columns])
        return len(columns)

    def solve(self, now: Ints | None = None) -> Proposal | None:
        """Solve as a line, or in whole numbers from what the loans have now; None if there is no answer."""
        solver, whole = self._solver, now is not None
        if now is not None:
            solver.changeColsIntegrality(
                len(self.columns), np.arange(len(self.columns), dtype=np.int32),
                np.full(len(self.columns), highspy.HighsVarType.kInteger),
            )  # fmt: skip
            start = highspy.HighsSolution()
            start.col_value = np.isin(self.columns, now).astype(np.float64).tolist()
            solver.setSolution(start)
        solver.run()
        solution, info = solver.getSolution(), solver.getInfo()
        taken = np.asarray(solution.col_value)
        if len(taken) != len(self.columns) or not np.isfinite(taken).all():
            return None
        prices = np.zeros(self.problem.rows)
        if not whole:
            # HiGHS minimises -v: prices are minus the duals, per unit of use once the scale of the row is taken out.
            dual = np.maximum(-np.asarray(solution.row_dual)[len(self.loans) :], 0.0)
            prices[self.tight] = dual * self.scale / self._unit[self.tight]
        value = -float(info.mip_dual_bound if whole else info.objective_function_value) * self.scale
        return Proposal(taken, prices, value, solver.modelStatusToString(solver.getModelStatus()))
