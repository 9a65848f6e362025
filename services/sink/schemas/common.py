"""Numbers and answers that several nouns share."""

from typing import Any

from shared.fields import Quantity


def share(**more: Any) -> Quantity:
    """A share of a whole, to four places."""
    return Quantity(places=4, maximum="1", **more)


def tonnes(**more: Any) -> Quantity:
    """Tonnes of carbon dioxide, to the kilogram. [tCO2e]"""
    return Quantity(places=3, **more)


def units(**more: Any) -> Quantity:
    """Issued units: whole tonnes. [tCO2e]"""
    return Quantity(places=0, minimum="1", maximum="1000000000", **more)
