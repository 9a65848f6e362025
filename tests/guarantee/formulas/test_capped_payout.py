import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.formulas.capped_payout import capped_payout, expected_capped_recovery, portfolio_cap
from services.guarantee.formulas.creditrisk_plus import loss_distribution
from tests.guarantee.formulas.examples import example

FEN, SHARES = st.integers(0, 10**13), st.integers(0, 10_000)


def test_capped_payout_example():
    case = example("capped-payout")
    volume, loss = (round(100 * float(case["inputs"][name])) for name in ("volume", "loss"))
    rate, cap_rate = (round(10_000 * case["inputs"][name]) for name in ("guarantee_rate", "cap_rate"))
    cap = portfolio_cap(volume, rate, cap_rate)
    assert cap == round(100 * float(case["expected"]["cap"]))
    assert capped_payout(loss, rate, cap) == round(100 * float(case["expected"]["payout"]))


@given(FEN, FEN, SHARES, SHARES)
def test_a_payout_stays_within_the_loss_and_the_cap(volume, loss, rate, cap_rate):
    cap = portfolio_cap(volume, rate, cap_rate)
    assert 0 <= capped_payout(loss, rate, cap) <= min(loss, cap)


def test_a_cap_takes_from_the_bad_years():
    f = loss_distribution([10.0] * 100, [0.03] * 100, 0.8, unit=10.0, steps=2048)
    mean = float(f @ np.arange(2048)) * 10
    uncapped = expected_capped_recovery(f, 10.0, 0.3, cap=1e9)
    capped = expected_capped_recovery(f, 10.0, 0.3, cap=0.3 * mean)
    assert abs(uncapped - 0.3 * mean) < 1e-6 * mean
    assert 0 < capped < uncapped
