"""Payout of a portfolio guarantee with a cap.        docs/equations/guarantee.md (G63)-(G65)"""

import numpy as np
import numpy.typing as npt

from services.guarantee.formulas.fen import BASIS, share_down


def portfolio_cap(volume: int, guarantee_bp: int, cap_bp: int) -> int:
    """Eq. (G63): most a portfolio guarantee ever pays, volume·rate·cap rate. [fen]

    Source: EIF capped guarantee, from memory. Verified: no.

    >>> portfolio_cap(10_000_000_000, guarantee_bp=8_000, cap_bp=2_500)
    2000000000
    """
    return volume * guarantee_bp * cap_bp // BASIS**2


def capped_payout(loss: int, guarantee_bp: int, cap: int) -> int:
    """Eq. (G64): payout on all losses so far, min(rate·loss, cap). [fen]

    Source: EIF capped guarantee, from memory. Verified: no.

    >>> capped_payout(3_000_000_000, guarantee_bp=8_000, cap=2_000_000_000)
    2000000000
    """
    return min(share_down(loss, guarantee_bp), cap)


def expected_capped_recovery(distribution: npt.ArrayLike, unit: float, reguarantee_share: float, cap: float) -> float:
    """Eq. (G65): what a capped re-guarantee is worth on average, E[min(β·L, cap)]. [fen]

    Source: ours. Verified: no.

    >>> expected_capped_recovery([0.5, 0.25, 0.25], unit=100.0, reguarantee_share=0.3, cap=40.0)
    17.5
    """
    probabilities = np.asarray(distribution, dtype=np.float64)
    losses = np.arange(len(probabilities)) * unit
    return float(probabilities @ np.minimum(reguarantee_share * losses, cap))
