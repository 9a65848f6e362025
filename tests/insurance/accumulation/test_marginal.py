from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.insurance.accumulation.marginal import BookYears, EventGrid
from services.insurance.actions import capital, pricing
from services.insurance.formulas.exceedance import joining_contribution, tail_contributions
from tests.insurance.accumulation.test_simulation import catalogue, places, whole
from tests.insurance.formulas.examples import close, example


def test_a_forest_is_struck_by_the_very_events_of_a_whole_run():
    of = catalogue(seed=4, years=400)
    where = places(of, 30)
    events, hits = whole(of, where), EventGrid(of).hits(where)
    assert len(hits.damage) > 50
    owner = events.owner
    told = zip(
        events.year[owner], events.peril[owner], events.parcel, events.damage, events.area_ha[owner], strict=True
    )
    found = zip(hits.year, hits.peril, hits.parcel, hits.damage, hits.area_ha, strict=True)
    assert sorted(told) == sorted(found)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 40))
def test_joining_a_book_is_being_a_part_of_it(seed, period):
    draw = np.random.default_rng(seed)
    book = np.where(draw.random(40) < 0.4, draw.integers(1, 9, 40), 0).astype(float)
    years = np.sort(draw.choice(40, draw.integers(0, 12), replace=False))
    losses = draw.integers(0, 6, len(years)).astype(float)
    own = np.zeros(40)
    own[years] = losses
    joined = joining_contribution(BookYears(book).worst_first, book, years, losses, period)
    assert joined == pytest.approx(tail_contributions([book, own], period)[1])


def test_the_reference_contribution_is_what_the_second_policy_adds():
    case = example("cotvar")
    one, other = (np.array(case["inputs"][name], dtype=float) for name in ("policy_a", "policy_b"))
    period = len(one) / case["inputs"]["worst"]
    joined = joining_contribution(BookYears(one).worst_first, one, np.arange(len(other)), other, period)
    assert joined == close(case, "cotvar_b")


def test_capital_costs_more_beside_forests_that_burn_in_the_same_fires():
    of = catalogue(seed=6, years=4_000)
    where = places(of, 12, step=0.008)
    aggregate = np.zeros(of.years)
    events = whole(of, where)
    np.add.at(aggregate, events.year[events.owner] - 1, events.damage * 1e8)
    here = capital.BookCapital({"seed": "6"}, BookYears(aggregate), EventGrid(of), 0.0, 0.0, 200.0, 0.08)
    terms = pricing.Terms(deductible_share=0.1)

    def margin(longitude: float | None, name: str = "new", sum_insured: int = 1_000_000) -> pricing.Margin | str:
        place = None if longitude is None else (longitude, 39.7, 100.0)
        one = pricing.Insured(name, "youyu", Decimal(sum_insured), {}, place=place)
        return here.margin([one], np.full((1, 2), 0.01), terms)

    near, far = margin(112.23), margin(112.55)
    assert near.amount[0] > far.amount[0] >= 0
    assert near.coefficients["co_tvar"] * 0.08 > near.amount[0]
    assert margin(112.23, sum_insured=1).amount[0] < near.amount[0] / 1e5
    assert "place" in margin(None)
    assert "outside" in margin(120.0)
