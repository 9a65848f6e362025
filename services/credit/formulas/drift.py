"""Weights of evidence and movement of distributions.        docs/equations/credit.md (C76)-(C80)

g, b  counts of goods and bads in each bin [-]      e, o  reference and observed shares in fixed bins [-]

Sign of evidence here and everywhere: ln(share of goods / share of bads), so more is better.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def weights_of_evidence(goods: ArrayLike, bads: ArrayLike, adjustment: float) -> NDArray[np.float64]:
    """Eq. (C76): evidence of each bin, ln((g + k·G/N) / G') − ln((b + k·B/N) / B'). [-]

    k rows of average risk are added to each bin (primes mark adjusted totals): a bin without bads stays finite and a
    thin bin is drawn towards 0. With k = 0 this is the plain ln(share of goods / share of bads).
    Source: plain form as in scorecard practice; the adjustment is our own; no.

    >>> weights_of_evidence([400, 300, 200, 100], [10, 20, 30, 40], adjustment=0).round(6).tolist()
    [1.386294, 0.405465, -0.405465, -1.386294]
    """
    good, bad = np.asarray(goods, dtype=np.float64), np.asarray(bads, dtype=np.float64)
    rows = good.sum() + bad.sum()
    if adjustment == 0 and (np.any(good == 0) or np.any(bad == 0)):
        raise ValueError("a bin without goods or bads needs a count adjustment above 0")
    good = good + adjustment * good.sum() / rows
    bad = bad + adjustment * bad.sum() / rows
    weights: NDArray[np.float64] = np.log(good / good.sum()) - np.log(bad / bad.sum())
    return weights


def conditional_weights_of_evidence(
    expected_bads: ArrayLike, bads: ArrayLike, adjustment: float
) -> NDArray[np.float64]:
    """Eq. (C77): evidence of each bin beyond what another variable explains, ln((E + k) / (b + k)). [-]

    E counts the bads expected in the bin from the other variable alone. It keeps one bad industry from writing the
    points of every variable that happens to go with it.
    Source: our own; ratio of expected to observed as in standardised mortality; no.

    >>> conditional_weights_of_evidence([30.0, 10.0], [30, 20], adjustment=0).round(6).tolist()
    [0.0, -0.693147]
    """
    expected, bad = np.asarray(expected_bads, dtype=np.float64), np.asarray(bads, dtype=np.float64)
    weights: NDArray[np.float64] = np.log((expected + adjustment) / (bad + adjustment))
    return weights


def information_value(goods: ArrayLike, bads: ArrayLike, weights: ArrayLike) -> float:
    """Eq. (C78): information value, Σ (g/G − b/B)·w. [-]

    Source: scorecard practice; no.

    >>> round(information_value([400, 300, 200, 100], [10, 20, 30, 40],
    ...     weights_of_evidence([400, 300, 200, 100], [10, 20, 30, 40], 0)), 6)
    0.91287
    """
    good, bad = np.asarray(goods, dtype=np.float64), np.asarray(bads, dtype=np.float64)
    return float(np.sum((good / good.sum() - bad / bad.sum()) * np.asarray(weights, dtype=np.float64)))


def population_stability_index(reference: Sequence[float], observed: Sequence[float], least_share: float) -> float:
    """Eq. (C79): population stability index, Σ (o − e)·ln(o / e) over fixed bins. [-]

    Shares below `least_share` are raised to it, or an empty bin would be infinite. Reference scores must be out of
    fold: in-sample ones show overfit as drift.
    Source: scorecard practice, as in optbinning 1.0.0; no.

    >>> population_stability_index([0.5, 0.5], [0.5, 0.5], least_share=1e-4)
    0.0
    """
    expected = np.maximum(np.asarray(reference, dtype=np.float64), least_share)
    found = np.maximum(np.asarray(observed, dtype=np.float64), least_share)
    return float(np.sum((found - expected) * np.log(found / expected)))


def stability_band(index: float, watch_from: float, alarm_above: float) -> str:
    """Eq. (C80): band of a stability index: stable below watch, alarm above the second limit, watch between. [-]

    Source: bands 0.10 and 0.25 as in optbinning 1.0.0; read.

    >>> stability_band(0.12, watch_from=0.10, alarm_above=0.25)
    'watch'
    """
    if index < watch_from:
        return "stable"
    return "alarm" if index > alarm_above else "watch"
