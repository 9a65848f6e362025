"""One reinsurance contract on an event.        docs/equations/insurance.md (I86)-(I90), (I142)

L  gross loss of a risk (location, policy, account or all together)  [CNY]
Attachments and limits bite after the ceded share; the placed share after the limits. A limit of 0 is none.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def risk_recoveries(
    risk_losses: npt.ArrayLike, ceded_shares: npt.ArrayLike, risk_attachment: float, risk_limit: float
) -> Array:
    """Eq. (I86): ceded loss of each risk, c = min(max(share·L − attachment, 0), limit). [CNY]

    Source: OasisLMF repository, validation/reinsurance1; checked on its single-contract units. Verified: measured.

    >>> risk_recoveries([100.0, 50.0], 0.2, risk_attachment=0.0, risk_limit=15.0)
    array([15., 10.])
    """
    losses, shares = np.asarray(risk_losses, dtype=np.float64), np.asarray(ceded_shares, dtype=np.float64)
    if not np.all(losses >= 0) or not np.all((shares >= 0) & (shares <= 1)) or min(risk_attachment, risk_limit) < 0:
        raise ValueError("losses and terms are not below 0, shares between 0 and 1")
    ceded = np.maximum(losses * shares - risk_attachment, 0)
    return np.asarray(np.minimum(ceded, risk_limit) if risk_limit > 0 else ceded)


def occurrence_recovery(
    risk_recoveries: npt.ArrayLike, placed_share: float, occurrence_attachment: float, occurrence_limit: float
) -> float:
    """Eq. (I87): recovery of the event, C = placed·min(max(Σc − attachment, 0), limit). [CNY]

    Source: OasisLMF repository, validation/reinsurance1; checked on its single-contract units. Verified: measured.

    >>> occurrence_recovery([15.0, 10.0], placed_share=0.5, occurrence_attachment=5.0, occurrence_limit=0.0)
    10.0
    """
    if not 0 <= placed_share <= 1 or min(occurrence_attachment, occurrence_limit) < 0:
        raise ValueError(f"no recovery at {placed_share}, {occurrence_attachment}, {occurrence_limit}")
    layer = max(float(np.sum(np.asarray(risk_recoveries, dtype=np.float64))) - occurrence_attachment, 0.0)
    return placed_share * (min(layer, occurrence_limit) if occurrence_limit > 0 else layer)


def allocated_recoveries(
    location_losses: npt.ArrayLike, risks: npt.ArrayLike, risk_recoveries: npt.ArrayLike, occurrence_recovery: float
) -> Array:
    """Eq. (I88): recovery back on locations, C·c/Σc over risks, then by loss inside a risk. [CNY]

    risks[location] is the position of its risk among the recoveries.

    Source: OasisLMF repository, validation/reinsurance1; checked on its single-contract units. Verified: measured.

    >>> allocated_recoveries([60.0, 40.0, 50.0], [0, 0, 1], [15.0, 10.0], 10.0)
    array([3.6, 2.4, 4. ])
    """
    losses, risk = np.asarray(location_losses, dtype=np.float64), np.asarray(risks, dtype=np.int64)
    ceded = np.asarray(risk_recoveries, dtype=np.float64)
    of_risk = np.bincount(risk, weights=losses, minlength=len(ceded))[risk]
    whole = float(ceded.sum())
    if whole == 0:
        return np.zeros_like(losses)
    inside = np.divide(losses, of_risk, out=np.zeros_like(losses), where=of_risk > 0)
    return np.asarray(occurrence_recovery * ceded[risk] / whole * inside)


def reinstatement_premium(premium: float, recovery: float, limit: float, rate: float, time_share: float = 1.0) -> float:
    """Eq. (I89): premium to restore a used limit, premium·rate·(recovery/limit)·time share. [CNY]

    Source: market practice, pro rata as to amount. Verified: no.

    >>> reinstatement_premium(premium=100.0, recovery=30.0, limit=60.0, rate=1.0)
    50.0
    """
    return premium * rate * min(recovery / limit, 1.0) * time_share


def surplus_shares(sums_insured: npt.ArrayLike, retained_line: float, lines: float) -> Array:
    """Eq. (I142): share of each risk that a surplus takes, min(max(SI − R, 0), n·R) / SI. [-]

    Source: surplus treaty, textbook. Verified: no.

    >>> surplus_shares([80.0, 400.0, 2_000.0], retained_line=100.0, lines=9)
    array([0.  , 0.75, 0.45])
    """
    sums = np.asarray(sums_insured, dtype=np.float64)
    if not np.all(sums > 0) or retained_line <= 0 or lines < 0:
        raise ValueError(f"no surplus of {lines} lines of {retained_line}, or of a sum insured that is not above 0")
    return np.asarray(np.minimum(np.maximum(sums - retained_line, 0), lines * retained_line) / sums)


def stop_loss_recovery(year_losses: npt.ArrayLike, attachment: float, limit: float) -> Array:
    """Eq. (I90): recovery of a stop loss on each year's aggregate, min(max(S − attachment, 0), limit). [CNY]

    Source: textbook. Verified: no.

    >>> stop_loss_recovery([50.0, 150.0, 500.0], attachment=100.0, limit=200.0)
    array([  0.,  50., 200.])
    """
    return np.asarray(np.clip(np.asarray(year_losses, dtype=np.float64) - attachment, 0, limit))
