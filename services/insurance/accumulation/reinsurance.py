"""A reinsurance programme on the payments of a book: gross, ceded by contract, net.

Contracts apply by their order, each on what the earlier orders left; those of one order stand side by side on the same
losses. What a contract recovers goes back to the forests that it came from, so that net is known wherever gross is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from services.insurance.accumulation.event_set import Floats, Whole
from services.insurance.accumulation.exposure import Exposure
from services.insurance.accumulation.losses import Paid
from services.insurance.formulas import reinsurance as formulas

PROPORTIONAL = ("quota_share", "surplus")
EXCESS = ("per_risk", "catastrophe", "stop_loss")
KINDS = (*PROPORTIONAL, *EXCESS)
RISKS = ("forest", "policy", "all")


class ProgrammeError(ValueError):
    """A programme that means nothing; says which contract and why."""

    def __init__(self, contract: str, reason: str) -> None:
        self.contract, self.reason = contract, reason
        super().__init__(f"{contract}: {reason}")


@dataclass(frozen=True)
class Contract:
    """One contract. Amounts in CNY; a limit of 0 is none; shares bite first, the placed share last."""

    name: str
    kind: str
    order: int = 1
    risk: str = "all"
    ceded_share: float = 1.0
    placed_share: float = 1.0
    risk_attachment: float = 0.0
    risk_limit: float = 0.0
    attachment: float = 0.0
    limit: float = 0.0
    #: Of a surplus treaty: what is retained of each risk, and how many times that the treaty takes.
    retained_line: float = 0.0
    lines: float = 0.0
    #: Recoveries of a year count once they exceed it.
    annual_deductible: float = 0.0
    #: How often the limit is restored in a year; None is for ever.
    reinstatements: int | None = None
    reinstatement_rate: float = 0.0
    premium: float = 0.0
    #: The perils it covers; none named is all.
    perils: tuple[str, ...] = ()

    def shares(self, sums: Floats) -> Floats:
        """Ceded share of risks of these sums insured."""
        if self.kind != "surplus" or self.retained_line == 0:
            return np.full(len(sums), self.ceded_share)
        return formulas.surplus_shares(sums, self.retained_line, self.lines)

    @property
    def annual_limit(self) -> float:
        """The most that a year recovers, before the placed share; ∞ is none."""
        if self.limit == 0 or self.reinstatements is None:
            return np.inf
        return self.limit * (1 + self.reinstatements)


def contract_of(row: Mapping[str, Any]) -> Contract:
    """A contract out of JSON: amounts and shares as text or numbers."""
    given = dict(row)
    whole, words = ("order", "reinstatements"), ("name", "kind", "risk")
    read: dict[str, Any] = {
        name: value if name in words or value is None else int(value) if name in whole else float(value)
        for name, value in given.items()
        if name != "perils"
    }
    return Contract(**read, perils=tuple(given.get("perils") or ()))


def check(contracts: Sequence[Contract]) -> None:
    """Refuse a programme whose contracts contradict themselves or each other. Raises ProgrammeError."""
    names: set[str] = set()
    for one in contracts:
        if not one.name or one.name in names:
            raise ProgrammeError(one.name, "has no name, or another contract's")
        names.add(one.name)
        if one.kind not in KINDS or one.risk not in RISKS:
            raise ProgrammeError(one.name, "is of no known kind, or takes no known risk")
        if not (0 < one.placed_share <= 1 and 0 < one.ceded_share <= 1):
            raise ProgrammeError(one.name, "has a share that is not above 0, up to 1")
        amounts = (
            one.risk_attachment, one.risk_limit, one.attachment, one.limit, one.annual_deductible, one.premium,
            one.retained_line, one.lines, one.reinstatement_rate,
        )  # fmt: skip
        if not all(np.isfinite(amount) and amount >= 0 for amount in amounts):
            raise ProgrammeError(one.name, "has an amount that is below 0 or no number")
        if one.reinstatements is not None and (one.reinstatements < 0 or one.limit == 0):
            raise ProgrammeError(one.name, "reinstates a limit that it does not have")
        if one.kind == "surplus" and one.risk == "all":
            raise ProgrammeError(one.name, "is a surplus on no risk of its own")
        if (one.kind == "surplus") != (one.retained_line > 0 and one.lines > 0):
            raise ProgrammeError(one.name, "needs a retained line and lines if it is a surplus, and only then")
    for order, of_order in groupby(sorted(contracts, key=lambda one: one.order), key=lambda one: one.order):
        _check_side_by_side(order, list(of_order))


def _check_side_by_side(order: int, contracts: Sequence[Contract]) -> None:
    proportional = [one for one in contracts if one.kind in PROPORTIONAL]
    if proportional and len(proportional) < len(contracts):
        raise ProgrammeError(contracts[0].name, f"stands beside excess and proportional contracts in order {order}")
    if sum(one.placed_share * (1.0 if one.kind == "surplus" else one.ceded_share) for one in proportional) > 1 + 1e-12:
        raise ProgrammeError(proportional[0].name, f"takes with its neighbours of order {order} more than all")
    for one in contracts:
        for other in contracts:
            shared = not one.perils or not other.perils or set(one.perils) & set(other.perils)
            if one.name < other.name and one.kind in EXCESS and shared and _overlap(one, other):
                raise ProgrammeError(one.name, f"overlaps with {other.name} in order {order}")


def _overlap(one: Contract, other: Contract) -> bool:
    if one.kind != other.kind:
        return True
    (low, high), (bottom, top) = _layer(one), _layer(other)
    return low < top and bottom < high


def _layer(one: Contract) -> tuple[float, float]:
    """From where to where an excess contract pays."""
    low, limit = (one.risk_attachment, one.risk_limit) if one.kind == "per_risk" else (one.attachment, one.limit)
    return low, low + limit if limit else np.inf


@dataclass(frozen=True)
class Ceded:
    """What a programme takes off a block: net of each cell; by contract the recovery of each event and restoring it."""

    net: Floats
    recoveries: Floats
    reinstatements: Floats


def ceded(block: Paid, exposure: Exposure, contracts: Sequence[Contract]) -> Ceded:
    """Apply a programme to a block of whole years; rows of the result are the contracts in the order given."""
    events, net = block.events, block.cells
    recoveries = np.zeros((len(contracts), len(events.event)))
    restored = np.zeros_like(recoveries)
    ordered = sorted(range(len(contracts)), key=lambda number: contracts[number].order)
    for _, numbers in groupby(ordered, key=lambda number: contracts[number].order):
        taken = np.zeros_like(net)
        for number in numbers:
            cells, recoveries[number], restored[number] = _one(contracts[number], net, block, exposure)
            taken += cells
        net = np.maximum(net - taken, 0)
    return Ceded(net, recoveries, restored)


def _one(contract: Contract, net: Floats, block: Paid, exposure: Exposure) -> tuple[Floats, Floats, Floats]:
    """Recovery of each cell, and recovery and reinstatement premium of each event, of one contract."""
    events = block.events
    count, owner = len(events.event), events.owner
    if not len(net):
        return net, np.zeros(count), np.zeros(count)
    if contract.perils:
        named = np.array([name in contract.perils for name in events.perils])
        net = np.where(named[events.peril[owner]], net, 0.0)
    start, risk_event, sums = _risks(contract, block, exposure)
    losses = np.add.reduceat(net, start)
    if contract.kind == "stop_loss":
        year = events.year.astype(np.int64)
        of_event = np.bincount(risk_event, weights=losses, minlength=count).astype(np.float64)
        recovered = contract.placed_share * _within_year(of_event, year, contract.attachment, contract.limit or np.inf)
        share = np.divide(recovered, of_event, out=np.zeros(count), where=of_event > 0)
        return net * share[owner], recovered, np.zeros(count)
    risks = formulas.risk_recoveries(losses, contract.shares(sums), contract.risk_attachment, contract.risk_limit)
    before = np.bincount(risk_event, weights=risks, minlength=count)
    layer = np.minimum(np.maximum(before - contract.attachment, 0), contract.limit or np.inf)
    year = events.year.astype(np.int64)
    within = _within_year(layer, year, contract.annual_deductible, contract.annual_limit)
    recovered = contract.placed_share * within
    by_risk = risks * np.divide(recovered, before, out=np.zeros(count), where=before > 0)[risk_event]
    share = np.divide(by_risk, losses, out=np.zeros_like(losses), where=losses > 0)
    cells = net * np.repeat(share, np.diff(np.append(start, len(net))))
    return cells, recovered, contract.placed_share * _restoring(contract, within, year)


def _risks(contract: Contract, block: Paid, exposure: Exposure) -> tuple[Whole, Whole, Floats]:
    """Of each risk of each event: its first cell, its event and its sum insured."""
    events = block.events
    if contract.risk == "forest":
        return np.arange(len(block.cells)), events.owner, exposure.insured[events.parcel]
    if contract.risk == "policy":
        of_policy: Floats = np.zeros(len(exposure.policies))
        np.add.at(of_policy, exposure.policy, exposure.insured)
        if len(block.run_start) == len(block.cells):
            return np.arange(len(block.cells)), events.owner, of_policy[exposure.policy[events.parcel]]
        return block.run_start, block.run_event, of_policy[block.run_policy]
    hit = np.flatnonzero(np.diff(events.start))
    return events.start[hit], hit, np.full(len(hit), exposure.insured.sum())


def _within_year(recoveries: Floats, year: Whole, deductible: float, limit: float) -> Floats:
    """Recoveries of events in the order they come, less the year's deductible, until the year's limit is used up."""
    if deductible == 0 and not np.isfinite(limit):
        return recoveries
    before = _earlier(recoveries, year)
    used = np.clip(before - deductible, 0, limit)
    return np.asarray(np.clip(before + recoveries - deductible, 0, limit) - used)


def _restoring(contract: Contract, within: Floats, year: Whole) -> Floats:
    """Premium for restoring the limit that each event used, as long as it is restored."""
    if not contract.reinstatements or not contract.premium or not contract.reinstatement_rate:
        return np.zeros_like(within)
    before, most = _earlier(within, year), contract.limit * contract.reinstatements
    restored = np.clip(before + within, 0, most) - np.clip(before, 0, most)
    return np.asarray(contract.premium * contract.reinstatement_rate * restored / contract.limit)


def _earlier(amounts: Floats, year: Whole) -> Floats:
    """Sum of the earlier events of the same year."""
    first = np.flatnonzero(np.concatenate([[True], year[1:] != year[:-1]])) if len(year) else np.zeros(0, int)
    whole = np.concatenate([[0.0], np.cumsum(amounts)])
    return np.asarray(whole[:-1] - np.repeat(whole[first], np.diff(np.append(first, len(year)))))
