"""`heartwood credit train`: from a loan file to a card, its report and its model card."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.credit.scorecard_file import MODELS, SCORECARD, load_scorecard
from services.credit.training import model_card
from services.credit.training.challenger import challenger_document
from services.credit.training.loan_file import LoanFileError, LoanMapping, inferred, read_mapping, read_rows, sha256
from services.credit.training.periods import dated_column
from services.credit.training.train import METHODS, Tick, fits_of, measure, screened, train
from shared import clock
from shared.artefacts import ArtefactError, key_id, sign, written

LOANS = Path("data/loans")
SHIPPED = "sba_agri_forestry_loans.csv"
#: How far the mean probability may lie from what came, once the level was set.
LEVEL_WITHIN = 0.2


def later_loans(mapping: LoanMapping) -> list[dict[str, str]]:
    """Forestry loans after the shipped training years. Those to 2003 are in both files: only the later ones are new."""
    return [row for row in read_rows(LOANS / "sba_forestry_loans.csv") if int(row[mapping.time or "ApprovalFY"]) > 2003]


def plan(
    data: Path, mapping: Path | None, target: str | None, bad: str | None, time: str | None, leave_out: Sequence[str]
) -> tuple[list[dict[str, str]], LoanMapping, dict[str, str]]:
    """Rows, mapping, and the columns that are no candidates. Raises LoanFileError."""
    rows = read_rows(data)
    if mapping is not None:
        return rows, read_mapping(mapping), {}
    if target is None:
        raise LoanFileError("say which column holds the outcome: --target COLUMN, or --mapping FILE")
    time = time or dated_column(rows, (target, *leave_out))
    found, left = inferred(rows, data.stem, target, bad, leave_out, time)
    return rows, found, left | dict.fromkeys(leave_out, "left out on request")


def run(
    rows: Sequence[Mapping[str, str]],
    mapping: LoanMapping,
    left_out: Mapping[str, str],
    data: Path,
    folder: Path,
    command: str,
    later: Sequence[Mapping[str, str]] = (),
    repeats: int = 5,
    tick: Tick = lambda: None,
) -> dict[str, Any]:
    """Train, measure, write card, challenger, report and model card into a folder; the report."""
    digest = sha256(data)
    loans, _ = screened(rows, mapping)
    card = train(rows, mapping, digest)
    beside = challenger_document(loans, mapping, digest)
    measured = measure(rows, mapping, later, repeats, METHODS, tick)
    reference = _reference(mapping, data)
    report = {
        "file": data.name,
        "command": command,
        "mapping": mapping.name,
        "target": {"column": mapping.target, "bad": sorted(mapping.bad), "good": sorted(mapping.good)},
        "time": mapping.time,
        "features": [feature.name for feature in mapping.features],
        "left_out": dict(left_out),
        "measured": measured,
        "reference": reference,
        "missed": _missed(measured, reference),
    }
    card["metrics"] = _without_curves(measured)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_bytes(written(card))
    (folder / "challenger.json").write_bytes(written(beside))
    (folder / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (folder / "model_card.md").write_text(model_card.markdown(card, report), encoding="utf-8")
    (folder / "model_card.html").write_text(model_card.html(card, report), encoding="utf-8")
    return report


def adopt(card: Path, key: Ed25519PrivateKey, by: str, models: Path = MODELS) -> str:
    """Put a trained card in the place that is served, signed by a person; returns its hash. Raises ArtefactError."""
    content = card.read_bytes()
    try:
        document = json.loads(content)
        signature = sign(document, key, by, clock.now())
    except (ValueError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{card.name} is no artefact: {error}") from error
    place = models / "MANIFEST.json"
    manifest = json.loads(place.read_bytes()) if place.exists() else {}
    manifest[SCORECARD] = {"bytes": len(content), "signatures": [signature]}
    with tempfile.TemporaryDirectory(dir=models.parent) as folder:
        for name, data in ((SCORECARD, content), ("MANIFEST.json", written(manifest))):
            (Path(folder) / name).write_bytes(data)
        own = key.public_key()
        load_scorecard(Path(folder), keys={key_id(own): own})
        for name in (SCORECARD, "MANIFEST.json"):
            (Path(folder) / name).replace(models / name)
    return str(signature["sha256"])


def _without_curves(measured: Any) -> Any:
    if isinstance(measured, Mapping):
        return {name: _without_curves(value) for name, value in measured.items() if name != "curves"}
    return measured


def _reference(mapping: LoanMapping, data: Path) -> dict[str, dict[str, list[float]]]:
    """Results of other methods on the very same rows and features, by cross-validation."""
    path = LOANS / "reference.json"
    if not path.exists():
        return {}
    known = json.loads(path.read_text(encoding="utf-8"))
    if mapping.name != known["mapping"]:
        return {}
    names = {"cross_validated": data.name, "cross_validated_without_114": f"{data.name} without 114"}
    return {name: known["results"][key] for name, key in names.items() if key in known["results"]}


def _missed(measured: Mapping[str, Any], reference: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """Which bars were missed: those against the base rate always, those against other methods where they are known."""
    missed = []
    for name, found in measured.items():
        if not name.startswith("cross_validated"):
            continue
        for method in METHODS:
            if found[method]["brier"]["mean"] >= found["brier_of_base_rate"]:
                missed.append(f"{name}: the Brier score of the {method} is no better than that of the base rate")
        others = reference.get(name)
        if not others:
            continue
        explainable = max(result[0] for other, result in others.items() if other.startswith("regression"))
        best, spread = max((result[0], result[1]) for result in others.values())
        champion, challenger = (found[method]["auc"]["mean"] for method in ("champion", "challenger"))
        if champion < explainable:
            missed.append(
                f"{name}: AUC of the champion {champion:.4f}, of the best explainable reference {explainable:.4f}"
            )
        # Over 25 overlapping folds the standard error of a mean is sd · √(1/25 + 1/4).
        if challenger < best - 2 * spread * (1 / 25 + 1 / 4) ** 0.5:
            missed.append(f"{name}: AUC of the challenger {challenger:.4f}, of the best reference {best:.4f}")
        elif challenger < best:
            missed.append(
                f"{name}: AUC of the challenger {challenger:.4f} is below the best reference {best:.4f}, within noise"
            )
    return missed + _missed_later(measured["out_of_time"])


def _missed_later(late: Mapping[str, Any]) -> list[str]:
    """What an out-of-time test missed: not to have been done, or to state another level than then came."""
    if "not_tested" in late:
        return [f"out_of_time: not tested, {late['not_tested']}"]
    missed = []
    for method in METHODS:
        found, again = late[method], late[method]["recalibrated"]
        if found["brier"] >= late["brier_of_base_rate"]:
            missed.append(f"out_of_time: the Brier score of the {method} is no better than that of the base rate")
        if abs(again["mean_pd"] / again["observed"] - 1) > LEVEL_WITHIN:
            missed.append(
                f"out_of_time: with its level set on {late['level_set_on']} the {method} states {again['mean_pd']:.4f}"
                f" for the loans after it, {again['observed']:.4f} defaulted; a fifth apart at most was wanted"
            )
    return missed


__all__ = ["LOANS", "SHIPPED", "adopt", "fits_of", "later_loans", "plan", "run"]
