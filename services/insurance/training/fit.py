"""Frequency, severity, Tweedie and credibility, fitted to a panel; what comes out is data.

Regressions are penalised and log-linear on lines broken at quintiles and on products; own Newton steps, since
scikit-learn has neither an offset nor a negative binomial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import genpareto

from services.insurance.formulas.credibility import between_variance, credibility, credibility_premium, within_variance
from services.insurance.formulas.peril_model import linear_sd, log_linear, term_columns
from services.insurance.training.panel import Array, Panel

STRENGTH = {"frequency": 0.02, "severity": 1.0, "tweedie": 0.1}


class FitError(ValueError):
    """These data make no model; the message says why."""


@dataclass(frozen=True)
class Regression:
    """A fitted log-linear mean with the covariance of its coefficients, intercept first."""

    terms: list[dict[str, Any]]
    intercept: float
    coefficients: Array
    covariance: Array

    def mean(self, covariates: Mapping[str, Array]) -> Array:
        """Means at some sites."""
        return log_linear(self.intercept, self.coefficients, term_columns(self.terms, covariates))

    def log_sd(self, covariates: Mapping[str, Array]) -> Array:
        """Standard deviation of the logarithm of the mean, from the coefficients alone."""
        return linear_sd(self.covariance, term_columns(self.terms, covariates))


def terms_of(covariates: Mapping[str, Array], interactions: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """A line broken at the quintiles of each covariate, and the products asked for; constant columns are left out."""
    made: list[tuple[list[str], float | None]] = []
    for name, values in covariates.items():
        knots = np.unique(np.quantile(values, [0.2, 0.4, 0.6, 0.8]))
        made += [([name], None), *(([name], float(k)) for k in knots if values.min() < k < values.max())]
    made += [(list(pair), None) for pair in interactions]
    terms = []
    for names, knot in made:
        low, high = [float(covariates[n].min()) for n in names], [float(covariates[n].max()) for n in names]
        term: dict[str, Any] = {"of": names, "low": low, "high": high, "knot": knot, "centre": 0.0, "scale": 1.0}
        column = term_columns([term], covariates)[:, 0]
        if column.std() > 1e-12:
            terms.append(term | {"centre": float(column.mean()), "scale": float(column.std())})
    if not terms:
        raise FitError("every covariate is the same in all rows")
    return terms


def regression(
    target: Array, weight: Array, covariates: Mapping[str, Array], interactions: Sequence[Sequence[str]],
    power: float, strength: float, dispersion: float = 0.0,
) -> Regression:  # fmt: skip
    """Fit a mean with variance μ^power / weight, or for counts μ/weight + dispersion·μ². Raises FitError."""
    terms = terms_of(covariates, interactions)
    columns = term_columns(terms, covariates)
    z = np.column_stack([np.ones(len(columns)), columns])
    level = float(np.average(target, weights=weight))
    beta = np.zeros(z.shape[1])
    beta[0] = np.log(level)
    penalty = np.full(z.shape[1], strength * weight.sum() * level ** (2 - power))
    penalty[0] = 0.0
    for _ in range(200):
        mu = np.exp(np.clip(z @ beta, -30, 30))
        information = weight * mu ** (2 - power) / (1 + dispersion * weight * mu)
        hessian = (z * information[:, None]).T @ z + np.diag(penalty)
        step = np.linalg.solve(hessian, z.T @ (information * (target / mu - 1)) - penalty * beta)
        furthest = np.abs(z @ step).max()
        beta = beta + step * min(1.0, 2.0 / furthest if furthest > 0 else 1.0)
        if np.abs(step).max() < 1e-9:
            break
    mu = np.exp(np.clip(z @ beta, -30, 30))
    noise = weight * (target - mu) ** 2 / (mu**power + dispersion * weight * mu**2)
    covariance = np.linalg.inv(hessian) * max(float(noise.sum()) / max(len(target) - z.shape[1], 1), 1e-9)
    if not (np.isfinite(beta).all() and np.isfinite(covariance).all()):
        raise FitError("the regression has no finite coefficients")
    return Regression(terms, float(beta[0]), beta[1:], covariance)


def dispersion_of(count: Array, mean: Array) -> float:
    """Dispersion α of a negative binomial by moments, Var = μ + α·μ²; not below 0."""
    return float(max(np.sum((count - mean) ** 2 - mean) / np.sum(mean**2), 0.0))


@dataclass(frozen=True)
class Factors:
    """Own experience of each group beside a model: factor, weight of it, and the variances behind."""

    factor: Array
    weight: Array
    within: float
    between: float


def factors_of(panel: Panel, actual: Array, expected: Array, groups: int) -> Factors:
    """Credibility of actual over expected by group; a group without rows has the collective's factor."""
    periods = np.unique(panel.period)
    place = np.searchsorted(periods, panel.period)
    weights, sums = np.zeros((groups, len(periods))), np.zeros((groups, len(periods)))
    np.add.at(weights, (panel.group, place), expected)
    np.add.at(sums, (panel.group, place), actual)
    seen = weights.sum(axis=1) > 0
    if len(periods) < 2 or seen.sum() < 2:
        return Factors(np.ones(groups), np.zeros(groups), 0.0, 0.0)
    w = weights[seen]
    x = np.where(w > 0, sums[seen] / np.where(w > 0, w, 1.0), 0.0)
    within, between = within_variance(x, w), between_variance(x, w)
    factor, z = np.ones(groups), np.zeros(groups)
    factor[seen], z[seen] = np.maximum(credibility_premium(x, w), 1e-6), credibility(w, within, between)
    return Factors(factor, z, within, between)


@dataclass(frozen=True)
class PerilModel:
    """Frequency and severity with their own credibilities."""

    frequency: Regression
    dispersion: float
    severity: Regression
    count_factors: Factors
    severity_factors: Factors

    def counts(self, panel: Panel, own: bool) -> Array:
        """Expected number by unit of exposure; `own`: with the group's experience."""
        return self.frequency.mean(panel.covariates) * (self.count_factors.factor[panel.group] if own else 1.0)

    def amounts(self, panel: Panel, own: bool) -> Array:
        """Expected capped amount by unit of exposure."""
        severity = self.severity.mean(panel.covariates) * (self.severity_factors.factor[panel.group] if own else 1.0)
        return np.asarray(self.counts(panel, own) * severity)


def fit(panel: Panel, interactions: Sequence[Sequence[str]]) -> PerilModel:
    """Fit frequency, severity and credibility. Raises FitError."""
    if panel.count.sum() == 0 or (panel.amount > 0).sum() < 10:
        raise FitError("fewer than ten rows with a loss: there is no severity to fit")
    groups = len(panel.names)
    rate, exposure = panel.count / panel.exposure, panel.exposure
    dispersion = 0.0
    for _ in range(3):
        frequency = regression(rate, exposure, panel.covariates, interactions, 1.0, STRENGTH["frequency"], dispersion)
        dispersion = dispersion_of(panel.count, frequency.mean(panel.covariates) * exposure)
    lost = panel.take(panel.count > 0)
    mean = np.maximum(lost.amount / lost.count, 1e-9)
    severity = regression(mean, lost.count, lost.covariates, (), 2.0, STRENGTH["severity"])
    expected = frequency.mean(panel.covariates) * exposure
    counts = factors_of(panel, panel.count, expected, groups)
    sizes = factors_of(lost, lost.amount, severity.mean(lost.covariates) * lost.count, groups)
    # The level is that of the capped amounts: products of two shrunk means keep it only by chance.
    model = PerilModel(frequency, dispersion, severity, counts, sizes)
    level = panel.amount.sum() / float((model.amounts(panel, own=True) * exposure).sum())
    scaled = Factors(sizes.factor * level, sizes.weight, sizes.within, sizes.between)
    return PerilModel(frequency, dispersion, severity, counts, scaled)


def tweedie(panel: Panel, power: float = 1.7) -> Regression:
    """One step for the amount: the cross-check of frequency times severity."""
    rate = panel.amount / panel.exposure
    return regression(rate, panel.exposure, panel.covariates, (), power, STRENGTH["tweedie"])


def tail_of(losses: Array, threshold: float) -> dict[str, float]:
    """Generalised Pareto beyond a threshold, and lognormal of all; by maximum likelihood."""
    logs = np.log(losses)
    found = {"lognormal_mu": float(logs.mean()), "lognormal_sigma": float(logs.std()), "threshold": threshold}
    beyond = losses[losses > threshold] - threshold
    if len(beyond) >= 20:
        shape, _, scale = genpareto.fit(beyond, floc=0)
        found |= {"beyond": float(len(beyond)), "shape": float(shape), "scale": float(scale)}
    return found
