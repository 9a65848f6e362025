"""The bad years of a book: event losses, year table, curves, contributions.   docs/equations/insurance.md (I72)-(I82)

N   number of simulated years; a year without events counts with loss 0
RP  return period  [yr]      k = ⌊N/RP⌋ worst years
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def _losses(losses: npt.ArrayLike) -> Array:
    table = np.asarray(losses, dtype=np.float64)
    if not np.all(np.isfinite(table)) or not np.all(table >= 0):
        raise ValueError("a loss is a finite number, not below 0")
    return table


def _worst(years: int, return_period: float) -> int:
    # A return period beyond the table would be extrapolated; a millionth absorbs N/RP such as 99.99999.
    if not 1 <= return_period <= years:
        raise ValueError(f"{years} years say nothing about a return period of {return_period}")
    return math.floor(years / return_period + 1e-6)


def event_losses(losses: npt.ArrayLike) -> Array:
    """Eq. (I72): loss of each event over all forests, Σ over the columns of losses[event, forest]. [CNY]

    Source: CLIMADA repository, unit tests of the impact calculation. Verified: read.

    >>> event_losses([[1, 0, 1], [2, 2, 0]])
    array([2., 4.])
    """
    return np.asarray(_losses(losses).sum(axis=1))


def covered_losses(losses: npt.ArrayLike, covers: npt.ArrayLike) -> Array:
    """Eq. (I73): loss of each forest and event within its cover, min(loss, cover). [CNY]

    Source: CLIMADA repository, unit tests of the impact calculation. Verified: read.

    >>> covered_losses([[1, 0, 1], [2, 2, 0]], [0, 1, 10])
    array([[0., 0., 1.],
           [0., 1., 0.]])
    """
    return np.asarray(np.minimum(_losses(losses), _losses(covers)))


def expected_annual_losses(losses: npt.ArrayLike, frequencies: npt.ArrayLike) -> Array:
    """Eq. (I74): expected loss of each forest in a year, Σ over events of frequency·loss. [CNY/yr]

    Source: CLIMADA repository, unit tests of the impact calculation. Verified: read.

    >>> expected_annual_losses([[1, 0, 1], [2, 2, 0]], [1, 0.1])
    array([1.2, 0.2, 1. ])
    """
    return np.asarray(_losses(frequencies) @ _losses(losses))


def aggregate_losses(years: npt.ArrayLike, losses: npt.ArrayLike, year_count: int) -> Array:
    """Eq. (I75): loss of each year, sum of its events; years are numbered from 1. [CNY]

    Source: OasisLMF year table definitions. Verified: measured.

    >>> aggregate_losses([1, 1, 2], [50, 20, 60], year_count=3)
    array([70., 60.,  0.])
    """
    index = _year_index(years, year_count)
    return np.bincount(index, weights=_losses(losses), minlength=year_count).astype(np.float64)


def occurrence_losses(years: npt.ArrayLike, losses: npt.ArrayLike, year_count: int) -> Array:
    """Eq. (I76): largest event of each year; years are numbered from 1. [CNY]

    Source: OasisLMF year table definitions. Verified: measured.

    >>> occurrence_losses([1, 1, 2], [50, 20, 60], year_count=3)
    array([50., 60.,  0.])
    """
    largest = np.zeros(year_count)
    np.maximum.at(largest, _year_index(years, year_count), _losses(losses))
    return largest


def _year_index(years: npt.ArrayLike, year_count: int) -> npt.NDArray[np.int64]:
    index = np.asarray(years, dtype=np.int64) - 1
    if np.any(index < 0) or np.any(index >= year_count):
        raise ValueError(f"an event lies outside the {year_count} years of the table")
    return index


def average_annual_loss(year_losses: npt.ArrayLike) -> float:
    """Eq. (I77): average annual loss, mean of the aggregate over all N years. [CNY/yr]

    Source: OasisLMF year table definitions. Verified: measured.

    >>> average_annual_loss([70, 60, 0, 45, 0])
    35.0
    """
    return float(_losses(year_losses).mean())


def annual_loss_sd(year_losses: npt.ArrayLike) -> float:
    """Eq. (I78): standard deviation of a year's loss, with N − 1. [CNY/yr]

    Source: OasisLMF year table definitions. Verified: measured.

    >>> annual_loss_sd([0, 2])
    1.4142135623730951
    """
    return float(_losses(year_losses).std(ddof=1))


def loss_at_return_period(year_losses: npt.ArrayLike, return_period: float) -> float:
    """Eq. (I79): loss at a return period (PML), the k-th largest year; of occurrences OEP, of aggregates AEP. [CNY]

    No interpolation, and no extrapolation beyond N years.

    Source: OasisLMF convention, checked on a table of 2,000 years. Verified: measured.

    >>> loss_at_return_period([70, 60, 0, 45, 0], return_period=2.5)
    60.0
    """
    ordered = np.sort(_losses(year_losses))[::-1]
    return float(ordered[_worst(len(ordered), return_period) - 1])


def tail_value_at_risk(year_losses: npt.ArrayLike, return_period: float) -> float:
    """Eq. (I80): mean loss of the k worst years (TVaR). [CNY]

    Source: OasisLMF convention, checked on a table of 2,000 years. Verified: measured.

    >>> tail_value_at_risk([70, 60, 0, 45, 0], return_period=2.5)
    65.0
    """
    ordered = np.sort(_losses(year_losses))[::-1]
    return float(ordered[: _worst(len(ordered), return_period)].mean())


def tail_contributions(part_losses: npt.ArrayLike, return_period: float) -> Array:
    """Eq. (I81): co-TVaR of each part, its mean loss in the k worst years of the sum; parts add up to TVaR. [CNY]

    Parts are rows, years are columns. Equal years are taken in table order, so that a replay gives the same parts.

    Source: Euler allocation. Verified: measured.

    >>> tail_contributions([[0, 10, 0, 40], [5, 0, 0, 60]], return_period=4)
    array([40., 60.])
    """
    parts = _losses(part_losses)
    worst_first = np.argsort(-parts.sum(axis=0), kind="stable")
    return np.asarray(parts[:, worst_first[: _worst(parts.shape[1], return_period)]].mean(axis=1))


def joining_contribution(
    worst_first: npt.NDArray[np.int64], year_losses: Array, years: npt.NDArray[np.int64], joining: Array,
    return_period: float,
) -> float:  # fmt: skip
    """Eq. (I141): co-TVaR of a policy that joins a book, its mean loss in the k worst years of both. [CNY]

    Only the book's k worst years and those the policy is hit in can be among them, so only those are looked at.
    `worst_first`: the book's years in the order of (I81), counted from 0; `joining`: the losses in `years`, each once.

    Source: Euler allocation, the same as (I81) of book and policy. Verified: measured.

    >>> book = np.array([0.0, 10.0, 30.0, 40.0])
    >>> joining_contribution(np.array([3, 2, 1, 0]), book, np.array([0, 1]), np.array([5.0, 60.0]), return_period=4)
    60.0
    """
    worst = _worst(len(year_losses), return_period)
    both = np.sort(np.concatenate([worst_first[:worst], years]))
    candidates = both[np.concatenate([[True], both[1:] != both[:-1]])]
    mine = np.zeros(len(candidates))
    mine[np.searchsorted(candidates, years)] = joining
    kept = np.argsort(-(year_losses[candidates] + mine), kind="stable")[:worst]
    return float(mine[kept].mean())


def thin_return_period(return_period: float, year_count: int) -> bool:
    """Eq. (I82): a return period above N/10 rests on fewer than ten years and is marked. [-]

    Source: project rule. Verified: no.

    >>> thin_return_period(200, year_count=1_000), thin_return_period(100, year_count=1_000)
    (True, False)
    """
    return return_period > year_count / 10
