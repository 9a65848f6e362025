import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.capital import (
    capital_relief,
    corporate_capital,
    corporate_correlation,
    currency_adjusted_protection,
    maturity_adjusted_protection,
    retail_capital,
    retail_correlation,
    risk_weight,
    small_firm_reduction,
    substituted_rwa,
)
from tests.guarantee.formulas.examples import close, example, examples

#: Whole fen.
AMOUNTS = st.integers(0, 10**11).map(lambda fen: fen / 100)
WEIGHTS = st.floats(0, 1.5, allow_subnormal=False)


def capital(pd: float, lgd: float, asset_class: str, maturity: float = 2.5, sales_eur_m: float | None = None) -> float:
    if asset_class == "residential_mortgage":
        return retail_capital(pd, lgd, 0.15)
    if asset_class == "other_retail":
        return retail_capital(pd, lgd, retail_correlation(pd))
    correlation = corporate_correlation(pd)
    if sales_eur_m is not None:
        correlation -= small_firm_reduction(sales_eur_m)
    return corporate_capital(pd, lgd, correlation, maturity)


@pytest.mark.parametrize("case", examples("irb-"))
def test_illustrative_risk_weights(case):
    assert 100 * risk_weight(capital(**case["inputs"])) == close(case, "risk_weight_pct")


def test_substitution_example():
    case = example("substitution")
    inputs = case["inputs"]
    rwa = substituted_rwa(float(inputs["exposure"]), float(inputs["protection"]), inputs["r"], inputs["g"])
    assert rwa == pytest.approx(float(case["expected"]["rwa"]), abs=case["tolerance"])


def test_currency_example():
    case = example("fx-mismatch")
    covered = currency_adjusted_protection(float(case["inputs"]["collateral"]), case["inputs"]["haircut_fx"])
    left = float(case["inputs"]["exposure"]) - covered
    assert left == pytest.approx(float(case["expected"]["ead"]), abs=case["tolerance"])


@given(st.floats(0.0003, 0.2), st.floats(0.01, 1), st.floats(1, 5), st.floats(1, 5))
def test_capital_rises_with_maturity(pd, lgd, one, other):
    short, long = sorted([one, other])
    correlation = corporate_correlation(pd)
    assert corporate_capital(pd, lgd, correlation, short) <= corporate_capital(pd, lgd, correlation, long) * (1 + 1e-12)


@given(AMOUNTS, AMOUNTS, WEIGHTS, WEIGHTS)
def test_a_better_guarantor_never_raises_the_risk_weighted_amount(exposure, protection, one, other):
    guarantor, borrower = sorted([one, other])
    rwa = substituted_rwa(exposure, protection, borrower, guarantor)
    assert exposure * guarantor * (1 - 1e-9) <= rwa <= exposure * borrower * (1 + 1e-9)
    assert capital_relief(exposure * borrower, rwa, 0.08) >= -1e-6


@given(AMOUNTS, st.floats(0, 10), st.floats(0.5, 10))
def test_shorter_protection_never_counts_for_more(protection, years, horizon):
    assert 0 <= maturity_adjusted_protection(protection, years, horizon) <= protection


def test_protection_of_less_than_a_quarter_counts_for_nothing():
    assert maturity_adjusted_protection(100.0, 0.24, 2.0) == 0
    assert maturity_adjusted_protection(100.0, 2.0, 2.0) == 100
