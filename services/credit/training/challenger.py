"""The challenger: trees that see what an additive card cannot, monotone where the card is, exported as data.

The mean of a part of boosted trees and a forest: on a few thousand loans two unlike ensembles together are steadier
than one tuned harder. Which forest, and whether the boosted part helps, is chosen by cross-validation inside the rows
that are fitted, so that nothing is chosen on the rows it is measured on. It scores in the shadow; no decision rests on
it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import StratifiedKFold

from services.credit.formulas.discrimination import area_under_curve
from services.credit.formulas.trees import Column, Trees, ensemble_probability
from services.credit.training.fit import SEED
from services.credit.training.loan_file import FeatureValue, Floats, LoanMapping, Loans, blank

BOOSTED_FITS = 2
PARITY_ROWS = 200
_LEAST_ROWS = 10
_INNER_FOLDS = 3
_BOOSTED = {
    "learning_rate": 0.04,
    "max_iter": 150,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 10,
    "l2_regularization": 5.0,
    "max_features": 0.3,
    "early_stopping": False,
}
_TREES = 100
#: What is chosen from: the forest with its shape, and the weight of the boosted part. Small trees suit few loans, deep
#: ones many.
FORESTS: Mapping[str, tuple[Any, Mapping[str, int | None]]] = {
    "random forest": (RandomForestClassifier, {"max_leaf_nodes": 100, "min_samples_leaf": 2}),
    "deep random forest": (RandomForestClassifier, {"max_leaf_nodes": None, "min_samples_leaf": 3}),
    "extra trees": (ExtraTreesClassifier, {"max_leaf_nodes": 100, "min_samples_leaf": 2}),
    "deep extra trees": (ExtraTreesClassifier, {"max_leaf_nodes": None, "min_samples_leaf": 3}),
}
WEIGHTS = (0.0, 0.25, 0.5)


@dataclass(frozen=True)
class Challenger:
    """A fitted challenger and what was chosen for it."""

    document: Mapping[str, Any]
    trees: Trees
    choice: str
    #: scikit-learn's own answer, to be compared with ours.
    reference: Callable[[Loans], Floats]

    def probabilities(self, loans: Loans) -> Floats:
        """Default probability of each row, by our own evaluator."""
        return ensemble_probability(self.trees, _rows(loans, self.trees.columns))


def challenger(loans: Loans) -> Callable[[Loans], Floats]:
    """Choose and fit; returns a function from loans to default probabilities."""
    return fitted_challenger(loans).probabilities


def fitted_challenger(loans: Loans) -> Challenger:
    """Choose a forest and a weight by inner folds, fit both parts to all rows, export them."""
    columns, directions = _columns(loans)
    rows = _rows(loans, columns)
    name, weight = _choose(rows, loans.outcomes, directions)
    forest = _forest(name, rows, loans.outcomes, directions)
    boosted = _boosted(rows, loans.outcomes, directions) if weight else []
    parts = [_boosted_part(fit, weight / len(boosted)) for fit in boosted]
    parts.append(_forest_part(forest, 1 - weight))
    document = {
        "columns": [
            {"feature": one.feature}
            | ({"fill": one.fill} if one.fill is not None else {})
            | ({"value": one.value} if one.value is not None else {})
            for one in columns
        ],
        "parts": parts,
    }

    def reference(others: Loans) -> Floats:
        seen = _rows(others, columns)
        stated = (1 - weight) * forest.predict_proba(seen)[:, 1]
        for fit in boosted:
            stated = stated + weight / len(boosted) * fit.predict_proba(seen)[:, 1]
        return stated  # type: ignore[no-any-return]

    chosen = f"{name} of {_TREES} trees, weight {1 - weight:g}"
    if weight:
        chosen += f"; boosted trees, weight {weight:g}"
    return Challenger(document, Trees.from_document(document), chosen, reference)


def _choose(rows: Floats, outcomes: Any, directions: Sequence[int]) -> tuple[str, float]:
    """Forest and weight of the boosted part with the largest mean area over inner folds."""
    least = int(min(outcomes.sum(), (1 - outcomes).sum()))
    if least < _INNER_FOLDS:
        return next(iter(FORESTS)), WEIGHTS[-1]
    areas: dict[tuple[str, float], float] = {}
    for fit, held in StratifiedKFold(_INNER_FOLDS, shuffle=True, random_state=SEED).split(rows, outcomes):
        boosted = np.mean(
            [one.predict_proba(rows[held])[:, 1] for one in _boosted(rows[fit], outcomes[fit], directions)], axis=0
        )
        for name in FORESTS:
            stated = _forest(name, rows[fit], outcomes[fit], directions).predict_proba(rows[held])[:, 1]
            for weight in WEIGHTS:
                area = area_under_curve(outcomes[held], weight * boosted + (1 - weight) * stated)
                areas[name, weight] = areas.get((name, weight), 0.0) + area
    return max(areas, key=lambda choice: areas[choice])


def _boosted(rows: Floats, outcomes: Any, directions: Sequence[int]) -> list[Any]:
    return [
        HistGradientBoostingClassifier(**_BOOSTED, monotonic_cst=list(directions), random_state=SEED + number).fit(
            rows, outcomes
        )
        for number in range(BOOSTED_FITS)
    ]


def _forest(name: str, rows: Floats, outcomes: Any, directions: Sequence[int]) -> Any:
    kind, shape = FORESTS[name]
    forest = kind(n_estimators=_TREES, **shape, monotonic_cst=list(directions), random_state=SEED, n_jobs=1)
    return forest.fit(rows, outcomes)


def challenger_document(loans: Loans, mapping: LoanMapping, data_sha256: str) -> dict[str, Any]:
    """The challenger as data: what is served, where it comes from, and rows to prove that it computes the same."""
    found = fitted_challenger(loans)
    generator = np.random.default_rng(SEED)
    part = loans.take(np.sort(generator.choice(len(loans), size=PARITY_ROWS, replace=len(loans) < PARITY_ROWS)))
    for number, feature in enumerate(loans.features):
        # Some gaps, and some values that training never saw.
        part.values[feature.name][number :: 4 * len(loans.features)] = np.nan if feature.kind == "number" else None
        if feature.kind == "code":
            part.values[feature.name][number + 1 :: 4 * len(loans.features)] = "no such code"
    stated = found.reference(part)
    return {
        "name": "forest-loan-trees",
        "version": 1,
        "note": mapping.note,
        "direction": {"probability": "of a bad outcome; bad = " + ", ".join(sorted(mapping.bad))},
        **found.document,
        "training": {
            "mapping": mapping.name,
            "data_sha256": data_sha256,
            "rows": len(loans),
            "bads": int(loans.outcomes.sum()),
            "method": f"{found.choice}; chosen by {_INNER_FOLDS} inner folds",
            "libraries": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
        },
        "parity": [
            {
                "features": {f.name: _plain(part.values[f.name][n]) for f in loans.features},
                "probability": float(stated[n]),
            }
            for n in range(len(part))
        ],
    }


def _plain(value: Any) -> FeatureValue:
    if isinstance(value, float):
        return None if np.isnan(value) else float(value)
    return None if value is None else bool(value) if isinstance(value, (bool, np.bool_)) else str(value)


# -- columns ----------------------------------------------------------------------------------------------------------


def _columns(loans: Loans) -> tuple[tuple[Column, ...], list[int]]:
    """One column per number, one per value of a code seen often enough, one per gap; and the direction of each."""
    made: list[Column] = []
    directions: list[int] = []
    for feature in loans.features:
        values = loans.values[feature.name]
        gaps = blank(values)
        if feature.kind == "number":
            fill = float(np.median(values[~gaps])) if not gaps.all() else 0.0
            made.append(Column(feature.name, round(fill, 6), None))
            directions.append(feature.direction)
        else:
            known, counts = np.unique(values[~gaps].astype(str), return_counts=True)
            for value, rows in zip(known, counts, strict=True):
                if rows >= _LEAST_ROWS:
                    made.append(Column(feature.name, None, str(value)))
                    directions.append(feature.direction if feature.kind == "flag" and value == "True" else 0)
        if gaps.sum() >= _LEAST_ROWS:
            made.append(Column(feature.name, None, None))
            directions.append(0)
    return tuple(made), directions


def _rows(loans: Loans, columns: Sequence[Column]) -> Floats:
    """What `Column.read` reads, for many rows at once."""
    made: list[Floats] = []
    for column in columns:
        values = loans.values[column.feature]
        gaps = blank(values)
        if column.fill is not None:
            filled = np.where(gaps, column.fill, values).astype(np.float32)
            made.append(np.asarray(filled, dtype=np.float64))
        elif column.value is None:
            made.append(gaps.astype(np.float64))
        else:
            made.append(np.asarray(~gaps & (values.astype(str) == column.value), dtype=np.float64))
    return np.column_stack(made)


# -- export -----------------------------------------------------------------------------------------------------------


def _boosted_part(fit: Any, weight: float) -> dict[str, Any]:
    """Trees of a histogram boosting; its nodes are not public, so the parity rows keep watch over them."""
    trees = []
    for (predictor,) in fit._predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        trees.append(
            _tree(leaf, nodes["feature_idx"], nodes["num_threshold"], nodes["left"], nodes["right"], nodes["value"])
        )
    return {"link": "log_odds", "weight": weight, "base": float(fit._baseline_prediction.ravel()[0]), "trees": trees}


def _forest_part(fit: Any, weight: float) -> dict[str, Any]:
    trees = []
    for estimator in fit.estimators_:
        tree = estimator.tree_
        shares = tree.value[:, 0, :]
        bads = shares[:, 1] / shares.sum(axis=1)
        leaf = tree.children_left < 0
        trees.append(_tree(leaf, tree.feature, tree.threshold, tree.children_left, tree.children_right, bads))
    return {"link": "mean", "weight": weight, "trees": trees}


def _tree(leaf: Any, feature: Any, threshold: Any, left: Any, right: Any, value: Any) -> dict[str, Any]:
    """A tree as data: what a leaf does not have is 0."""
    return {
        "feature": [0 if end else int(one) for end, one in zip(leaf, feature, strict=True)],
        "threshold": [0 if end else float(one) for end, one in zip(leaf, threshold, strict=True)],
        "left": [0 if end else int(one) for end, one in zip(leaf, left, strict=True)],
        "right": [0 if end else int(one) for end, one in zip(leaf, right, strict=True)],
        "value": [float(one) if end else 0 for end, one in zip(leaf, value, strict=True)],
    }
