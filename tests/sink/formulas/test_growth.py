import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas import growth

WEICHANG = (286.44, 0.05275, 2.410)
ages = st.floats(0, 200)


@given(ages, ages)
def test_volume_rises_with_age_and_stays_below_the_asymptote(first: float, second: float) -> None:
    younger, older = sorted((first, second))
    assert 0 <= growth.volume_at_age(younger, *WEICHANG) <= growth.volume_at_age(older, *WEICHANG) <= WEICHANG[0]


@given(st.floats(1, 100))
def test_the_increment_is_the_slope_of_the_curve(age: float) -> None:
    step = 1e-4
    slope = (growth.volume_at_age(age + step, *WEICHANG) - growth.volume_at_age(age - step, *WEICHANG)) / (2 * step)
    assert growth.volume_increment(age, *WEICHANG) == pytest.approx(float(slope), rel=1e-5)


@given(ages, st.floats(0, 400), st.floats(10, 80))
def test_a_local_stand_never_exceeds_its_ceiling(age: float, ceiling: float, reference_age: float) -> None:
    scale = growth.locality_scale(ceiling, reference_age, *WEICHANG)
    volume = growth.volume_at_age(age, *WEICHANG)
    assert 0 <= scale <= 1
    assert growth.local_volume(volume, scale, ceiling) <= min(float(volume), ceiling)


@given(st.floats(0, 1), st.floats(0, 300))
def test_survival_only_takes_away(survival: float, volume: float) -> None:
    assert growth.surviving_volume(volume, survival) <= volume


def test_projection_gives_a_table_of_ages_by_parcels() -> None:
    stock = growth.projected_stock(
        np.array([[5.0], [10.0]]), np.array([1.0, 2.0, 4.0]), *WEICHANG, 117.4, 50, 0.8, 0.478, 1.416, 0.212, 0.5097
    )
    assert stock.shape == (2, 3)
    assert stock[:, 2] == pytest.approx(4 * stock[:, 0])


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_increments_sum_to_the_whole_change(stocks: list[float]) -> None:
    assert growth.stock_increments(stocks).sum() == pytest.approx(stocks[-1] - stocks[0], abs=1e-6)


@pytest.mark.parametrize("age", [8.9, 49.1])
def test_the_line_of_the_poplars_is_refused_outside_its_sample(age: float) -> None:
    with pytest.raises(ValueError, match="sample"):
        growth.carbon_at_age(age, 2.17, -14.9, 9, 49)


def test_a_survival_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="survival"):
        growth.surviving_volume(10.0, 1.1)


def test_only_a_rich_parcel_raises_the_locality_flag() -> None:
    assert growth.locality_excess(np.array([19.7, 100.0, 100.5]), 100).tolist() == [0.0, 0.0, 0.5]
