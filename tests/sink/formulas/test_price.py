import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas import price

YEARS = np.array([5.0, 10.0, 15.0, 20.0])


def normals(draws: int = 40_000, seed: int = 3) -> np.ndarray:
    return price.normal_draws(np.random.default_rng(seed), len(YEARS), draws)


def test_lognormal_paths_have_the_expected_mean() -> None:
    paths = price.lognormal_prices(70.0, 0.02, 0.10, YEARS, normals())
    assert paths.mean(axis=1) == pytest.approx(price.lognormal_price_mean(70.0, 0.02, YEARS), rel=0.01)


def test_reverting_paths_have_the_expected_mean() -> None:
    paths = price.mean_reverting_prices(90.0, 60.0, 0.25, 0.35, YEARS, normals())
    assert paths.mean(axis=1) == pytest.approx(price.mean_reverting_price_mean(90.0, 60.0, 0.25, 0.35, YEARS), rel=0.01)


def test_a_long_step_equals_two_short_ones_without_noise() -> None:
    calm = np.zeros((2, 1))
    two = price.mean_reverting_prices(90.0, 60.0, 0.25, 0.0, [2.0, 5.0], calm)[-1]
    one = price.mean_reverting_prices(90.0, 60.0, 0.25, 0.0, [5.0], calm[:1])[-1]
    assert two == pytest.approx(one)


def test_slow_reversion_tends_to_a_geometric_brownian_motion() -> None:
    slow = price.mean_reverting_prices(70.0, 70.0, 1e-9, 0.2, YEARS, normals(100))
    # The centre holds half a variance back, so without reversion the drift of the logarithm is -σ²/4 per year.
    plain = price.lognormal_prices(70.0, 0.01, 0.2, YEARS, normals(100))
    assert slow == pytest.approx(plain, rel=1e-5)


def test_common_normals_make_two_levels_proportional() -> None:
    shared = normals(50)
    low = price.lognormal_prices(50.0, 0.0, 0.35, YEARS, shared)
    high = price.lognormal_prices(100.0, 0.0, 0.35, YEARS, shared)
    assert high == pytest.approx(2 * low)


def test_a_longer_horizon_keeps_the_earlier_market() -> None:
    short = price.normal_draws(np.random.default_rng(5), 3, 10)
    long = price.normal_draws(np.random.default_rng(5), 7, 10)
    assert np.array_equal(long[:3], short)


@pytest.mark.parametrize("reversion", [0.0, -0.1])
def test_reversion_must_be_positive(reversion: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        price.mean_reverting_prices(70.0, 70.0, reversion, 0.3, YEARS, normals(1))
    with pytest.raises(ValueError, match="positive"):
        price.mean_reverting_price_mean(70.0, 70.0, reversion, 0.3, YEARS)


@given(st.floats(0, 5), st.floats(0, 5))
def test_a_larger_block_never_sells_better(first: float, second: float) -> None:
    smaller, larger = sorted((first, second))
    haircuts = [float(price.liquidity_haircut(share, 0.16, 0.10, 0.5, 0.5)) for share in (smaller, larger)]
    assert 0 <= haircuts[0] <= haircuts[1] <= 0.5


def test_a_fall_in_logarithms_is_not_a_fall_in_percent() -> None:
    assert float(price.simple_return(-0.45)) > -0.45
