import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.credibility import (
    between_variance,
    collective_mean,
    credibility,
    credibility_premium,
    within_variance,
)
from tests.insurance.formulas.examples import close, example


def test_small_example():
    case = example("credibility-small")
    x, w = case["inputs"]["ratios"], case["inputs"]["weights"]
    s2, a = within_variance(x, w), between_variance(x, w)
    z = credibility(w, s2, a)
    assert s2 == close(case, "s2")
    assert a == close(case, "a")
    assert z == close(case, "z")
    assert collective_mean(x, w, z) == close(case, "m")
    assert credibility_premium(x, w) == close(case, "premium")


def test_a_between_variance_below_nothing_gives_everyone_the_collective_mean():
    case = example("credibility-negative-a")
    x, w = case["inputs"]["ratios"], case["inputs"]["weights"]
    assert credibility(w, within_variance(x, w), between_variance(x, w)) == close(case, "z")
    assert credibility_premium(x, w) == close(case, "premium")


tables = st.integers(2, 5).flatmap(
    lambda groups: st.integers(2, 5).flatmap(
        lambda periods: st.tuples(
            *(
                st.lists(
                    st.lists(st.floats(*bounds), min_size=periods, max_size=periods), min_size=groups, max_size=groups
                )
                for bounds in ((0, 100), (0.1, 10))
            )
        )
    )
)


@given(tables)
def test_every_premium_lies_between_own_and_collective_mean(table):
    x, w = np.asarray(table[0]), np.asarray(table[1])
    z = credibility(w, within_variance(x, w), between_variance(x, w))
    own, m = (w * x).sum(axis=1) / w.sum(axis=1), collective_mean(x, w, z)
    premium = credibility_premium(x, w)
    assert np.all((z >= 0) & (z <= 1))
    assert np.all(premium >= np.minimum(own, m) - 1e-9)
    assert np.all(premium <= np.maximum(own, m) + 1e-9)


def test_a_missing_period_is_not_a_zero():
    with_gap = credibility_premium([[10, 12, np.nan], [4, 6, 5]], [[1, 1, 0], [1, 1, 1]])
    with_zero = credibility_premium([[10, 12, 0], [4, 6, 5]], [[1, 1, 1], [1, 1, 1]])
    assert with_gap[0] > with_zero[0]


@pytest.mark.parametrize(
    ("x", "w"),
    [
        ([[1, 2]], [[1, 1]]),
        ([[1], [2]], [[1], [1]]),
        ([[1, 2], [3, 4]], [[1, 1], [0, 0]]),
        ([[1, np.nan], [3, 4]], [[1, 1], [1, 1]]),
        ([[1, 2], [3, 4]], [[1, -1], [1, 1]]),
    ],
)
def test_impossible_inputs_are_refused(x, w):
    with pytest.raises(ValueError, match=r".+"):
        between_variance(x, w)
