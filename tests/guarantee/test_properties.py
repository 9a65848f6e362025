"""Money is conserved to the fen, whatever the amounts: reservations, calls, recoveries, amortisation."""

from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.actions.guarantees import shares_of
from services.guarantee.actions.schemes import schemes
from services.guarantee.formulas.amortisation import amortised_use
from services.guarantee.formulas.call import gross_payment, recovery_shares
from services.guarantee.formulas.liability import liability_weight, marginal_liability, weighted_liability
from services.guarantee.formulas.split import PARTIES, split
from shared import money

FEN = st.integers(0, 10**14)
SCHEMES = st.sampled_from([one.shares for one in schemes()])


@given(FEN, SCHEMES)
def test_shares_sum_to_the_amount_and_what_is_paid_is_all_but_the_bank_share(amount, shares):
    parts = split(amount, shares)
    assert shares_of(parts).total == money.from_fen(amount)
    assert gross_payment(amount, shares) + parts["bank"] == amount


@given(st.lists(FEN, max_size=8), SCHEMES)
def test_recoveries_one_by_one_conserve_their_sum(recoveries, shares):
    back = [recovery_shares(net, shares, PARTIES) for net in recoveries]
    assert sum(sum(one.values()) for one in back) == sum(recoveries)
    assert all(part >= 0 for one in back for part in one.values())


@given(FEN, st.integers(1, 10**14), st.data())
def test_use_falls_with_the_balance_and_is_nothing_at_nothing(granted, amount, data):
    balances = sorted(data.draw(st.lists(st.integers(0, amount), min_size=2, max_size=6)))
    left = [amortised_use(granted, balance, amount) for balance in balances]
    assert left == sorted(left)
    assert all(0 <= use <= granted for use in left)
    assert amortised_use(granted, 0, amount) == 0
    assert amortised_use(granted, amount, amount) == granted


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=6), st.booleans())
def test_loans_measured_apart_are_never_less_than_the_obligor_measured_whole(loans, small):
    total = sum(loans)
    weight = liability_weight(total, small, 500_000_000, 7_500, 10_000)
    apart, whole = sum(weighted_liability(loan, weight) for loan in loans), weighted_liability(total, weight)
    assert whole <= apart < whole + len(loans)


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_the_flip_is_the_difference_of_the_totals_before_and_after(existing, new):
    added = marginal_liability(existing, new, True, 500_000_000, 7_500, 10_000)
    assert added >= 0
    assert added >= weighted_liability(existing + new, 7_500) - weighted_liability(existing, 7_500)
