import numpy as np
import pytest

from services.insurance.formulas.reserve import (
    bornhuetter_ferguson_reserve,
    claims_reserve,
    development_factors,
    ultimates,
)
from tests.insurance.formulas.examples import close, example


def test_chain_ladder_example():
    case = example("chain-ladder")
    triangle = np.array(case["inputs"]["triangle"], dtype=np.float64)
    factors = development_factors(triangle)
    final = ultimates(triangle, factors)
    assert factors == close(case, "factors")
    assert final == close(case, "ultimate")
    assert claims_reserve(triangle, final) == close(case, "reserve")
    prior = bornhuetter_ferguson_reserve(case["inputs"]["prior_last"], factors)
    assert prior == close(case, "bf_reserve_last")


def test_a_recovery_may_leave_less_than_was_paid_before():
    triangle = [[100.0, 140.0, 120.0], [100.0, 130.0, np.nan], [100.0, np.nan, np.nan]]
    factors = development_factors(triangle)
    assert factors == pytest.approx([270 / 200, 120 / 140])
    final = ultimates(triangle, factors)
    # The first origin is through: what was recovered is not still to be paid.
    assert claims_reserve(triangle, final) == pytest.approx(sum(final[1:]) - 130 - 100)


def test_a_complete_triangle_needs_no_reserve():
    triangle = [[100.0, 150.0], [80.0, 90.0]]
    assert claims_reserve(triangle, ultimates(triangle, development_factors(triangle))) == 0
