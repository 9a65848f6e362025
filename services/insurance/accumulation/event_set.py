"""Event sets: which event of which year takes what share of which parcel.

Columns, as in a sparse matrix by rows (CSR). Event e of year `year[e]` hits the parcels `parcel[start[e]:start[e+1]]`,
ascending, and takes the share `damage[...]` of each. Years ascend from 1; a year without events counts.
A large set is a stream of blocks of whole years, so that memory is that of one block.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.insurance.accumulation.refusal import RowError, demand

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]

#: Cells of a block: its temporaries are to stay in the cache.
BLOCK = 65_536


@dataclass(frozen=True)
class EventSet:
    """Events of whole years, ascending; see the module for the columns."""

    #: Id of an event: any number, the same wherever this event turns up.
    event: Whole
    year: Small
    #: Position of the peril among `perils`.
    peril: Small
    #: Whole area of the event, for the small-fire clause. [ha]; 0 where not known.
    area_ha: Floats
    start: Whole
    parcel: Small
    damage: Floats
    years: int
    perils: tuple[str, ...]

    @property
    def owner(self) -> Whole:
        """The event of each cell."""
        return np.repeat(np.arange(len(self.event)), np.diff(self.start))

    def part(self, first: int, last: int) -> "EventSet":
        """The events from first to before last, as views."""
        here, cells = slice(first, last), slice(int(self.start[first]), int(self.start[last]))
        return EventSet(
            self.event[here], self.year[here], self.peril[here], self.area_ha[here],
            self.start[first : last + 1] - self.start[first], self.parcel[cells], self.damage[cells],
            self.years, self.perils,
        )  # fmt: skip

    def blocks(self, cells: int = BLOCK) -> Iterator["EventSet"]:
        """The set in parts of whole years, each of about so many cells."""
        year_starts = np.concatenate([[0], np.flatnonzero(np.diff(self.year)) + 1, [len(self.year)]])
        at = self.start[year_starts]
        first = 0
        while first < len(year_starts) - 1:
            last = max(int(np.searchsorted(at, at[first] + cells, side="right")) - 1, first + 1)
            yield self.part(int(year_starts[first]), int(year_starts[last]))
            first = last


def make_event_set(
    event: npt.ArrayLike,
    year: npt.ArrayLike,
    parcel: npt.ArrayLike,
    damage: npt.ArrayLike,
    years: int,
    parcels: int,
    peril: npt.ArrayLike | None = None,
    area_ha: npt.ArrayLike | None = None,
    perils: tuple[str, ...] = ("all",),
    file: str = "",
) -> EventSet:
    """Make an event set of rows, one for each event and parcel, in any order. Raises RowError.

    An event has one year, one peril and one area; a parcel turns up in it once.
    """
    events, in_year = np.asarray(event, dtype=np.int64), np.asarray(year, dtype=np.int64)
    parcel_of, share = np.asarray(parcel, dtype=np.int64), np.asarray(damage, dtype=np.float64)
    peril_of = np.zeros(len(events), np.int64) if peril is None else np.asarray(peril, dtype=np.int64)
    area = np.zeros(len(events)) if area_ha is None else np.asarray(area_ha, dtype=np.float64)
    demand((in_year >= 1) & (in_year <= years), "year", f"not a year from 1 to {years}", file)
    demand((parcel_of >= 0) & (parcel_of < parcels), "parcel", "not a parcel of the exposure", file)
    demand(np.isfinite(share) & (share >= 0) & (share <= 1), "damage", "not a share from 0 to 1", file)
    demand(np.isfinite(area) & (area >= 0), "area_ha", "not an area", file)
    order = np.lexsort((parcel_of, events, in_year))
    e, y, c = events[order], in_year[order], parcel_of[order]
    new = np.concatenate([[True], (e[1:] != e[:-1]) | (y[1:] != y[:-1])]) if len(e) else np.zeros(0, bool)
    first = np.flatnonzero(new)
    _one_of_each(e[first], order[first], "year", "the event is in another year already", file)
    start = np.concatenate([first, [len(e)]])
    of = np.cumsum(new) - 1
    for column, field in ((peril_of, "peril"), (area, "area_ha")):
        _same(column[order], column[order[first]][of], order, field, file)
    double = np.flatnonzero((e[1:] == e[:-1]) & (c[1:] == c[:-1]))
    if len(double):
        raise RowError(int(order[double + 1].min()) + 2, "parcel", "the event has this parcel already", file)
    return EventSet(
        e[first], y[first].astype(np.int32), peril_of[order[first]].astype(np.int32), area[order[first]],
        start.astype(np.int64), c.astype(np.int32), share[order], years, perils,
    )  # fmt: skip


def _one_of_each(found: Whole, rows: Whole, field: str, reason: str, file: str) -> None:
    by = np.argsort(found, kind="stable")
    again = np.flatnonzero(found[by][1:] == found[by][:-1])
    if len(again):
        raise RowError(int(rows[by[again + 1]].min()) + 2, field, reason, file)


def _same(found: npt.NDArray[np.generic], first: npt.NDArray[np.generic], rows: Whole, field: str, file: str) -> None:
    other = np.flatnonzero(found != first)
    if len(other):
        raise RowError(int(rows[other].min()) + 2, field, "differs within one event", file)
