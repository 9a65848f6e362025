import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas import biomass

volumes = st.floats(0, 500)
shares = st.floats(0, 1)


@given(volumes, volumes, st.floats(0, 1000))
def test_stock_is_proportional_to_volume_and_area(first: float, second: float, area: float) -> None:
    def stock(volume: float) -> float:
        return float(biomass.stock_from_volume(area, volume, 0.394, 1.589, 0.251, 0.503))

    assert stock(first + second) == pytest.approx(stock(first) + stock(second), abs=1e-9)


@given(volumes)
def test_volume_and_carbon_are_inverse(volume: float) -> None:
    factors = (0.394, 1.589, 0.251)
    carbon = biomass.carbon_from_biomass(biomass.biomass_from_volume(volume, *factors), 0.503)
    assert biomass.volume_from_carbon(carbon, *factors, 0.503) == pytest.approx(volume)


@given(st.floats(0.1, 400), st.floats(0.1, 400))
def test_the_root_ratio_falls_with_biomass(smaller: float, larger: float) -> None:
    smaller, larger = sorted((smaller, larger))
    assert biomass.root_ratio(larger, -1.085, 0.9256) <= biomass.root_ratio(smaller, -1.085, 0.9256)


@given(shares)
def test_shrub_stock_counts_nothing_below_the_cover_floor(cover: float) -> None:
    stock = float(biomass.shrub_stock([2.0], [cover], 12.4, 0.10, 0.40, 0.4897, 0.05).sum())
    assert (stock == 0) == (cover < 0.05)


def test_shrub_stock_matches_the_formula_by_hand() -> None:
    stock = biomass.shrub_stock([2.0, 3.0], [0.5, 0.04], 10.0, 0.10, 0.40, 0.5, 0.05)
    assert stock == pytest.approx([44 / 12 * 0.5 * 1.4 * 2.0 * 0.10 * 10.0 * 0.5, 0.0])


def test_arrays_in_arrays_out() -> None:
    stock = biomass.stock_from_volume(np.array([1.0, 2.0]), np.array([10.0, 10.0]), 0.4, 1.5, 0.25, 0.5)
    assert stock == pytest.approx([44 / 12 * 10 * 0.4 * 1.5 * 1.25 * 0.5, 2 * 44 / 12 * 10 * 0.4 * 1.5 * 1.25 * 0.5])


@pytest.mark.parametrize(("volume", "factor"), [(20, 1.8), (20.01, 1.0), (200, 0.7), (900, 0.7)])
def test_a_class_of_the_step_table_includes_its_upper_bound(volume: float, factor: float) -> None:
    assert float(biomass.stepped_bcef(volume, (20, 40, 100, 200), (1.8, 1.0, 0.75, 0.7, 0.7))) == factor


@pytest.mark.parametrize(("shoots", "ratio"), [(49.9, 0.40), (50, 0.29), (150, 0.29), (150.1, 0.20)])
def test_a_class_of_root_ratios_includes_the_bounds_that_it_names(shoots: float, ratio: float) -> None:
    assert float(biomass.stepped_root_ratio(shoots, (50, 150), (0.40, 0.29, 0.20), (False, True))) == ratio
    many = biomass.stepped_root_ratio(np.array([shoots, 10.0]), (50, 150), (0.40, 0.29, 0.20), (False, True))
    assert many.tolist() == [ratio, 0.40]


@pytest.mark.parametrize("volume", [-1.0, float("nan"), float("inf")])
def test_an_impossible_volume_is_refused(volume: float) -> None:
    with pytest.raises(ValueError, match="volume"):
        biomass.biomass_from_volume(volume, 0.4, 1.5, 0.25)
    with pytest.raises(ValueError, match=r"volume|regression"):
        biomass.biomass_from_regression(volume, 0.6, 10.0, 20.0)


@pytest.mark.parametrize("factors", [(-0.4, 1.5, 0.25), (0.4, -1.5, 0.25), (0.4, 1.5, -0.25), (0.4, float("nan"), 0.2)])
def test_impossible_factors_are_refused(factors: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="not negative"):
        biomass.biomass_from_volume(50.0, *factors)


def test_an_impossible_tree_or_carbon_fraction_is_refused() -> None:
    for diameter, height in ((-15.0, 12.0), (15.0, -12.0), (float("inf"), 12.0)):
        with pytest.raises(ValueError, match=r"diameter|height"):
            biomass.tree_biomass(diameter, height, 0.0462, 0.8647)
    with pytest.raises(ValueError, match="between 0 and 1"):
        biomass.carbon_from_biomass(50.0, 1.2)


def test_bare_land_carries_no_regression_biomass() -> None:
    with pytest.raises(ValueError, match="floor"):
        biomass.biomass_from_regression(np.array([50.0, 0.0]), 0.6, 10.0, 20.0)


def test_a_stand_without_biomass_has_no_root_ratio() -> None:
    with pytest.raises(ValueError, match="undefined"):
        biomass.root_ratio(0.0, -1.085, 0.9256)


def test_a_cover_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="crown cover"):
        biomass.shrub_stock([1.0], [1.2], 10.0, 0.1, 0.4, 0.47, 0.05)


def test_routes_that_agree_carry_no_model_risk() -> None:
    assert biomass.route_spread([50.0, 50.0, 50.0]) == 0
