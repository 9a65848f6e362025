"""Tonnes as they are kept: to the kilogram, rounded to whichever side is the honest one."""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from services.sink.formulas.domain import Numbers

_KILOGRAM = Decimal("0.001")
#: Noise of floating point below this is no mass.
_NOISE = Decimal("0.000001")


def tonnes_up(value: Numbers) -> Decimal:
    """Round emissions up to the kilogram: less would not make up for them. [tCO2e]

    >>> tonnes_up(1.2340001), tonnes_up(0.1 + 0.2)
    (Decimal('1.235'), Decimal('0.300'))
    """
    return _exact(value).quantize(_KILOGRAM, rounding=ROUND_CEILING)


def tonnes_of(value: Numbers) -> Decimal:
    """Round to the nearest kilogram, for showing. [tCO2e]"""
    return _exact(value).quantize(_KILOGRAM, rounding=ROUND_HALF_UP)


def kilograms(tonnes: Decimal) -> int:
    """Tonnes to the kilogram as whole kilograms."""
    return int(tonnes * 1000)


def _exact(value: Numbers) -> Decimal:
    # The noise goes first, or a sum that is whole in decimals would be rounded up by a kilogram.
    return Decimal(repr(float(value))).quantize(_NOISE, rounding=ROUND_HALF_UP)
