"""Money: Decimal yuan at the border of formulas, integer fen inside a split, one rounding rule."""

import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, InvalidOperation

CURRENCY = "CNY"
FEN = Decimal("0.01")
#: An amount as it is written: no sign, no exponent, at most 15 digits before and 2 after the point. Fits NUMERIC(18,2).
AMOUNT_PATTERN = r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,2})?$"
_AMOUNT = re.compile(AMOUNT_PATTERN, re.ASCII)


def yuan(value: float | int | Decimal) -> Decimal:
    """Round a formula's result to the fen, half up: the only rounding of money in the house. [CNY]

    >>> yuan(2.675), yuan(Decimal("1000"))
    (Decimal('2.68'), Decimal('1000.00'))
    """
    try:
        # repr() is the shortest decimal that reads back as the same float, so 2.675 rounds as a person expects.
        exact = Decimal(value) if isinstance(value, int | Decimal) else Decimal(repr(float(value)))
        rounded = exact.quantize(FEN, rounding=ROUND_HALF_UP)
    except InvalidOperation:
        raise ValueError(f"not an amount of money: {value!r}") from None
    # A quiet NaN passes through quantize; a zero that was rounded from below must not keep its sign.
    if not rounded.is_finite():
        raise ValueError(f"not an amount of money: {value!r}")
    return rounded or abs(rounded)


def yuan_up(value: float) -> Decimal:
    """Round up to the fen what must suffice: a shortfall, say. Noise below a ten-thousandth of a fen is passed over.

    >>> yuan_up(0.001), yuan_up(12.34 + 1e-12)
    (Decimal('0.01'), Decimal('12.34'))
    """
    exact = Decimal(repr(value)).quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)
    return exact.quantize(FEN, rounding=ROUND_CEILING)


def amount(text: str) -> Decimal:
    """Read an amount as people and events write it; refuse signs, exponents and thirds of a fen.

    >>> amount("1000.5")
    Decimal('1000.50')
    """
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise ValueError(f'an amount is a string such as "1000.00", with at most two decimals: {text!r}')
    return Decimal(text).quantize(FEN)


def fen(value: Decimal) -> int:
    """Turn an amount into integer fen; refuse one that is finer than a fen.

    >>> fen(Decimal("10.01"))
    1001
    """
    scaled = value * 100
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"finer than a fen: {value}")
    return int(scaled)


def from_fen(value: int) -> Decimal:
    """Turn integer fen into an amount. [CNY]"""
    return (Decimal(value) / 100).quantize(FEN)


def split(total: Decimal, shares: Sequence[int]) -> list[Decimal]:
    """Split an amount by shares with the largest remainder, ties to the earlier party; the parts sum to the total.

    >>> split(Decimal("10000.01"), [4000, 3000, 2000, 1000])
    [Decimal('4000.01'), Decimal('3000.00'), Decimal('2000.00'), Decimal('1000.00')]
    """
    whole, cents = sum(shares), fen(total)
    if whole <= 0 or min(shares) < 0 or cents < 0:
        raise ValueError(f"cannot split {total} by {list(shares)}")
    parts = [cents * share // whole for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: (-(cents * shares[i] % whole), i))
    for i in by_remainder[: cents - sum(parts)]:
        parts[i] += 1
    return [from_fen(part) for part in parts]
