"""What a peril model is worth: later years and unseen places, the same folds for every method."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from services.insurance.formulas.tweedie import tweedie_deviance, tweedie_unit_deviance
from services.insurance.training.fit import factors_of, fit, tweedie
from services.insurance.training.panel import Array, Panel

#: A method learns from a panel and gives means by unit of exposure.
Predict = Callable[[Panel], Array]
Method = Callable[[Panel, Sequence[Sequence[str]], bool], Predict]
POWER = {"count": 1.0, "amount": 1.7}
LEAST = 1e-6


def _champion(part: str) -> Method:
    def method(panel: Panel, interactions: Sequence[Sequence[str]], own: bool) -> Predict:
        model = fit(panel, interactions)
        return lambda other: model.counts(other, own) if part == "count" else model.amounts(other, own)

    return method


def _cell(part: str) -> Method:
    def method(panel: Panel, interactions: Sequence[Sequence[str]], own: bool) -> Predict:
        actual = getattr(panel, part)
        level = actual.sum() / panel.exposure.sum()
        factor = factors_of(panel, actual, level * panel.exposure, len(panel.names)).factor
        return lambda other: level * (factor[other.group] if own else np.ones(len(other)))

    return method


def _boosting(part: str) -> Method:
    def method(panel: Panel, interactions: Sequence[Sequence[str]], own: bool) -> Predict:
        fitted = HistGradientBoostingRegressor(
            loss="poisson", max_iter=120, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=100,
            l2_regularization=1.0, random_state=0,
        ).fit(_table(panel), getattr(panel, part) / panel.exposure, sample_weight=panel.exposure)  # fmt: skip
        return lambda other: np.asarray(fitted.predict(_table(other)))

    return method


def _tweedie(panel: Panel, interactions: Sequence[Sequence[str]], own: bool) -> Predict:
    fitted = tweedie(panel)
    return lambda other: fitted.mean(other.covariates)


def _table(panel: Panel) -> Array:
    return np.column_stack(list(panel.covariates.values()))


METHODS: dict[str, dict[str, Method]] = {
    "count": {"champion": _champion("count"), "cell credibility": _cell("count"), "boosting": _boosting("count")},
    "amount": {
        "champion": _champion("amount"),
        "cell credibility": _cell("amount"),
        "Tweedie": _tweedie,
        "boosting": _boosting("amount"),
    },
}


def gini(actual: Array, predicted: Array, exposure: Array) -> float:
    """Area between the concentration curve of the losses, riskiest first, and the diagonal, doubled."""
    order = np.argsort(-predicted, kind="stable")
    across = np.concatenate([[0.0], np.cumsum(exposure[order])]) / exposure.sum()
    up = np.concatenate([[0.0], np.cumsum(actual[order])]) / actual.sum()
    return float(np.sum(np.diff(across) * (up[1:] + up[:-1])) - 1)


def folds(panel: Panel) -> dict[str, list[tuple[Any, Any]]]:
    """Rows to learn from and to test on: each of the last three periods after those before it; five sets of blocks."""
    periods = np.unique(panel.period)
    later = [(panel.period < t, panel.period == t) for t in periods[2:][-3:]]
    blocks = np.array(list(dict.fromkeys(panel.block.tolist())))
    np.random.default_rng(0).shuffle(blocks)
    places = [np.isin(panel.block[panel.group], part) for part in np.array_split(blocks, 5)]
    return {"rolling": later, "spatial": [(~test, test) for test in places]}


def scores(test: Panel, part: str, predicted: Array, mean: float) -> dict[str, float]:
    """Share of deviance explained against the training mean, Gini, predicted over actual."""
    actual, power = getattr(test, part), POWER[part]
    rate = actual / test.exposure
    floored = np.maximum(predicted, LEAST)
    base = tweedie_deviance(rate, np.full(len(rate), mean), power, test.exposure)
    return {
        "d2": 1 - tweedie_deviance(rate, floored, power, test.exposure) / base,
        "gini": gini(actual, predicted, test.exposure),
        "predicted_over_actual": float((predicted * test.exposure).sum() / actual.sum()),
        "floored": float((predicted < LEAST).sum()),
    }


def measure(
    panel: Panel, interactions: Sequence[Sequence[str]], tick: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Every method in the same folds: mean and range of the scores; lift and calibration of the champion."""
    found: dict[str, Any] = {}
    for split, parts in folds(panel).items():
        for part, methods in METHODS.items():
            each: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
            held: list[tuple[Panel, dict[str, Array]]] = []
            for fitting, testing in parts:
                learn, test = panel.take(fitting), panel.take(testing)
                actual = getattr(test, part)
                if actual.sum() == 0:
                    continue
                mean, told = float(getattr(learn, part).sum() / learn.exposure.sum()), {}
                for name, method in methods.items():
                    told[name] = method(learn, interactions, split == "rolling")(test)
                    each[name].append(scores(test, part, told[name], mean))
                    tick()
                held.append((test, told))
            result: dict[str, Any] = {name: _summary(rows) for name, rows in each.items()}
            result["champion"]["lift"] = _lift(held, part)
            if part == "amount":
                result["paired"] = {n: _paired(held, n) for n in methods if n != "champion"}
            found[f"{part}_{split}"] = result
    return found


def _summary(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {
        name: {
            "mean": round(float(np.mean([row[name] for row in rows])), 4),
            "range": [round(float(edge([row[name] for row in rows])), 4) for edge in (min, max)],
        }
        for name in rows[0]
    }


def _lift(held: Sequence[tuple[Panel, Mapping[str, Array]]], part: str) -> list[list[float]]:
    """Predicted and actual by tenth of the prediction, over all folds, by unit of exposure."""
    exposure = np.concatenate([test.exposure for test, _ in held])
    actual = np.concatenate([getattr(test, part) for test, _ in held])
    predicted = np.concatenate([told["champion"] for _, told in held])
    order = np.argsort(predicted, kind="stable")
    return [
        [
            round(float((predicted[rows] * exposure[rows]).sum() / exposure[rows].sum()), 4),
            round(float(actual[rows].sum() / exposure[rows].sum()), 4),
        ]
        for rows in np.array_split(order, 10)
    ]


def _paired(held: Sequence[tuple[Panel, Mapping[str, Array]]], other: str, draws: int = 500) -> list[float]:
    """90 % interval of the deviance that the champion saves beside another method, blocks and folds drawn anew."""
    generator = np.random.default_rng(0)
    by_fold = []
    for test, told in held:
        rate = test.amount / test.exposure
        saved = [
            tweedie_unit_deviance(rate, np.maximum(told[name], LEAST), POWER["amount"]) for name in (other, "champion")
        ]
        group, place = np.unique(test.group, return_inverse=True)
        by_fold.append(
            np.bincount(place, weights=(saved[0] - saved[1]) * test.exposure, minlength=len(group))
            / test.exposure.sum() * len(group)
        )  # fmt: skip
    means = [
        np.mean(
            [
                generator.choice(by_fold[k], len(by_fold[k])).mean()
                for k in generator.integers(0, len(by_fold), len(by_fold))
            ]
        )
        for _ in range(draws)
    ]
    return [round(float(edge), 4) for edge in np.quantile(means, [0.05, 0.95])]


def later_years(panel: Panel, later: Panel, interactions: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Fit to all of one panel and test on each period of another, with the same units."""
    found: dict[str, Any] = {}
    for part, methods in METHODS.items():
        mean = float(getattr(panel, part).sum() / panel.exposure.sum())
        for name, method in methods.items():
            predict = method(panel, interactions, True)
            for period in np.unique(later.period):
                test = later.take(later.period == period)
                found.setdefault(part, {}).setdefault(str(period), {})[name] = scores(test, part, predict(test), mean)
    return found
