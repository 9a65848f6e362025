import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.payout import (
    aggregate_event,
    area_index_payout,
    carbon_loss,
    cumulative_loss,
    final_payment,
    growth_bonus,
    indemnity,
    interim_payment,
    shortfall_payout,
    tier_payout,
    top_up,
)
from tests.insurance.formulas.examples import close, example

FEN = st.integers(0, 10**12)
TIERS = [(100.0, 1_000), (232.0, 5_000), (400.0, 20_000)]
STEPS = [(0.1, 0.0), (0.3, 0.4), (0.8, 1.0)]


def test_shortfall_example():
    case = example("index-shortfall")
    inputs = case["inputs"]
    paid = [
        shortfall_payout(inputs["target_t"], actual, 100 * inputs["price"], 100 * inputs["limit"])
        for actual in inputs["actual_t"]
    ]
    assert [fen / 100 for fen in paid] == close(case, "payout")


def test_annual_threshold_example():
    case = example("annual-threshold")
    seen = [(one["id"], one.get("revision", 1), one["t"]) for one in case["inputs"]["observations"]]
    cumulative = cumulative_loss(seen)
    assert cumulative == case["expected"]["cumulative_t"]
    assert aggregate_event(cumulative, case["inputs"]["threshold_t"]) is case["expected"]["event"]


@given(FEN, FEN, st.integers(1, 10**12), st.floats(0, 0.99), FEN)
def test_an_indemnity_never_exceeds_the_loss_or_what_is_left_of_the_sum_insured(loss, si, value, deductible, before):
    paid = indemnity(loss, si, value, deductible, before)
    assert 0 <= paid <= loss
    assert paid <= max(si - before, 0)


@given(FEN, st.floats(0, 1), st.floats(0, 1))
def test_a_worse_fire_never_pays_less(value, one, other):
    low, high = sorted([one, other])
    assert carbon_loss(value, low) <= carbon_loss(value, high) <= value


@given(FEN, st.floats(0, 1))
def test_interim_and_final_payment_sum_to_the_claim(assessed, share):
    interim = interim_payment(assessed, share)
    assert interim + final_payment(assessed, interim) == assessed


@given(st.permutations([("a", 1, 10.0), ("a", 2, 12.0), ("b", 1, 5.0), ("b", 1, 5.0)]))
def test_observations_count_once_in_any_order(observations):
    assert cumulative_loss(observations) == 17.0


def test_a_revision_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="contradicts"):
        cumulative_loss([("a", 1, 10.0), ("a", 1, 11.0)])


@given(st.lists(st.floats(0, 100), max_size=12))
def test_payments_of_a_year_sum_to_the_highest_tier_reached(losses):
    cumulative, paid = 0.0, 0
    for loss in losses:
        cumulative += loss
        paid += top_up(tier_payout(cumulative, TIERS), paid)
    assert paid == tier_payout(cumulative, TIERS)


@given(st.floats(0, 1), st.floats(0, 1), FEN)
def test_a_larger_damaged_area_never_pays_less(one, other, limit):
    low, high = sorted([one, other])
    assert 0 <= area_index_payout(low, limit, STEPS) <= area_index_payout(high, limit, STEPS) <= limit


def test_nothing_is_paid_before_the_first_step():
    assert area_index_payout(0.05, 1_000, [(0.1, 0.5), (0.5, 1.0)]) == 0
    assert area_index_payout(0.1, 1_000, [(0.1, 0.5), (0.5, 1.0)]) == 500


def test_growth_beyond_the_target_earns_the_bonus_and_less_earns_nothing():
    assert growth_bonus(100, 110, 500) == 5_000
    assert growth_bonus(100, 90, 500) == 0


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (carbon_loss, (100, 1.1)),
        (indemnity, (-1, 1, 1, 0.0)),
        (indemnity, (1, 1, 0, 0.0)),
        (interim_payment, (100, 1.1)),
        (final_payment, (-1, 0)),
        (shortfall_payout, (-1.0, 0.0, 1, 1)),
        (growth_bonus, (1.0, -1.0, 1)),
        (area_index_payout, (0.5, 100, [])),
        (area_index_payout, (0.5, 100, [(0.5, 1.0), (0.1, 0.0)])),
        (area_index_payout, (1.5, 100, STEPS)),
        (cumulative_loss, ([("a", 1, -1.0)],)),
        (tier_payout, (1.0, [(1.0, 10), (2.0, 5)])),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
