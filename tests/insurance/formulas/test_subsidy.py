import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.subsidy import (
    capped_levels,
    endorsement_premium,
    largest_remainder,
    refund_split,
    return_premium,
)
from tests.insurance.formulas.examples import close, example

FEN = st.integers(0, 10**12)


@pytest.mark.parametrize("name", ["subsidy-largest-remainder", "subsidy-tie", "return-refunds-sum"])
def test_split_examples(name):
    case = example(name)
    amount = case["inputs"].get("premium_fen", case["inputs"].get("return_fen"))
    weights = [round(10_000 * share) for share in case["inputs"]["shares"]]
    assert largest_remainder(amount, weights) == case["expected"]["split_fen"]


def test_return_premium_example():
    case = example("return-prorata")
    inputs = case["inputs"]
    back = return_premium(round(100 * inputs["premium"]), inputs["days"], inputs["used"])
    assert back / 100 == close(case, "return_premium")


def test_endorsement_example():
    case = example("endorse-up")
    inputs = case["inputs"]
    change = round(100 * (inputs["si_new"] - inputs["si_old"]))
    extra = endorsement_premium(inputs["rate_permille"] / 1000, change, inputs["days"], inputs["days"] - inputs["day"])
    assert extra / 100 == close(case, "extra")


@given(FEN, st.lists(st.integers(0, 10_000), min_size=1, max_size=6).filter(any))
def test_a_split_sums_to_the_fen_and_strays_by_less_than_one(amount, weights):
    parts = largest_remainder(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < sum(weights)


@given(FEN, FEN, FEN)
def test_an_exhausted_budget_moves_to_the_named_level_and_nowhere_else(central, county, budget):
    kept = capped_levels([central, county, 50], [budget, None, None], takes_excess=1)
    assert sum(kept) == central + county + 50
    assert kept[2] == 50
    assert kept[0] == min(central, budget)


@given(FEN, st.integers(1, 1000), st.data())
def test_premium_kept_and_given_back_sum_to_the_premium(premium, days, data):
    used = data.draw(st.integers(0, days))
    back = return_premium(premium, days, used)
    assert 0 <= back <= premium
    assert back == premium if used == 0 else back <= premium


@given(st.lists(FEN, min_size=1, max_size=5).filter(any), st.data())
def test_refunds_sum_and_nobody_gets_back_more_than_it_paid(paid, data):
    back = data.draw(st.integers(0, sum(paid)))
    parts = refund_split(back, paid)
    assert sum(parts) == back
    assert all(0 <= part <= own for part, own in zip(parts, paid, strict=True))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (largest_remainder, (-1, [1])),
        (largest_remainder, (1, [0])),
        (largest_remainder, (1, [2, -1])),
        (capped_levels, ([1, 1], [0, 0], 1)),
        (return_premium, (100, 365, 366)),
        (refund_split, (101, [100])),
        (endorsement_premium, (0.1, 1, 365, 400)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
