import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.waterfall import breach_payments, lender_payments, owner_payment, subrogated_claim
from tests.insurance.formulas.examples import example

FEN = st.integers(0, 10**12)


def test_one_lender_then_the_owner():
    case = example("payee-lender")
    payout, balance = 100 * case["inputs"]["payout"], 100 * case["inputs"]["lender_balance"]
    paid = lender_payments(payout, [balance])
    assert paid == [100 * case["expected"]["lender"]]
    assert owner_payment(payout, paid) == 100 * case["expected"]["owner"]


def test_two_lenders_in_rank_order():
    case = example("payee-order")
    payout, ranked = case["inputs"]["payout_fen"], case["inputs"]["ranked"]
    paid = lender_payments(payout, [lender["balance_fen"] for lender in ranked])
    result = {lender["lender"]: part for lender, part in zip(ranked, paid, strict=True)}
    assert result | {"owner": owner_payment(payout, paid)} == case["expected"]["paid_fen"]


def test_an_owner_in_breach():
    case = example("payee-breach")
    payout, balance = case["inputs"]["payout_if_valid"], case["inputs"]["lender_balance"]
    assert breach_payments(payout, [balance], lender_clause=False) == [case["expected"]["simple"]["lender"]]
    paid = breach_payments(payout, [balance], lender_clause=True)
    assert paid == [case["expected"]["lender_clause"]["lender"]]
    assert subrogated_claim(paid) == case["expected"]["lender_clause"]["subrogated"]


@given(FEN, st.lists(FEN, max_size=6))
def test_payees_sum_to_the_payout_and_nobody_gets_more_than_its_interest(payout, interests):
    paid = lender_payments(payout, interests)
    assert sum(paid) + owner_payment(payout, paid) == payout
    assert all(0 <= part <= interest for part, interest in zip(paid, interests, strict=True))


@given(FEN, st.lists(FEN, min_size=2, max_size=6))
def test_a_later_rank_is_paid_only_when_the_earlier_is_whole(payout, interests):
    paid = lender_payments(payout, interests)
    for earlier in range(len(paid) - 1):
        assert paid[earlier] == interests[earlier] or paid[earlier + 1] == 0


def test_impossible_inputs_are_refused():
    with pytest.raises(ValueError, match="not below 0"):
        lender_payments(100, [-1])
    with pytest.raises(ValueError, match="more than the payout"):
        owner_payment(100, [101])
