"""Non-permanence risk and the tonnes set aside for it.        docs/equations/sink.md (S48)-(S53), (S153)

LS  score of loss and recurrence [points]      M  mitigation factor [-]

One programme's rule applies to one asset: a risk rating with its pooled buffer, or a flat share; never both.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.sink.formulas.domain import Numbers, fraction, nonnegative


def loss_score(
    loss_share: Numbers,
    return_period_years: Numbers,
    loss_bounds: Sequence[float],
    period_bounds: Sequence[float],
    scores: ArrayLike,
) -> NDArray[np.float64]:
    """Eq. (S48): natural-risk points of a loss share at a return period, table, lower bounds inclusive. [points]

    Rows run from small losses to great ones, columns from frequent events to rare ones. A cell that fails outright
    holds a score above every cap.
    Source: Verra AFOLU NPRT v4.2, natural risk table.

    >>> float(loss_score(0.3, 30, (0.25, 0.5), (10, 25), [[4, 3, 2], [9, 6, 4], [20, 9, 6]]))
    4.0
    """
    row = np.searchsorted(np.asarray(loss_bounds), fraction("loss share", loss_share), side="right")
    column = np.searchsorted(np.asarray(period_bounds), nonnegative("period", return_period_years), side="right")
    return np.asarray(np.asarray(scores, dtype=np.float64)[row, column])


def natural_risk_score(loss_score: Numbers, mitigation: Numbers) -> Numbers:
    """Eq. (S49): natural risk score of one peril, LS·M. [points]

    Source: Verra AFOLU NPRT v4.2.

    >>> natural_risk_score(4, 0.5)
    2.0
    """
    return loss_score * fraction("mitigation", mitigation)


def total_risk_score(internal: Numbers, external: Numbers, natural: Numbers) -> Numbers:
    """Eq. (S50): raw risk score, internal+external+natural. [points]

    Source: Verra AFOLU NPRT v4.2.

    >>> total_risk_score(5, 3, 2.0)
    10.0
    """
    return internal + external + natural


def risk_rating(total_score: Numbers, minimum: float) -> NDArray[np.float64]:
    """Eq. (S51): risk rating, max(minimum, total). [% of the net increase]

    Source: Verra AFOLU NPRT v4.2, minimum 12.

    >>> float(risk_rating(10.0, 12.0))
    12.0
    """
    return np.asarray(np.maximum(minimum, total_score))


def rating_failure(
    internal: float, external: float, natural: float, category_caps: Sequence[float], maximum: float
) -> bool:
    """Eq. (S52): whether the risk is too great for any buffer, total > maximum or a category > its cap. [true or false]

    Source: Verra AFOLU NPRT v4.2, maximum 60, caps 35, 20 and 35; that an exceeded cap fails is a cautious reading.

    >>> rating_failure(20, 15, 30, (35, 20, 35), 60)
    True
    """
    categories = (internal, external, natural)
    exceeded = any(score > cap for score, cap in zip(categories, category_caps, strict=True))
    return exceeded or bool(total_risk_score(internal, external, natural) > maximum)


def buffer_tonnes(net_increase: Numbers, buffer_share: Numbers) -> NDArray[np.float64]:
    """Eq. (S53): tonnes set aside before issuance, share·max(0, increase). [tCO2e]

    Source: Verra AFOLU NPRT v4.2; the share is the rating over 100.

    >>> float(buffer_tonnes(1000.0, 0.12))
    120.0
    """
    return np.asarray(fraction("buffer share", buffer_share) * np.maximum(0.0, net_increase))


def pool_share(pool: Numbers, given: Numbers, drawn: Numbers, *, avoidable: bool) -> NDArray[np.float64]:
    """Eq. (S153): units of the pool open to a loss, P; if avoidable min(P, max(0, given-drawn)). [tCO2e]

    Given and drawn are what the forest brought into the pool and took out of it before. Nobody pays for the
    carelessness of another, and a misfortune is what a pool is for.
    Source: this project; that an avoidable loss is made good by who caused it is the programmes' rule, from memory.

    >>> float(pool_share(100.0, 12.0, 5.0, avoidable=True)), float(pool_share(100.0, 12.0, 5.0, avoidable=False))
    (7.0, 100.0)
    """
    left = nonnegative("pool", pool)
    if not avoidable:
        return np.asarray(left, dtype=np.float64)
    own = nonnegative("units given", given) - nonnegative("units drawn", drawn)
    return np.asarray(np.minimum(left, np.maximum(0.0, own)))
