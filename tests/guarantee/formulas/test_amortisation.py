import pytest

from services.guarantee.formulas.amortisation import amortised_use


def test_a_fraction_of_a_fen_still_counts_whole():
    assert [amortised_use(80, balance, 100) for balance in (1, 2, 50, 51)] == [1, 2, 40, 41]


@pytest.mark.parametrize(("granted", "balance", "amount"), [(-1, 1, 2), (1, -1, 2), (1, 3, 2), (1, 0, 0)])
def test_use_outside_the_loan_is_an_error(granted, balance, amount):
    with pytest.raises(ValueError, match="no use"):
        amortised_use(granted, balance, amount)
