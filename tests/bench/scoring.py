"""Scoring in process: the card against a scikit-learn pipeline fitted to the same loans, row by row and in one call."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from deploy.embedded import EmbeddedPostgres
from services.credit.formulas.scorecard import Card, score
from services.credit.training.fit import calibrated, logistic
from services.credit.training.loan_file import Loans, loans_of, read_mapping, read_rows, sha256
from services.credit.training.train import card_of
from tests.bench.harness import Row, compare

LOANS = Path(__file__).parents[2] / "data" / "loans"
ROWS, ROUNDS, ONE_BY_ONE, PIPELINED = 100_000, 6, 3_000, 60


def rows(_: EmbeddedPostgres) -> list[Row]:
    """Measure one row with its reasons, and a hundred thousand rows without."""
    file, mapping = LOANS / "sba_agri_forestry_loans.csv", read_mapping(LOANS / "sba_served.json")
    loans, _labelled = loans_of(read_rows(file), mapping)
    model = calibrated(loans)
    card = Card.from_document(card_of(model, loans, mapping, sha256(file)))
    pipeline = _pipeline(loans)
    many = loans.take(np.resize(np.arange(len(loans)), ROWS))
    singles = [
        {each.name: _plain(loans.values[each.name][place]) for each in loans.features} for place in range(ONE_BY_ONE)
    ]
    matrix, matrices = _matrix(many), [_matrix(loans.take(np.array([place]))) for place in range(PIPELINED)]

    # The same answer first: each row alone is what it is among the others.
    alone = np.array([score(card, row).probability for row in singles])
    assert np.abs(alone - logistic(model.log_odds(many))[:ONE_BY_ONE]).max() < 1e-9
    among = pipeline.predict_proba(matrix)[:PIPELINED]
    assert np.abs(np.vstack([pipeline.predict_proba(one) for one in matrices]) - among).max() < 1e-9

    note = (
        "the card's features of the shipped agricultural and forestry loans; the pipeline imputes, scales, one-hot"
        " encodes and fits a logistic regression, both read the same arrays on one thread"
    )
    return [
        compare(
            "scoring",
            "one row scored with its reasons vs a scikit-learn pipeline's predict_proba of one row",
            lambda: _spent(lambda: [score(card, row) for row in singles], ONE_BY_ONE),
            lambda: _spent(lambda: [pipeline.predict_proba(one) for one in matrices], PIPELINED),
            unit="µs CPU per row",
            goal=500,
            rounds=ROUNDS,
            note=note,
        ),
        compare(
            "scoring",
            f"{ROWS:,} rows in one call vs a scikit-learn pipeline's predict_proba",
            lambda: _spent(lambda: logistic(model.log_odds(many)), ROWS),
            lambda: _spent(lambda: pipeline.predict_proba(matrix), ROWS),
            unit="µs CPU per row",
            goal=2,
            rounds=ROUNDS,
            note=note + "; ours is what training and validation score a file with",
        ),
    ]


def _pipeline(loans: Loans) -> Pipeline:
    numbers = [place for place, each in enumerate(loans.features) if each.kind == "number"]
    codes = [place for place, each in enumerate(loans.features) if each.kind != "number"]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist"), codes),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(_matrix(loans), loans.outcomes)


def _matrix(loans: Loans) -> Any:
    """The columns beside each other; a gap in a code is a code of its own."""
    matrix = np.empty((len(loans), len(loans.features)), dtype=object)
    for place, each in enumerate(loans.features):
        values = loans.values[each.name]
        matrix[:, place] = values if each.kind == "number" else np.array([str(value) for value in values], dtype=object)
    return matrix


def _plain(value: Any) -> Any:
    """A value as a service receives it."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value is None or value != value else value


def _spent(work: Any, items: int) -> float:
    before = time.process_time()
    work()
    return (time.process_time() - before) / items * 1e6
