import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.expected_loss import (
    conditional_default_probability,
    default_acceptable,
    expected_loss,
)

PROBABILITIES = st.floats(0.0001, 0.5)


@given(PROBABILITIES, st.floats(0, 1), st.floats(0, 1e9))
def test_retained_and_ceded_expected_loss_sum_to_the_whole(pd, lgd, exposure):
    parts = expected_loss(pd, lgd, exposure, [0.4, 0.3, 0.2, 0.1])
    assert parts.sum() == pytest.approx(float(expected_loss(pd, lgd, exposure, 1.0)))
    assert np.all(parts >= 0)


@given(PROBABILITIES, st.floats(0, 0.4), st.floats(0, 0.4))
def test_default_probability_over_all_states_is_the_unconditional_one(pd, general, forest):
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    states = conditional_default_probability(pd, general, forest, nodes[:, np.newaxis], nodes)
    assert float(weights @ states @ weights) == pytest.approx(pd, rel=1e-3)


def test_a_bad_year_for_forests_raises_default():
    good, bad = conditional_default_probability(0.03, 0.12, 0.05, 0.0, [1.0, -3.0])
    assert good < 0.03 < bad


def test_the_ceiling_is_included():
    assert default_acceptable(0.08, 0.08)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (expected_loss, (1.1, 0.5, 1, 1)),
        (expected_loss, (0.1, -0.5, 1, 1)),
        (default_acceptable, (float("nan"), 0.1)),
        (conditional_default_probability, (0.1, 0.6, 0.4, 0.0, 0.0)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
