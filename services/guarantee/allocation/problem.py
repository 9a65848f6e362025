"""A queue as columns and rows: a column places one loan with one guarantor under one scheme, a row is one limit.

maximise Σ v·x under R·x ≤ b, at most one column a loan, x in {0, 1}        docs/equations/guarantee.md

A column touches at most one row of each kind, so R is kept as two arrays of columns × kinds: which row, how much of it.
Columns exist only where every test of the single loan passes; what is not convex never reaches the model. Uses are
whole fen, rounded up; values are exact fractions of a fen, of which the arrays hold the nearest float.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from services.guarantee.allocation.queue_file import KINDS, Loan, Queue
from services.guarantee.allocation.refusal import QueueError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Cap of the row that stands for "no limit".
NO_LIMIT = 2**62
MOST_COLUMNS = 4_000_000
#: Kinds whose use is the guarantor's weighted part; the others are shares of the amount.
WEIGHTED = ("headroom", "county", "sector", "group", "obligor")
_PART = {"province": "province", "national": "national", "bank": "bank", "pool": "pool"}


@dataclass(frozen=True)
class Problem:
    """Columns sorted by loan, rows with one more at the end that stands for "no limit"."""

    queue: Queue
    #: First column of each loan, and the number of columns at the end.
    start: Ints
    loan: Ints
    guarantor: Ints
    scheme: Ints
    #: Value of each column. [fen]
    value: Floats
    #: Row of each column and kind, and use of it. [fen; fen·bp]
    row: Ints
    use: Ints
    cap: Ints

    @property
    def loans(self) -> int:
        """Number of loans."""
        return len(self.start) - 1

    @property
    def rows(self) -> int:
        """Number of limits, the one that stands for none included."""
        return len(self.cap)

    def usage(self, columns: Ints) -> Ints:
        """What a set of columns takes of each row, in whole numbers. [fen; fen·bp]"""
        taken = np.zeros(self.rows, np.int64)
        np.add.at(taken, self.row[columns], self.use[columns])
        taken[-1] = 0
        return taken

    def exact_value(self, columns: Sequence[int]) -> Fraction:
        """Value of a set of columns without any rounding. [fen]"""
        return sum((self._exact(column) for column in columns), Fraction(0))

    def _exact(self, column: int) -> Fraction:
        loan = self.queue.loans[self.loan[column]]
        primary = self.queue.schemes[self.scheme[column]].shares["primary"]
        k = self.queue.objective
        lost = Fraction(loan.pd_bp * loan.lgd_bp * primary * loan.amount, 10**12)
        exact: Fraction = k.amount * loan.amount + k.carbon * loan.carbon - k.el * lost
        exact += k.waiting_day * loan.waiting_days
        return exact

    def possible(self) -> Flags:
        """Columns that do not break a limit by themselves; a loss rate may be brought down by other loans."""
        falls = np.array([*(one.kind == "loss_rate" for one in self.queue.buckets), True])
        return np.asarray(((self.use <= self.cap[self.row]) | falls[self.row]).all(axis=1))

    def only(self, columns: Flags, must: Flags) -> tuple["Problem", Ints]:
        """The same loans and rows with some of the columns, and which these are."""
        kept = np.flatnonzero(columns)
        counts = np.bincount(self.loan[kept], minlength=self.loans)
        demand_columns(self.queue, counts, must)
        return Problem(
            self.queue, np.concatenate([[0], np.cumsum(counts)]), self.loan[kept], self.guarantor[kept],
            self.scheme[kept], self.value[kept], self.row[kept], self.use[kept], self.cap,
        ), kept  # fmt: skip


def demand_columns(queue: Queue, counts: Ints, must: Flags) -> None:
    """Refuse a loan that must be served and that no contract can take."""
    for number in np.flatnonzero(must & (counts == 0))[:1]:
        name = queue.loans[number].id
        told = "must be served, but no guarantor that its bank has a contract with may take it"
        raise QueueError("loans", told, int(number) + 1, "class", name)


def make_problem(queue: Queue) -> Problem:
    """Lay out the columns of a queue. Raises QueueError if there are too many."""
    loans = queue.loans
    at = {one.id: number for number, one in enumerate(queue.guarantors)}
    schemes = {one.id: number for number, one in enumerate(queue.schemes)}
    contracts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in queue.contracts:
        contracts[one.bank].append((at[one.guarantor], schemes[one.scheme]))
    signed = [sorted(contracts.get(loan.bank, ())) for loan in loans]
    total = sum(map(len, signed))
    if total > MOST_COLUMNS:
        raise QueueError("queue", f"{total:,} ways to place its loans, at most {MOST_COLUMNS:,} can be weighed at once")
    loan = np.repeat(np.arange(len(loans)), [len(one) for one in signed])
    pairs = np.array([pair for one in signed for pair in one], np.int64).reshape(-1, 2)
    guarantor, scheme = pairs[:, 0], pairs[:, 1]

    amount = _column(loans, "amount")
    weight, pd, lgd = (_column(loans, name) for name in ("weight_bp", "pd_bp", "lgd_bp"))
    shares = {party: np.array([one.shares[party] for one in queue.schemes], np.int64)[scheme]
              for party in ("primary", *_PART.values())}  # fmt: skip
    whole, rest = np.divmod(amount * weight, 10**8)
    primary = whole[loan] * shares["primary"] - (-rest[loan] * shares["primary"] // 10**8)

    kept = primary <= _limit([one.single_cap for one in queue.guarantors])[guarantor]
    kept &= amount[loan] <= _limit([one.maximum for one in queue.schemes])[scheme]
    kept &= _covered(queue)[guarantor, loan] if any(one.counties is not None for one in queue.guarantors) else True
    cap = np.array([*(one.cap for one in queue.buckets), NO_LIMIT], np.int64)
    row, use = [], []
    for kind in KINDS:
        found = _rows_of(queue, kind, at, loan, guarantor)
        if found is None:
            continue
        if kind in WEIGHTED:
            taken = primary
        elif kind == "loss_rate":
            cut_off = np.array([*(one.cap_pd_bp for one in queue.buckets), 0], np.int64)
            taken = (pd[loan] - cut_off[found]) * primary
        else:
            taken = -(-amount[loan] * shares[_PART[kind]] // 10_000)
        taken = np.where(found == len(cap) - 1, 0, taken)
        row.append(found)
        use.append(taken)
    rows = np.stack(row, axis=1) if row else np.full((len(loan), 1), len(cap) - 1)
    uses = np.stack(use, axis=1) if use else np.zeros((len(loan), 1), np.int64)
    k = queue.objective
    carbon = np.array([float(k.carbon * one.carbon + k.waiting_day * one.waiting_days) for one in loans])
    value = float(k.amount) * amount[loan] + carbon[loan]
    value = value - float(k.el) * (pd * lgd)[loan] * 1e-8 * (amount[loan] * (shares["primary"] * 1e-4))
    counts = np.bincount(loan[kept], minlength=len(loans))
    made = Problem(
        queue, np.concatenate([[0], np.cumsum(counts)]), loan[kept], guarantor[kept], scheme[kept], value[kept],
        np.ascontiguousarray(rows[kept]), np.ascontiguousarray(uses[kept]), cap,
    )  # fmt: skip
    most = np.zeros(made.rows)
    np.add.at(most, made.row, np.abs(made.use).astype(np.float64))
    if (most[:-1] > 2.0**61).any():
        number = int(np.argmax(most[:-1] > 2.0**61))
        raise QueueError("buckets", "the uses of this limit are too large to be added", number + 1, "cap")
    return made


def _column(loans: Sequence[Loan], name: str) -> Ints:
    return np.fromiter((getattr(one, name) for one in loans), np.int64, len(loans))


def _limit(limits: Sequence[int | None]) -> Ints:
    return np.array([NO_LIMIT if one is None else one for one in limits], np.int64)


def _covered(queue: Queue) -> Flags:
    """Guarantors × loans: whether the guarantor works in the loan's county."""
    names = {name: number for number, name in enumerate(dict.fromkeys(one.county for one in queue.loans))}
    known = np.ones((len(queue.guarantors), len(names)), bool)
    for number, one in enumerate(queue.guarantors):
        if one.counties is not None:
            known[number] = [name in one.counties for name in names]
    return known[:, [names[one.county] for one in queue.loans]]


def _rows_of(queue: Queue, kind: str, at: Mapping[str, int], loan: Ints, guarantor: Ints) -> Ints | None:
    """The row of one kind that each column touches; None if there is no limit of the kind."""
    by_guarantor = KINDS[kind][:1] == ("guarantor",)
    key = KINDS[kind][-1] if KINDS[kind] and KINDS[kind] != ("guarantor",) else None
    none = len(queue.buckets)
    names: dict[Any, int] = {}
    if key is not None:
        for one in queue.loans:
            names.setdefault(getattr(one, key), len(names))
    table = np.full((len(at) if by_guarantor else 1, max(len(names), 1)), none, np.int64)
    used = False
    for number, bucket in enumerate(queue.buckets):
        if bucket.kind != kind:
            continue
        column = 0 if key is None else names.get(bucket.keys[-1])
        if column is not None:
            table[at[bucket.keys[0]] if by_guarantor else 0, column] = number
            used = True
    if not used:
        return None
    of_loan = np.array([0 if key is None else names[getattr(one, key)] for one in queue.loans], np.int64)
    # Nobody belongs to the group without a name.
    found = table[guarantor if by_guarantor else 0, of_loan[loan]]
    return np.asarray(found, np.int64)
