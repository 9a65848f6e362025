"""What a policy that nobody has bound yet would add to the bad years of a book that was simulated already.

The events of the catalogue are drawn once and laid in a grid; a forest then looks at those around it only, with the
same draws that a run over the whole book takes, so the years it is hit in are the very same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.insurance.accumulation.event_set import Floats, Small, Whole
from services.insurance.accumulation.simulation import Catalogue, Drawn, Places, footprint_ha

#: Years drawn at a time, so that what is needed to draw does not stand beside what is kept.
_YEARS = 10_000


@dataclass(frozen=True)
class Hits:
    """What strikes some forests, a row for each event and forest."""

    peril: npt.NDArray[np.int8]
    year: Small
    area_ha: Floats
    parcel: Whole
    damage: Floats


@dataclass(frozen=True)
class _Grid:
    """One peril's events, those of a cell together, cells by rows from south-west."""

    drawn: Drawn
    start: Whole
    cell_km: float
    columns: int
    rows: int
    margin: float

    def touching(self, x: float, y: float, radius: float, most: float) -> Whole:
        """The events whose footprint touches a disc."""
        reach = most + radius
        west, east = (self._cell(x - reach, self.columns), self._cell(x + reach, self.columns))
        south, north = (self._cell(y - reach, self.rows), self._cell(y + reach, self.rows))
        found = []
        for row in range(south, north + 1):
            first, last = self.start[row * self.columns + west], self.start[row * self.columns + east + 1]
            here = slice(int(first), int(last))
            across, along = self.drawn.x[here] - x, self.drawn.y[here] - y
            found.append(first + np.flatnonzero(across**2 + along**2 <= (self.drawn.radius[here] + radius) ** 2))
        return np.concatenate(found)

    def _cell(self, at: float, count: int) -> int:
        return min(max(int((at + self.margin) // self.cell_km), 0), count - 1)


class EventGrid:
    """All events of a catalogue by place; some 44 bytes an event."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._grids = [self._laid(number) for number in range(len(catalogue.perils))]

    def _laid(self, number: int) -> _Grid:
        parts = list(self._drawn(number))
        drawn = Drawn(*(np.concatenate([getattr(one, name) for one in parts]) for name in Drawn.__dataclass_fields__))
        most, margin = self.catalogue.perils[number].most_km, self.catalogue.margin(number)
        cell_km = max(most / 3, 1.0)
        columns, rows = (int((side + 2 * margin) // cell_km) + 1 for side in self.catalogue.size)
        column = np.clip(((drawn.x + margin) // cell_km).astype(np.int64), 0, columns - 1)
        cell = np.clip(((drawn.y + margin) // cell_km).astype(np.int64), 0, rows - 1) * columns + column
        order = np.argsort(cell, kind="stable")
        placed = Drawn(*(getattr(drawn, name)[order] for name in Drawn.__dataclass_fields__))
        start = np.searchsorted(cell[order], np.arange(columns * rows + 1))
        return _Grid(placed, start, cell_km, columns, rows, margin)

    def _drawn(self, number: int) -> Iterator[Drawn]:
        for first in range(1, self.catalogue.years + 1, _YEARS):
            yield self.catalogue.drawn_between(number, first, min(first + _YEARS - 1, self.catalogue.years))

    def hits(self, places: Places) -> Hits:
        """What strikes these forests in all of the years. Raises ValueError for one that is exposed too much."""
        found: list[list[npt.NDArray[np.generic]]] = [[], [], [], [], []]
        for number, grid in enumerate(self._grids):
            most = self.catalogue.perils[number].most_km
            near = [
                grid.touching(x, y, r, most)
                for x, y, r in zip(places.x.tolist(), places.y.tolist(), places.radius.tolist(), strict=True)
            ]
            event = np.concatenate(near)
            parcel = np.repeat(np.arange(len(near)), [len(one) for one in near])
            of = grid.drawn
            hit, damage = self.catalogue.struck(number, of.key[event], of.shared_damage[event], parcel, places)
            event = event[hit]
            row = (np.full(len(event), number, np.int8), of.year[event], footprint_ha(of.radius[event]), parcel[hit])
            for column, values in zip(found, (*row, damage), strict=True):
                column.append(values)
        return Hits(*(np.concatenate(column) for column in found))


class BookYears:
    """The yearly payments of a book, sorted once."""

    def __init__(self, aggregate: Floats) -> None:
        self.aggregate = aggregate
        #: Worst year first; equal years in the order of the table.
        self.worst_first = np.argsort(-aggregate, kind="stable")
