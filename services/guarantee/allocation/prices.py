"""Prices of limits by Lagrangian relaxation, and the bound that any prices give.

λ  price of each row  [fen per unit]      b  caps      R  uses      v  values

For any λ ≥ 0, L(λ) = λ·b + Σ_i max(0, max_j (v_ij − λ·R_ij)) is at least the value of every placing: what the rows
leave is paid for at λ, and each loan is free to take its best column. So a solver need not be believed: whatever its
duals are, L is worked out here from them.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from services.guarantee.allocation.problem import Flags, Floats, Ints, Problem

#: Digits of a published price.
DIGITS = 10


class Pricing:
    """A problem laid out for pricing all of its columns at once."""

    def __init__(self, problem: Problem, must: Flags) -> None:
        self.problem, self.must = problem, must
        columns, kinds = problem.row.shape
        self.cap = problem.cap.astype(np.float64)
        self.cap[-1] = 0.0
        # Shares its indices with the problem and costs one array of floats.
        self.uses = sp.csr_matrix(
            (
                problem.use.ravel().astype(np.float64),
                problem.row.ravel().astype(np.int32),
                np.arange(0, columns * kinds + 1, kinds),
            ),
            shape=(columns, problem.rows),
        )
        counts = np.diff(problem.start)
        #: Loans that have a column, and the first column of each.
        self.open = np.flatnonzero(counts)
        self.first = problem.start[:-1][self.open]

    def reduced(self, prices: Floats) -> Floats:
        """Value of each column less the price of what it takes. [fen]"""
        return np.asarray(self.problem.value - self.uses @ prices)

    def best(self, reduced: Floats) -> Floats:
        """The best reduced value of each loan that has a column. [fen]"""
        return np.maximum.reduceat(reduced, self.first) if len(self.first) else np.zeros(0)

    def choice(self, reduced: Floats, best: Floats) -> Ints:
        """The best column of each loan that gains by one, the first of equals."""
        hit = np.flatnonzero(reduced == np.repeat(best, np.diff([*self.first, len(reduced)])))
        loans, at = np.unique(self.problem.loan[hit], return_index=True)
        return np.asarray(hit[at][(best > 0) | self.must[loans]], np.int64)

    def lagrangian(self, prices: Floats, best: Floats) -> float:
        """L(λ), as near as floats are. [fen]"""
        return float(prices @ self.cap + self._gains(best).sum())

    def _gains(self, best: Floats) -> Floats:
        return np.where(self.must[self.open], best, np.maximum(best, 0.0))

    def safe_bound(self, prices: Floats) -> float:
        """L(λ) rounded outward: not below the exact one at these prices. [fen]

        Each product and sum is off by at most half a unit in the last place of what is added up, so the sum of all
        magnitudes times the number of roundings on the way covers the whole error.
        """
        best = self.best(self.reduced(prices))
        magnitude = np.abs(self.problem.value).sum() + self.most_paid(prices)
        steps = self.problem.row.shape[1] + 40 + np.log2(len(self.first) + 2)
        return float(self.lagrangian(prices, best) + magnitude * steps * np.finfo(float).eps)

    def most_paid(self, prices: Floats) -> float:
        """Largest sum of prices times magnitudes that pricing can meet. [fen]"""
        paid = abs(self.uses) @ prices
        return float(self.best(paid).sum() + prices @ self.cap)


def published(prices: Floats) -> Floats:
    """Prices with DIGITS significant digits, none below 0, so that anybody can work with the same ones."""
    return np.array([float(f"{max(price, 0.0):.{DIGITS}g}") for price in prices])


def dual_prices(
    pricing: Pricing,
    steps: int,
    start: Floats | None = None,
    rate: float = 0.1,
    tell: Callable[[int, float], None] | None = None,
) -> tuple[Floats, float]:
    """Descend on L by projected Adam, the step falling a hundredfold; the best prices met, and their L.

    Prices move in units of what a row's columns are worth for what they take of it, so that one step suits all rows.
    """
    problem = pricing.problem
    worth, taken, touched = np.zeros(problem.rows), np.zeros(problem.rows), np.zeros(problem.rows)
    np.add.at(worth, problem.row, problem.value[:, None] * (problem.use != 0))
    np.add.at(taken, problem.row, np.abs(problem.use).astype(np.float64))
    np.add.at(touched, problem.row, (problem.use != 0).astype(np.float64))
    worth[-1] = 0.0
    unit = worth / np.maximum(taken, 1.0)
    # A row smaller than one use of it is measured by that.
    size = np.maximum(pricing.cap, np.maximum(taken / np.maximum(touched, 1.0), 1.0))
    y = np.zeros(problem.rows) if start is None else np.where(unit > 0, start / np.where(unit > 0, unit, 1.0), 0.0)
    first, second = np.zeros_like(y), np.zeros_like(y)
    found, lowest = y.copy(), np.inf
    for step in range(1, steps + 1):
        reduced = pricing.reduced(y * unit)
        best = pricing.best(reduced)
        value = pricing.lagrangian(y * unit, best)
        if value < lowest:
            found, lowest = y.copy(), value
        slope = (pricing.cap - problem.usage(pricing.choice(reduced, best))) / size
        first += 0.1 * (slope - first)
        second += 0.01 * (slope * slope - second)
        move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-12)
        y = np.maximum(y - rate * 100 ** (-step / steps) * move, 0.0)
        if tell is not None:
            tell(step, lowest)
    return found * unit, lowest
