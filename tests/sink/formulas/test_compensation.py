"""Footprints, land use, planting allowances and balances, by hand and in general."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas import balance, footprint, landuse, planting

MASSES = st.lists(st.floats(0, 1e6), min_size=1, max_size=8)
FACTORS = st.floats(0, 1e3)


def test_the_footprint_of_a_meeting_is_the_sum_of_its_lines() -> None:
    travel = footprint.travel_distance(np.array([120, 2]), np.array([320.0, 100.0]), 2)
    assert travel.tolist() == [76_800, 400]
    total = footprint.event_footprint(travel, [0.04115, 0.19228], [1000, 40, 240], [0.5366, 53.5, 1.87])
    assert float(total) == pytest.approx((3160.32 + 76.912 + 536.6 + 2140 + 448.8) / 1000)


def test_a_home_is_shared_and_the_rest_is_not() -> None:
    assert float(footprint.person_footprint([3.0], 3, [2.0])) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="household"):
        footprint.person_footprint([3.0], 0, [])


@given(MASSES, FACTORS, st.integers(0, 7))
def test_doing_more_of_one_thing_never_lowers_a_footprint(quantities: list[float], factor: float, at: int) -> None:
    more = list(quantities)
    more[at % len(more)] += 1.0
    before, after = (footprint.event_footprint([], [], q, [factor] * len(q)) for q in (quantities, more))
    assert after >= before


@given(MASSES, MASSES, MASSES)
def test_the_three_scopes_add_up_to_an_organisation(
    direct: list[float], bought: list[float], chain: list[float]
) -> None:
    whole = float(footprint.organisation_footprint(direct, bought, chain))
    assert whole == pytest.approx(sum(direct) + sum(bought) + sum(chain))


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_no_quantity_and_no_factor_may_be_negative_or_no_number(wrong: float) -> None:
    with pytest.raises(ValueError, match="quantity"):
        footprint.activity_emissions([wrong], [1.0])
    with pytest.raises(ValueError, match="factor"):
        footprint.activity_emissions([1.0], [wrong])
    with pytest.raises(ValueError, match="distance"):
        footprint.travel_distance(1, wrong, 2)
    with pytest.raises(ValueError, match="stock"):
        landuse.stock_value(wrong, 70.0)
    with pytest.raises(ValueError, match="stock"):
        planting.yearly_allowance([0.0, wrong], 0.2)


def test_the_loss_of_a_hectare_by_hand() -> None:
    # 28.5 t at 70 CNY, and two years of 1,150 + 2,350 CNY at 10 %: 3,500/1.1 + 3,500/1.21.
    loss = float(landuse.ecological_loss(28.5, 70.0, 1150.0, 2350.0, 0.10, 2))
    assert loss == pytest.approx(1995.0 + 3500 / 1.1 + 3500 / 1.21)
    assert float(landuse.equal_value_units(loss, 70.0)) * 70.0 == pytest.approx(loss)


@given(st.floats(0, 0.5), st.integers(1, 60))
def test_an_annuity_lies_between_nothing_and_its_years(rate: float, years: int) -> None:
    assert 0 < landuse.annuity_factor(rate, years) <= years
    assert landuse.annuity_factor(rate, years + 1) > landuse.annuity_factor(rate, years)


def test_no_units_equal_a_loss_at_no_price() -> None:
    with pytest.raises(ValueError, match="price"):
        landuse.equal_value_units(100.0, 0.0)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30), st.floats(0, 1))
def test_an_allowance_is_never_more_than_what_stands_at_the_best_of_times(
    stocks: list[float], deduction: float
) -> None:
    yearly = planting.yearly_allowance(stocks, deduction)
    assert np.all(yearly >= 0)
    total = planting.planting_allowance(stocks, deduction)
    assert total <= (max(stocks) - stocks[0]) * (1 - deduction) * (1 + 1e-9) + 1e-9


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20), st.lists(st.integers(1, 50), min_size=1, max_size=9))
def test_adopters_together_never_hold_more_than_the_planting(grown: list[int], trees: list[int]) -> None:
    running = np.cumsum(grown)
    shares = [planting.adopted_allowance(running, some, sum(trees)) for some in trees]
    assert np.all(sum(shares) <= running)
    assert np.all(sum(shares) > running - len(trees))
    for share in shares:
        assert all(a <= b for a, b in pairwise(share.tolist()))


RUNNING = st.lists(st.integers(0, 1000), min_size=1, max_size=12).map(lambda years: np.cumsum(years).tolist())


@given(RUNNING, st.floats(0, 2), st.integers(0, 12))
def test_a_recount_never_takes_away_what_could_be_claimed_and_never_falls(
    grown: list[int], ratio: float, settled: int
) -> None:
    settled = min(settled, len(grown))
    after = planting.recounted_allowance(grown, [int(mass * ratio) for mass in grown], settled)
    assert after[:settled].tolist() == grown[:settled]
    assert np.all(np.diff(after) >= 0)
    assert len(after) == len(grown)


@given(st.data())
def test_claims_within_what_is_claimable_never_exceed_what_has_grown(data: st.DataObject) -> None:
    years = data.draw(st.integers(1, 12))
    grown = np.cumsum(data.draw(st.lists(st.integers(0, 1000), min_size=years, max_size=years)))
    claims = np.zeros(years, dtype=np.int64)
    for _ in range(data.draw(st.integers(0, 20))):
        year = data.draw(st.integers(0, years - 1))
        room = int(planting.claimable_allowance(grown, np.cumsum(claims))[year])
        claims[year] += data.draw(st.integers(0, room))
    assert np.all(np.cumsum(claims) <= grown)
    # And a kilogram more in any year would be too much somewhere.
    for year in range(years):
        over = claims.copy()
        over[year] += int(planting.claimable_allowance(grown, np.cumsum(claims))[year]) + 1
        assert np.any(np.cumsum(over) > grown)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_year_is_zero_carbon_only_when_the_cover_reaches_the_emissions(e: int, a: int, r: int) -> None:
    assert balance.zero_carbon(e, a, r) == (e > 0 and a + r >= e)
    assert balance.yearly_balance(e, a, r) == e - a - r
