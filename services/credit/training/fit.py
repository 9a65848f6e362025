"""Fit of a scorecard: supervised bins, regularised regression, calibration.

One convex problem does the binning and the regression together. A number enters by the steps between its quantiles, a
code by its values; the ridge penalty falls on each step and each value, so that neighbours without a difference of
their own share their points and a value seen a few times stays near the average. Steps against a feature's declared
direction are taken out and the rest is fitted again: what is left is monotone, and additive, and a card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from services.credit.training.loan_file import Feature, FeatureValue, Floats, Ints, Loans, blank

SEED = 2024
#: Inverse strength of the penalty. Among 0.15 … 1 the cross-validated results of the shipped files differ by less than
#: their error; smaller values suit the smaller file's Brier score, larger ones the ranking of the larger file.
STRENGTH = 0.4
#: Size of a step's column beside a value's: the smaller, the smoother.
STEP = 0.3
QUANTILES = 10
#: Values seen on fewer rows than this share one attribute.
LEAST_ROWS = 3
#: Steps below this change of the log odds are not worth a line of the card.
LEAST_STEP = 0.02


class FitError(ValueError):
    """These data make no scorecard; the message says why."""


@dataclass(frozen=True)
class Encoding:
    """How the values of one feature become columns of the regression: learnt on the rows it is fitted to."""

    feature: Feature
    #: Numbers: upper edges of all attributes but the last.
    edges: tuple[float, ...]
    #: Codes and flags: the values of each attribute.
    members: tuple[tuple[FeatureValue, ...], ...]
    #: Whether gaps are an attribute of their own: the last one.
    gaps: bool

    @property
    def size(self) -> int:
        """Number of attributes."""
        return (len(self.edges) + 1 if self.feature.kind == "number" else len(self.members)) + self.gaps

    def places(self, values: NDArray[Any]) -> Ints:
        """Attribute of each value; -1 where it has none of its own."""
        gap = self.size - 1 if self.gaps else -1
        if self.feature.kind == "number":
            missing = blank(values)
            places = np.searchsorted(self.edges, np.where(missing, 0.0, values.astype(np.float64)), side="left")
            return np.where(missing, gap, places).astype(np.int64)
        index: dict[FeatureValue, int] = {value: at for at, group in enumerate(self.members) for value in group}
        index[None] = gap
        return np.fromiter(map(index.get, values.tolist(), repeat(-1)), np.int64, len(values))

    def columns(self) -> Floats:
        """Regression columns of each attribute, attributes by columns."""
        known = self.size - self.gaps
        if self.feature.kind == "number":
            made: Floats = np.where(np.arange(known)[:, None] > np.arange(len(self.edges))[None, :], STEP, 0.0)
        else:
            # The other side of a yes is its absence: one column is enough for two values.
            made = np.eye(known)[:, 1:] if self.feature.kind == "flag" else np.eye(known)
        if not self.gaps:
            return made
        with_gaps: Floats = np.block([[made, np.zeros((known, 1))], [np.zeros((1, made.shape[1])), np.ones((1, 1))]])
        return with_gaps

    def without(self, steps: Sequence[int]) -> "Encoding":
        """The same with some of its steps taken out."""
        return replace(self, edges=tuple(edge for n, edge in enumerate(self.edges) if n not in steps))


def encoded(feature: Feature, values: NDArray[Any]) -> Encoding | None:
    """Learn the attributes of a feature; None if the rows show only one."""
    missing = blank(values)
    known = values[~missing]
    gaps = feature.missing == "own" and int(missing.sum()) >= LEAST_ROWS
    edges: tuple[float, ...] = ()
    members: tuple[tuple[FeatureValue, ...], ...] = ()
    if feature.kind == "number":
        numbers = known.astype(np.float64)
        if len(numbers):
            cuts = np.unique(np.quantile(numbers, np.linspace(0, 1, QUANTILES + 1)[1:-1], method="lower"))
            edges = tuple(float(cut) for cut in cuts if cut < numbers.max())
    else:
        counts: dict[FeatureValue, int] = {}
        for value in known:
            counts[value] = counts.get(value, 0) + 1
        own = sorted((value for value, rows in counts.items() if rows >= LEAST_ROWS), key=str)
        rare = tuple(sorted((value for value, rows in counts.items() if rows < LEAST_ROWS), key=str))
        members = (*((value,) for value in own), *((rare,) if rare else ()))
    made = Encoding(feature, edges, members, gaps)
    return made if made.size > 1 else None


@dataclass(frozen=True)
class Attribute:
    """One line of the card."""

    label: str
    values: tuple[FeatureValue, ...]
    #: Change of ln(bad:good) against the average row.
    log_odds: float
    goods: int
    bads: int


@dataclass(frozen=True)
class FittedFeature:
    """A feature of the model with its attributes, in the order of their places."""

    encoding: Encoding
    attributes: tuple[Attribute, ...]

    @property
    def worst(self) -> int:
        """Place of the attribute that a gap or a strange value takes."""
        return max(range(len(self.attributes)), key=lambda place: self.attributes[place].log_odds)

    def log_odds(self, values: NDArray[Any]) -> Floats:
        """Change of ln(bad:good) of each value; by the feature's policy where the value has no attribute."""
        terms = np.array([each.log_odds for each in self.attributes])
        others = np.array([terms[self.worst], 0.0 if self.encoding.feature.unseen == "average" else terms[self.worst]])
        places = self.encoding.places(values)
        none = places < 0
        places[none] = len(terms) + ~blank(values[none])
        found: Floats = np.concatenate([terms, others])[places]
        return found


@dataclass(frozen=True)
class Model:
    """An additive model of the log odds, and why the other candidates were left out."""

    features: tuple[FittedFeature, ...]
    intercept: float
    #: Of (intercept, every attribute of every feature), in order.
    covariance: Floats
    excluded: Mapping[str, str]
    #: Calibrated log odds of the training rows, each by a fit without it; none where there are too few to fold.
    reference: Floats | None = None

    def log_odds(self, loans: Loans) -> Floats:
        """ln(bad:good) of each row."""
        odds = np.full(len(loans), self.intercept)
        for each in self.features:
            odds += each.log_odds(loans.values[each.encoding.feature.name])
        return odds


def logistic(log_odds: Floats) -> Floats:
    """Probability of log odds."""
    return 1 / (1 + np.exp(-log_odds))


def fitted(loans: Loans) -> Model:
    """Bin and fit, without calibration. Raises FitError where nothing can be learnt."""
    if len(set(loans.outcomes.tolist())) < 2:
        raise FitError("all loans have the same outcome; a scorecard needs both goods and bads")
    excluded: dict[str, str] = {}
    encodings: list[Encoding] = []
    for feature in loans.features:
        made = encoded(feature, loans.values[feature.name])
        if made is None:
            excluded[feature.name] = "it is the same on every loan"
        else:
            encodings.append(made)
    while encodings:
        designs = [_design(each, loans) for each in encodings]
        whole = np.column_stack(designs)
        fit = LogisticRegression(C=STRENGTH, solver="newton-cholesky", tol=1e-8, max_iter=200)
        fit.fit(whole, loans.outcomes)
        ends = np.cumsum([design.shape[1] for design in designs])
        parts = np.split(fit.coef_[0], ends[:-1])
        smoothed = [_smoothed(each, part) for each, part in zip(encodings, parts, strict=True)]
        if all(new is old for new, old in zip(smoothed, encodings, strict=True)):
            return _model(encodings, designs, parts, float(fit.intercept_[0]), loans, excluded)
        for old, new in zip(encodings, smoothed, strict=True):
            if new is None:
                excluded[old.feature.name] = _CONTRADICTED if old.feature.direction else _FLAT
        encodings = [each for each in smoothed if each is not None]
    raise FitError("no feature tells goods from bads in its declared direction")


_CONTRADICTED = "the loans show no difference in the declared direction"
_FLAT = "the loans show no difference"


def _design(encoding: Encoding, loans: Loans) -> Floats:
    """Columns of one feature for each row, their means taken out; a value without an attribute is average."""
    places = encoding.places(loans.values[encoding.feature.name])
    columns = np.vstack([encoding.columns(), np.zeros(encoding.columns().shape[1])])
    made = columns[places]
    known = places >= 0
    made[known] -= made[known].mean(axis=0) if known.any() else 0
    return made


def _smoothed(encoding: Encoding, coefficients: Floats) -> Encoding | None:
    """The encoding itself where it is fit to stay; else one with fewer steps, or nothing."""
    direction = encoding.feature.direction
    if encoding.feature.kind == "number":
        steps = STEP * coefficients[: len(encoding.edges)]
        wrong = [n for n, step in enumerate(steps) if step * direction < 0 or abs(step) < LEAST_STEP]
        if not wrong:
            return encoding
        left = encoding.without(wrong)
        return left if left.size > 1 else None
    if encoding.feature.kind == "flag" and direction and coefficients[0] * direction <= 0:
        return None
    return encoding


def _model(
    encodings: Sequence[Encoding],
    designs: Sequence[Floats],
    parts: Sequence[Floats],
    intercept: float,
    loans: Loans,
    excluded: Mapping[str, str],
) -> Model:
    whole = np.column_stack([np.ones(len(loans)), *designs])
    spread = logistic(intercept + np.column_stack(designs) @ np.concatenate(parts))
    penalty = np.eye(whole.shape[1]) / STRENGTH
    penalty[0, 0] = 0
    inverse = np.linalg.inv(whole.T @ (whole * (spread * (1 - spread))[:, None]) + penalty)
    # From the coefficients to the attributes: (intercept, attributes) = rows @ (intercept, coefficients).
    size = 1 + sum(each.size for each in encodings)
    rows = np.zeros((size, whole.shape[1]))
    rows[0, 0] = 1
    features, line, column = [], 1, 1
    for encoding, part in zip(encodings, parts, strict=True):
        places = encoding.places(loans.values[encoding.feature.name])
        columns = encoding.columns()
        if (places >= 0).any():
            columns = columns - columns[places[places >= 0]].mean(axis=0)
        rows[line : line + encoding.size, column : column + len(part)] = columns
        features.append(_feature(encoding, columns @ part, places, loans.outcomes))
        line, column = line + encoding.size, column + len(part)
    return Model(tuple(features), intercept, rows @ inverse @ rows.T, dict(excluded))


def _feature(encoding: Encoding, terms: Floats, places: Ints, outcomes: Ints) -> FittedFeature:
    known = places >= 0
    bads = np.bincount(places[known], weights=outcomes[known], minlength=encoding.size).astype(np.int64)
    goods = np.bincount(places[known], minlength=encoding.size).astype(np.int64) - bads
    if encoding.feature.kind == "number":
        labels = _interval_labels(encoding.edges)
        values: list[tuple[FeatureValue, ...]] = [() for _ in labels]
    else:
        values = list(encoding.members)
        labels = [_label(group) for group in values]
    if encoding.gaps:
        labels, values = [*labels, "not given"], [*values, ()]
    return FittedFeature(
        encoding,
        tuple(
            Attribute(label, group, float(term), int(good), int(bad))
            for label, group, term, good, bad in zip(labels, values, terms, goods, bads, strict=True)
        ),
    )


def _label(group: Sequence[FeatureValue]) -> str:
    if len(group) > 3:
        return f"{len(group)} rare values"
    return ", ".join({True: "yes", False: "no"}[v] if isinstance(v, bool) else str(v) for v in group)


def _interval_labels(edges: Sequence[float]) -> list[str]:
    middle = [f"{low:,.12g} to {high:,.12g}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]:,.12g}", *middle, f"above {edges[-1]:,.12g}"] if edges else ["any"]


def _calibration_covariance(model: Model, spread: Floats) -> Floats:
    """What not knowing shift and slope of the calibration adds: with few defaults it is most of what is not known.

    Shift and slope apply to x = z·θ, the sum of the lines z that apply, so their variance s_aa + 2·x·s_ab + x²·s_bb is
    a quadratic form of z like the rest.
    """
    terms = np.array([model.intercept, *(a.log_odds for each in model.features for a in each.attributes)])
    level = np.zeros(len(terms))
    level[0] = 1
    cross = np.outer(level, terms)
    found: Floats = (
        spread[0, 0] * np.outer(level, level) + spread[0, 1] * (cross + cross.T) + spread[1, 1] * np.outer(terms, terms)
    )
    return found


def calibrated(loans: Loans) -> Model:
    """Fit, then fold a slope and a shift found on out-of-fold log odds into the terms.

    Rounded once, here, so that a card does not depend on the last bit of a machine's arithmetic.
    """
    model = fitted(loans)
    stated = np.empty(len(loans))
    least = int(min(loans.outcomes.sum(), (1 - loans.outcomes).sum()))
    slope, shift = 1.0, 0.0
    spread: Floats = np.zeros((2, 2))
    reference = None
    if least >= 10:
        folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=SEED)
        for train, test in folds.split(loans.outcomes, loans.outcomes):
            stated[test] = fitted(loans.take(train)).log_odds(loans.take(test))
        fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(stated[:, None], loans.outcomes)
        slope, shift = float(fit.coef_[0, 0]), float(fit.intercept_[0])
        reference = np.round(slope * stated + shift, 6)
        seen = np.column_stack([np.ones(len(loans)), stated])
        level = logistic(slope * stated + shift)
        spread = np.asarray(np.linalg.inv(seen.T @ (seen * (level * (1 - level))[:, None])), dtype=np.float64)
    if slope <= 0:
        raise FitError("what is learnt on some of the loans says nothing about the others")
    return Model(
        tuple(
            replace(
                each,
                attributes=tuple(replace(a, log_odds=round(slope * a.log_odds, 10)) for a in each.attributes),
            )
            for each in model.features
        ),
        round(slope * model.intercept + shift, 10),
        slope**2 * model.covariance + _calibration_covariance(model, spread),
        model.excluded,
        reference,
    )
