import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import GammaRegressor, PoissonRegressor

from services.insurance.formulas.credibility import between_variance, within_variance
from services.insurance.formulas.limited_expected_value import programme_losses
from services.insurance.formulas.peril_model import term_columns
from services.insurance.formulas.terms import paid_area
from services.insurance.peril_model import load_peril_model
from services.insurance.training.command import document_of
from services.insurance.training.fit import dispersion_of, factors_of, fit, regression, tail_of
from services.insurance.training.panel import LossFileError, read_mapping, read_panel
from shared.artefacts import ArtefactError, written
from tests.insurance.formulas.examples import close, example

FIRES = Path("data/fires")


@pytest.fixture(scope="module")
def mapping():
    return read_mapping(FIRES / "clm_mapping.json")


@pytest.fixture(scope="module")
def panel(mapping):
    return read_panel(FIRES / "clm_fires_1998_2004.csv", mapping, FIRES)


@pytest.fixture(scope="module")
def document(panel, mapping):
    return document_of(fit(panel, mapping["interactions"]), panel, mapping, "0" * 64)


def test_the_shipped_records_have_the_known_credibilities(panel):
    case = example("data-clm-credibility")
    for part, field in (("count", "counts"), ("amount", "hectares")):
        ratios, weights = np.zeros((859, 7)), np.zeros((859, 7))
        np.add.at(ratios, (panel.group, panel.period - 1998), getattr(panel, part) / panel.exposure)
        np.add.at(weights, (panel.group, panel.period - 1998), panel.exposure)
        assert within_variance(ratios, weights) == pytest.approx(case["expected"][field]["s2"], rel=1e-5)
        assert between_variance(ratios, weights) == pytest.approx(case["expected"][field]["a"], rel=1e-5)
        level = getattr(panel, part).sum() / panel.exposure.sum()
        weight = factors_of(panel, getattr(panel, part), level * panel.exposure, 859).weight
        assert weight.mean() == pytest.approx(case["expected"][field]["z_mean"], abs=1e-5)


@pytest.mark.parametrize("name", ["data-clm", "data-clm-cells"])
def test_the_shipped_files_are_the_ones_that_were_measured(name):
    case = example(name)
    content = (FIRES / case["inputs"]["file"]).read_bytes()
    rows = list(csv.DictReader(content.decode().splitlines()))
    assert hashlib.sha256(content).hexdigest() == case["expected"]["sha256"]
    assert len(rows) == case["expected"]["rows"]
    if name == "data-clm":
        areas = [float(row["burnt_ha"]) for row in rows]
        assert (max(areas), areas.count(0.0)) == (case["expected"]["max_ha"], case["expected"]["zero_rows"])
        assert sum(areas) == pytest.approx(case["expected"]["burnt_ha"])


def test_small_fires_area_deductibles_and_layers_take_what_was_measured(panel):
    case = example("data-clm-terms")
    ha = panel.losses
    small = ha * 15 <= 10
    zeros = 235
    assert (small.sum() + zeros) / (len(ha) + zeros) == close(case, "fires_at_most_10_mu_share")
    assert ha[small].sum() / ha.sum() == close(case, "their_loss_share")
    paid = np.array([paid_area(a * 15, 0.05, 5) for a in ha]) / 15
    assert 1 - paid.sum() / ha.sum() == close(case, "area_deductible_removes")
    layers = programme_losses(ha, [(100, 0), (400, 100), (1500, 500), (1e9, 2000)]).sum(axis=0) / ha.sum()
    shares = case["expected"]["layer_shares"].values()
    assert layers == pytest.approx(list(shares), abs=1e-4)


@pytest.mark.parametrize(("power", "model"), [(1.0, PoissonRegressor), (2.0, GammaRegressor)])
def test_the_regression_is_that_of_scikit_learn(panel, power, model):
    some = panel.take(panel.amount > 0)
    target = some.count / some.exposure
    ours = regression(target, some.exposure, some.covariates, (), power, 1e-8)
    columns = term_columns(ours.terms, some.covariates)
    theirs = model(alpha=1e-8, max_iter=5000, tol=1e-8).fit(columns, target, sample_weight=some.exposure)
    assert ours.mean(some.covariates) == pytest.approx(theirs.predict(columns), rel=2e-3)


def test_the_level_is_kept_and_frequency_deserves_more_credibility_than_severity(document):
    annual, credibility = document["annual"], document["credibility"]
    assert annual["expected"] == pytest.approx(annual["burning_cost"], rel=1e-9)
    assert credibility["count"]["mean_weight"] > 2 * credibility["severity"]["mean_weight"]
    low, high = annual["parameter_interval_90"]
    assert low < annual["expected"] < high


def test_the_tail_of_the_shipped_fires_has_no_finite_variance(panel, document):
    found = tail_of(panel.losses, 50.0)
    assert (found["beyond"], round(found["shape"], 2), round(found["scale"], 1)) == (185, 0.69, 72.7)
    assert document["tail"]["variance"] == "infinite"


def test_a_served_model_computes_what_training_computed(tmp_path, document, panel):
    path = tmp_path / "model.json"
    path.write_bytes(written(document))
    served = load_peril_model(path)
    assert served.relativities({name: [value] for name, value in document["reference"].items()}) == pytest.approx([1.0])
    assert (served.counts(panel.covariates) > 0).all()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda d: d["frequency"].update(intercept=d["frequency"]["intercept"] + 1e-6), "parity row 0"),
        (lambda d: d["severity"]["coefficients"].__setitem__(0, 1e999), "not finite"),
        (lambda d: d.update(parity=d["parity"][:3]), "at least 20"),
        (lambda d: d.pop("severity"), "no peril model"),
    ],
)
def test_a_model_that_is_not_what_was_trained_is_refused(tmp_path, document, harm, message):
    harmed = json.loads(written(document))
    harm(harmed)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(harmed), encoding="utf-8")
    with pytest.raises(ArtefactError, match=message):
        load_peril_model(path)


ROWS = [{"g": str(n % 20), "t": str(n // 20), "e": "2", "count": str(n % 3), "loss": str(n % 3 * 10), "x": str(n % 7)}
        for n in range(120)]  # fmt: skip
PLAIN = {"name": "p", "note": "n", "region": "r", "peril": "fire", "group": ["g"], "period": "t", "exposure": "e",
         "amount": "loss", "features": ["x"]}  # fmt: skip


def plain(tmp_path, rows):
    path = tmp_path / "losses.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(rows)
    return read_panel(path, PLAIN, tmp_path)


def test_any_file_with_one_row_for_each_unit_and_period_is_fitted(tmp_path):
    panel = plain(tmp_path, ROWS)
    model = fit(panel, [])
    assert (model.amounts(panel, own=True) * panel.exposure).sum() == pytest.approx(panel.amount.sum())
    assert dispersion_of(np.array([0.0, 10.0]), np.array([5.0, 5.0])) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"e": "0"}, "without exposure"),
        ({"x": "nan"}, "row 2: x is 'nan'"),
        ({"loss": "-1"}, "amount is -1"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_by_its_number(tmp_path, change, message):
    with pytest.raises(LossFileError, match=message):
        plain(tmp_path, [ROWS[0] | change, *ROWS[1:]])


@pytest.mark.parametrize(("count", "message"), [("0", "no loss"), ("1", "losses only")])
def test_a_file_of_one_kind_of_rows_only_is_refused(tmp_path, count, message):
    with pytest.raises(LossFileError, match=message):
        plain(tmp_path, [row | {"count": count, "loss": count} for row in ROWS])
