"""Training of the scorecard: from loan rows to a card that is nothing but data.

Run `python -m services.credit.training` from the repository root to rebuild services/credit/models/scorecard.json.
Training needs scikit-learn; serving (formulas/scorecard.py, scorecard_file.py) does not.
"""

import csv
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold

from services.credit.formulas.discrimination import (
    area_under_curve,
    brier_score,
    calibration_error,
    kolmogorov_smirnov,
    level_shift,
)
from services.credit.formulas.drift import information_value, population_stability_index, stability_band
from services.credit.leak_screen import refuse_leaks
from services.credit.scorecard_fit import (
    SEED,
    Binning,
    FeatureValue,
    Floats,
    Ints,
    LoanData,
    Model,
    Row,
    Variable,
    calibrated,
    logistic,
)


def _industry(row: Row) -> str | None:
    code = row["NAICS"][:4]
    return code if len(code) == 4 and code.isdigit() else None


def _guaranteed_share(row: Row) -> float:
    return round(float(row["SBA_Appv"]) / float(row["GrAppv"]), 4)


def _new_business(row: Row) -> bool | None:
    return {"1": False, "1.0": False, "2": True, "2.0": True}.get(row["NewExist"])


def _flag(letter: str) -> bool | None:
    # Other letters, 0 and blanks are in the file; nobody knows what they meant.
    return {"Y": True, "N": False}.get(letter)


VARIABLES = (
    Variable(
        "industry", "code", "NAICS, first 4 digits", ("NAICS",), _industry, 0, "refuse", "worst",
        ("所属行业的历史违约率较高", "The industry has defaulted more often than others"),
    ),
    Variable(
        "employees", "number", "persons", ("NoEmp",), lambda row: float(row["NoEmp"]), 1, "worst", "refuse",
        ("用工规模较大,固定支出偏高", "The number of employees goes with a higher default rate"),
    ),
    Variable(
        "amount", "number", "USD", ("GrAppv",), lambda row: float(row["GrAppv"]), 1, "refuse", "refuse",
        ("贷款金额较大", "The amount is in a range that has defaulted more often"),
        ("降低贷款金额", "Ask for a smaller amount"),
    ),
    Variable(
        "guaranteed_share", "number", "share of the amount", ("SBA_Appv", "GrAppv"), _guaranteed_share, -1, "refuse",
        "refuse",
        ("担保比例偏低", "The guaranteed share is low"),
        ("提高担保比例", "Have a larger share guaranteed"),
    ),
    Variable(
        "new_business", "flag", "yes / no", ("NewExist",), _new_business, 1, "worst", "refuse",
        ("新设主体,经营时间短", "The business is new"),
    ),
    Variable(
        "revolving", "flag", "yes / no", ("RevLineCr",), lambda row: _flag(row["RevLineCr"]), 1, "worst", "refuse",
        ("循环额度贷款的历史违约率较高", "Revolving lines have defaulted more often"),
        ("改为一次性提款、分期偿还", "Take a term loan instead of a revolving line"),
    ),
    Variable(
        "low_doc", "flag", "yes / no", ("LowDoc",), lambda row: _flag(row["LowDoc"]), 1, "worst", "refuse",
        ("申请材料不完整(简化程序)", "The application came through the low-documentation route"),
        ("补充完整申请材料", "Hand in the full documentation"),
    ),
)  # fmt: skip

_NOTE = (
    "Trained on loans guaranteed by the US Small Business Administration, fiscal years 1987-2003. It exercises the "
    "engine. It is NOT calibrated for Chinese forest lending and no decision may present it as such. The probability "
    "is that of a charge-off at any time in the life of a loan, not within a year. Amounts are nominal US dollars of "
    "those years. On forestry loans of later years it hardly ranks at all: see metrics.later_file."
)

_MISSING_TEXT: dict[str, Any] = {
    "reason": {"zh": "未提供该项信息", "en": "The information was not given"},
    "path": {"zh": "补充该项信息", "en": "Give the information"},
}
_UNSEEN_TEXT: dict[str, Any] = {
    "reason": {"zh": "该取值超出模型经验", "en": "The card has no experience of this value"},
    "path": None,
}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a loan file as text: flags such as 0 and T must not turn into numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def decision_features(row: Row, variables: Sequence[Variable] = VARIABLES) -> dict[str, FeatureValue]:
    """Features of the card known at the decision, from one row of a loan file."""
    return {variable.name: variable.read(row) for variable in variables}


def train(
    rows: Sequence[Row],
    data_sha256: str,
    later_rows: Sequence[Row] = (),
    variables: Sequence[Variable] = VARIABLES,
    repeats: int = 5,
) -> dict[str, Any]:
    """Train a card and measure it; refuses columns that know the outcome.

    `later_rows` are loans of another file that lie after the training years; they are only measured on.
    """
    labelled = [row for row in rows if row["MIS_Status"] in ("CHGOFF", "P I F")]
    outcomes = _outcomes(labelled)
    refuse_leaks(labelled, outcomes.tolist(), sorted({column for each in variables for column in each.columns}))
    data = LoanData(labelled, outcomes, variables)
    model = calibrated(data)
    fishing = np.array([row["NAICS"].startswith("114") for row in labelled])
    metrics = {
        "protocol": f"5-fold stratified, {repeats} repeats, seed {SEED}; bins, selection, calibration inside each fold",
        "cross_validated": _cross_validated(data, repeats),
        "cross_validated_without_114": _cross_validated(data.take(np.flatnonzero(~fishing)), repeats),
        "out_of_time": _out_of_time(data, np.array([int(row["ApprovalFY"]) for row in labelled])),
    }
    if later_rows:
        metrics["later_file"] = _later(model, later_rows, variables)
    return _card(model, data, data_sha256, metrics)


def artefact_bytes(card: Mapping[str, Any]) -> bytes:
    """The one way a card is written, so that equal cards have equal bytes."""
    return (json.dumps(card, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _outcomes(rows: Sequence[Row]) -> Ints:
    return np.array([row["MIS_Status"] == "CHGOFF" for row in rows], dtype=np.int64)


def _measures(outcomes: Ints, probabilities: Floats) -> dict[str, float]:
    clipped = np.clip(probabilities, 1e-12, 1 - 1e-12)
    losses = np.where(outcomes == 1, -np.log(clipped), -np.log1p(-clipped))
    return {
        "auc": area_under_curve(outcomes, probabilities),
        "brier": brier_score(outcomes, probabilities),
        "ece": calibration_error(outcomes, probabilities, bins=10),
        "ks": kolmogorov_smirnov(outcomes, probabilities),
        "log_loss": float(losses.mean()),
    }


def _cross_validated(data: LoanData, repeats: int) -> dict[str, Any]:
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=SEED)
    found = [
        _measures(data.outcomes[test], logistic(calibrated(data.take(fit)).log_odds(data.take(test))))
        for fit, test in folds.split(data.outcomes, data.outcomes)
    ]
    share = float(data.outcomes.mean())
    result: dict[str, Any] = {
        "rows": len(data.outcomes),
        "bads": int(data.outcomes.sum()),
        "brier_of_base_rate": round(share * (1 - share), 6),
    }
    for name in found[0]:
        each = np.array([measure[name] for measure in found])
        result[name] = {"mean": round(float(each.mean()), 6), "sd": round(float(each.std(ddof=1)), 6)}
    return result


def _out_of_time(data: LoanData, years: Ints) -> dict[str, Any]:
    """Fit to 2000 and test 2001-2003; then set the level on 2001 and test 2002-2003."""
    fit, test = np.flatnonzero(years <= 2000), np.flatnonzero(years > 2000)
    early, late = data.take(fit), data.take(test)
    model = calibrated(early)
    reference = np.empty(len(fit))
    # Reference scores are out of fold: in-sample ones would show overfit as drift.
    for train_places, held in StratifiedKFold(n_splits=5, shuffle=True, random_state=SEED).split(
        early.outcomes, early.outcomes
    ):
        reference[held] = calibrated(early.take(train_places)).log_odds(early.take(held))
    odds = model.log_odds(late)
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, 11)[1:-1]))
    shares = [
        np.bincount(np.searchsorted(edges, each, side="left"), minlength=len(edges) + 1) / len(each)
        for each in (reference, odds)
    ]
    index = population_stability_index(list(shares[0]), list(shares[1]), least_share=1e-4)
    first = years[test] == 2001
    shift = level_shift(odds[first], float(late.outcomes[first].mean()))
    return {
        "fitted_to": 2000,
        "tested": "2001-2003",
        **_level(late.outcomes, logistic(odds)),
        "psi": round(index, 6),
        "psi_band": stability_band(index, watch_from=0.10, alarm_above=0.25),
        "recalibrated_on_2001_tested_2002_2003": _level(late.outcomes[~first], logistic(odds[~first] + shift)),
    }


def _level(outcomes: Ints, probabilities: Floats) -> dict[str, Any]:
    return {
        "rows": len(outcomes),
        "bads": int(outcomes.sum()),
        "mean_pd": round(float(probabilities.mean()), 6),
        "observed": round(float(outcomes.mean()), 6),
        **{name: round(value, 6) for name, value in _measures(outcomes, probabilities).items()},
    }


def _later(model: Model, rows: Sequence[Row], variables: Sequence[Variable]) -> dict[str, Any]:
    labelled = [row for row in rows if row["MIS_Status"] in ("CHGOFF", "P I F")]
    data = LoanData(labelled, _outcomes(labelled), variables)
    years = [int(row["ApprovalFY"]) for row in labelled]
    return {"tested": f"{min(years)}-{max(years)}", **_level(data.outcomes, logistic(model.log_odds(data)))}


def _card(model: Model, data: LoanData, data_sha256: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    design = np.column_stack([np.ones(len(data.outcomes)), model.design(data)])
    spread = logistic(model.log_odds(data))
    covariance = np.linalg.inv(design.T @ (design * (spread * (1 - spread))[:, None]))
    return {
        "name": "forest-loan-scorecard",
        "version": 1,
        "note": _NOTE,
        "direction": {
            "log_odds": "ln(bad:good); bad = charged off",
            "score": "good:bad; a higher score is a lower risk",
            "woe": "positive is better than average; coefficients are negative",
            "industry_woe": "ln(share of goods / share of bads), 30 average rows added to each attribute",
            "other_woe": "ln(bads expected from industry / bads), 5 added to both",
        },
        "scale": {"score": 600, "odds_good_to_bad": 50, "pdo": 20},
        "intercept": model.intercept,
        "covariance": [[round(float(cell), 10) for cell in line] for line in covariance],
        "features": [
            _feature(binning, float(coefficient))
            for binning, coefficient in zip(model.binnings, model.coefficients, strict=True)
        ],
        "excluded": model.excluded,
        "training": {
            "data_sha256": data_sha256,
            "rows": len(data.outcomes),
            "bads": int(data.outcomes.sum()),
            "method": "binned weights of evidence, logistic regression with l2 (C = 1), calibrated out of fold",
            "libraries": {
                "python": ".".join(platform.python_version_tuple()[:2]),
                "numpy": np.__version__,
                "scipy": scipy.__version__,
                "scikit-learn": sklearn.__version__,
            },
        },
        "metrics": dict(metrics),
        "parity": _parity(model, data),
    }


def _feature(binning: Binning, coefficient: float) -> dict[str, Any]:
    variable = binning.variable
    attributes = []
    for place, label in enumerate(binning.labels):
        attribute: dict[str, Any] = {
            "label": label,
            "woe": float(binning.woe[place]),
            "woe_variance": float(binning.woe_variance[place]),
            "goods": int(binning.goods[place]),
            "bads": int(binning.bads[place]),
        }
        if variable.kind != "number":
            attribute["values"] = list(binning.members[place])
        attributes.append(attribute)
    zh, en = variable.reason
    return {
        "name": variable.name,
        "kind": variable.kind,
        "unit": variable.unit,
        "coefficient": coefficient,
        "direction": variable.direction,
        "information_value": round(information_value(binning.goods, binning.bads, binning.woe), 6),
        **({"edges": list(binning.edges)} if variable.kind == "number" else {}),
        "attributes": attributes,
        "missing": {"policy": variable.missing, "label": "not given", **_MISSING_TEXT},
        "unseen": {"policy": variable.unseen, "label": "not seen in training", **_UNSEEN_TEXT},
        "reason": {"zh": zh, "en": en},
        "path": None if variable.path is None else {"zh": variable.path[0], "en": variable.path[1]},
    }


def _parity(model: Model, data: LoanData, rows: int = 200) -> list[dict[str, Any]]:
    """Rows scored by the training arithmetic, for the server to replay by its own; some with gaps and strange codes."""
    chosen = np.random.default_rng(SEED).choice(len(data.outcomes), size=min(rows, len(data.outcomes)), replace=False)
    part = data.take(np.sort(chosen))
    used = [binning.variable for binning in model.binnings]
    for number, variable in enumerate(used):
        values = part.values[variable.name]
        if variable.missing == "worst":
            values[number :: 4 * len(used)] = np.nan if variable.kind == "number" else None
        if variable.unseen == "worst":
            values[number + 1 :: 4 * len(used)] = "9999"
    odds = model.log_odds(part)
    result = []
    for place, (log_odds, probability) in enumerate(zip(odds, logistic(odds), strict=True)):
        features: dict[str, FeatureValue] = {}
        for variable in used:
            value = part.values[variable.name][place]
            features[variable.name] = (
                (None if np.isnan(value) else float(value)) if variable.kind == "number" else value
            )
        result.append(
            {
                "features": features,
                "log_odds": round(float(log_odds), 14),
                "probability": round(float(probability), 14),
            }
        )
    return result


def main() -> None:
    """Rebuild the artefact and its manifest from the committed loan files."""
    root = Path(__file__).resolve().parents[2]
    source = root / "data" / "loans" / "sba_agri_forestry_loans.csv"
    forestry = read_rows(root / "data" / "loans" / "sba_forestry_loans.csv")
    card = train(
        read_rows(source),
        hashlib.sha256(source.read_bytes()).hexdigest(),
        # Forestry loans to 2003 are in both files: only the later ones are new to the card.
        later_rows=[row for row in forestry if int(row["ApprovalFY"]) > 2003],
    )
    content = artefact_bytes(card)
    models = Path(__file__).resolve().parent / "models"
    models.mkdir(exist_ok=True)
    (models / "scorecard.json").write_bytes(content)
    manifest = {"scorecard.json": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    (models / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
