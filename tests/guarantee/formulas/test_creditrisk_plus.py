import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.creditrisk_plus import (
    economic_capital,
    loss_distribution,
    loss_quantile,
    portfolio_mean,
    portfolio_sd,
)

BOOKS = st.lists(st.tuples(st.integers(1, 20), st.floats(0.001, 0.05)), min_size=1, max_size=30)


@given(BOOKS, st.floats(0.2, 1.2))
def test_the_distribution_has_the_moments_of_the_model(book, volatility):
    exposures, probabilities = zip(*book, strict=True)
    f = loss_distribution(exposures, probabilities, volatility, unit=1.0, steps=4096)
    x = np.arange(len(f))
    mean = float(f @ x)
    assert f.sum() == pytest.approx(1)
    assert mean == pytest.approx(portfolio_mean(exposures, probabilities), rel=1e-6)
    variance = portfolio_sd(exposures, probabilities, volatility) ** 2
    # The noise of the transform, some 1e-17 a step, weighs the square of the step.
    assert float(f @ x**2) - mean**2 == pytest.approx(variance, rel=1e-4, abs=1e-5)


def test_rounding_exposures_up_keeps_the_expected_loss():
    f = loss_distribution([150.0, 333.0], [0.02, 0.01], 0.8, unit=100.0, steps=1024)
    assert float(f @ np.arange(1024)) * 100 == pytest.approx(portfolio_mean([150.0, 333.0], [0.02, 0.01]), rel=1e-6)


@given(BOOKS, st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_quantiles_rise_with_confidence(book, one, other):
    exposures, probabilities = zip(*book, strict=True)
    f = loss_distribution(exposures, probabilities, 0.8, unit=1.0, steps=4096)
    low, high = sorted([one, other])
    assert loss_quantile(f, 1.0, low) <= loss_quantile(f, 1.0, high)


def test_capital_is_the_quantile_beyond_the_mean():
    f = loss_distribution([10.0] * 50, [0.02] * 50, 0.8, unit=10.0, steps=1024)
    assert economic_capital(f, 10.0, 0.999) == pytest.approx(loss_quantile(f, 10.0, 0.999) - 10.0)


def test_a_book_that_cannot_default_loses_nothing():
    assert loss_distribution([10.0], [0.0], 0.8, unit=1.0, steps=64)[0] == 1


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (loss_distribution, ([0.0], [0.1], 0.8, 1.0, 64)),
        (loss_distribution, ([1.0], [1.1], 0.8, 1.0, 64)),
        (loss_distribution, ([100.0], [0.1], 0.8, 1.0, 64)),
        (loss_quantile, ([0.5, 0.2], 1.0, 0.99)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
