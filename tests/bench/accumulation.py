"""Insurance: the year loss table against the least numpy can do, and a quote's marginal capital against its goal."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numba
import numpy as np

from deploy.embedded import EmbeddedPostgres
from services.insurance.accumulation import compiled
from services.insurance.accumulation.event_set import BLOCK, EventSet
from services.insurance.accumulation.exposure import Exposure, ParcelTerms, PolicyTerms, groups_of
from services.insurance.accumulation.losses import YearTable, year_table
from services.insurance.accumulation.marginal import BookYears, EventGrid
from services.insurance.actions import PARAMETERS, accumulations, capital, pricing
from shared import clock
from tests.bench.harness import Row, Spent, compare, measure
from tests.insurance.examples import HAZARDS

PARCELS, EVENTS, YEARS, ROUNDS = 10_000, 100_000, 20_000, 7
#: Event-parcel losses.
CELLS = (5_000_000, 25_000_000)
#: Years of the book that a quote joins, and the goal for the quote. [s]
BOOK_YEARS, QUOTE_GOAL = 100_000, 0.005


def rows(_: EmbeddedPostgres) -> list[Row]:
    """Measure the years with and without the compiled pass, and a quote."""
    return [*(row for cells in CELLS for row in _years(cells)), _quote()]


def _cpu(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before


# -- the year loss table ----------------------------------------------------------------------------------------------


def _book(cells: int) -> tuple[EventSet, Exposure]:
    draw = np.random.default_rng(1)
    counts = np.full(EVENTS, cells // EVENTS)
    parcel = np.concatenate([np.sort(draw.choice(PARCELS, one, replace=False)) for one in counts[:2000]])
    parcel = np.tile(parcel, EVENTS // 2000).astype(np.int32)
    year = np.sort(draw.integers(1, YEARS + 1, EVENTS)).astype(np.int32)
    events = EventSet(
        np.arange(EVENTS), year, np.zeros(EVENTS, np.int32), np.zeros(EVENTS),
        np.concatenate([[0], np.cumsum(counts)]), parcel, draw.random(len(parcel)), YEARS, ("all",),
    )  # fmt: skip
    nothing, small = np.zeros(PARCELS), np.zeros(PARCELS, np.int32)
    value = draw.lognormal(12, 1, PARCELS)
    names = tuple(map(str, range(PARCELS)))
    terms = ParcelTerms(0.02 * value, small, 0.8 * value, small, nothing)
    return events, Exposure(
        names, names, np.arange(PARCELS, dtype=np.int32), value, value, terms, PolicyTerms.none(PARCELS),
        groups_of({"county": ["one"] * PARCELS}), nothing, nothing, nothing, nothing, nothing,
    )  # fmt: skip


def floor(events: EventSet, book: Exposure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ground-up loss, deductible, limit, and both yearly figures: as few passes as numpy takes, block by block."""
    gross, aggregate, occurrence = (np.zeros(YEARS) for _ in range(3))
    value, deductible, limit = book.value, book.terms.deductible, book.terms.limit
    for block in events.blocks(BLOCK):
        loss = block.damage * value[block.parcel]
        year = block.year - 1
        gross += np.bincount(year, weights=np.add.reduceat(loss, block.start[:-1]), minlength=YEARS)
        loss -= deductible[block.parcel]
        np.maximum(loss, 0, out=loss)
        np.minimum(loss, limit[block.parcel], out=loss)
        paid = np.add.reduceat(loss, block.start[:-1])
        aggregate += np.bincount(year, weights=paid, minlength=YEARS)
        np.maximum.at(occurrence, year, paid)
    return gross, aggregate, occurrence


@numba.njit
def _compiled_floor(
    damage: Any, parcel: Any, start: Any, year: Any, value: Any, deductible: Any, limit: Any, gross: Any,
    aggregate: Any, occurrence: Any,
) -> None:  # fmt: skip
    for event in range(len(year)):
        ground_up = paid = 0.0
        for cell in range(start[event], start[event + 1]):
            here = parcel[cell]
            loss = damage[cell] * value[here]
            ground_up += loss
            loss -= deductible[here]
            if loss < 0.0:
                loss = 0.0
            if loss > limit[here]:
                loss = limit[here]
            paid += loss
        at = year[event] - 1
        gross[at] += ground_up
        aggregate[at] += paid
        if paid > occurrence[at]:
            occurrence[at] = paid


def compiled_floor(events: EventSet, book: Exposure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same in one pass that numba compiles, keeping no loss of a parcel."""
    found = np.zeros(YEARS), np.zeros(YEARS), np.zeros(YEARS)
    terms = book.value, book.terms.deductible, book.terms.limit
    _compiled_floor(events.damage, events.parcel, events.start, events.year, *terms, *found)
    return found


def _years(cells: int) -> Iterator[Row]:
    events, book = _book(cells)

    def ours() -> YearTable:
        return year_table(events.blocks(), book, YEARS, events.perils, ())

    def plainly() -> float:
        compiled.AVAILABLE = False
        try:
            return _cpu(ours)
        finally:
            compiled.AVAILABLE = True

    table = ours()
    for reference in (floor, compiled_floor):
        answers = reference(events, book)
        for one, other in zip((table.ground_up, table.aggregate[0], table.occurrence[0]), answers, strict=True):
            assert np.allclose(one, other, rtol=1e-12)
    what = f"year loss table of {PARCELS:,} parcels and {cells:,} losses"
    note = "both: ground-up, deductible and limit of each parcel, sum and largest event of each year, same answers"
    for name, mine, reference, goal in (
        (f"{what} vs a numpy floor", plainly, floor, 1 / 1.1),
        (f"{what}, extra `fast`, vs a numpy floor", lambda: _cpu(ours), floor, 1 / 1.1),
        (f"{what}, extra `fast`, vs a numba floor", lambda: _cpu(ours), compiled_floor, 1 / 1.5),
    ):

        def theirs(reference: Callable[[EventSet, Exposure], object] = reference) -> float:
            return _cpu(lambda: reference(events, book))

        yield compare("accumulation", name, mine, theirs, unit="s CPU", goal=goal, rounds=ROUNDS, note=note)


# -- a quote ----------------------------------------------------------------------------------------------------------


def _quote() -> Row:
    p = PARAMETERS.at(clock.today())
    catalogue = accumulations.catalogue_of(p, 1, BOOK_YEARS)
    aggregate = np.random.default_rng(1).pareto(1.5, BOOK_YEARS) * 1e6
    kept = Spent()
    grid = EventGrid(catalogue)
    drawn, _ = kept.per(1)
    joins = capital.BookCapital({}, BookYears(aggregate), grid, 10.0, 0.15, 200.0, 0.08)
    hazards = {peril: str(score) for peril, score in HAZARDS.items()}
    one = pricing.Insured("new", "youyu", Decimal(1_000_000), hazards, place=(112.4, 39.9, 100.0))

    def quote() -> float:
        before = time.process_time()
        for _ in range(20):
            price = pricing.price([one], p, pricing.Steps(), capital=joins.margin)
        assert price.shown["waterfall"][-1]
        return (time.process_time() - before) / 20

    costs = measure("accumulation: a quote with its marginal capital", quote, lambda: QUOTE_GOAL, ROUNDS)
    return Row.of(
        "accumulation",
        f"a quote with its co-TVaR in a cached book of {BOOK_YEARS:,} years vs the goal of 5 ms",
        costs,
        unit="s CPU",
        goal=1.0,
        note=f"six perils, one forest, every step of the price; laying out the events, once a process, took"
        f" {drawn / 1e6:.1f} s",
    )
