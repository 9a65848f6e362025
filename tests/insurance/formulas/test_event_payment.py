"""Payments of an event in closed form against the same terms laid on many equally likely losses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.event_payment import (
    annual_lev,
    damage_lev,
    damage_square_lev,
    event_payment,
    event_payment_square,
)
from services.insurance.formulas.event_sets import damage_bins
from services.insurance.formulas.rating import split_by_weights, step_amounts, whole_fens
from services.insurance.formulas.subsidy import largest_remainder
from services.insurance.formulas.terms import losses_after_terms

SUM, MEAN, SD = 1_000_000.0, 0.4, 0.3
LOSSES = SUM * damage_bins(MEAN, SD, 20_000)
TERMS = [
    {},
    {"deductible_share": 0.1},
    {"deductible": 50_000.0},
    {"franchise": 200_000.0},
    {"limit": 300_000.0},
    {"deductible_share": 0.1, "deductible": 50_000.0, "franchise": 30_000.0, "limit": 300_000.0},
    {"deductible_share": 0.2, "deductible": 20_000.0, "franchise": 400_000.0, "limit": 250_000.0, "insurer_share": 0.6},
]


def paid(deductible_share=0.0, deductible=0.0, franchise=0.0, limit=0.0, insurer_share=1.0):
    one = np.ones_like(LOSSES)
    after = losses_after_terms(
        LOSSES, deductible * one, deductible_share * one, (limit or np.inf) * one, np.inf * one, franchise * one
    )
    return insurer_share * after


@pytest.mark.parametrize("terms", TERMS)
def test_a_closed_form_is_the_mean_over_many_losses(terms):
    simulated = paid(**terms)
    assert event_payment(SUM, MEAN, SD, **terms) == pytest.approx(simulated.mean(), rel=2e-4)
    assert event_payment_square(SUM, MEAN, SD, **terms) == pytest.approx((simulated**2).mean(), rel=5e-4)


def test_without_terms_an_event_costs_its_mean():
    assert event_payment(SUM, MEAN, SD) == pytest.approx(SUM * MEAN)
    assert event_payment_square(SUM, MEAN, SD, 0.1) == pytest.approx((0.9 * SUM) ** 2 * (MEAN**2 + SD**2))
    assert damage_lev(MEAN, SD, 1.0) == pytest.approx(MEAN)
    assert damage_square_lev(MEAN, SD, 1.0) == pytest.approx(MEAN**2 + SD**2)


@given(st.floats(0.0, 900_000.0), st.floats(0.0, 900_000.0), st.floats(1.0, 900_000.0))
def test_more_is_never_paid_under_a_higher_deductible_or_a_lower_limit(one, other, limit):
    low, high = sorted([one, other])
    assert event_payment(SUM, MEAN, SD, 0.0, high) <= event_payment(SUM, MEAN, SD, 0.0, low) + 1e-6
    assert event_payment(SUM, MEAN, SD, 0.0, 0.0, high) <= event_payment(SUM, MEAN, SD, 0.0, 0.0, low) + 1e-6
    assert event_payment(SUM, MEAN, SD, limit=limit) <= event_payment(SUM, MEAN, SD) + 1e-6


def test_a_year_under_a_cap_is_that_of_many_simulated_years():
    frequency, cap, rng = 0.8, 500_000.0, np.random.default_rng(0)
    counts = rng.poisson(frequency, 200_000)
    years = np.zeros(len(counts))
    np.add.at(years, np.repeat(np.arange(len(counts)), counts), rng.choice(LOSSES, counts.sum()))
    levs = [0.0, *(float(event_payment(SUM, MEAN, SD, limit=cap * j / 64)) for j in range(1, 65))]
    assert annual_lev(frequency, levs, cap) == pytest.approx(np.minimum(years, cap).mean(), rel=5e-3)
    assert annual_lev(frequency, levs, cap) <= frequency * levs[-1]


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=20))
def test_steps_sum_to_their_last_level_to_the_fen(levels):
    assert step_amounts(np.array(levels)).sum() == whole_fens(np.array(levels))[-1]


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=5), st.lists(st.integers(0, 10_000), min_size=1, max_size=5)
)
def test_many_splits_are_as_one(amounts, weights):
    weights = [*weights, 1]
    assert split_by_weights(np.array(amounts), weights).tolist() == [largest_remainder(x, weights) for x in amounts]
