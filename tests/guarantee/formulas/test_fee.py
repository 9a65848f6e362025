import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.fee import fee_rate, fee_subsidy, guarantee_fee, reguarantee_fee, technical_price
from tests.guarantee.formulas.examples import examples

FEN = st.integers(0, 10**12)


@pytest.mark.parametrize("case", examples("national-fund-fee-"))
def test_national_fund_examples(case):
    amount = round(100 * float(case["inputs"]["amount"]))
    rate = fee_rate(amount, 500_000_000, 0.003, 0.005)
    fee = reguarantee_fee(amount, case["inputs"]["national_share_bp"], rate, 12 * case["inputs"]["years"])
    assert fee == round(100 * float(case["expected"]["fee"]))


@given(FEN, st.floats(0, 0.05), st.integers(0, 120), st.integers(0, 120))
def test_a_longer_guarantee_never_costs_less(amount, rate, one, other):
    short, long = sorted([one, other])
    assert 0 <= guarantee_fee([amount] * short, rate) <= guarantee_fee([amount] * long, rate)


@given(st.lists(FEN, max_size=60), st.floats(0, 0.05))
def test_a_guarantee_that_is_repaid_in_parts_never_costs_more(balances, rate):
    falling = sorted(balances, reverse=True)
    assert guarantee_fee(falling, rate) <= guarantee_fee(falling[:1] * len(falling), rate)


@given(FEN, st.integers(0, 10_000), st.floats(0, 0.05), st.integers(0, 120))
def test_a_reguarantor_earns_no_more_than_the_fee_on_the_whole(amount, share, rate, months):
    assert 0 <= reguarantee_fee(amount, share, rate, months) <= guarantee_fee([amount] * months, rate)


def test_a_fee_below_the_technical_price_is_a_subsidy():
    price = technical_price(0.03, 0.5, 0.0, cost_rate=0.004, hurdle_rate=0.08, capital_rate=0.1)
    assert fee_subsidy(price, 0.01) == pytest.approx(0.017)
    assert fee_subsidy(price, 0.05) == 0


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(guarantee_fee, ([1, -1], 0.01)), (guarantee_fee, ([1], -0.01)), (reguarantee_fee, (1, 10_001, 0.01, 12))],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
