"""Basis risk: how badly an index misses the loss it stands for.        docs/equations/insurance.md (I83)-(I85)

One entry per year and forest, from years that did not serve to build the index.
"""

import numpy as np
import numpy.typing as npt


def missed_loss_probability(losses: npt.ArrayLike, payouts: npt.ArrayLike) -> float:
    """Eq. (I83): chance of a loss without a payout, P(loss > 0, payout = 0). [-]

    Source: textbook. Verified: no.

    >>> missed_loss_probability([0, 5, 5, 0], [0, 0, 5, 1])
    0.25
    """
    loss, payout = np.asarray(losses, dtype=np.float64), np.asarray(payouts, dtype=np.float64)
    return float(np.mean((loss > 0) & (payout == 0)))


def false_payout_probability(losses: npt.ArrayLike, payouts: npt.ArrayLike) -> float:
    """Eq. (I84): chance of a payout without a loss, P(payout > 0, loss = 0). [-]

    Source: textbook. Verified: no.

    >>> false_payout_probability([0, 5, 5, 0], [0, 0, 5, 1])
    0.25
    """
    loss, payout = np.asarray(losses, dtype=np.float64), np.asarray(payouts, dtype=np.float64)
    return float(np.mean((payout > 0) & (loss == 0)))


def uncovered_share(losses: npt.ArrayLike, payouts: npt.ArrayLike) -> float:
    """Eq. (I85): share of the loss that the payouts leave open, E[(loss − payout)⁺] / E[loss]. [-]

    Source: textbook. Verified: no.

    >>> uncovered_share([0, 5, 5, 0], [0, 0, 5, 1])
    0.5
    """
    loss, payout = np.asarray(losses, dtype=np.float64), np.asarray(payouts, dtype=np.float64)
    return float(np.maximum(loss - payout, 0).mean() / loss.mean())
