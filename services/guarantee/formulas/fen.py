"""Rounding: half up for a price, up for a use, down for a limit.        docs/equations/guarantee.md (G1)-(G3)"""

import math

BASIS = 10_000


def whole_fen(amount: float) -> int:
    """Eq. (G1): amount rounded half up to whole fen, ⌊x + ½⌋. [fen]

    Source: project rounding rule. Verified: no.

    >>> whole_fen(267.5), whole_fen(267.49)
    (268, 267)
    """
    if not math.isfinite(amount):
        raise ValueError(f"not an amount of money: {amount!r}")
    # A product of floats may sit a hair under the half it stands for; a millionth of a fen is below any real price.
    return math.floor(round(amount, 6) + 0.5)


def share_up(amount: int, share_bp: int) -> int:
    """Eq. (G2): use of a limit, ⌈amount·share/10,000⌉: rounding never hides a breach. [fen]

    Source: project rounding rule. Verified: no.

    >>> share_up(101, 7_500)
    76
    """
    return -(-amount * share_bp // BASIS)


def share_down(amount: int, share_bp: int) -> int:
    """Eq. (G3): limit as a share of an amount, ⌊amount·share/10,000⌋: rounding never lifts a limit. [fen]

    Source: project rounding rule. Verified: no.

    >>> share_down(101, 7_500)
    75
    """
    return amount * share_bp // BASIS
