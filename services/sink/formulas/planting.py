"""Allowances of plantings, made before anything is measured.        docs/equations/sink.md (S220)-(S224)

C_k  projected stock at the end of year k [tCO2e]      d  deduction for what is not known yet [-]

An allowance is no credit: it rests on a growth curve, is marked so, and never leaves the accounts it was given to.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.domain import fraction, nonnegative


def yearly_allowance(stocks: ArrayLike, deduction: float) -> NDArray[np.float64]:
    """Eq. (S220): allowance of each year from the stock at its end, (1-d)·max(0, C_k-max_(j<k) C_j). [tCO2e]

    Stocks by (S27), the first before the first year: n+1 of them make n allowances. A loss is regrown before more is
    allowed.
    Source: this project.

    >>> yearly_allowance([0.0, 10.0, 8.0, 15.0], 0.2).tolist()
    [8.0, 0.0, 4.0]
    """
    peaks = np.maximum.accumulate(nonnegative("stock", np.asarray(stocks, dtype=np.float64)))
    return np.asarray((1 - fraction("deduction", deduction)) * np.diff(peaks))


def planting_allowance(stocks: ArrayLike, deduction: float) -> float:
    """Eq. (S221): allowance of a planting over all its years, Σ (S220). [tCO2e]

    Source: this project.

    >>> planting_allowance([0.0, 10.0, 8.0, 15.0], 0.2)
    12.0
    """
    return float(np.sum(yearly_allowance(stocks, deduction)))


def recounted_allowance(grown_kg: ArrayLike, recounted_kg: ArrayLike, settled_years: int) -> NDArray[np.int64]:
    """Eq. (S224): running total after survivors were counted, A_k for k < s, max(A_(s-1), B_k) from then on. [kgCO2e]

    B is the total by the new count. The s settled years keep what could be claimed of them; a loss is regrown first.
    Source: this project.

    >>> recounted_allowance([100, 300, 600, 900], [50, 150, 300, 450], 2).tolist()
    [100, 300, 300, 450]
    """
    before, after = (np.asarray(total, dtype=np.int64) for total in (grown_kg, recounted_kg))
    settled = before[:settled_years]
    floor = settled[-1] if settled_years else 0
    return np.concatenate([settled, np.maximum(floor, after[settled_years:])])


def adopted_allowance(allowance_kg: ArrayLike, adopted_trees: int, planted_trees: int) -> NDArray[np.int64]:
    """Eq. (S222): allowance that goes with some of the trees, ⌊A·n/N⌋ of a running total A in whole kilograms. [kgCO2e]

    Rounded down, so that the adopters together never hold more than the planting.
    Source: this project.

    >>> adopted_allowance([1000, 2500], 1, 3).tolist()
    [333, 833]
    """
    if not 0 <= adopted_trees <= planted_trees or planted_trees < 1:
        raise ValueError("no more trees are adopted than were planted")
    total = np.asarray(allowance_kg, dtype=np.int64)
    nonnegative("allowance", total.astype(np.float64))
    return np.asarray(total * adopted_trees // planted_trees)


def claimable_allowance(grown_kg: ArrayLike, claimed_kg: ArrayLike) -> NDArray[np.int64]:
    """Eq. (S223): what can still be claimed in each year, min_(j≥k) (A_j-U_j) of running totals A and U. [kgCO2e]

    A claim is of what has grown by then, and none may make a later claim fall short.
    Source: this project.

    >>> claimable_allowance([100, 300, 600], [0, 250, 250]).tolist()
    [50, 50, 350]
    """
    left = np.asarray(grown_kg, dtype=np.int64) - np.asarray(claimed_kg, dtype=np.int64)
    return np.asarray(np.minimum.accumulate(left[::-1])[::-1])
