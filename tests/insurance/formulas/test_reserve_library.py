"""Reserves against the library chainladder, on every complete triangle that comes with it.

It brings pandas and more than the rest of the tests together, so it is had for the run alone: `make test-oracles`.
"""

from typing import Any

import numpy as np
import pytest

from services.insurance.formulas.reserve import (
    bornhuetter_ferguson_reserve,
    claims_reserve,
    development_factors,
    ultimates,
)

chainladder: Any = pytest.importorskip("chainladder", reason="the library is had by `make test-oracles`")

#: One company, one kind of amount, origins as many as developments, the youngest with one.
TRIANGLES = (
    "abc", "genins", "m3ir5", "mortgage", "mw2008", "mw2014", "raa", "tail_sample", "ukmotor", "usaa", "xyz",
)  # fmt: skip
PRIOR = 20_000.0

# The library's own calls of pandas are none of ours.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")


@pytest.mark.parametrize("name", TRIANGLES)
def test_the_library_reserves_the_same(name: str) -> None:
    sample = chainladder.load_sample(name).iloc[0, 0]
    triangle = np.array(sample.to_frame(), dtype=np.float64)
    assert np.isnan(triangle[-1, 1:]).all()
    fitted = chainladder.Development(average="volume").fit_transform(sample)
    theirs = chainladder.Chainladder().fit(fitted)
    factors = development_factors(triangle)
    final = ultimates(triangle, factors)
    assert factors == pytest.approx(np.ravel(fitted.ldf_.values)[: len(factors)], rel=1e-12)
    assert final == pytest.approx(np.ravel(theirs.ultimate_.values), rel=1e-10)
    assert claims_reserve(triangle, final) == pytest.approx(theirs.ibnr_.sum(), rel=1e-8, abs=1e-6)
    prior = chainladder.BornhuetterFerguson(apriori=1.0).fit(fitted, sample_weight=sample.latest_diagonal * 0 + PRIOR)
    known = [int(np.flatnonzero(~np.isnan(row))[-1]) for row in triangle]
    ours = [bornhuetter_ferguson_reserve(PRIOR, factors[one:]) for one in known]
    assert ours == pytest.approx(np.nan_to_num(np.ravel(prior.ibnr_.values)), rel=1e-8, abs=1e-6)
