"""Draw event sets: the same events for everybody who knows the catalogue, whatever book they look at.

Every draw has an address. Those of an event come from a Philox stream keyed by (seed, peril) at the counter of its
number, those of a parcel in it from a hash of the event's key and the parcel's: so any event can be drawn again alone,
blocks of years give what the whole gives, and a parcel that joins the book changes nothing for the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.spatial import cKDTree

from services.insurance.accumulation.event_set import EventSet, Floats, Small, Whole
from services.insurance.accumulation.refusal import RowError
from services.insurance.formulas import event_sets as formulas

Keys = npt.NDArray[np.uint64]

#: Degrees to km on a sphere of 6,371 km.
KM = 6371 * np.pi / 180
_BINS = 4096
_EVENTS_OF_PERIL = 1 << 40
#: Fewer parcels than this are looked at one by one.
_FEW = 8


@dataclass(frozen=True)
class PerilModel:
    """How one peril strikes: lengths in km, the weather's and the damage's shares of what events have in common."""

    name: str
    median_km: float
    spread: float
    most_km: float
    year_weather: float
    contagion: float
    neighbourhood_km: float
    overdispersion: float
    damage_mean: float
    damage_sd: float
    damage_shared: float
    #: Events of a year at the most exposed place of the region.
    highest_frequency: float

    @cached_property
    def moments(self) -> tuple[float, float]:
        """E[R] and E[R²] of the footprints."""
        return formulas.radius_moments(self.median_km, self.spread, self.most_km)

    @cached_property
    def density(self) -> float:
        """Events that start per km² and year."""
        return formulas.ignition_density(self.highest_frequency, self.moments)

    @cached_property
    def damages(self) -> Floats:
        """Damage ratio by bin."""
        return formulas.damage_bins(self.damage_mean, self.damage_sd, _BINS)


@dataclass(frozen=True)
class Places:
    """Parcels as the events see them: place in the region [km], radius [km], keys, and how often each peril comes."""

    x: Floats
    y: Floats
    radius: Floats
    key: Keys
    #: frequency[peril, parcel]  [1/yr]
    frequency: Floats

    @cached_property
    def tree(self) -> cKDTree:
        """The parcels by place."""
        return cKDTree(np.column_stack([self.x, self.y]))


@dataclass(frozen=True)
class Drawn:
    """Events of one peril as they were drawn: where [km], how wide [km], in which year, and what decides on damage."""

    x: Floats
    y: Floats
    radius: Floats
    year: Small
    key: Keys
    shared_damage: Floats


@dataclass(frozen=True)
class Catalogue:
    """All events of a region over so many years, by seed. `region` is west, south, east, north in degrees."""

    seed: int
    years: int
    region: tuple[float, float, float, float]
    perils: tuple[PerilModel, ...]

    def places(
        self, names: Sequence[str], longitude: Floats, latitude: Floats, area_ha: Floats, frequency: Floats
    ) -> Places:
        """Place parcels in the region. Raises RowError for one outside it."""
        west, south, east, north = self.region
        inside = (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)
        if not inside.all():
            raise RowError(int(np.argmin(inside)) + 2, "longitude", "the parcel is outside the region of the events")
        across = KM * np.cos(np.radians((south + north) / 2))
        keys = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") for name in names]
        return Places(
            (longitude - west) * across, (latitude - south) * KM, formulas.parcel_radius(area_ha),
            np.array(keys, dtype=np.uint64), frequency,
        )  # fmt: skip

    def blocks(self, places: Places, years: int = 500) -> Iterator[EventSet]:
        """The event set of these parcels, in blocks of so many years."""
        for first in range(1, self.years + 1, years):
            yield self.between(places, first, min(first + years - 1, self.years))

    def between(self, places: Places, first: int, last: int) -> EventSet:
        """The events of the years from first to last that hit any of these parcels."""
        return self._gathered([self._hits(n, places, *self._range(n, first, last)) for n in range(len(self.perils))])

    def again(self, event: int, places: Places) -> EventSet:
        """One event, drawn again alone."""
        peril, number = divmod(event, _EVENTS_OF_PERIL)
        return self._gathered([self._hits(peril, places, number, number + 1)])

    # -- years --------------------------------------------------------------------------------------------------------

    @cached_property
    def size(self) -> tuple[float, float]:
        """Width and height of the region. [km]"""
        west, south, east, north = self.region
        return (east - west) * KM * np.cos(np.radians((south + north) / 2)), (north - south) * KM

    def margin(self, number: int) -> float:
        """How far outside of the region events of a peril may start. [km]"""
        # They may reach into it; a parcel's own radius is far below this.
        return self.perils[number].most_km + 10.0

    @cached_property
    def _seasons(self) -> list[tuple[Whole, Floats]]:
        """By peril: the number of events before each year, and the weather of each."""
        found = []
        for number, peril in enumerate(self.perils):
            width, height = (side + 2 * self.margin(number) for side in self.size)
            table = formulas.event_counts(peril.density * width * height, peril.overdispersion)
            drawn = _uniform(self._raw(number, 0, 0, self.years, 4))
            counts = np.searchsorted(table, drawn[:, 0], side="right")
            found.append((np.concatenate([[0], np.cumsum(counts)]), special.ndtri(drawn[:, 1])))
        return found

    def _range(self, peril: int, first: int, last: int) -> tuple[int, int]:
        before = self._seasons[peril][0]
        return int(before[first - 1]), int(before[last])

    def _raw(self, peril: int, stream: int, first: int, count: int, draws: int) -> Keys:
        """The draws of rows first, first + 1 …: always the same ones for the same row; draws is a multiple of 4."""
        key = np.random.SeedSequence([self.seed, peril, stream]).generate_state(2, np.uint64)
        raw = np.random.Philox(key=key, counter=first * (draws // 4)).random_raw(count * draws)
        return np.asarray(raw, dtype=np.uint64).reshape(count, draws)

    # -- hits ---------------------------------------------------------------------------------------------------------

    def drawn(self, number: int, first: int, last: int) -> "Drawn":
        """One peril's events from first to before last, wherever they strike."""
        peril, (before, weather) = self.perils[number], self._seasons[number]
        raw = self._raw(number, 1, first, last - first, 8)
        drawn = _uniform(raw)
        year = np.searchsorted(before, np.arange(first, last), side="right")
        normal = special.ndtri(np.clip(drawn[:, 2:4], 1e-16, 1 - 1e-16))
        radius = formulas.footprint_radius(
            weather[year - 1], normal[:, 0], peril.year_weather, peril.median_km, peril.spread, peril.most_km
        )
        margin, (width, height) = self.margin(number), self.size
        x, y = drawn[:, 0] * (width + 2 * margin) - margin, drawn[:, 1] * (height + 2 * margin) - margin
        return Drawn(x, y, radius, year.astype(np.int32), raw[:, 4], normal[:, 1])

    def drawn_between(self, number: int, first: int, last: int) -> "Drawn":
        """One peril's events of the years from first to last, wherever they strike."""
        return self.drawn(number, *self._range(number, first, last))

    def struck(self, number: int, key: Keys, shared: Floats, parcel: Whole, places: Places) -> tuple[Any, Floats]:
        """Of pairs of an event and a parcel that its footprint touches: which are hit, and how hard those are."""
        peril = self.perils[number]
        chance = formulas.hit_chance(
            places.frequency[number], peril.density, formulas.reach(peril.moments, places.radius)
        )
        cell = (
            np.floor(places.x / peril.neighbourhood_km).astype(np.int64) * 1_000_003
            + np.floor(places.y / peril.neighbourhood_km).astype(np.int64)
        ).astype(np.uint64)
        own = _hashed(key, places.key[parcel], 1)
        draw = formulas.contagious_draw(
            _uniform(own), _uniform(_hashed(key, cell[parcel], 2)),
            _uniform(_hashed(key, places.key[parcel], 3)), peril.contagion,
        )  # fmt: skip
        hit = draw < chance[parcel]
        own = own[hit]
        z = np.sqrt(peril.damage_shared) * shared[hit] + np.sqrt(1 - peril.damage_shared) * special.ndtri(
            np.clip(_uniform(_hashed(own, own, 4)), 1e-16, 1 - 1e-16)
        )
        return hit, peril.damages[np.minimum((special.ndtr(z) * _BINS).astype(np.int64), _BINS - 1)]

    def _hits(self, number: int, places: Places, first: int, last: int) -> tuple[npt.NDArray[Any], ...]:
        """By cell: event, year, area [ha], parcel, damage; of one peril's events from first to before last."""
        of = self.drawn(number, first, last)
        event, parcel = _touched(of.x, of.y, of.radius, places)
        hit, damage = self.struck(number, of.key[event], of.shared_damage[event], parcel, places)
        event, parcel = event[hit], parcel[hit]
        return (
            event + first + number * _EVENTS_OF_PERIL, of.year[event], footprint_ha(of.radius[event]), parcel, damage,
            np.full(len(event), number),
        )  # fmt: skip

    def _gathered(self, hits: Sequence[tuple[npt.NDArray[Any], ...]]) -> EventSet:
        event, year, area, parcel, damage, peril = (np.concatenate(column) for column in zip(*hits, strict=True))
        order = np.lexsort((parcel, event, year))
        event = event[order]
        first = np.flatnonzero(np.concatenate([[True], event[1:] != event[:-1]])) if len(event) else np.zeros(0, int)
        at = order[first]
        return EventSet(
            event[first], year[at].astype(np.int32), peril[at].astype(np.int32), area[at],
            np.append(first, len(event)), parcel[order].astype(np.int32), damage[order],
            self.years, tuple(one.name for one in self.perils),
        )  # fmt: skip


def footprint_ha(radius: Floats) -> Floats:
    """Area of a footprint. [ha]"""
    return np.asarray(np.pi * radius**2 * 100)


def _touched(x: Floats, y: Floats, radius: Floats, places: Places) -> tuple[Whole, Whole]:
    """Pairs of event and parcel whose discs touch, by event."""
    if not len(places.x) or not len(x):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if len(places.x) <= _FEW:
        pairs = [
            np.flatnonzero((x - px) ** 2 + (y - py) ** 2 <= (radius + r) ** 2)
            for px, py, r in zip(places.x, places.y, places.radius, strict=True)
        ]
        return np.concatenate(pairs), np.repeat(np.arange(len(pairs)), [len(one) for one in pairs])
    near = places.tree.query_ball_point(np.column_stack([x, y]), radius + places.radius.max(), return_sorted=True)
    counts = np.fromiter(map(len, near), dtype=np.int64, count=len(near))
    parcel = np.fromiter(chain.from_iterable(near), dtype=np.int64, count=int(counts.sum()))
    event = np.repeat(np.arange(len(x)), counts)
    touch = (x[event] - places.x[parcel]) ** 2 + (y[event] - places.y[parcel]) ** 2 <= (
        radius[event] + places.radius[parcel]
    ) ** 2
    return event[touch], parcel[touch]


def _uniform(raw: Keys) -> Floats:
    """Numbers from 0 to before 1 of 64 random bits each."""
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53)


def _hashed(one: Keys, other: Keys, salt: int) -> Keys:
    """64 bits that depend on each bit of both (the finaliser of SplitMix64, twice)."""
    mixed = one ^ np.uint64(salt * 0x9E3779B97F4A7C15 & (1 << 64) - 1)
    for step in (other, np.uint64(0)):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9) + step
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray(mixed)
