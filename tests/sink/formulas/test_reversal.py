import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas import reversal

shares = st.floats(0, 1)


@given(st.floats(0, 5), st.floats(0, 50), st.floats(0, 50))
def test_event_probabilities_of_two_periods_chain(frequency: float, first: float, second: float) -> None:
    calm = [1 - float(reversal.event_probability(frequency, years)) for years in (first, second, first + second)]
    assert calm[0] * calm[1] == pytest.approx(calm[2])


@given(st.floats(0.02, 0.98))
def test_the_severity_has_the_mean_named(mean: float) -> None:
    # Exact for a power function: the integral of p^c over [0, 1] is 1/(1+c).
    exponent = np.log(reversal.severity_quantile(0.5, mean)) / np.log(0.5)
    assert 1 / (1 + exponent) == pytest.approx(mean)


@given(shares, shares, st.floats(0.05, 0.95))
def test_severity_rises_with_its_probability(first: float, second: float, mean: float) -> None:
    low, high = sorted((first, second))
    assert 0 <= reversal.severity_quantile(low, mean) <= reversal.severity_quantile(high, mean) <= 1


def test_drawn_and_expected_survival_agree() -> None:
    uniforms = np.random.default_rng(11).random((4, 100_000))
    drawn = reversal.surviving_share(uniforms, [0.05, 0.1, 0.1, 0.2], 0.3)
    expected = reversal.expected_surviving_share([0.05, 0.1, 0.1, 0.2], 0.3)
    assert drawn.mean(axis=1) == pytest.approx(expected, abs=2e-3)
    assert np.all(np.diff(drawn, axis=0) <= 0)


def test_nothing_is_lost_without_events() -> None:
    uniforms = np.random.default_rng(1).random((3, 50))
    assert np.all(reversal.surviving_share(uniforms, [0.0, 0.0, 0.0], 0.3) == 1)


@pytest.mark.parametrize("mean", [0.0, 1.0, -0.1])
def test_a_mean_severity_without_spread_is_refused(mean: float) -> None:
    with pytest.raises(ValueError, match="severity"):
        reversal.severity_quantile(0.5, mean)


@given(st.floats(0, 1e7), shares, shares)
def test_the_air_never_receives_more_than_the_forest_loses(stock: float, severity: float, emitted: float) -> None:
    lost = reversal.live_biomass_lost(stock, severity)
    assert 0 <= reversal.carbon_lost_to_air(lost, emitted) <= lost <= stock


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_forest_buffer_and_shortfall_cover_what_was_issued(issued: float, standing: float, held: float) -> None:
    shortfall = float(reversal.buffer_shortfall(issued, standing, held))
    assert shortfall >= 0
    assert standing + held + shortfall >= issued - 1e-6
