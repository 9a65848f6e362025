"""Money: one rounding rule, nothing lost in a split, nothing taken that is not an amount."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import money


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (2.675, "2.68"),
        (2.665, "2.67"),
        (0.005, "0.01"),
        (-0.005, "-0.01"),
        (-0.004, "0.00"),
        (-0.0, "0.00"),
        (0.1 + 0.2, "0.30"),
        (1e15, "1000000000000000.00"),
        (Decimal("2.675"), "2.68"),
        (7, "7.00"),
        (10**17 + 1, "100000000000000001.00"),
        (np.float64(2.675), "2.68"),
        (np.int64(3), "3.00"),
    ],
)
def test_rounding_is_half_up_and_zero_has_no_sign(value: Any, rounded: str) -> None:
    assert str(money.yuan(value)) == rounded


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), np.float64("nan"), Decimal("1e30")]
)
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        money.yuan(value)


@pytest.mark.parametrize(
    "text",
    ["100.005", 100.1, "1e3", "１.00", "-1.00", "", "1.00\n", "1" * 16, "01.00", "1.", ".5", "+1", " 1", None, 1, True],
)
def test_only_plain_strings_are_amounts(text: Any) -> None:
    with pytest.raises(ValueError, match="an amount is a string"):
        money.amount(text)


@given(st.integers(0, 10**17 - 1))
def test_fen_and_amounts_are_the_same_thing(fen: int) -> None:
    amount = money.from_fen(fen)
    assert money.fen(amount) == fen
    assert money.amount(str(amount)) == amount


@pytest.mark.parametrize("value", ["0.001", "NaN", "Infinity"])
def test_what_is_finer_than_a_fen_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="finer than a fen"):
        money.fen(Decimal(value))


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**6), min_size=1, max_size=8).filter(any))
def test_parts_sum_to_the_whole_and_none_is_a_fen_off(cents: int, shares: list[int]) -> None:
    total = money.from_fen(cents)
    parts = money.split(total, shares)
    assert sum(parts) == total
    for part, share in zip(parts, shares, strict=True):
        assert abs(money.fen(part) - Decimal(cents) * share / sum(shares)) < 1
        assert part >= 0
        assert share or part == 0


def test_ties_go_to_the_earlier_party() -> None:
    assert money.split(Decimal("0.01"), [1, 1]) == [Decimal("0.01"), Decimal("0.00")]


@pytest.mark.parametrize(("total", "shares"), [("1", []), ("1", [0, 0]), ("1", [2, -1]), ("-1", [1])])
def test_what_cannot_be_split_is_refused(total: str, shares: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        money.split(Decimal(total), shares)
