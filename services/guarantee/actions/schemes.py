"""Sharing schemes: signed contracts as dated data.

No published split for a carbon loan was found: used for one, each of them is synthetic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from services.guarantee.actions import PARAMETERS
from shared import clock
from shared.parameters import InForce

_PREFIX = "scheme."


@dataclass(frozen=True)
class Scheme:
    """Who bears what of a loan, in basis points, and on what terms."""

    name: str
    shares: Mapping[str, int]
    base: str
    order: str
    #: Most that one household may have under the scheme. [fen]
    household_maximum: int | None
    in_force_from: date
    source: str
    verified: str
    note: str


def scheme(p: InForce, name: str) -> Scheme | None:
    """A scheme in force, or None."""
    entry = p.entries.get(_PREFIX + name)
    if entry is None:
        return None
    value = p[_PREFIX + name]
    return Scheme(
        name=name,
        shares=value["shares"],
        base=value["base"],
        order=value["order"],
        household_maximum=value["household_maximum"],
        in_force_from=entry.from_,
        source=entry.source,
        verified=entry.verified,
        note=entry.note,
    )


def schemes() -> list[Scheme]:
    """The schemes in force today."""
    p = PARAMETERS.at(clock.today())
    names = sorted(name.removeprefix(_PREFIX) for name in p.entries if name.startswith(_PREFIX))
    return [found for name in names if (found := scheme(p, name)) is not None]
