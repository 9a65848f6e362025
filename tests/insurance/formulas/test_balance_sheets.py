import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.balance_sheets import (
    exposures_after_payment,
    guarantor_calls,
    stressed_default_probability,
    tail_means,
)
from services.insurance.formulas.exceedance import tail_contributions
from services.insurance.formulas.waterfall import lender_payments

SHARE = st.floats(0, 1)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_what_is_still_owed_is_what_the_payees_order_leaves(payout, balance):
    (to_bank,) = lender_payments(payout, [balance])
    assert exposures_after_payment(np.array([float(balance)]), np.array([float(payout)]))[0] == balance - to_bank


@given(st.floats(0, 1e9), SHARE, SHARE, SHARE, SHARE)
def test_more_loss_never_calls_less_and_the_parts_sum_to_the_default(exposure, p, lost, more, share):
    low, high = sorted([lost, more])
    chances = stressed_default_probability(np.array([p, p]), np.array([low, high]))
    assert p <= chances[0] <= chances[1] <= 1
    calls = guarantor_calls(np.array([exposure] * 2), chances, np.array([share] * 2))
    assert calls[0] <= calls[1] <= exposure
    rest = guarantor_calls(np.array([exposure] * 2), chances, np.array([1 - share] * 2))
    assert calls + rest == pytest.approx(exposure * chances)


def test_the_worst_years_are_those_that_the_contributions_take():
    draw = np.random.default_rng(3)
    own, other = draw.integers(0, 5, (2, 40)).astype(float)
    assert tail_means(own, np.array([own, other]), 4)[0] == tail_contributions([own], 10)[0]
