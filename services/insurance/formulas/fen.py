"""Rounding of a modelled amount to money that can be paid.        docs/equations/insurance.md (I1)"""

import math


def whole_fen(amount: float) -> int:
    """Eq. (I1): amount rounded half up to whole fen, ⌊x + ½⌋. [fen]

    Source: project rounding rule. Verified: no.

    >>> whole_fen(267.5), whole_fen(267.49), whole_fen(0.0)
    (268, 267, 0)
    """
    if not math.isfinite(amount):
        raise ValueError(f"not an amount of money: {amount!r}")
    # A product of floats may sit a hair under the half it stands for; a millionth of a fen is below any real price.
    return math.floor(round(amount, 6) + 0.5)
