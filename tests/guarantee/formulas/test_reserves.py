from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.reserves import (
    compensation_reserve_addition,
    compensation_reserve_target,
    unearned_premium_reserve,
)
from tests.guarantee.formulas.examples import example

FEN = st.integers(0, 10**13)


def test_reserves_example():
    case = example("reserves")
    income, liability = (round(100 * float(case["inputs"][name])) for name in ("fee_income", "liability"))
    expected = {name: round(100 * float(value)) for name, value in case["expected"].items()}
    assert unearned_premium_reserve(income, 5_000) == expected["unearned_premium"]
    assert compensation_reserve_target(liability, 1_000) == expected["compensation_target"]
    first = compensation_reserve_addition(liability, 0, 100, 1_000, reached_before=False)
    assert first == expected["compensation_addition_min"]


@given(FEN, FEN)
def test_the_reserve_is_filled_to_the_target_and_never_beyond(liability, reserve):
    target = compensation_reserve_target(liability, 1_000)
    on_the_way = compensation_reserve_addition(liability, reserve, 100, 1_000, reached_before=False)
    once_reached = compensation_reserve_addition(liability, reserve, 100, 1_000, reached_before=True)
    assert 0 <= on_the_way <= once_reached
    assert reserve + once_reached == max(reserve, target)


def test_ten_years_of_additions_reach_the_target():
    liability, reserve = 123_456_789, 0
    for _ in range(10):
        reserve += compensation_reserve_addition(liability, reserve, 100, 1_000, reached_before=False)
    assert reserve == compensation_reserve_target(liability, 1_000)
