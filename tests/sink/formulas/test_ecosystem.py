import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas import ecosystem


@given(st.floats(0.001, 0.2), st.integers(1, 50))
def test_a_higher_discount_rate_lowers_the_price(rate: float, years: int) -> None:
    plain = ecosystem.sequestration_price(43, 0, 0, years)
    assert plain == pytest.approx(43)
    assert ecosystem.sequestration_price(43, rate, 0, years) <= plain


def test_the_societal_price_belongs_to_the_carbon_of_the_biomass() -> None:
    # With oxygen and soil set aside, the value per tonne of biomass is the price of the carbon in it.
    assert ecosystem.ecosystem_carbon_value(1, 1, 1200, 1.63, 12 / 44, 0) == pytest.approx(1200 * 1.63 * 12 / 44)
