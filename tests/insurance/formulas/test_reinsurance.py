import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.reinsurance import (
    allocated_recoveries,
    occurrence_recovery,
    reinstatement_premium,
    risk_recoveries,
    stop_loss_recovery,
)
from tests.insurance.formulas.examples import close, examples

TERM = st.floats(0, 1e6)


@pytest.mark.parametrize("case", examples("reinsurance-"))
def test_one_contract(case):
    contract, subject = case["inputs"]["contract"], case["inputs"]["subject"]
    gross = np.array([one["gross"] for one in subject])
    risk = np.array([one["risk"] for one in subject]) - min(one["risk"] for one in subject)
    shares = np.zeros(risk.max() + 1)
    shares[risk] = [one["ceded_share"] for one in subject]
    ceded = risk_recoveries(
        np.bincount(risk, weights=gross), shares, contract["risk_attachment"], contract["risk_limit"]
    )
    recovery = occurrence_recovery(
        ceded, contract["placed_share"], contract["occurrence_attachment"], contract["occurrence_limit"]
    )
    assert gross - allocated_recoveries(gross, risk, ceded, recovery) == close(case, "net")


@given(st.lists(st.floats(0, 1e7), min_size=2, max_size=6), st.floats(0, 1), TERM, TERM, st.floats(0, 1), TERM, TERM)
def test_gross_is_net_and_ceded_and_a_recovery_never_exceeds_the_loss(losses, share, ra, rl, placed, oa, ol):
    risk = np.arange(len(losses)) // 2
    ceded = risk_recoveries(np.bincount(risk, weights=losses), np.full(risk.max() + 1, share), ra, rl)
    recovery = occurrence_recovery(ceded, placed, oa, ol)
    parts = allocated_recoveries(losses, risk, ceded, recovery)
    assert parts.sum() == pytest.approx(recovery, abs=1e-6)
    assert np.all(parts >= 0)
    assert np.all(parts <= np.array(losses) * (1 + 1e-9) + 1e-6)


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=6), TERM, TERM)
def test_a_stop_loss_pays_within_its_limit(years, attachment, limit):
    recovered = stop_loss_recovery(years, attachment, limit)
    assert np.all((recovered >= 0) & (recovered <= limit))


def test_a_limit_is_reinstated_once():
    assert reinstatement_premium(100.0, recovery=90.0, limit=60.0, rate=1.0, time_share=0.5) == 50.0


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (risk_recoveries, ([-1.0], 0.5, 0.0, 0.0)),
        (risk_recoveries, ([1.0], 1.5, 0.0, 0.0)),
        (occurrence_recovery, ([1.0], 1.5, 0.0, 0.0)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
