from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gamma

from services.insurance.formulas.limited_expected_value import (
    empirical_lev,
    exponential_lev,
    exponential_survival,
    franchise_deductible_loss,
    generalised_pareto_survival,
    grouped_lev,
    inflated_lev,
    layer_loss,
    loss_elimination_ratio,
    ordinary_deductible_loss,
    pareto_lev,
    payment_density,
    programme_losses,
)
from tests.insurance.formulas.examples import close, example


def test_empirical_example():
    case = example("lev-dental")
    assert empirical_lev(case["inputs"]["sample"], case["inputs"]["limits"]) == close(case, "lev")


def test_grouped_example():
    case = example("lev-grouped")
    assert grouped_lev(case["inputs"]["borders"], case["inputs"]["counts"]) == close(case, "lev")


def test_exponential_example():
    case = example("lev-exponential")
    assert exponential_lev(case["inputs"]["mean"], case["inputs"]["limits"]) == close(case, "lev")


def test_layer_and_deductible_example():
    case = example("layer-exponential")
    mean, deductible, layer = (case["inputs"][name] for name in ("mean", "deductible", "layer"))
    attachment, exhaustion = exponential_lev(mean, [layer["attachment"], layer["attachment"] + layer["limit"]])
    assert layer_loss(exhaustion, attachment) == close(case, "layer")
    at_deductible = float(exponential_lev(mean, deductible))
    assert ordinary_deductible_loss(mean, at_deductible) == close(case, "ordinary")
    survival = float(exponential_survival(mean, deductible))
    assert franchise_deductible_loss(mean, at_deductible, deductible, survival) == close(case, "franchise")


def test_pareto_example():
    case = example("lev-pareto")
    shape, scale, limit, inflation = (case["inputs"][name] for name in ("alpha", "theta", "limit", "inflation"))
    assert float(pareto_lev(shape, scale, limit)) == close(case, "lev")
    deflated = float(pareto_lev(shape, scale, limit / (1 + inflation)))
    assert inflated_lev(deflated, inflation) == close(case, "lev_inflated")


def test_density_per_payment_example():
    case = example("gamma-per-payment")
    inputs = case["inputs"]
    severity = gamma(inputs["shape"], scale=inputs["scale"])
    reached = severity.sf(inputs["deductible"])
    assert payment_density(severity.pdf(5 + inputs["deductible"]), reached) == close(case, "pdf_at_5")
    assert payment_density(severity.sf(inputs["maximum_covered"]), reached) == close(case, "mass_at_9")


def test_a_franchise_is_worth_more_than_a_deductible():
    case = example("layer-exponential")
    assert case["expected"]["franchise"] > case["expected"]["ordinary"]
    assert 0 < loss_elimination_ratio(1000, float(exponential_lev(1000, 500))) < 1


@given(st.floats(1, 1e6), st.lists(st.floats(0, 1e7), min_size=1, max_size=6))
def test_layers_of_a_programme_add_up_to_the_mean(mean, borders):
    edges = [0.0, *sorted(borders)]
    values = [float(v) for v in exponential_lev(mean, edges)] + [mean]
    layers = [layer_loss(upper, lower) for lower, upper in pairwise(values)]
    assert sum(layers) == pytest.approx(mean)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.lists(st.floats(1, 1e5), min_size=1, max_size=5))
def test_layers_of_each_loss_add_up_to_it(losses, limits):
    attachments = np.concatenate([[0.0], np.cumsum(limits)])
    layers = [(limit, float(a)) for limit, a in zip(limits, attachments, strict=False)]
    # The top layer takes what is beyond; its attachment is rounded up by no more than the sum itself.
    layers.append((1e9, float(attachments[-1])))
    np.testing.assert_allclose(programme_losses(losses, layers).sum(axis=-1), losses, rtol=1e-9, atol=1e-6)


@given(st.floats(1.01, 10), st.floats(1, 1e6), st.floats(0, 1e8), st.floats(0, 1e8))
def test_a_limited_mean_grows_with_the_limit_and_stays_below_it(shape, scale, one, other):
    low, high = sorted([one, other])
    at_low, at_high = pareto_lev(shape, scale, [low, high])
    assert 0 <= at_low <= at_high * (1 + 1e-12)
    assert at_high <= min(high, scale / (shape - 1)) * (1 + 1e-9) + 1e-6


@given(st.floats(0.01, 2), st.floats(0.1, 1e4), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_tail_falls(shape, scale, one, other):
    low, high = sorted([one, other])
    beyond_low, beyond_high = generalised_pareto_survival([low, high], shape, scale)
    assert 0 <= beyond_high <= beyond_low <= 1


def test_overlapping_layers_are_refused():
    case = example("refuse-layers-overlap")
    with pytest.raises(ValueError, match="overlap"):
        programme_losses([10.0], [(float(limit), float(attachment)) for limit, attachment in case["inputs"]["layers"]])


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (exponential_lev, (1000, -1)),
        (pareto_lev, (1.0, 100, 10)),
        (generalised_pareto_survival, (1.0, -0.5, 1.0)),
        (layer_loss, (1.0, 2.0)),
        (grouped_lev, ([0, 1], [-1])),
    ],
)
def test_impossible_inputs_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r".+"):
        function(*arguments)
