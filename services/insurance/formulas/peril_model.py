"""A peril model as data: rates from coefficients.

docs/equations/insurance.md (I116)-(I117), (I134)

x  covariates of a site by name      b  coefficients of the terms of a log-linear model
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def term_columns(terms: Sequence[Mapping[str, Any]], covariates: Mapping[str, npt.ArrayLike]) -> Array:
    """Eq. (I116): columns of a log-linear model, (x, max(x − k, 0) or x·z, less its centre) / scale. [-]

    Covariates outside what training saw count as its edge: a line is not continued beyond the data.

    Source: regression splines of first degree, textbook. Verified: no.

    >>> terms = [{"of": ["x"], "low": [0], "high": [9], "knot": 2.0, "centre": 1.0, "scale": 2.0}]
    >>> term_columns(terms, {"x": [1.0, 5.0, 20.0]}).tolist()
    [[-0.5], [1.0], [3.0]]
    """
    columns = []
    for term in terms:
        values = [
            np.clip(np.asarray(covariates[name], dtype=np.float64), low, high)
            for name, low, high in zip(term["of"], term["low"], term["high"], strict=True)
        ]
        if not all(np.isfinite(each).all() for each in values):
            raise ValueError(f"{' and '.join(term['of'])} must be numbers")
        raw = math.prod(values[1:], start=values[0])
        knot = term["knot"]
        columns.append(((raw if knot is None else np.maximum(raw - knot, 0.0)) - term["centre"]) / term["scale"])
    return np.stack(columns, axis=-1)


def log_linear(intercept: float, coefficients: npt.ArrayLike, columns: npt.ArrayLike) -> Array:
    """Eq. (I117): mean of a log-linear model, e^(b0 + Σ b·x). [unit of the target]

    Source: generalised linear model, textbook. Verified: no.

    >>> log_linear(0.0, [0.0], [[3.0]]).tolist()
    [1.0]
    """
    return np.asarray(np.exp(intercept + np.asarray(columns) @ np.asarray(coefficients)))


def linear_sd(covariance: npt.ArrayLike, columns: npt.ArrayLike) -> Array:
    """Eq. (I134): error of a linear predictor from its coefficients, √(z'Σz) with z = (1, columns). [-]

    Source: delta method, textbook. Verified: no.

    >>> linear_sd([[0.04, 0.0], [0.0, 0.01]], [[0.0], [1.0]]).round(6).tolist()
    [0.2, 0.223607]
    """
    found = np.asarray(columns, dtype=np.float64)
    z = np.concatenate([np.ones((len(found), 1)), found], axis=1)
    return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", z, np.asarray(covariance, dtype=np.float64), z)))
