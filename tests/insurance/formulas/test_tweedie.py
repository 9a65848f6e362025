import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.formulas.tweedie import deviance_explained, tweedie_deviance, tweedie_unit_deviance
from tests.insurance.formulas.examples import close, example


@pytest.mark.parametrize("name", ["tweedie-poisson", "tweedie-gamma", "tweedie-1.5"])
def test_deviance_examples(name):
    case = example(name)
    inputs = case["inputs"]
    assert tweedie_deviance(inputs["y"], inputs["mu"], inputs["power"]) == close(case, "deviance")


def test_deviance_explained_example():
    case = example("tweedie-d2")
    inputs = case["inputs"]
    assert [deviance_explained(inputs["y"], inputs["mu"], power) for power in inputs["powers"]] == close(case, "d2")


@given(st.floats(0.001, 1e4), st.floats(0.001, 1e4), st.floats(1.05, 1.95))
def test_a_deviance_is_never_below_nothing_and_nothing_at_the_truth(observed, predicted, power):
    scale = max(observed, predicted) ** (2 - power)
    assert tweedie_unit_deviance(observed, predicted, power) >= -1e-9 * scale
    assert tweedie_unit_deviance(observed, observed, power) == pytest.approx(0, abs=1e-9 * scale)


def test_weights_stand_for_repeated_observations():
    once = tweedie_deviance([2, 2, 1], [1, 1, 1], 1)
    assert tweedie_deviance([2, 1], [1, 1], 1, weights=[2, 1]) == pytest.approx(once)


@pytest.mark.parametrize(("y", "mu", "power"), [(1, 0, 1), (-1, 1, 1.5), (0, 1, 2), (1, 1, 0.5)])
def test_impossible_inputs_are_refused(y, mu, power):
    with pytest.raises(ValueError, match=r".+"):
        tweedie_unit_deviance([y], [mu], power)
