"""Training of the scorecard: from loan rows to a card that is nothing but data, and what it is worth.

`heartwood credit train` runs it. Training needs scikit-learn; serving (formulas/scorecard.py, scorecard_file.py) does
not.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
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
from services.credit.formulas.drift import (
    information_value,
    population_stability_index,
    stability_band,
    weights_of_evidence,
)
from services.credit.training.challenger import challenger
from services.credit.training.fit import SEED, STEP, STRENGTH, FitError, FittedFeature, Model, calibrated, logistic
from services.credit.training.leak_screen import refuse_leaks
from services.credit.training.loan_file import (
    FeatureValue,
    Floats,
    Ints,
    LoanMapping,
    Loans,
    Row,
    loans_of,
)
from services.credit.training.periods import day, periods

#: Called after each fit of a measurement.
Tick = Callable[[], None]
Predict = Callable[[Loans], Floats]
#: A method takes loans to learn from and gives a function from loans to default probabilities.
Method = Callable[[Loans], Predict]
#: Out-of-time tests learn from this share of the loans, the oldest.
EARLY_SHARE = 0.7
LOW_DATA_BADS = 200

_MISSING = {
    "reason": {"zh": "未提供该项信息", "en": "The information was not given"},
    "path": {"zh": "补充该项信息", "en": "Give the information"},
}
_UNSEEN = {"reason": {"zh": "该取值超出模型经验", "en": "The card has no experience of this value"}, "path": None}


def champion(loans: Loans) -> Predict:
    """The scorecard as a method."""
    model = calibrated(loans)
    return lambda others: logistic(model.log_odds(others))


METHODS: dict[str, Method] = {"champion": champion, "challenger": challenger}


def screened(rows: Sequence[Row], mapping: LoanMapping) -> tuple[Loans, list[Row]]:
    """The loans to train on. Raises LeakError, LoanFileError, FitError before anything is computed."""
    loans, labelled = loans_of(rows, mapping)
    if len(set(loans.outcomes.tolist())) < 2:
        raise FitError(f"every loan has the same outcome in {mapping.target}; a scorecard needs both goods and bads")
    columns = sorted({column for feature in mapping.features for column in feature.columns})
    refuse_leaks(labelled, loans.outcomes.tolist(), columns, mapping.refused)
    return loans, labelled


def train(rows: Sequence[Row], mapping: LoanMapping, data_sha256: str) -> dict[str, Any]:
    """Train a card. Raises LeakError, LoanFileError, FitError."""
    loans, _ = screened(rows, mapping)
    return card_of(calibrated(loans), loans, mapping, data_sha256)


# -- what it is worth -------------------------------------------------------------------------------------------------


def measure(
    rows: Sequence[Row],
    mapping: LoanMapping,
    later_rows: Sequence[Row] = (),
    repeats: int = 5,
    methods: Mapping[str, Method] = METHODS,
    tick: Tick = lambda: None,
) -> dict[str, Any]:
    """Cross-validated and out-of-time results of each method, in the same folds.

    `later_rows` are loans of another file that lie after the training years; they are only measured on.
    """
    loans, labelled = screened(rows, mapping)
    found: dict[str, Any] = {
        "rows": len(loans),
        "bads": int(loans.outcomes.sum()),
        "low_data": bool(loans.outcomes.sum() < LOW_DATA_BADS),
        "protocol": f"5-fold stratified, {repeats} repeats, seed {SEED}; bins, selection, calibration inside each fold",
        "cross_validated": _cross_validated(loans, repeats, methods, tick),
    }
    if mapping.also_without:
        column, begins = mapping.also_without["column"], mapping.also_without["begins"]
        others = loans.take(np.flatnonzero([not row[column].startswith(begins) for row in labelled]))
        if 0 < others.outcomes.sum() < len(others) and len(others) < len(loans):
            found[f"cross_validated_without_{begins}"] = _cross_validated(others, repeats, methods, tick)
    if mapping.time:
        found["out_of_time"] = _out_of_time(loans, mapping.time, [row[mapping.time] for row in labelled], methods, tick)
    else:
        found["out_of_time"] = {
            "not_tested": "no column is known to tell when a loan was made (--time COLUMN names it)"
        }
    if later_rows:
        later, later_labelled = loans_of(later_rows, mapping)
        times = sorted(row[mapping.time] for row in later_labelled) if mapping.time else ["", ""]
        found["later_file"] = {"tested": f"{times[0]}-{times[-1]}"} | {
            name: _level(later.outcomes, method(loans)(later)) for name, method in methods.items()
        }
    return found


def fits_of(mapping: LoanMapping, repeats: int, methods: int = len(METHODS)) -> int:
    """How many times `measure` will tick."""
    return methods * (5 * repeats * (1 + bool(mapping.also_without)) + bool(mapping.time))


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


def _cross_validated(loans: Loans, repeats: int, methods: Mapping[str, Method], tick: Tick) -> dict[str, Any]:
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=SEED)
    if min(loans.outcomes.sum(), (1 - loans.outcomes).sum()) < 5:
        raise FitError("five folds need at least five goods and five bads")
    share = float(loans.outcomes.mean())
    result: dict[str, Any] = {
        "rows": len(loans),
        "bads": int(loans.outcomes.sum()),
        "brier_of_base_rate": round(share * (1 - share), 6),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    stated = {name: np.zeros(len(loans)) for name in methods}
    for fit, test in folds.split(loans.outcomes, loans.outcomes):
        part, held = loans.take(fit), loans.take(test)
        for name, method in methods.items():
            probabilities = method(part)(held)
            found[name].append(_measures(held.outcomes, probabilities))
            stated[name][test] += probabilities / repeats
            tick()
    for name, each in found.items():
        result[name] = {
            measure_: {
                "mean": round(float(np.mean([one[measure_] for one in each])), 6),
                "sd": round(float(np.std([one[measure_] for one in each], ddof=1)), 6),
            }
            for measure_ in each[0]
        }
        result[name]["auc"]["bootstrap_90"] = _bootstrap(loans.outcomes, stated[name])
        result[name]["curves"] = _curves(loans.outcomes, stated[name])
    return result


def _bootstrap(outcomes: Ints, probabilities: Floats, draws: int = 200) -> list[float]:
    """90 % interval of the area under the curve of the out-of-fold probabilities, by drawing loans anew."""
    generator = np.random.default_rng(SEED)
    areas: list[float] = []
    while len(areas) < draws:
        places = generator.integers(0, len(outcomes), len(outcomes))
        if 0 < outcomes[places].sum() < len(places):
            areas.append(area_under_curve(outcomes[places], probabilities[places]))
    return [round(float(edge), 4) for edge in np.quantile(areas, [0.05, 0.95])]


def _curves(outcomes: Ints, probabilities: Floats, points: int = 50) -> dict[str, list[list[float]]]:
    """Points of the ROC curve, of both distributions (KS) and of the calibration curve, to draw."""
    order = np.argsort(-probabilities, kind="stable")
    bad = outcomes[order] == 1
    hits, alarms = np.cumsum(bad) / bad.sum(), np.cumsum(~bad) / (~bad).sum()
    shown = np.unique(np.linspace(0, len(order) - 1, points).astype(int))
    by_risk = np.argsort(probabilities, kind="stable")
    tenths = [part for part in np.array_split(by_risk, 10) if len(part)]
    return {
        "roc": [[round(float(alarms[n]), 4), round(float(hits[n]), 4)] for n in shown],
        "ks": [
            [round(float((n + 1) / len(order)), 4), round(float(hits[n]), 4), round(float(alarms[n]), 4)] for n in shown
        ],
        "calibration": [
            [round(float(probabilities[part].mean()), 4), round(float(outcomes[part].mean()), 4)] for part in tenths
        ],
    }


def _out_of_time(
    loans: Loans, column: str, told: Sequence[str], methods: Mapping[str, Method], tick: Tick
) -> dict[str, Any]:
    """Fit to the older loans, test on the later; then set the level on the first later period and test on the rest.

    The level of each later period is told, too: one number for all of them would hide a crisis among calm years.
    """
    read = periods(told)
    if read is None:
        strange = next(one for one in told if one.strip() and day(one) is None)
        return {"by": column, "not_tested": f"{column} holds {strange!r}, whose place in time is not known"}
    places, names = np.array(read[0]), read[1]
    undated = int((places < 0).sum())
    if undated:
        loans, places = loans.take(np.flatnonzero(places >= 0)), places[places >= 0]
    result: dict[str, Any] = {"by": column, "undated": undated}
    counts = np.cumsum(np.bincount(places, minlength=len(names))) / max(1, len(places))
    last = int(np.searchsorted(counts, EARLY_SHARE))
    if not 0 < last + 1 < len(names) - 1:
        return result | {"not_tested": "the loans lie in fewer than three periods, or nearly all in one"}
    early, late = loans.take(np.flatnonzero(places <= last)), loans.take(np.flatnonzero(places > last))
    when = places[places > last]
    first = when == last + 1
    if any(len(set(part.tolist())) < 2 for part in (early.outcomes, late.outcomes[first], late.outcomes[~first])):
        return result | {"not_tested": "a period has only goods or only bads"}
    share = float(late.outcomes.mean())
    result |= {
        "fitted_to": names[last],
        "fitted_rows": len(early),
        "fitted_bads": int(early.outcomes.sum()),
        "tested": f"{names[last + 1]}-{names[-1]}",
        "level_set_on": names[last + 1],
        "brier_of_base_rate": round(share * (1 - share), 6),
    }
    there = np.unique(when).tolist()
    by_period: list[dict[str, Any]] = [
        {
            "period": names[one],
            "rows": int((when == one).sum()),
            "bads": int(late.outcomes[when == one].sum()),
            "observed": round(float(late.outcomes[when == one].mean()), 6),
            "mean_pd": {},
        }
        for one in there
    ]
    for name, method in methods.items():
        stated = method(early)(late)
        odds = _log_odds(stated)
        moved = logistic(odds[~first] + level_shift(odds[first], float(late.outcomes[first].mean())))
        result[name] = _level(late.outcomes, stated) | {
            "auc_bootstrap_90": _bootstrap(late.outcomes, stated),
            "recalibrated": _level(late.outcomes[~first], moved),
        }
        for one, line in zip(there, by_period, strict=True):
            line["mean_pd"][name] = round(float(stated[when == one].mean()), 6)
        tick()
    result["by_period"] = by_period
    # Reference scores are out of fold: in-sample ones would show overfit as drift.
    reference = np.empty(len(early))
    for fit, held in StratifiedKFold(5, shuffle=True, random_state=SEED).split(early.outcomes, early.outcomes):
        reference[held] = calibrated(early.take(fit)).log_odds(early.take(held))
    model = calibrated(early)
    result["psi"] = _drift(reference, model.log_odds(late))
    result["psi_band"] = stability_band(result["psi"], watch_from=0.10, alarm_above=0.25)
    result["csi"] = {each.encoding.feature.name: _feature_drift(each, early, late) for each in model.features}
    return result


def _log_odds(probabilities: Floats) -> Floats:
    clipped = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return np.log(clipped / (1 - clipped))


def _drift(reference: Floats, now: Floats) -> float:
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, 11)[1:-1]))
    shares = [
        np.bincount(np.searchsorted(edges, each, side="left"), minlength=len(edges) + 1) / len(each)
        for each in (reference, now)
    ]
    return round(population_stability_index(list(shares[0]), list(shares[1]), least_share=1e-4), 6)


def _feature_drift(feature: FittedFeature, early: Loans, late: Loans) -> float:
    name, size = feature.encoding.feature.name, feature.encoding.size
    # What has no attribute has a place of its own here: the first.
    shares = [
        np.bincount(feature.encoding.places(each.values[name]) + 1, minlength=size + 1) / len(each)
        for each in (early, late)
    ]
    return round(population_stability_index(list(shares[0]), list(shares[1]), least_share=1e-4), 6)


def _level(outcomes: Ints, probabilities: Floats) -> dict[str, Any]:
    return {
        "rows": len(outcomes),
        "bads": int(outcomes.sum()),
        "mean_pd": round(float(probabilities.mean()), 6),
        "observed": round(float(outcomes.mean()), 6),
        **{name: round(value, 6) for name, value in _measures(outcomes, probabilities).items()},
    }


# -- the card ---------------------------------------------------------------------------------------------------------


def card_of(model: Model, loans: Loans, mapping: LoanMapping, data_sha256: str) -> dict[str, Any]:
    """The card as data: what is served, and all that is needed to know where it comes from."""
    return {
        "name": "forest-loan-scorecard",
        "version": 3,
        "note": mapping.note,
        "direction": {
            "log_odds": "ln(bad:good); bad = " + ", ".join(sorted(mapping.bad)),
            "score": "good:bad; a higher score is a lower risk",
            "evidence": "of an attribute: what it adds to ln(good:bad) against the average row, all features together",
            "woe": "of an attribute alone: ln(share of goods / share of bads), 5 average rows added; for information",
        },
        "scale": {"score": 600, "odds_good_to_bad": 50, "pdo": 20},
        "intercept": model.intercept,
        "covariance": [[_significant(cell) for cell in line[: n + 1]] for n, line in enumerate(model.covariance)],
        "features": [_feature(each) for each in model.features],
        "excluded": dict(model.excluded),
        "low_data": bool(loans.outcomes.sum() < LOW_DATA_BADS),
        "reference": _training_distribution(model, loans),
        "training": {
            "mapping": mapping.name,
            "data_sha256": data_sha256,
            "rows": len(loans),
            "bads": int(loans.outcomes.sum()),
            "method": f"steps between deciles and values, logistic regression with l2 (C = {STRENGTH}, steps of {STEP})"
            ", steps against the direction taken out, calibrated out of fold",
            "libraries": {
                "python": ".".join(platform.python_version_tuple()[:2]),
                "numpy": np.__version__,
                "scipy": scipy.__version__,
                "scikit-learn": sklearn.__version__,
            },
        },
        "parity": _parity(model, loans),
    }


def _training_distribution(model: Model, loans: Loans) -> dict[str, Any]:
    """Where the training loans lay: the score by tenths, each feature by attribute, what has none first.

    Scores are out of fold: in-sample ones would show overfit as drift.
    """
    score = None
    if model.reference is not None:
        edges = np.unique(np.round(np.quantile(model.reference, np.linspace(0, 1, 11)[1:-1]), 6))
        counts = np.bincount(np.searchsorted(edges, model.reference, side="left"), minlength=len(edges) + 1)
        score = {"edges": edges.tolist(), "rows": counts.tolist()}
    features = {}
    for each in model.features:
        name, size = each.encoding.feature.name, each.encoding.size
        places = each.encoding.places(loans.values[name])
        features[name] = np.bincount(places + 1, minlength=size + 1).tolist()
    return {"log_odds": score, "features": features}


def _significant(number: float) -> float:
    """To six figures: an interval needs no more, and the last bits differ from machine to machine."""
    return float(f"{number:.6g}")


def _feature(fitted: FittedFeature) -> dict[str, Any]:
    feature = fitted.encoding.feature
    goods, bads = ([getattr(each, name) for each in fitted.attributes] for name in ("goods", "bads"))
    woe = weights_of_evidence(goods, bads, adjustment=5)
    attributes: list[dict[str, Any]] = []
    for place, each in enumerate(fitted.attributes):
        attribute: dict[str, Any] = {
            "label": each.label,
            "evidence": round(-each.log_odds, 10),
            "woe": round(float(woe[place]), 6),
            "goods": each.goods,
            "bads": each.bads,
        }
        if feature.kind != "number":
            attribute["values"] = list(each.values)
        attributes.append(attribute)
    known = attributes[:-1] if fitted.encoding.gaps else attributes
    return {
        "name": feature.name,
        "kind": feature.kind,
        "unit": feature.unit,
        "direction": feature.direction,
        "information_value": round(information_value(goods, bads, woe), 6),
        **({"edges": list(fitted.encoding.edges)} if feature.kind == "number" else {}),
        "attributes": known,
        "missing": {
            "policy": feature.missing if feature.missing != "own" or fitted.encoding.gaps else "worst",
            "label": "not given",
            **({"attribute": attributes[-1]} if fitted.encoding.gaps else {}),
            **_MISSING,
        },
        "unseen": {"policy": feature.unseen, "label": "not seen in training", **_UNSEEN},
        "reason": dict(feature.reason) if feature.reason else _plain_reason(feature.name),
        "path": None if feature.path is None else dict(feature.path),
    }


def _plain_reason(name: str) -> dict[str, str]:
    return {"zh": f"{name} 的取值对应较高的历史违约率", "en": f"This value of {name} has defaulted more often"}


def _parity(model: Model, loans: Loans, rows: int = 200) -> list[dict[str, Any]]:
    """Rows scored by the training arithmetic, for the server to replay by its own; some with gaps and strange codes."""
    generator = np.random.default_rng(SEED)
    chosen = np.sort(generator.choice(len(loans), size=rows, replace=len(loans) < rows))
    part = loans.take(chosen)
    used = [each.encoding.feature for each in model.features]
    for number, feature in enumerate(used):
        values = part.values[feature.name]
        if feature.missing != "refuse":
            values[number :: 4 * len(used)] = np.nan if feature.kind == "number" else None
        if feature.unseen != "refuse" and feature.kind == "code":
            values[number + 1 :: 4 * len(used)] = "no such code"
    odds = model.log_odds(part)
    result = []
    for place, (log_odds, probability) in enumerate(zip(odds, logistic(odds), strict=True)):
        features: dict[str, FeatureValue] = {}
        for feature in used:
            value = part.values[feature.name][place]
            features[feature.name] = (None if np.isnan(value) else float(value)) if feature.kind == "number" else value
        result.append(
            {"features": features, "log_odds": round(float(log_odds), 14), "probability": round(float(probability), 14)}
        )
    return result
