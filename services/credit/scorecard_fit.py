"""Fit of a scorecard: bins, weights of evidence, regression, calibration.

Industry is binned first. Every other variable is binned on what industry leaves unexplained (C77): half of the
charge-offs sit in one fishery, and without this it would write the points of staff, amount and guarantee as well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from services.credit.formulas.discrimination import level_shift
from services.credit.formulas.drift import conditional_weights_of_evidence, weights_of_evidence

Row = Mapping[str, str]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FeatureValue = float | bool | str | None

SEED = 2024
# Small forest industries borrow the experience of their family: there are 515 loans in it, 19 of them outside logging.
INDUSTRY_FAMILIES = {"1131": "113", "1132": "113", "1133": "113"}
_LEAST_INDUSTRY_ROWS = 60
_INDUSTRY_ADJUSTMENT = 30.0
_CONDITIONAL_ADJUSTMENT = 5.0
_LEAST_EXPECTED_BADS = 10.0
_LEAST_BIN_SHARE = 0.05
_QUANTILES = 10


@dataclass(frozen=True)
class Variable:
    """A candidate variable: the columns it reads, its risk direction and what an officer is told about it.

    `direction` is +1 where risk may only rise with the value (or with yes), -1 where it may only fall, 0 where free.
    `missing` and `unseen` say what a gap or a strange code does: "worst" takes the worst attribute, so that silence
    never scores better than an honest answer; "refuse" stops the scoring.
    """

    name: str
    kind: str
    unit: str
    columns: tuple[str, ...]
    read: Callable[[Row], FeatureValue]
    direction: int
    missing: str
    unseen: str
    reason: tuple[str, str]
    path: tuple[str, str] | None = None


class LoanData:
    """Rows turned into one sequence of values per variable."""

    def __init__(self, rows: Sequence[Row], outcomes: Ints, variables: Sequence[Variable]) -> None:
        self.variables = tuple(variables)
        self.outcomes = outcomes
        self.values: dict[str, NDArray[Any]] = {}
        for variable in variables:
            values = [variable.read(row) for row in rows]
            if variable.kind == "number":
                self.values[variable.name] = np.array(
                    [np.nan if value is None else value for value in values], dtype=float
                )
            else:
                self.values[variable.name] = np.array(values, dtype=object)

    def take(self, places: Ints) -> "LoanData":
        """Some of the rows, copied."""
        part = object.__new__(LoanData)
        part.variables, part.outcomes = self.variables, self.outcomes[places]
        part.values = {name: values[places] for name, values in self.values.items()}
        return part


@dataclass(frozen=True)
class Binning:
    """Attributes of one variable: their evidence, counts, and how a value finds its own."""

    variable: Variable
    edges: tuple[float, ...]
    labels: tuple[str, ...]
    members: tuple[tuple[FeatureValue, ...], ...]
    goods: Ints
    bads: Ints
    woe: Floats
    woe_variance: Floats

    @property
    def worst(self) -> int:
        """Place of the attribute a gap or a strange code takes."""
        return int(np.argmin(self.woe))

    def places(self, values: NDArray[Any]) -> Ints:
        """Place of each value's attribute."""
        if self.variable.kind == "number":
            places = np.searchsorted(self.edges, values, side="left")
            return np.where(np.isnan(values), self.worst, places).astype(np.int64)
        index = {value: place for place, group in enumerate(self.members) for value in group}
        return np.array([index.get(value, self.worst) for value in values], dtype=np.int64)

    def evidence(self, data: LoanData) -> Floats:
        """Weight of evidence of each row."""
        return self.woe[self.places(data.values[self.variable.name])]


@dataclass(frozen=True)
class Model:
    """Binned variables with their coefficients, and why the other candidates were left out."""

    binnings: tuple[Binning, ...]
    intercept: float
    coefficients: Floats
    excluded: dict[str, str]

    def design(self, data: LoanData) -> Floats:
        """Weights of evidence, one column per variable."""
        return np.column_stack([each.evidence(data) for each in self.binnings])

    def log_odds(self, data: LoanData) -> Floats:
        """ln(bad:good) of each row."""
        odds: Floats = self.intercept + self.design(data) @ self.coefficients
        return odds


def logistic(log_odds: Floats) -> Floats:
    """Probability of log odds."""
    return 1 / (1 + np.exp(-log_odds))


def _industry_binning(variable: Variable, data: LoanData) -> Binning:
    values, outcomes = data.values[variable.name], data.outcomes
    family = {value: INDUSTRY_FAMILIES.get(value, value) for value in set(values) - {None}}
    named = np.array([family.get(value, "") for value in values])
    large = [name for name in sorted(set(family.values())) if np.sum(named == name) >= _LEAST_INDUSTRY_ROWS]
    groups = [tuple(sorted(value for value, name in family.items() if name == each)) for each in large]
    groups.append(tuple(sorted(value for value, name in family.items() if name not in large)))
    labels = [*(", ".join(group) for group in groups[:-1]), "other industries"]
    places = np.array([large.index(name) if name in large else len(large) for name in named])
    bads = np.bincount(places, weights=outcomes, minlength=len(groups)).astype(np.int64)
    goods = np.bincount(places, minlength=len(groups)).astype(np.int64) - bads
    share = outcomes.mean()
    variance = 1 / (goods + _INDUSTRY_ADJUSTMENT * (1 - share)) + 1 / (bads + _INDUSTRY_ADJUSTMENT * share)
    woe = weights_of_evidence(goods, bads, _INDUSTRY_ADJUSTMENT)
    return _binning(variable, (), labels, groups, goods, bads, woe, variance)


def _conditional_binning(variable: Variable, data: LoanData, expected: Floats) -> Binning:
    every = data.values[variable.name]
    # Gaps take the worst attribute when scored; they have no part in measuring the attributes.
    known = np.array([value is not None and value == value for value in every])
    values, outcomes, expected = every[known], data.outcomes[known], expected[known]
    edges: list[float] = []
    members: list[tuple[FeatureValue, ...]]
    if variable.kind == "number":
        cuts = np.quantile(values, np.linspace(0, 1, _QUANTILES + 1)[1:-1], method="lower")
        edges = _merged_edges(
            variable, values, outcomes, expected, [float(cut) for cut in np.unique(cuts) if cut < values.max()]
        )
        members = [() for _ in range(len(edges) + 1)]
        labels = _interval_labels(edges)
        places = np.searchsorted(edges, values, side="left")
    else:
        present: list[Any] = sorted(set(values))
        members = [(value,) for value in present]
        labels = [{True: "yes", False: "no"}.get(value, str(value)) for value in present]
        places = np.array([present.index(value) for value in values])
    size = len(members)
    bads = np.bincount(places, weights=outcomes, minlength=size).astype(np.int64)
    goods = np.bincount(places, minlength=size).astype(np.int64) - bads
    hoped = np.bincount(places, weights=expected, minlength=size)
    woe = conditional_weights_of_evidence(hoped, bads, _CONDITIONAL_ADJUSTMENT)
    return _binning(variable, edges, labels, members, goods, bads, woe, 1 / (bads + _CONDITIONAL_ADJUSTMENT))


def _binning(
    variable: Variable,
    edges: Sequence[float],
    labels: Sequence[str],
    members: Sequence[tuple[FeatureValue, ...]],
    goods: Ints,
    bads: Ints,
    woe: Floats,
    variance: Floats,
) -> Binning:
    # Rounded here, once, so that a card does not depend on the last bit of a machine's arithmetic.
    rounded, spread = np.round(woe, 10), np.round(variance, 10)
    return Binning(variable, tuple(edges), tuple(labels), tuple(members), goods, bads, rounded, spread)


def _merged_edges(
    variable: Variable, values: Floats, outcomes: Ints, expected: Floats, edges: Sequence[float]
) -> list[float]:
    """Edges left after thin bins are joined to the likest neighbour and bins against the direction to the next."""
    places, size = np.searchsorted(edges, values, side="left"), len(edges) + 1
    rows = [float(count) for count in np.bincount(places, minlength=size)]
    bads = [float(count) for count in np.bincount(places, weights=outcomes, minlength=size)]
    hoped = [float(count) for count in np.bincount(places, weights=expected, minlength=size)]
    left = list(edges)

    def ratio(place: int) -> float:
        return (bads[place] + _CONDITIONAL_ADJUSTMENT) / (hoped[place] + _CONDITIONAL_ADJUSTMENT)

    def join(place: int) -> None:
        for counts in (rows, bads, hoped):
            counts[place] += counts.pop(place + 1)
        del left[place]

    def first_thin() -> int | None:
        thin = (
            place
            for place in range(len(rows))
            if rows[place] < _LEAST_BIN_SHARE * len(values) or hoped[place] < _LEAST_EXPECTED_BADS
        )
        return next(thin, None)

    while len(rows) > 1 and (place := first_thin()) is not None:
        neighbours = [each for each in (place - 1, place + 1) if 0 <= each < len(rows)]
        likest = min(neighbours, key=lambda each: abs(ratio(each) - ratio(place)))
        join(min(place, likest))
    while variable.direction:
        steps = [(ratio(place + 1) - ratio(place)) * variable.direction for place in range(len(rows) - 1)]
        against = next((place for place, step in enumerate(steps) if step <= 0), None)
        if against is None:
            break
        join(against)
    return left


def _interval_labels(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["any"]
    middle = [f"{low:,.12g} to {high:,.12g}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]:,.12g}", *middle, f"above {edges[-1]:,.12g}"]


def fitted(data: LoanData) -> Model:
    """Bin, select and fit, without calibration; the first variable is the industry."""
    industry = _industry_binning(data.variables[0], data)
    share = float(data.outcomes.mean())
    odds = np.log(share / (1 - share)) - industry.evidence(data)
    expected = logistic(odds + level_shift(odds, share))
    excluded: dict[str, str] = {}
    kept = [industry]
    for variable in data.variables[1:]:
        binning = _conditional_binning(variable, data, expected)
        fault = _binning_fault(binning)
        if fault is None:
            kept.append(binning)
        else:
            excluded[variable.name] = fault
    while True:
        design = np.column_stack([each.evidence(data) for each in kept])
        fit = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10, max_iter=200).fit(design, data.outcomes)
        worst = int(np.argmax(fit.coef_[0]))
        if fit.coef_[0][worst] < 0 or len(kept) == 1:
            return Model(tuple(kept), float(fit.intercept_[0]), fit.coef_[0], excluded)
        # A coefficient of the wrong sign would turn a variable's reasons upside down.
        excluded[kept[worst].variable.name] = "its coefficient contradicts its own weights of evidence"
        del kept[worst]


def _binning_fault(binning: Binning) -> str | None:
    if len(binning.woe) < 2:
        return "no two bins differ in the declared direction"
    if binning.variable.kind == "flag" and binning.variable.direction:
        no, yes = binning.woe[0], binning.woe[1]
        if (yes - no) * binning.variable.direction >= 0:
            return "the loans contradict the declared direction"
    return None


def calibrated(data: LoanData) -> Model:
    """Fit, then fold a slope and a shift found on out-of-fold log odds into the coefficients."""
    model = fitted(data)
    stated = np.empty(len(data.outcomes))
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=SEED)
    for train_places, test_places in folds.split(data.outcomes, data.outcomes):
        stated[test_places] = fitted(data.take(train_places)).log_odds(data.take(test_places))
    fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(stated[:, None], data.outcomes)
    slope, shift = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    return Model(
        model.binnings,
        round(slope * model.intercept + shift, 10),
        np.round(slope * model.coefficients, 10),
        model.excluded,
    )
