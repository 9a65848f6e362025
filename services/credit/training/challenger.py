"""The challenger: boosted trees that see what an additive card cannot, monotone where the card is.

Several fits on random parts of the columns are averaged: on a few thousand loans that is steadier than one fit tuned
harder. It scores in the shadow; no decision rests on it.
"""

from collections.abc import Callable

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from services.credit.training.fit import SEED
from services.credit.training.loan_file import Floats, Loans, blank

FITS = 4
_LEAST_ROWS = 10


def challenger(loans: Loans) -> Callable[[Loans], Floats]:
    """Fit; returns a function from loans to default probabilities."""
    encoders, directions = _encoders(loans)
    columns = _columns(loans, encoders)
    fits = [
        HistGradientBoostingClassifier(
            learning_rate=0.04,
            max_iter=150,
            max_leaf_nodes=12,
            min_samples_leaf=10,
            l2_regularization=5.0,
            max_features=0.3,
            monotonic_cst=directions,
            random_state=SEED + number,
        ).fit(columns, loans.outcomes)
        for number in range(FITS)
    ]

    def predict(others: Loans) -> Floats:
        seen = _columns(others, encoders)
        return np.mean([fit.predict_proba(seen)[:, 1] for fit in fits], axis=0)  # type: ignore[no-any-return]

    return predict


def _encoders(loans: Loans) -> tuple[list[tuple[str, object]], list[int]]:
    """One column per number, one per value of a code seen often enough; and the direction of each."""
    made: list[tuple[str, object]] = []
    directions = []
    for feature in loans.features:
        values = loans.values[feature.name]
        if feature.kind == "number":
            made.append((feature.name, None))
            directions.append(feature.direction)
            continue
        known, counts = np.unique(values[~blank(values)].astype(str), return_counts=True)
        for value, rows in zip(known, counts, strict=True):
            if rows >= _LEAST_ROWS:
                made.append((feature.name, value))
                directions.append(feature.direction if feature.kind == "flag" and value == "True" else 0)
    return made, directions


def _columns(loans: Loans, encoders: list[tuple[str, object]]) -> Floats:
    return np.column_stack(
        [
            loans.values[name].astype(np.float64) if value is None else (loans.values[name].astype(str) == value) * 1.0
            for name, value in encoders
        ]
    )
