import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.insurance.formulas.basis_risk import (
    false_payout_probability,
    missed_loss_probability,
    uncovered_share,
)

COLUMN = arrays(np.float64, 10, elements=st.floats(0, 1e6))


@given(COLUMN, COLUMN)
def test_both_mistakes_are_probabilities_and_exclude_each_other(losses, payouts):
    missed, false = missed_loss_probability(losses, payouts), false_payout_probability(losses, payouts)
    assert min(missed, false) >= 0
    assert missed + false <= 1 + 1e-12


@given(COLUMN.filter(lambda column: column.sum() > 1))
def test_an_index_that_pays_the_loss_leaves_nothing_open_and_one_that_never_pays_everything(losses):
    assert uncovered_share(losses, losses) == 0
    assert uncovered_share(losses, np.zeros(10)) == 1
