from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.insurance.accumulation.event_set import EventSet
from services.insurance.accumulation.refusal import RowError
from services.insurance.accumulation.simulation import Catalogue, PerilModel, Places

FIRE = PerilModel("fire", 1.0, 0.7, 8.0, 0.3, 0.5, 2.0, 0.5, 0.4, 0.3, 0.3, 0.02)
FROST = PerilModel("frost_snow", 15.0, 0.4, 40.0, 0.2, 0.2, 5.0, 0.0, 0.2, 0.2, 0.5, 0.02)
REGION = (112.0, 39.5, 112.6, 40.0)


def catalogue(seed: int = 1, years: int = 300, **more) -> Catalogue:
    return Catalogue(seed, years, REGION, (replace(FIRE, **more), FROST))


def places(of: Catalogue, count: int, frequency: float = 0.01, step: float = 0.01) -> Places:
    n = np.arange(count)
    return of.places(
        [f"parcel-{i}" for i in n], 112.2 + step * (n % 10), 39.7 + step * (n // 10), np.full(count, 100.0),
        np.full((2, count), frequency),
    )  # fmt: skip


def whole(of: Catalogue, where: Places) -> EventSet:
    return of.between(where, 1, of.years)


def cells(events: EventSet) -> set[tuple[int, int, float]]:
    return set(zip(events.event[events.owner].tolist(), events.parcel.tolist(), events.damage.tolist(), strict=True))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**63), st.integers(1, 120))
def test_a_seed_gives_the_same_events_in_blocks_and_in_one_piece(seed, years):
    of = catalogue(seed)
    where = places(of, 20)
    streamed = [cells(block) for block in of.blocks(where, years)]
    assert set.union(*streamed) == cells(whole(of, where)) == cells(whole(catalogue(seed), where))
    assert cells(whole(catalogue(seed + 1), where)) != cells(whole(of, where))


def test_any_event_is_drawn_again_alone():
    of = catalogue()
    where = places(of, 20)
    events = whole(of, where)
    assert len(events.event) > 30
    for number in range(0, len(events.event), 7):
        alone = of.again(int(events.event[number]), where)
        kept = events.part(number, number + 1)
        for column in ("event", "year", "peril", "area_ha", "start", "parcel", "damage"):
            assert np.array_equal(getattr(alone, column), getattr(kept, column)), column


def test_a_parcel_that_joins_changes_nothing_for_the_others():
    of = catalogue()
    few, more = whole(of, places(of, 12)), whole(of, places(of, 30))
    assert cells(few) == {cell for cell in cells(more) if cell[1] < 12}
    alone = whole(of, places(of, 1))
    assert cells(alone) == {cell for cell in cells(more) if cell[1] == 0}


def test_each_parcel_is_hit_as_often_and_as_hard_as_its_price_says():
    of = catalogue(seed=3, years=20_000)
    # Too far apart to be hit together often, so that the parcels' years are nearly independent.
    where = places(of, 20, step=0.04)
    events = whole(of, where)
    for number, peril in enumerate(of.perils):
        mine = events.peril[events.owner] == number
        expected = 0.01 * 20_000 * 20
        # What one event does counts as one observation: five standard errors.
        _, sizes = np.unique(events.owner[mine], return_counts=True)
        cluster = np.sqrt((sizes**2.0).sum())
        assert mine.sum() == pytest.approx(expected, abs=5 * cluster)
        assert cluster < expected / 15
        error = peril.damage_sd * cluster / mine.sum()
        assert events.damage[mine].mean() == pytest.approx(peril.damage_mean, abs=5 * error)
        assert events.damage[mine].std() == pytest.approx(peril.damage_sd, abs=5 * error)


def test_neighbours_burn_together_and_contagion_makes_it_more_often_not_more():
    together, hits = [], []
    for contagion in (0.0, 0.9):
        of = catalogue(seed=5, years=20_000, contagion=contagion)
        where = of.places(
            ["a", "b", "far"], np.array([112.201, 112.203, 112.5]), np.full(3, 39.7), np.full(3, 10.0),
            np.full((2, 3), 0.01),
        )  # fmt: skip
        events = whole(of, where)
        fire = events.peril[events.owner] == 0
        by = [set(events.owner[fire & (events.parcel == parcel)].tolist()) for parcel in range(3)]
        together.append(len(by[0] & by[1]) / len(by[0]))
        hits.append(len(by[0]))
        assert len(by[0] & by[2]) / len(by[0]) < 0.05
    assert together[1] > together[0] > 0.2
    assert hits[1] == pytest.approx(hits[0], rel=0.3)


def test_a_parcel_outside_the_region_or_too_exposed_is_refused():
    of = catalogue()
    with pytest.raises(RowError, match="row 3, longitude"):
        of.places(["a", "b"], np.array([112.1, 120.0]), np.full(2, 39.7), np.full(2, 1.0), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="exposed more"):
        whole(of, places(of, 3, frequency=0.5))
