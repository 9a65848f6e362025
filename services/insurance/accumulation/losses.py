"""From an event set and an exposure to a year loss table, block by block.

Ground-up loss is damage times value. The terms come in this order: average clause, parcel, policy and event, policy and
year. What the terms of a year change is laid on its events in proportion, so that a year is the sum of its events.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.insurance.accumulation import compiled
from services.insurance.accumulation.event_set import EventSet
from services.insurance.accumulation.exposure import GROUPS, Exposure
from services.insurance.formulas.terms import annual_payments, losses_after_terms

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


class Terms:
    """The terms of an exposure, each split into an amount and a share of the loss, and whether they do anything."""

    def __init__(self, exposure: Exposure) -> None:
        parcel, policy, insured = exposure.terms, exposure.policy_terms, exposure.insured
        self.insured = insured
        #: Every parcel is insured for what it is worth.
        self.whole = bool((insured == exposure.value).all())
        of_policy = np.zeros(len(exposure.policies))
        np.add.at(of_policy, exposure.policy, insured)
        self.deductible, self.deductible_rate = _split(parcel.deductible, parcel.deductible_type, insured)
        self.limit, self.limit_rate = _limit(parcel.limit, parcel.limit_type, insured)
        self.franchise = parcel.franchise
        #: Only amounts, and no franchise: the terms of a parcel are one subtraction and one comparison.
        self.plain = not (self.deductible_rate.any() or self.franchise.any() or np.isfinite(self.limit_rate).any())
        self.deducts, self.limits = bool(self.deductible.any()), bool(np.isfinite(self.limit).any())
        self.policy_deductible, self.policy_rate = _split(policy.deductible, policy.deductible_type, of_policy)
        self.policy_limit = np.where(policy.limit > 0, policy.limit, np.inf)
        annual = (policy.annual_threshold, policy.annual_deductible, policy.annual_limit)
        self.by_event = bool(
            policy.deductible.any() or policy.franchise.any() or policy.attachment.any() or policy.limit.any()
            or (policy.share != 1).any()
        )  # fmt: skip
        self.by_year = any(bool(one.any()) for one in annual)
        self.annual_limit = np.where(policy.annual_limit > 0, policy.annual_limit, np.inf)
        #: A row for each parcel, padded to 64 bytes: value, insured value, the terms in the order of (I114).
        self.rows = np.zeros((len(insured), 8))
        of_parcel = (self.deductible, self.deductible_rate, self.limit, self.limit_rate, self.franchise)
        for place, column in enumerate((exposure.value, insured, *of_parcel)):
            self.rows[:, place] = column
        self.single = len(exposure.policies) == len(exposure.parcels)
        self.policy = policy


def _split(amount: Floats, kind: npt.NDArray[np.int32], insured: Floats) -> tuple[Floats, Floats]:
    """A term as an amount and as a share of the loss."""
    return np.where(kind == 1, 0.0, np.where(kind == 2, amount * insured, amount)), np.where(kind == 1, amount, 0.0)


def _limit(amount: Floats, kind: npt.NDArray[np.int32], insured: Floats) -> tuple[Floats, Floats]:
    fixed, rate = _split(amount, kind, insured)
    return (
        np.where((amount > 0) & (kind != 1), fixed, np.inf),
        np.where((amount > 0) & (kind == 1), rate, np.inf),
    )


@dataclass(frozen=True)
class Paid:
    """What one block of events costs: cells as in the event set, runs of cells of one policy in one event."""

    events: EventSet
    #: Ground-up loss of each cell.
    ground_up: Floats
    #: What the policies pay on each cell.
    cells: Floats
    #: Policy of each parcel.
    policy: npt.NDArray[np.int32]
    #: Event and policy of each run, where its cells begin, and its payment; each cell is one where nothing is said.
    told: tuple[Whole, Whole, Whole, Floats] | None = None

    @cached_property
    def _runs(self) -> tuple[Whole, Whole, Whole, Floats]:
        of = self.policy[self.events.parcel].astype(np.int64)
        return self.told or (self.events.owner, of, np.arange(len(self.cells)), self.cells)

    @property
    def run_event(self) -> Whole:
        """The event of each run."""
        return self._runs[0]

    @property
    def run_policy(self) -> Whole:
        """The policy of each run."""
        return self._runs[1]

    @property
    def run_start(self) -> Whole:
        """Where the cells of each run begin."""
        return self._runs[2]

    @property
    def runs(self) -> Floats:
        """What the policy of each run pays."""
        return self._runs[3]

    @property
    def by_event(self) -> Floats:
        """What the policies pay on each event."""
        return _summed(self.cells, self.events.start)


def paid(
    events: EventSet, exposure: Exposure, terms: Terms, covered: Callable[[EventSet], Floats] | None = None
) -> Paid:
    """What the policies pay on a block of whole years; `covered` says which share of each cell a wording looks at."""
    ground_up, cells = _cells(events, exposure, terms, None if covered is None else covered(events))
    if terms.single and not terms.by_event and not terms.by_year:
        return Paid(events, ground_up, cells, exposure.policy)
    owner, policy = events.owner, exposure.policy[events.parcel]
    new = np.empty(len(cells), bool)
    new[:1] = True
    new[1:] = (owner[1:] != owner[:-1]) | (policy[1:] != policy[:-1])
    first = np.flatnonzero(new)
    run_event, run_policy = owner[first], policy[first].astype(np.int64)
    subject = np.add.reduceat(cells, first) if len(first) else np.zeros(0)
    runs = subject
    if terms.by_event:
        at = terms.policy
        runs = losses_after_terms(
            subject, terms.policy_deductible[run_policy] + at.attachment[run_policy], terms.policy_rate[run_policy],
            terms.policy_limit[run_policy], np.full(len(runs), np.inf), at.franchise[run_policy],
        ) * at.share[run_policy]  # fmt: skip
    if terms.by_year:
        runs = _after_annual_terms(runs, events.year[run_event].astype(np.int64), run_policy, terms)
    factor = np.divide(runs, subject, out=np.zeros_like(runs), where=subject > 0)
    after = cells * factor[np.cumsum(new) - 1]
    return Paid(events, ground_up, after, exposure.policy, (run_event, run_policy, first, runs))


def _cells(events: EventSet, exposure: Exposure, terms: Terms, share: Floats | None) -> tuple[Floats, Floats]:
    """Ground-up loss of each cell, and what the terms of its parcel leave of it."""
    if compiled.AVAILABLE and len(events.damage) >= compiled.LEAST:
        return compiled.cells(events.damage, events.parcel, terms.rows, share)
    ground_up = events.damage * exposure.value[events.parcel]
    loss = ground_up.copy() if terms.whole else events.damage * terms.insured[events.parcel]
    if share is not None:
        loss *= share
    return ground_up, _after_parcel_terms(loss, events.parcel, terms)


def _after_parcel_terms(loss: Floats, parcel: npt.NDArray[np.int32], terms: Terms) -> Floats:
    if terms.plain:
        if terms.deducts:
            loss -= terms.deductible[parcel]
            np.maximum(loss, 0, out=loss)
        if terms.limits:
            np.minimum(loss, terms.limit[parcel], out=loss)
        return loss
    return losses_after_terms(
        loss, terms.deductible[parcel], terms.deductible_rate[parcel], terms.limit[parcel], terms.limit_rate[parcel],
        terms.franchise[parcel],
    )  # fmt: skip


def _after_annual_terms(runs: Floats, year: Whole, policy: Whole, terms: Terms) -> Floats:
    """Payments of the events after the terms of the year, in proportion within it."""
    if not len(runs):
        return runs
    key = year * (int(policy.max()) + 1) + policy
    keys, of = np.unique(key, return_inverse=True)
    before = np.zeros(len(keys))
    np.add.at(before, of, runs)
    which = keys % (int(policy.max()) + 1)
    annual = terms.policy
    after = annual_payments(
        before, annual.annual_threshold[which], annual.annual_deductible[which], terms.annual_limit[which]
    )
    return np.asarray(runs * np.divide(after, before, out=np.zeros_like(after), where=before > 0)[of])


def _summed(cells: Floats, start: Whole) -> Floats:
    """Sum of the cells of each event; one without cells has none."""
    if not len(cells):
        return np.zeros(len(start) - 1)
    sums = np.add.reduceat(cells, np.minimum(start[:-1], len(cells) - 1))
    sums[start[1:] == start[:-1]] = 0
    return np.asarray(sums)


class YearTable:
    """Losses of each year, in all and by group: `aggregate` is their sum, `occurrence` the largest event.

    Rows are the names of `labels`: (dimension, name), the first one is all of it.
    """

    def __init__(self, exposure: Exposure, years: int, perils: tuple[str, ...], dimensions: Iterable[str] = ()) -> None:
        self.years = years
        self._exposure, self._perils = exposure, perils
        self.dimensions = tuple(dimensions)
        self.labels: list[tuple[str, str]] = [("all", "")]
        self._first: dict[str, int] = {}
        for dimension in self.dimensions:
            self._first[dimension] = len(self.labels)
            names = perils if dimension == "peril" else exposure.groups[dimension][0]
            self.labels += [(dimension, name) for name in names]
        self.aggregate = np.zeros((len(self.labels), years))
        self.occurrence = np.zeros((len(self.labels), years))
        self.ground_up = np.zeros(years)
        #: Mean payment of a year on each parcel.
        self.by_parcel = np.zeros(len(exposure.parcels))

    def add(self, block: Paid) -> None:
        """Add a block of whole years."""
        events = block.events
        if not len(events.event):
            return
        first_year, last_year = int(events.year[0]) - 1, int(events.year[-1])
        here = slice(first_year, last_year)
        year = events.year.astype(np.int64) - 1 - first_year
        count = last_year - first_year
        starts = np.flatnonzero(np.concatenate([[True], year[1:] != year[:-1]]))
        self.ground_up[here] += np.bincount(year, weights=_summed(block.ground_up, events.start), minlength=count)
        self._put(0, block.by_event, year, starts, here, count)
        if self.dimensions:
            self.by_parcel += (
                np.bincount(events.parcel, weights=block.cells, minlength=len(self.by_parcel)) / self.years
            )
            owner = events.owner
        for dimension in self.dimensions:
            first = self._first[dimension]
            if dimension == "peril":
                loss = block.by_event
                for number in range(len(self._perils)):
                    self._put(first + number, np.where(events.peril == number, loss, 0.0), year, starts, here, count)
                continue
            names, position = self._exposure.groups[dimension]
            key = owner * len(names) + position[events.parcel]
            table = np.bincount(key, weights=block.cells, minlength=len(names) * len(year)).reshape(-1, len(names))
            for number in range(len(names)):
                self._put(first + number, np.ascontiguousarray(table[:, number]), year, starts, here, count)

    def _put(self, row: int, losses: Floats, year: Whole, starts: Whole, here: slice, count: int) -> None:
        self.aggregate[row, here] += np.bincount(year, weights=losses, minlength=count)
        self.occurrence[row, here][year[starts]] = np.maximum.reduceat(losses, starts)


def year_table(
    blocks: Iterable[EventSet],
    exposure: Exposure,
    years: int,
    perils: tuple[str, ...],
    dimensions: Iterable[str] = ("peril", *GROUPS),
    covered: Callable[[EventSet], Floats] | None = None,
) -> YearTable:
    """The year loss table of a stream of blocks of whole years, ascending."""
    table, terms = YearTable(exposure, years, perils, dimensions), Terms(exposure)
    for block in blocks:
        table.add(paid(block, exposure, terms, covered))
    return table
