import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.insurance.formulas.exceedance import (
    aggregate_losses,
    annual_loss_sd,
    average_annual_loss,
    covered_losses,
    event_losses,
    expected_annual_losses,
    loss_at_return_period,
    occurrence_losses,
    tail_contributions,
    tail_value_at_risk,
    thin_return_period,
)
from tests.insurance.formulas.examples import close, example

YEAR_TABLES = st.lists(st.tuples(st.integers(1, 20), st.floats(0, 1e6)), max_size=60)
PERIODS = st.floats(1, 20)


def test_event_matrix_example():
    case = example("event-matrix")
    losses, frequency = case["inputs"]["losses"], case["inputs"]["frequency"]
    by_forest = expected_annual_losses(losses, frequency)
    assert event_losses(losses) == close(case, "at_event")
    assert by_forest == close(case, "eai")
    assert by_forest.sum() == close(case, "aai")


def test_event_cover_example():
    case = example("event-cover")
    insured = covered_losses(case["inputs"]["losses"], case["inputs"]["cover"])
    assert insured.tolist() == case["expected"]["insured"]


def test_return_period_convention():
    case = example("ep-20-years")
    losses, periods = case["inputs"]["year_losses"], case["inputs"]["return_periods"]
    assert average_annual_loss(losses) == close(case, "aal")
    assert annual_loss_sd(losses) == close(case, "sd")
    assert [loss_at_return_period(losses, rp) for rp in periods] == close(case, "loss")
    assert [tail_value_at_risk(losses, rp) for rp in periods] == close(case, "tvar")


def test_occurrence_and_aggregate_example():
    case = example("oep-aep")
    years, losses = zip(*case["inputs"]["events"], strict=True)
    occurrence = occurrence_losses(years, losses, case["inputs"]["years"])
    aggregate = aggregate_losses(years, losses, case["inputs"]["years"])
    assert occurrence == close(case, "occurrence")
    assert aggregate == close(case, "aggregate")
    assert loss_at_return_period(occurrence, 5) == close(case, "oep_rp5")
    assert loss_at_return_period(aggregate, 5) == close(case, "aep_rp5")
    assert average_annual_loss(aggregate) == close(case, "aal")


def test_tail_contribution_example():
    case = example("cotvar")
    parts = [case["inputs"]["policy_a"], case["inputs"]["policy_b"]]
    period = len(parts[0]) / case["inputs"]["worst"]
    in_a, in_b = tail_contributions(parts, period)
    assert tail_value_at_risk(np.sum(parts, axis=0), period) == close(case, "tvar")
    assert in_a == close(case, "cotvar_a")
    assert in_b == close(case, "cotvar_b")


@given(YEAR_TABLES, PERIODS, PERIODS)
def test_tvar_above_pml_aep_above_oep_and_curves_rise(table, one, other):
    assert example("tvar-ge-pml")["expected"]["holds"]
    years, losses = [year for year, _ in table], [loss for _, loss in table]
    occurrence, aggregate = occurrence_losses(years, losses, 20), aggregate_losses(years, losses, 20)
    short, long = sorted([one, other])
    for curve in (occurrence, aggregate):
        pml = loss_at_return_period(curve, short)
        assert tail_value_at_risk(curve, short) >= pml * (1 - 1e-12)
        assert loss_at_return_period(curve, long) >= pml
        assert tail_value_at_risk(curve, long) >= tail_value_at_risk(curve, short) * (1 - 1e-12)
    assert loss_at_return_period(aggregate, long) >= loss_at_return_period(occurrence, long) * (1 - 1e-12)
    assert average_annual_loss(aggregate) == pytest.approx(sum(losses) / 20)


@given(arrays(np.float64, (3, 12), elements=st.floats(0, 1e6)), st.floats(1, 12))
def test_tail_contributions_add_up_and_are_never_below_nothing(parts, period):
    contributions = tail_contributions(parts, period)
    assert np.all(contributions >= 0)
    assert contributions.sum() == pytest.approx(tail_value_at_risk(parts.sum(axis=0), period))


def test_a_return_period_above_a_tenth_of_the_table_is_thin():
    assert thin_return_period(101, 1_000)
    assert not thin_return_period(100, 1_000)


def test_an_event_set_with_a_missing_loss_is_refused():
    case = example("refuse-event-nan")
    with pytest.raises(ValueError, match="finite"):
        event_losses([[float(loss) for loss in case["inputs"]["losses"]]])


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (loss_at_return_period, ([1, 2, 3], 4)),
        (tail_value_at_risk, ([1, 2, 3], 0.5)),
        (aggregate_losses, ([0], [1], 5)),
        (occurrence_losses, ([6], [1], 5)),
        (average_annual_loss, ([-1.0],)),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
