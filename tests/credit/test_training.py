"""Training refuses leaks and is reproducible; a card that was touched is not served."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.credit.scorecard_file import MODELS, load_scorecard
from services.credit.training.leak_screen import LeakError, leak_proof, refuse_leaks
from services.credit.training.loan_file import Feature, LoanMapping, read_mapping, read_rows, sha256
from services.credit.training.train import train
from shared import clock
from shared.artefacts import DEVELOPMENT_KEY, ArtefactError, sign, written

ROOT = Path(__file__).parents[2]
SERVED = read_mapping(ROOT / "data" / "loans" / "sba_served.json")
LEAK_COLUMNS = SERVED.refused
AGRICULTURE = ROOT / "data" / "loans" / "sba_agri_forestry_loans.csv"
FORESTRY = ROOT / "data" / "loans" / "sba_forestry_loans.csv"
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    return read_rows(AGRICULTURE)


@pytest.fixture(scope="module")
def labelled(rows: Rows) -> tuple[Rows, list[int]]:
    known = [row for row in rows if row["MIS_Status"]]
    return known, [int(row["MIS_Status"] == "CHGOFF") for row in known]


def with_column(column: str) -> LoanMapping:
    return replace(SERVED, features=(*SERVED.features, Feature("proposal", "code", (column,))))


@pytest.mark.parametrize("column", LEAK_COLUMNS)
def test_a_column_that_leaks_is_refused_by_name_with_its_proof(rows: Rows, column: str) -> None:
    with pytest.raises(LeakError) as refusal:
        train(rows, with_column(column), "")
    assert column in str(refusal.value)
    assert LEAK_COLUMNS[column] in str(refusal.value)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda term: term,
        lambda term: str(int(term) * 30),
        lambda term: str(float(term) / 12),
        lambda term: str(7 * int(term) + 5),
        lambda term: f"{int(term)} months",
    ],
    ids=["renamed", "in days", "in years", "scaled and shifted", "as text"],
)
@pytest.mark.parametrize("file", [AGRICULTURE, FORESTRY], ids=lambda path: path.stem)
def test_term_under_another_name_is_found(disguise: Callable[[str], str], file: Path) -> None:
    known = [row for row in read_rows(file) if row["MIS_Status"]]
    planted = [{key: value for key, value in row.items() if key != "Term"} | {"Plan": disguise(row["Term"])}
               for row in known]  # fmt: skip
    outcomes = [int(row["MIS_Status"] == "CHGOFF") for row in known]
    with pytest.raises(LeakError, match=r"Plan may not be used for training: .*AUC 0\.[89]"):
        refuse_leaks(planted, outcomes, ["Plan"], LEAK_COLUMNS)


def test_training_refuses_term_written_over_an_honest_column(rows: Rows) -> None:
    planted = [row | {"NoEmp": row["Term"]} for row in rows]
    with pytest.raises(LeakError, match="NoEmp"):
        train(planted, SERVED, "")


def test_a_copy_of_a_late_column_is_recognised_by_its_values(labelled: tuple[Rows, list[int]]) -> None:
    known, outcomes = labelled
    copies = [row | {"PaidOut": row["DisbursementGross"]} for row in known]
    proof = leak_proof(copies, outcomes, "PaidOut", LEAK_COLUMNS)
    assert proof is not None
    assert "copy of DisbursementGross" in proof


@pytest.mark.parametrize("column", ["NoEmp", "NewExist", "GrAppv", "SBA_Appv", "RevLineCr", "LowDoc", "NAICS", "State"])
def test_honest_columns_pass_the_screen(labelled: tuple[Rows, list[int]], column: str) -> None:
    known, outcomes = labelled
    assert leak_proof(known, outcomes, column, LEAK_COLUMNS) is None


def test_the_committed_card_is_rebuilt_byte_for_byte(rows: Rows) -> None:
    committed = json.loads((MODELS / "scorecard.json").read_bytes())
    card = train(rows, SERVED, sha256(AGRICULTURE))
    # The card was built by the versions it names; another version that gives the same numbers is welcome. What it is
    # worth was measured when it was made, and takes a minute.
    card["training"]["libraries"] = committed["training"]["libraries"]
    card["metrics"] = committed["metrics"]
    assert written(card) == (MODELS / "scorecard.json").read_bytes()


def test_the_card_states_what_it_is() -> None:
    document = load_scorecard().document
    assert "NOT calibrated for Chinese forest lending" in document["note"]
    assert document["training"]["data_sha256"] == hashlib.sha256(AGRICULTURE.read_bytes()).hexdigest()
    assert not {feature["name"] for feature in document["features"]} & set(LEAK_COLUMNS)
    assert len(document["parity"]) >= 200
    assert sum(None in row["features"].values() for row in document["parity"]) > 10


def test_the_metrics_are_better_than_the_base_rate_and_the_drift_alarm_fires() -> None:
    metrics = load_scorecard().document["metrics"]
    for name in ("cross_validated", "cross_validated_without_114"):
        champion = metrics[name]["champion"]
        assert champion["brier"]["mean"] < metrics[name]["brier_of_base_rate"]
        assert champion["auc"]["mean"] > 0.5 + 2 * champion["auc"]["sd"]
    later = metrics["out_of_time"]
    assert later["psi_band"] == "alarm"
    recalibrated = later["champion"]["recalibrated"]
    assert abs(recalibrated["mean_pd"] / recalibrated["observed"] - 1) < 0.2


@pytest.fixture
def models(tmp_path: Path) -> Path:
    shutil.copytree(MODELS, tmp_path / "models")
    return tmp_path / "models"


def rewrite(models: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a card and sign the change, as a careless hand with a key would."""
    document = json.loads((models / "scorecard.json").read_bytes())
    change(document)
    (models / "scorecard.json").write_bytes(written(document))
    manifest = {"scorecard.json": {"signatures": [sign(document, DEVELOPMENT_KEY, "hand", clock.now())]}}
    (models / "MANIFEST.json").write_bytes(written(manifest))


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9])
def test_a_card_with_one_byte_changed_is_refused(models: Path, place: float) -> None:
    content = bytearray((models / "scorecard.json").read_bytes())
    content[int(len(content) * place)] ^= 1
    (models / "scorecard.json").write_bytes(bytes(content))
    with pytest.raises(
        ArtefactError, match=r"scorecard.json has SHA-256 .*, what was signed has .*: (changed in|it is)"
    ):
        load_scorecard(models)


def test_the_refusal_says_which_part_of_a_card_was_changed(models: Path) -> None:
    content = (models / "scorecard.json").read_bytes()
    for old, new, what in (
        (b'"pdo": 20', b'"pdo": 21', "changed in scale"),
        (b'"label": "up to 2"', b'"label": "up to 3"', "changed in features"),
        (b'"version"', b' "version"', "changed in its spaces"),
    ):
        assert old in content
        (models / "scorecard.json").write_bytes(content.replace(old, new, 1))
        with pytest.raises(ArtefactError, match=what):
            load_scorecard(models)


def test_a_signed_statement_cannot_be_rewritten(models: Path) -> None:
    manifest = json.loads((models / "MANIFEST.json").read_bytes())
    manifest["scorecard.json"]["signatures"][0]["by"] = "somebody else"
    (models / "MANIFEST.json").write_bytes(written(manifest))
    with pytest.raises(ArtefactError, match="no signature by a trusted key holds"):
        load_scorecard(models)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.update(intercept=card["intercept"] + 1e-9), "parity row 0"),
        (lambda card: card["features"][2]["edges"].pop(0), "parity row"),
        (lambda card: card["features"][1]["attributes"][0].update(evidence=0.5), "parity row"),
        (lambda card: card["covariance"].pop(), "no scorecard"),
        (lambda card: card["features"][1]["missing"].update(policy="refuse"), "cannot be scored"),
        (lambda card: card.update(parity=card["parity"][:199]), "at least 200"),
        (lambda card: card.pop("scale"), "no scorecard"),
    ],
    ids=["intercept", "edge", "evidence", "covariance", "missing policy", "fewer parity rows", "no scale"],
)
def test_a_signed_card_that_computes_something_else_is_refused(
    models: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    rewrite(models, change)
    with pytest.raises(ArtefactError, match=message):
        load_scorecard(models)


def test_a_card_without_a_manifest_is_refused(models: Path) -> None:
    (models / "MANIFEST.json").unlink()
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_scorecard(models)


def test_serving_imports_no_training_library() -> None:
    code = (
        "import sys; from services.credit.scorecard_file import load_scorecard; load_scorecard(); "
        "assert not {'sklearn', 'pickle5', 'joblib', 'scipy', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
