"""Fields and requests that several nouns share."""

from typing import Any

from marshmallow import validate

from shared.fields import Base, Flag, Money, Quantity

CODE = validate.Regexp(r"[a-z0-9][a-z0-9-]{1,62}\Z", error="A code of lower-case letters, digits and hyphens.")


HASH = validate.Regexp(r"[0-9a-f]{64}\Z", error="A SHA-256 in lower-case hexadecimal.")


def rate(**more: Any) -> Quantity:
    """A share or rate with eight decimals."""
    return Quantity(places=8, minimum=None, allow_none=True, **more)


def money(**more: Any) -> Money:
    """An amount in a response; may be unknown."""
    return Money(allow_none=True, **more)


class EmptyRequest(Base):
    """Nothing to say beyond the address."""


__all__ = ["CODE", "HASH", "EmptyRequest", "Flag", "money", "rate"]
