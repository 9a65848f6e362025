import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas import buffer

LOSSES, PERIODS = (0.05, 0.25, 0.50, 0.70), (10, 25, 50, 100)
SCORES = [[4, 3, 2, 1, 1], [5, 4, 3, 2, 1], [20, 5, 4, 3, 2], [30, 20, 5, 4, 3], [np.inf, 30, 20, 5, 4]]


def score(loss: float, period: float) -> float:
    return float(buffer.loss_score(loss, period, LOSSES, PERIODS, SCORES))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 500), st.floats(0, 500))
def test_greater_and_more_frequent_losses_never_score_less(a: float, b: float, c: float, d: float) -> None:
    (small, great), (frequent, rare) = sorted((a, b)), sorted((c, d))
    assert score(small, rare) <= score(great, frequent)


@pytest.mark.parametrize(
    ("loss", "period", "points"), [(0.70, 10, 30), (0.6999, 10, 20), (0.05, 9.9, 5), (0.3, 100, 2)]
)
def test_a_class_of_the_table_includes_its_lower_bound(loss: float, period: float, points: float) -> None:
    assert score(loss, period) == points


@given(st.floats(0, 100))
def test_a_rating_is_never_below_the_minimum(total: float) -> None:
    assert buffer.risk_rating(total, 12) == max(12, total)


@pytest.mark.parametrize(
    ("scores", "fails"),
    [((20, 20, 20), False), ((20, 20, 20.5), True), ((36, 0, 0), True), ((0, 21, 0), True), ((0, 0, np.inf), True)],
)
def test_a_project_fails_above_the_maximum_or_a_cap(scores: tuple[float, float, float], fails: bool) -> None:
    assert buffer.rating_failure(*scores, (35, 20, 35), 60) is fails


@given(st.floats(-1e6, 1e6), st.floats(0, 1))
def test_the_buffer_takes_its_share_of_an_increase_and_nothing_of_a_loss(increase: float, share: float) -> None:
    held = float(buffer.buffer_tonnes(increase, share))
    assert 0 <= held <= max(0.0, increase)
