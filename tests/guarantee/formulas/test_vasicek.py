import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from services.guarantee.formulas.vasicek import (
    default_rate_quantile,
    default_rate_variance,
    standardised_quantile,
    unexpected_loss_rate,
)
from tests.guarantee.formulas.examples import close, examples

PROBABILITIES, CORRELATIONS = st.floats(0.0005, 0.3), st.floats(0.01, 0.8)


@pytest.mark.parametrize("case", examples("vasicek-q999-"))
def test_quantile_examples(case):
    inputs = case["inputs"]
    assert default_rate_quantile(inputs["pd"], inputs["rho"], inputs["alpha"]) == close(case, "q")


@pytest.mark.parametrize("case", examples("vasicek-table-"))
def test_table_examples(case):
    inputs = case["inputs"]
    assert [standardised_quantile(inputs["pd"], inputs["rho"], alpha) for alpha in inputs["alpha"]] == close(case, "z")


@pytest.mark.parametrize(("p", "rho"), [(0.01, 0.1), (0.05, 0.4), (0.3, 0.7)])
def test_the_variance_agrees_with_the_bivariate_normal(p, rho):
    both = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([norm.ppf(p)] * 2)
    assert default_rate_variance(p, rho) == pytest.approx(both - p**2, abs=1e-6)


@given(PROBABILITIES, CORRELATIONS, st.floats(0.01, 0.999), st.floats(0.01, 0.999))
def test_a_quantile_rises_with_confidence(p, rho, one, other):
    low, high = sorted([one, other])
    assert 0 <= default_rate_quantile(p, rho, low) <= default_rate_quantile(p, rho, high) <= 1


@given(PROBABILITIES, st.floats(0, 1), CORRELATIONS)
def test_the_unexpected_loss_of_a_bad_year_is_not_below_nothing(p, lgd, rho):
    assert unexpected_loss_rate(p, lgd, rho, 0.999) >= 0


def test_without_correlation_there_is_nothing_unexpected():
    assert default_rate_quantile(0.02, 0.0, 0.999) == pytest.approx(0.02)


@pytest.mark.parametrize("arguments", [(0.0, 0.1, 0.999), (0.01, 1.0, 0.999), (0.01, 0.1, 1.0)])
def test_impossible_inputs_are_refused(arguments):
    with pytest.raises(ValueError, match="no quantile"):
        default_rate_quantile(*arguments)
