import pytest

from services.insurance.formulas.severity_fit import (
    chi_square_fit,
    cramer_von_mises_fit,
    layer_average_severity_fit,
)
from tests.insurance.formulas.examples import close, example


@pytest.mark.parametrize(
    ("fit", "name"),
    [(cramer_von_mises_fit, "cvm"), (chi_square_fit, "chi2"), (layer_average_severity_fit, "las")],
)
def test_fits_of_the_grouped_example(fit, name):
    case, sample = example("fit-exponential-grouped"), example("lev-grouped")["inputs"]
    rate, distance = fit(sample["borders"], sample["counts"])
    assert rate == close(case, f"rate_{name}")
    assert distance == close(case, f"distance_{name}")


@pytest.mark.parametrize("groups", [([0, 10], [1, 2]), ([0, 10, 5], [1, 2]), ([0, 10, 20], [1, 0])])
def test_impossible_groups_are_refused(groups):
    with pytest.raises(ValueError, match="groups"):
        chi_square_fit(*groups)
