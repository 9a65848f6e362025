"""Covenants of many loans at once, one array element for each.        docs/equations/credit.md (C96)-(C101), (C111)

What (C18), (C19), (C22), (C24), (C66), (C88) say of one loan, for a block of them; NaN is a value that is not known.
It stays unknown to the end: no ratio, and neither covered nor cured.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]


def pledge_values(value: Floats, tonnes: Floats, forecast: Floats, pledged: Floats, haircut: Floats) -> Floats:
    """Eq. (C96): value each pledge counts for, V·t / max(forecast, all pledged, t)·(1 − h). [CNY]

    Source: (C18) and (C88) by element; no.

    >>> pledge_values(*(np.array([one]) for one in (1_000_000.0, 5_000.0, 10_000.0, 5_000.0, 0.2)))
    array([400000.])
    """
    share = tonnes / np.maximum(np.maximum(forecast, pledged), tonnes)
    return value * share * (1 - haircut)


def sums(parts: Floats, owner: Whole, count: int) -> Floats:
    """Eq. (C97): sum of the parts of each of n owners, Σ x over owner = i; unknown as soon as one part is. [-]

    Source: definition; no.

    >>> sums(np.array([1.0, 2.0, np.nan]), np.array([0, 0, 1]), count=3)
    array([ 3., nan,  0.])
    """
    # Without any owner, bincount forgets that it sums floats.
    return np.bincount(owner, weights=parts, minlength=count).astype(np.float64)


def loan_to_values(balance: Floats, value: Floats) -> Floats:
    """Eq. (C98): loan to value of each loan, B / V; infinite on a pledge worth nothing, 0 without a debt. [-]

    Source: (C19) by element; no.

    >>> loan_to_values(np.array([600.0, 600.0, 0.0, 600.0]), np.array([1000.0, 0.0, 0.0, np.nan]))
    array([0.6, inf, 0. , nan])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(balance == 0, 0.0, balance / value)


def shortfalls(balance: Floats, value: Floats, cure: Floats) -> Whole:
    """Eq. (C99): cash that brings each loan back to its cure level, ⌈max(0, B − L·V)⌉; all of B if unknown. [fen]

    Rounded up, so that whoever pays it has cured the call; noise below a ten-thousandth of a fen is passed over.
    Source: (C22) by element; no.

    >>> shortfalls(np.array([600_000.0, 600_000.0]), np.array([700_000.0, np.nan]), np.array([0.7, 0.7]))
    array([11000000, 60000000])
    """
    missing = np.where(np.isnan(value), balance, np.maximum(0.0, balance - cure * value))
    micro = np.rint(missing * 1e6).astype(np.int64)
    return -(-micro // 10_000)


def margins_broken(ratio: Floats, margin: Floats, cure: Floats, called: Flags) -> Flags:
    """Eq. (C100): whether each loan is above its level, that of the cure once called; unknown is above. [-]

    Source: (C24) by element; no.

    >>> margins_broken(np.array([0.72, 0.72, np.nan]), np.full(3, 0.75), np.full(3, 0.7), np.array([True, False, True]))
    array([ True, False,  True])
    """
    if np.any(cure > margin):
        raise ValueError("a cure level lies above its margin level")
    return ~(ratio <= np.where(called, cure, margin))


def weakest_covers(
    income: Floats, service: Floats, owner: Whole, year: Whole, count: int
) -> tuple[Floats, NDArray[Any]]:
    """Eq. (C101): weakest cover of debt service over each loan's issuance years, min income / service, its year. [-]

    Of a loan without an issuance year, or whose service is unknown (NaN), it is unknown, and the year 0.
    Source: (C66) by element, over the years in which an issuance falls; no.

    >>> weakest_covers(*(np.array(one) for one in ([120.0, 90.0], [100.0, 100.0], [0, 0], [2030, 2031])), count=2)
    (array([0.9, nan]), array([2031,    0]))
    """
    weakest, when = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        cover = np.where(service > 0, income / service, np.where(service == 0, np.inf, np.nan))
    known = np.flatnonzero(~np.isnan(cover))
    # The weakest year of each loan comes first; of equal ones the earliest.
    known = known[np.lexsort((year[known], cover[known], owner[known]))]
    owners, first = np.unique(owner[known], return_index=True)
    weakest[owners], when[owners] = cover[known][first], year[known][first]
    return weakest, when


def stressed_values(value: Floats, price_change: float, burnt: Flags, loss_given_fire: float) -> Floats:
    """Eq. (C111): value under stress, V·(1 + Δp), and of a burnt forest times (1 − loss given fire). [CNY]

    Carbon value is taken as proportional to its price, as in (C25).
    Source: our own rule; no.

    >>> stressed_values(np.array([100.0, 100.0]), -0.35, np.array([False, True]), 0.6).round(6).tolist()
    [65.0, 26.0]
    """
    if price_change < -1 or not 0 <= loss_given_fire <= 1:
        raise ValueError(
            f"no price falls by more than it is, no fire takes more than all: {price_change}, {loss_given_fire}"
        )
    return value * (1 + price_change) * np.where(burnt, 1 - loss_given_fire, 1.0)
