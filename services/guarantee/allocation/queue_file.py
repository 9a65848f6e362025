"""A queue of loans, guarantors and schemes as JSON (`guarantee-queue/1`, docs/guarantee.md), checked field by field.

Nothing that was not written in the file is assumed: a missing share, a fraction of a fen or a loan that stands twice is
refused with its row and field.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from services.guarantee.allocation.refusal import QueueError

FORMAT = "guarantee-queue/1"
PARTIES = ("primary", "province", "national", "bank", "pool")
#: Kinds of limits, and what each is kept for.
KINDS: Mapping[str, tuple[str, ...]] = {
    "headroom": ("guarantor",),
    "county": ("guarantor", "county"),
    "sector": ("guarantor", "sector"),
    "group": ("guarantor", "group"),
    "obligor": ("guarantor", "obligor"),
    "province": (),
    "national": (),
    "bank": ("bank",),
    "pool": ("county",),
    "loss_rate": ("guarantor",),
}
WHOLE_BP = 10_000
#: Largest amount of one loan and largest cap: sums of the uses then stay far below 2**63. [fen]
MOST_FEN, MOST_CAP = 10**13, 10**18
MOST_LOANS = 200_000


@dataclass(frozen=True)
class Scheme:
    """Who bears what, in basis points, and the largest loan it is for. [fen]"""

    id: str
    shares: Mapping[str, int]
    maximum: int | None


@dataclass(frozen=True)
class Guarantor:
    """A guarantor; the counties it works in, all if None, and the most that one loan may use. [fen]"""

    id: str
    #: For what-if only: the limits of a queue are what its buckets say.
    net_assets: int
    leverage: int
    single_cap: int | None
    counties: frozenset[str] | None


@dataclass(frozen=True)
class Contract:
    """A scheme that a bank and a guarantor signed."""

    bank: str
    guarantor: str
    scheme: str


@dataclass(frozen=True)
class Bucket:
    """A limit. [fen; fen·bp for a loss rate]"""

    id: str
    kind: str
    keys: tuple[str, ...]
    cap: int
    cap_pd_bp: int


@dataclass(frozen=True)
class Loan:
    """A loan in the order of arrival. `rank` 0 must be served, 1 and up are served in this order, None comes last."""

    id: str
    amount: int
    pd_bp: int
    lgd_bp: int
    carbon: Fraction
    weight_bp: int
    bank: str
    county: str
    sector: str
    group: str | None
    obligor: str
    waiting_days: int
    rank: int | None


@dataclass(frozen=True)
class Objective:
    """What a fen of amount, of carbon, of expected loss and a day of waiting are worth. [fen]"""

    amount: Fraction
    carbon: Fraction
    el: Fraction
    waiting_day: Fraction


@dataclass(frozen=True)
class Queue:
    """Everything that a placing depends on."""

    schemes: tuple[Scheme, ...]
    guarantors: tuple[Guarantor, ...]
    contracts: tuple[Contract, ...]
    buckets: tuple[Bucket, ...]
    loans: tuple[Loan, ...]
    objective: Objective
    digest: str


def read_queue(raw: bytes) -> Queue:
    """Read a queue from JSON. Raises QueueError with part, row and field."""
    return make_queue(_document(raw), hashlib.sha256(raw).hexdigest())


def make_queue(given: Mapping[str, Any], digest: str) -> Queue:
    """Check a queue and give it its types. Raises QueueError with part, row and field."""
    if given.get("format") != FORMAT:
        raise QueueError("queue", f"is not {FORMAT}", field="format")
    if given.get("unit", "fen") != "fen":
        raise QueueError("queue", "amounts are whole fen", field="unit")
    for name in ("objective", "schemes", "guarantors", "contracts", "buckets", "loans"):
        if name not in given:
            raise QueueError("queue", "is missing", field=name)
    schemes = _rows(given, "schemes", _scheme)
    guarantors = _rows(given, "guarantors", _guarantor)
    signed = {one.id for one in schemes}, {one.id for one in guarantors}
    contracts = _rows(given, "contracts", lambda row: _contract(row, *signed), key=lambda one: (*vars(one).values(),))
    buckets = _rows(given, "buckets", lambda row: _bucket(row, signed[1]))
    _once("buckets", [(one.kind, *one.keys) for one in buckets], "another row has the same kind and keys")
    loans = _rows(given, "loans", _loan)
    _one_group_each(loans)
    return Queue(schemes, guarantors, contracts, buckets, loans, _objective(given["objective"]), digest)


# -- rows -------------------------------------------------------------------------------------------------------------


class _Row:
    """One row of a part of the queue: hands out its fields, or refuses them by name."""

    def __init__(self, part: str, number: int | None, cells: Any) -> None:
        self.part, self.number = part, number
        if not isinstance(cells, dict):
            raise QueueError(part, "is not an object", number)
        self.cells = cells
        self.name = str(cells.get("id", ""))[:64]

    def refuse(self, field: str, reason: str) -> QueueError:
        return QueueError(self.part, reason, self.number, field, self.name)

    def text(self, field: str) -> str:
        found = self.cells.get(field)
        if not isinstance(found, str) or not found or len(found) > 128:
            raise self.refuse(field, "is missing" if found is None else f"{_shown(found)} is not a name")
        return found

    def maybe_text(self, field: str) -> str | None:
        return None if self.cells.get(field) is None else self.text(field)

    def whole(self, field: str, unit: str, most: int, least: int = 0) -> int:
        found = self.cells.get(field)
        if isinstance(found, float) and found.is_integer() and abs(found) < 2**53:
            found = int(found)
        if found is None:
            raise self.refuse(field, "is missing")
        if isinstance(found, bool) or not isinstance(found, int):
            raise self.refuse(field, f"{_shown(found)} is not a whole number of {unit}")
        if not least <= found <= most:
            raise self.refuse(field, f"{found} {unit} is not between {least} and {most}")
        return found

    def maybe_whole(self, field: str, unit: str, most: int, least: int = 0) -> int | None:
        return None if self.cells.get(field) is None else self.whole(field, unit, most, least)

    def number_of(self, field: str, default: int | None = None) -> Fraction:
        found = self.cells.get(field, default)
        if found is None:
            raise self.refuse(field, "is missing")
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise self.refuse(field, f"{_shown(found)} is not a finite number")
        if not 0 <= found <= MOST_CAP:
            raise self.refuse(field, f"{found} is not between 0 and {MOST_CAP}")
        return Fraction(repr(found))


def _rows(
    given: Mapping[str, Any], part: str, make: Callable[[_Row], Any], key: Callable[[Any], Any] = lambda one: one.id
) -> tuple[Any, ...]:
    rows = given[part]
    if not isinstance(rows, list):
        raise QueueError(part, "is not a list")
    if part == "loans" and len(rows) > MOST_LOANS:
        ids = Counter(str(row.get("id"))[:64] if isinstance(row, dict) else "" for row in rows)
        name, times = ids.most_common(1)[0]
        more = f"; {name!r} alone stands {times:,} times" if times > 1 else ""
        raise QueueError(part, f"{len(rows):,} rows, at most {MOST_LOANS:,} can be placed at once{more}")
    made = [make(_Row(part, number, cells)) for number, cells in enumerate(rows, 1)]
    _once(part, [key(one) for one in made], "stands in an earlier row too")
    return tuple(made)


def _once(part: str, keys: Sequence[Any], reason: str) -> None:
    seen: set[Any] = set()
    for number, key in enumerate(keys, 1):
        if key in seen:
            first, times = keys.index(key) + 1, keys.count(key)
            name = key if isinstance(key, str) else ":".join(key)
            raise QueueError(part, f"{reason}: first in row {first}, {times:,} times in all", number, "id", name)
        seen.add(key)


def _scheme(row: _Row) -> Scheme:
    shares = {party: row.whole(party, "basis points", WHOLE_BP) for party in PARTIES}
    if sum(shares.values()) != WHOLE_BP:
        raise row.refuse("primary", f"the five shares sum to {sum(shares.values())} basis points, not {WHOLE_BP}")
    return Scheme(row.text("id"), shares, row.maybe_whole("maximum", "fen", MOST_CAP))


def _guarantor(row: _Row) -> Guarantor:
    counties = row.cells.get("counties")
    if counties is not None and not (isinstance(counties, list) and all(isinstance(one, str) for one in counties)):
        raise row.refuse("counties", "is neither a list of names nor null")
    return Guarantor(
        row.text("id"),
        row.maybe_whole("net_assets", "fen", MOST_CAP) or 0,
        row.maybe_whole("leverage", "times net assets", 100) or 0,
        row.maybe_whole("single_cap", "fen", MOST_CAP),
        None if counties is None else frozenset(counties),
    )


def _contract(row: _Row, schemes: set[str], guarantors: set[str]) -> Contract:
    made = Contract(row.text("bank"), row.text("guarantor"), row.text("scheme"))
    if made.guarantor not in guarantors:
        raise row.refuse("guarantor", f"no guarantor {made.guarantor!r}")
    if made.scheme not in schemes:
        raise row.refuse("scheme", f"no scheme {made.scheme!r}")
    return made


def _bucket(row: _Row, guarantors: set[str]) -> Bucket:
    kind = row.text("kind")
    if kind not in KINDS:
        raise row.refuse("kind", f"{kind!r} is none of {', '.join(KINDS)}")
    keys = row.cells.get("keys", [])
    if not isinstance(keys, list) or len(keys) != len(KINDS[kind]) or not all(isinstance(one, str) for one in keys):
        raise row.refuse("keys", f"a limit of kind {kind} has the keys [{', '.join(KINDS[kind])}]")
    if KINDS[kind][:1] == ("guarantor",) and keys[0] not in guarantors:
        raise row.refuse("keys", f"no guarantor {keys[0]!r}")
    loss_rate = kind == "loss_rate"
    return Bucket(
        row.text("id"), kind, tuple(keys),
        # A limit that is passed already has no room: it is written as 0.
        row.whole("cap", "fen·bp" if loss_rate else "fen", MOST_CAP),
        row.whole("cap_pd_bp", "basis points", WHOLE_BP) if loss_rate else 0,
    )  # fmt: skip


def _loan(row: _Row) -> Loan:
    name = row.text("id")
    return Loan(
        id=name,
        amount=row.whole("amount", "fen", MOST_FEN, least=1),
        pd_bp=row.whole("pd_bp", "basis points", WHOLE_BP),
        lgd_bp=row.whole("lgd_bp", "basis points", WHOLE_BP),
        carbon=row.number_of("carbon", 0),
        weight_bp=row.whole("weight_bp", "basis points", WHOLE_BP),
        bank=row.text("bank"),
        county=row.text("county"),
        sector=row.text("sector"),
        group=row.maybe_text("group"),
        obligor=row.maybe_text("obligor") or name,
        waiting_days=row.maybe_whole("waiting_days", "days", 36_500) or 0,
        rank=row.maybe_whole("class", "rank", 9),
    )


def _objective(given: Any) -> Objective:
    row = _Row("objective", None, given)
    k = {name: row.number_of(name) for name in ("amount", "carbon", "el")}
    return Objective(**k, waiting_day=row.number_of("waiting_day", 0))


def _one_group_each(loans: Sequence[Loan]) -> None:
    """An obligor stands in one related group, or in none."""
    known: dict[str, tuple[str | None, int]] = {}
    for number, loan in enumerate(loans, 1):
        group, first = known.setdefault(loan.obligor, (loan.group, number))
        if group != loan.group:
            told = f"obligor {loan.obligor!r} is in group {loan.group!r} here and in {group!r} in row {first}"
            raise QueueError("loans", told, number, "group", loan.id)


# -- JSON -------------------------------------------------------------------------------------------------------------


def _document(raw: bytes) -> Mapping[str, Any]:
    try:
        # NaN comes through as a number, so that it is refused with its row and field.
        read = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=float)
    except UnicodeDecodeError:
        raise QueueError("queue", "is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise QueueError("queue", f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise QueueError("queue", "is nested too deeply") from None
    except ValueError as error:
        raise QueueError("queue", str(error)[:200]) from None
    if not isinstance(read, dict):
        raise QueueError("queue", "is not an object")
    return read


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        name = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {name[:64]!r} stands twice in one object")
    return read


def _shown(found: Any) -> str:
    return str(found)[:40] if isinstance(found, int | float) else repr(found)[:40]
