import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr

from services.sink.formulas import uncertainty

LADDER = ((0.10, 0.15, 0.20, 0.30), (0, 0.25, 0.50, 0.75, 1))
widths = st.floats(0, 2)
plots = st.lists(st.floats(1, 200), min_size=2, max_size=8)


@given(plots)
def test_the_variance_equals_the_printed_form(values: list[float]) -> None:
    n = len(values)
    printed = (n * sum(b * b for b in values) - sum(values) ** 2) / (n * (n - 1))
    assert uncertainty.stratum_variance(values) == pytest.approx(printed, rel=1e-6, abs=1e-6)


@given(st.lists(plots, min_size=1, max_size=4), st.floats(1, 100))
def test_the_mean_lies_between_the_strata_and_ignores_the_unit_of_area(strata: list[list[float]], area: float) -> None:
    areas = [area * (1 + index) for index in range(len(strata))]
    means = [float(np.mean(stratum)) for stratum in strata]
    mean = uncertainty.stratified_mean(areas, strata)
    assert min(means) - 1e-9 <= mean <= max(means) + 1e-9
    assert uncertainty.stratified_mean([15 * a for a in areas], strata) == pytest.approx(mean)


@given(st.floats(0.5, 0.99), st.integers(1, 200))
def test_the_student_factor_is_two_sided(confidence: float, degrees: int) -> None:
    factor = uncertainty.student_factor(confidence, degrees)
    assert stdtr(degrees, factor) - stdtr(degrees, -factor) == pytest.approx(confidence)


def test_degrees_of_freedom_are_plots_less_strata() -> None:
    strata = [[40.0, 60.0, 50.0], [80.0, 100.0, 90.0]]
    half_width = uncertainty.sampling_half_width([1.0, 1.0], strata, 0.90)
    error = np.sqrt(0.25 * 100 / 3 + 0.25 * 100 / 3)
    assert half_width == pytest.approx(uncertainty.student_factor(0.90, 4) * error / 70)


def test_a_single_plot_has_no_variance() -> None:
    with pytest.raises(ValueError, match="two plots"):
        uncertainty.stratum_variance([50.0])
    with pytest.raises(ValueError, match="more plots than strata"):
        uncertainty.student_factor(0.9, 0)


@given(widths, widths)
def test_a_wider_interval_never_costs_less(first: float, second: float) -> None:
    narrower, wider = sorted((first, second))
    deductions = [float(uncertainty.effective_deduction(width, *LADDER)) for width in (narrower, wider)]
    assert 0 <= deductions[0] <= deductions[1] <= 1


@given(st.floats(1, 1e6), widths)
def test_the_discount_is_cautious_on_both_sides(mean: float, width: float) -> None:
    share = float(uncertainty.discount_share(width, *LADDER))
    project = uncertainty.discounted_stock(mean, width * mean, share)
    baseline = uncertainty.discounted_baseline(mean, width * mean, share)
    assert project <= mean <= baseline
    assert project + baseline == pytest.approx(2 * mean)


def test_a_rounding_error_does_not_move_a_ratio_to_the_next_class() -> None:
    assert float(uncertainty.discount_share(0.1 + 0.2, *LADDER)) == 0.75


def test_a_chained_stock_has_the_error_of_its_parts() -> None:
    change_width = uncertainty.change_half_width(60, 0.05, 80, 0.05)
    assert change_width * 20 == pytest.approx(np.hypot(3, 4))
    assert uncertainty.chained_half_width(60, 0.05, 20, change_width) * 80 == pytest.approx(np.sqrt(9 + 25))
    with pytest.raises(ValueError, match="nothing"):
        uncertainty.change_half_width(60, 0.05, 60, 0.05)


@given(st.floats(0, 1))
def test_an_error_factor_has_mean_one(sigma: float) -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    mean = np.sum(weights * uncertainty.unit_lognormal(nodes, sigma)) / np.sum(weights)
    assert mean == pytest.approx(1)


@pytest.mark.parametrize(
    ("areas", "strata"), [([1.0], [[1, 2], [3, 4]]), ([1.0, 2.0], [[1, 2]]), ([0.0], [[1, 2]]), ([1.0, 1.0], [[1], []])]
)
def test_strata_without_their_own_area_or_plot_are_refused(areas: list[float], strata: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="stratum"):
        uncertainty.stratified_mean(areas, strata)
    with pytest.raises(ValueError, match="stratum"):
        uncertainty.stratified_half_width(areas, strata, 0.90)


def test_nothing_has_no_relative_half_width() -> None:
    with pytest.raises(ValueError, match="mean of nothing"):
        uncertainty.relative_half_width(0.0, 9.0)
    with pytest.raises(ValueError, match="mean of nothing"):
        uncertainty.sampling_half_width([1.0], [[0.0, 0.0]], 0.90)
    with pytest.raises(ValueError, match="stock of nothing"):
        uncertainty.chained_half_width(10.0, 0.1, -10.0, 0.1)
    with pytest.raises(ValueError, match="comes after"):
        uncertainty.annual_change(10.0, 20.0, 0.0)
