"""Check a certificate against its queue, knowing nothing of how it was made.

It shares no code with the allocator: it reads both files by itself and counts in whole numbers and exact fractions. A
certificate holds if the placing keeps every limit and serves whom it must, if its value is what it says, and if the
bound is not below L(λ) = λ·b + Σ_i max(0, max_j (v_ij − λ·R_ij)) at the prices it publishes.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any

_KEYS = {
    "headroom": ("guarantor",), "county": ("guarantor", "county"), "sector": ("guarantor", "sector"),
    "group": ("guarantor", "group"), "obligor": ("guarantor", "obligor"), "province": (), "national": (),
    "bank": ("bank",), "pool": ("county",), "loss_rate": ("guarantor",),
}  # fmt: skip
_SHARE = {"province": "province", "national": "national", "bank": "bank", "pool": "pool"}


def faults(queue_raw: bytes, certificate_raw: bytes) -> list[str]:
    """What is wrong with a certificate, nothing if it holds."""
    try:
        queue = json.loads(queue_raw, parse_float=Decimal)
        told = json.loads(certificate_raw, parse_float=Decimal)
        return list(_faults(queue, told, hashlib.sha256(queue_raw).hexdigest()))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return [f"cannot be read: {type(error).__name__}: {error}"]


def _faults(queue: Mapping[str, Any], told: Mapping[str, Any], digest: str) -> Iterator[str]:
    if told.get("queue_sha256", digest) != digest:
        yield "the certificate is of another queue"
    loans = {loan["id"]: loan for loan in queue["loans"]}
    book = _Book(queue, told["prices"])
    used: dict[str, int] = defaultdict(int)
    value, placed = Fraction(0), set()
    for row, one in enumerate(told["placing"], 1):
        loan = loans.get(one["loan"])
        if loan is None:
            yield f"placing, row {row}: no loan {one['loan']!r}"
            continue
        if one["loan"] in placed:
            yield f"placing, row {row}: loan {one['loan']!r} is placed twice"
        placed.add(one["loan"])
        if (one["guarantor"], one["scheme"]) not in book.offers(loan):
            yield f"placing, row {row}: {one['guarantor']} may not take loan {one['loan']!r} under {one['scheme']}"
            continue
        value += Fraction(book.value(loan, one["scheme"]), book.unit)
        for bucket, use in book.uses(loan, one["guarantor"], one["scheme"]):
            used[bucket] += use
    for bucket in queue["buckets"]:
        if used[bucket["id"]] > bucket["cap"]:
            yield f"limit {bucket['id']}: {used[bucket['id']]} is used, {bucket['cap']} is allowed"
    for name, loan in loans.items():
        if loan.get("class") == 0 and name not in placed:
            yield f"loan {name!r} must be served and is not"
    first = set(told.get("served_first", ()))
    for name in first - placed:
        yield f"loan {name!r} was given a place by its class and lost it"
    if not 0 <= value - Fraction(told["value"]) < 1:
        yield f"the value is {float(value)}, not {told['value']}"
    bound = book.lagrangian(first)
    if bound > Fraction(told["bound"]):
        yield f"the prices prove no bound below {float(bound)}; {told['bound']} is told"
    gap = (
        (Fraction(told["bound"]) - Fraction(told["value"])) / Fraction(told["bound"]) if told["bound"] else Fraction(0)
    )
    if abs(gap - Fraction(told["gap"])) > Fraction(1, 10**8):
        yield f"the gap is {float(gap)}, not {told['gap']}"


class _Book:
    """A queue laid out for looking things up; values and prices are whole multiples of 1 / unit."""

    def __init__(self, queue: Mapping[str, Any], prices: Mapping[str, Any], sharp: bool = False) -> None:
        """A sharp one leaves out what breaks a limit by itself; only a loss rate can be brought down by others."""
        self.sharp = sharp
        self.schemes = {one["id"]: one for one in queue["schemes"]}
        self.guarantors = {one["id"]: one for one in queue["guarantors"]}
        self.contracts: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for one in queue["contracts"]:
            self.contracts[one["bank"]].append((one["guarantor"], one["scheme"]))
        self.at = {(one["kind"], *one.get("keys", ())): one for one in queue["buckets"]}
        self.caps = {one["id"]: int(one["cap"]) for one in queue["buckets"] if one["kind"] != "loss_rate"}
        self.loans, self.buckets = queue["loans"], queue["buckets"]
        k = queue["objective"]
        self.k = {name: Fraction(k.get(name, 0)) for name in ("amount", "carbon", "el", "waiting_day")}
        carbon = lcm(*(Fraction(loan.get("carbon", 0)).denominator for loan in self.loans), 1)
        exact = {name: Fraction(price) for name, price in prices.items()}
        if any(price < 0 for price in exact.values()) or set(exact) - {one["id"] for one in self.buckets}:
            raise ValueError("a price is below 0 or of no limit")
        self.unit = lcm(
            10**12 * lcm(*(one.denominator for one in self.k.values())) * carbon,
            *(price.denominator for price in exact.values()),
        )
        self.prices = {name: int(price * self.unit) for name, price in exact.items()}

    def primary(self, loan: Mapping[str, Any], scheme: str) -> int:
        return -(-int(loan["amount"]) * int(loan["weight_bp"]) * int(self.schemes[scheme]["primary"]) // 10**8)

    def offers(self, loan: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Who may take a loan and under which scheme."""
        found = []
        for name, scheme in self.contracts[loan["bank"]]:
            guarantor, most = self.guarantors[name], self.schemes[scheme].get("maximum")
            single, counties = guarantor.get("single_cap"), guarantor.get("counties")
            if single is not None and self.primary(loan, scheme) > single:
                continue
            if most is not None and loan["amount"] > most:
                continue
            if counties is None or loan["county"] in counties:
                found.append((name, scheme))
        return found

    def value(self, loan: Mapping[str, Any], scheme: str) -> int:
        lost = Fraction(
            int(loan["pd_bp"]) * int(loan["lgd_bp"]) * int(self.schemes[scheme]["primary"]) * int(loan["amount"]),
            10**12,
        )
        gained = self.k["amount"] * int(loan["amount"]) + self.k["carbon"] * Fraction(loan.get("carbon", 0))
        waited = self.k["waiting_day"] * int(loan.get("waiting_days") or 0)
        exact = (gained + waited - self.k["el"] * lost) * self.unit
        assert exact.denominator == 1
        return int(exact)

    def uses(self, loan: Mapping[str, Any], guarantor: str, scheme: str) -> Iterator[tuple[str, int]]:
        primary, amount = self.primary(loan, scheme), int(loan["amount"])
        given = {
            "guarantor": guarantor, "county": loan["county"], "sector": loan["sector"], "group": loan.get("group"),
            "obligor": loan.get("obligor") or loan["id"], "bank": loan["bank"],
        }  # fmt: skip
        for kind, keys in _KEYS.items():
            bucket = self.at.get((kind, *(given[key] for key in keys)))
            if bucket is None:
                continue
            if kind == "loss_rate":
                yield bucket["id"], (int(loan["pd_bp"]) - int(bucket["cap_pd_bp"])) * primary
            elif kind in _SHARE:
                yield bucket["id"], -(-amount * int(self.schemes[scheme][_SHARE[kind]]) // 10_000)
            else:
                yield bucket["id"], primary

    def impossible(self, loan: Mapping[str, Any], guarantor: str, scheme: str) -> bool:
        """Whether a loan alone is too much for a limit."""
        uses = self.uses(loan, guarantor, scheme)
        return any(use > self.caps[bucket] for bucket, use in uses if bucket in self.caps)

    def lagrangian(self, first: set[str]) -> Fraction:
        """L(λ); loans that were served by their class, or must be, take their best column even where it loses."""
        total = sum(priced * int(bucket["cap"]) for bucket in self.buckets
                    if (priced := self.prices.get(bucket["id"], 0)))  # fmt: skip
        for loan in self.loans:
            values: dict[str, int] = {}
            best: int | None = None
            for guarantor, scheme in self.offers(loan):
                if self.sharp and self.impossible(loan, guarantor, scheme):
                    continue
                if scheme not in values:
                    values[scheme] = self.value(loan, scheme)
                value = values[scheme]
                for bucket, use in self.uses(loan, guarantor, scheme):
                    price = self.prices.get(bucket)
                    if price:
                        value -= price * use
                best = value if best is None else max(best, value)
            if best is not None and (best > 0 or loan["id"] in first or loan.get("class") == 0):
                total += best
        return Fraction(total, self.unit)
