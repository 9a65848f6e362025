"""How well a probability orders and how true its level is.        docs/equations/credit.md (C81)-(C87)

y  outcomes, 1 = bad      p  probabilities of bad

Also the screen for columns that know the outcome (C86), (C87).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class BitEvidence:
    """Bad rates on either side of a yes / no question put to a column."""

    rows_yes: int
    rate_yes: float
    rows_no: int
    rate_no: float
    area: float


def area_under_curve(outcomes: ArrayLike, probabilities: ArrayLike) -> float:
    """Eq. (C81): area under the ROC curve, share of bad-good pairs in the right order, ties half. [-]

    Source: Mann-Whitney identity; no.

    >>> area_under_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    bad = np.asarray(outcomes) == 1
    _, place, counts = np.unique(np.asarray(probabilities, dtype=np.float64), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positives, negatives = int(bad.sum()), int((~bad).sum())
    if positives == 0 or negatives == 0:
        raise ValueError("an area needs goods and bads")
    return float((ranks[bad].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def brier_score(outcomes: ArrayLike, probabilities: ArrayLike) -> float:
    """Eq. (C82): Brier score, mean of (p − y)². [-]

    Source: Brier's definition; no.

    >>> brier_score([0, 1], [0.0, 0.5])
    0.125
    """
    return float(np.mean((np.asarray(probabilities, dtype=np.float64) - np.asarray(outcomes, dtype=np.float64)) ** 2))


def calibration_error(outcomes: ArrayLike, probabilities: ArrayLike, bins: int) -> float:
    """Eq. (C83): expected calibration error, Σ share·abs(mean p − mean y) over quantile bins. [-]

    Source: usual definition on equal-count bins; no.

    >>> calibration_error([0, 1], [0.25, 0.75], bins=2)
    0.25
    """
    actual, stated = np.asarray(outcomes, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(stated, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) * abs(stated[part].mean() - actual[part].mean()) for part in parts) / len(actual))


def kolmogorov_smirnov(outcomes: ArrayLike, probabilities: ArrayLike) -> float:
    """Eq. (C84): largest distance between the distributions of bads and goods, max abs(F bad − F good). [-]

    Source: Kolmogorov-Smirnov statistic; no.

    >>> kolmogorov_smirnov([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])
    1.0
    """
    bad, stated = np.asarray(outcomes) == 1, np.asarray(probabilities, dtype=np.float64)
    points = np.unique(stated)
    of_bads = np.searchsorted(np.sort(stated[bad]), points, side="right") / bad.sum()
    of_goods = np.searchsorted(np.sort(stated[~bad]), points, side="right") / (~bad).sum()
    return float(np.max(np.abs(of_bads - of_goods)))


def level_shift(log_odds: ArrayLike, target_mean: float) -> float:
    """Eq. (C85): shift d of the log odds so that the mean of logistic(log odds + d) is the target. [-]

    Source: recalibration in the large; no.

    >>> round(level_shift([0.0, 0.0], target_mean=0.75), 9)
    1.098612289
    """
    if not 0 < target_mean < 1:
        raise ValueError(f"a mean probability lies in (0, 1), got {target_mean}")
    odds = np.asarray(log_odds, dtype=np.float64)
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        if np.mean(1 / (1 + np.exp(-(odds + middle)))) < target_mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def bit_evidence(outcomes: ArrayLike, answers: ArrayLike) -> BitEvidence | None:
    """Eq. (C86): bad rates where a yes / no question holds and where not, and the area ½ + ½·abs(TPR − FPR). [-]

    None when all rows answer alike.
    Source: our own screen for leaking columns; no.

    >>> bit_evidence([1, 0, 0, 0], [True, False, False, False]).area
    1.0
    """
    bad, yes = np.asarray(outcomes) == 1, np.asarray(answers, dtype=bool)
    if yes.all() or not yes.any() or bad.all() or not bad.any():
        return None
    area = 0.5 + 0.5 * abs(float(yes[bad].mean()) - float(yes[~bad].mean()))
    return BitEvidence(int(yes.sum()), float(bad[yes].mean()), int((~yes).sum()), float(bad[~yes].mean()), area)


def single_column_area(outcomes: ArrayLike, values: Sequence[str], folds: int, prior_rows: float) -> float:
    """Eq. (C87): area of one column alone, each value scored by the bad rate of that value in the other folds. [-]

    Values are taken as names, so a leak is found whatever one-to-one disguise its numbers wear; `prior_rows` rows of
    average risk temper rare values.
    Source: our own screen for leaking columns; no.

    >>> single_column_area([0, 1] * 50, ["paid", "lost"] * 50, folds=5, prior_rows=10)
    1.0
    """
    bad = np.asarray(outcomes, dtype=np.float64)
    _, names = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    # Position over 2 breaks the alternation that a plain stride would share with an ordered file.
    fold = (np.arange(len(bad)) // 2) % folds
    stated: NDArray[np.float64] = np.empty(len(bad))
    for held in range(folds):
        train = fold != held
        base = bad[train].mean()
        losses = np.bincount(names[train], weights=bad[train], minlength=int(names.max()) + 1)
        counts = np.bincount(names[train], minlength=int(names.max()) + 1)
        stated[~train] = ((losses + prior_rows * base) / (counts + prior_rows))[names[~train]]
    return area_under_curve(bad, stated)
