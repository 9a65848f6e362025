"""A placing under construction: a column or none for each loan, and the room left in each row, in whole numbers."""

from collections.abc import Iterable

import numpy as np

from services.guarantee.allocation.problem import Flags, Floats, Ints, Problem

NONE = -1


class Placing:
    """One column or none for each loan; nothing is ever added that a row has no room for."""

    def __init__(self, problem: Problem, chosen: Ints | None = None) -> None:
        self.problem = problem
        self.chosen = np.full(problem.loans, NONE, np.int64) if chosen is None else chosen.copy()
        self.room = problem.cap - problem.usage(self.columns)

    @property
    def columns(self) -> Ints:
        """The columns taken, by loan."""
        return np.asarray(self.chosen[self.chosen != NONE], np.int64)

    @property
    def value(self) -> float:
        """Value, as near as floats are. [fen]"""
        return float(self.problem.value[self.columns].sum())

    def copy(self) -> "Placing":
        """Another one with the same columns."""
        return Placing(self.problem, self.chosen)

    def put(self, loan: int, column: int) -> None:
        """Take a column, or none, instead of what the loan has; the caller has seen that it fits."""
        problem, old = self.problem, int(self.chosen[loan])
        if old != NONE:
            self.room[problem.row[old]] += problem.use[old]
        if column != NONE:
            self.room[problem.row[column]] -= problem.use[column]
        self.room[-1] = problem.cap[-1]
        self.chosen[loan] = column

    def fits(self, column: int) -> bool:
        """Whether every row has room for a column more."""
        problem = self.problem
        left = self.room[problem.row[column]]
        use = problem.use[column]
        return bool((use <= np.maximum(left, 0)).all())

    def fill_columns(self, loans: Ints, columns: Ints) -> None:
        """Take columns in the order given, one a loan, as long as they fit."""
        rows, uses = self.problem.row[columns].tolist(), self.problem.use[columns].tolist()
        room, chosen = self.room.tolist(), self.chosen
        for loan, column, row, use in zip(loans.tolist(), columns.tolist(), rows, uses, strict=True):
            if chosen[loan] == NONE and all(u <= 0 or u <= room[r] for r, u in zip(row, use, strict=True)):
                for r, u in zip(row, use, strict=True):
                    room[r] -= u
                chosen[loan] = column
        self.room = np.array(room, np.int64)
        self.room[-1] = self.problem.cap[-1]

    def fill(self, loans: Iterable[int], order: Ints, first: Ints) -> None:
        """Give each loan that has none the first of its columns that fits; `order` lists a loan's columns from `first`.

        Plain lists: a call of numpy on eight numbers costs more than the eight comparisons.
        """
        problem, room, chosen = self.problem, self.room.tolist(), self.chosen
        for loan in loans:
            if chosen[loan] != NONE:
                continue
            for column in order[first[loan] : first[loan + 1]]:
                rows, uses = problem.row[column].tolist(), problem.use[column].tolist()
                # What brings a loss rate down is always welcome.
                if all(use <= 0 or use <= room[row] for row, use in zip(rows, uses, strict=True)):
                    for row, use in zip(rows, uses, strict=True):
                        room[row] -= use
                    chosen[loan] = column
                    break
        self.room = np.array(room, np.int64)
        self.room[-1] = problem.cap[-1]


def by_preference(problem: Problem, reduced: Floats, least: float) -> tuple[Ints, Ints]:
    """Columns with a reduced value of at least `least`, each loan's best first, and where each loan's begin."""
    kept = np.flatnonzero(reduced >= least)
    order = kept[np.lexsort((-reduced[kept], problem.loan[kept]))]
    counts = np.bincount(problem.loan[order], minlength=problem.loans)
    return order, np.concatenate([[0], np.cumsum(counts)])


def first_come(problem: Problem, *, best: bool = False) -> Placing:
    """Loans in order of arrival, each with the first guarantor that fits, or with its column of most value."""
    placing = Placing(problem)
    preferred = problem.value if best else -np.arange(len(problem.loan), dtype=np.float64)
    placing.fill(range(problem.loans), *by_preference(problem, preferred, -np.inf))
    return placing


def bid_price(problem: Problem, reduced: Floats) -> Placing:
    """Loans in order of arrival, each with its column of most value after prices, if that is positive and fits."""
    placing = Placing(problem)
    placing.fill(range(problem.loans), *by_preference(problem, reduced, np.nextafter(0, 1)))
    return placing


def greedy(problem: Problem, reduced: Floats, must: Flags) -> Placing:
    """Loans that must be served first, then those for whom most depends on it, each with its best column that fits."""
    placing = Placing(problem)
    order, first = by_preference(problem, reduced, -np.inf)
    has = np.diff(first) > 0
    best = np.full(problem.loans, -np.inf)
    best[has] = reduced[order[first[:-1][has]]]
    amount = np.maximum(np.array([one.amount for one in problem.queue.loans], np.float64), 1.0)
    keen = np.lexsort((-best / amount, ~must))
    wanted = keen[must[keen] | (best[keen] > 0)]
    placing.fill(wanted, order, first)
    # Room that is left is worth nothing to anybody else.
    placing.fill(
        keen[has[keen]], *by_preference(problem, np.where(problem.value > 0, reduced, -np.inf), np.finfo(float).min)
    )
    return placing
