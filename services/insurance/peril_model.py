"""Loading of a peril model: coefficients in JSON, parity rows replayed, or nothing is served. No scikit-learn here."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.insurance.formulas.peril_model import linear_sd, log_linear, term_columns
from services.insurance.formulas.rating import modelled_rate
from shared.artefacts import ArtefactError, sha256

PARITY_TOLERANCE = 1e-9
LEAST_PARITY_ROWS = 20
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ServedModel:
    """A peril model ready to predict."""

    document: Mapping[str, Any]
    sha256: str

    def counts(self, covariates: Mapping[str, npt.ArrayLike]) -> Array:
        """Expected number of losses by unit of exposure."""
        return self._mean("frequency", covariates)

    def severities(self, covariates: Mapping[str, npt.ArrayLike]) -> Array:
        """Expected capped size of a loss."""
        return self._mean("severity", covariates)

    def relativities(self, covariates: Mapping[str, npt.ArrayLike]) -> Array:
        """Expected amount beside that of the average site of the training."""
        middle = {name: [value] for name, value in self.document["reference"].items()}
        own = self.counts(covariates) * self.severities(covariates)
        return np.asarray(own / (self.counts(middle) * self.severities(middle)))

    @property
    def peril(self) -> str:
        """What it is a model of."""
        return str(self.document["peril"])

    @property
    def needs(self) -> tuple[str, ...]:
        """The covariates it asks of a site."""
        return tuple(self.document["reference"])

    def rates(self, covariates: Mapping[str, npt.ArrayLike]) -> Array:
        """Share of a site lost in a year."""
        return modelled_rate(self.counts(covariates), self.severities(covariates), float(self.document["unit_size"]))

    def log_sd(self, covariates: Mapping[str, npt.ArrayLike]) -> Array:
        """Standard deviation of the logarithm of a rate from the error of the coefficients, both parts independent."""
        parts = [
            linear_sd(np.array(one["covariance"]), term_columns(one["terms"], covariates))
            for one in (self.document["frequency"], self.document["severity"])
        ]
        return np.asarray(np.hypot(*parts))

    def _mean(self, part: str, covariates: Mapping[str, npt.ArrayLike]) -> Array:
        one = self.document[part]
        return log_linear(one["intercept"], one["coefficients"], term_columns(one["terms"], covariates))


def load_peril_model(path: Path) -> ServedModel:
    """Load a model from a file; see `served_model`. Raises ArtefactError."""
    try:
        content = path.read_bytes()
        document = json.loads(content)
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path.name} is no peril model: {error!r}") from error
    return served_model(document, sha256(content), path.name)


def served_model(document: Mapping[str, Any], digest: str, name: str) -> ServedModel:
    """Make a model ready; refuse one that is not finite or does not compute what training computed.

    Raises ArtefactError.
    """
    try:
        model = ServedModel(document, digest)
        for part in ("frequency", "severity"):
            one = document[part]
            if not all(math.isfinite(x) for x in (one["intercept"], *one["coefficients"])):
                raise ArtefactError(f"{name}: a coefficient of the {part} is not finite")
            if len(one["coefficients"]) != len(one["terms"]):
                raise ArtefactError(f"{name}: the {part} has not one coefficient for each term")
            if not np.isfinite(np.array(one["covariance"], dtype=np.float64)).all():
                raise ArtefactError(f"{name}: the covariance of the {part} is not finite")
        rows = document["parity"]
        if len(rows) < LEAST_PARITY_ROWS:
            raise ArtefactError(f"{name} holds {len(rows)} parity rows, at least {LEAST_PARITY_ROWS} are needed")
        covariates = {name: [row["covariates"][name] for row in rows] for name in document["reference"]}
        for quantity, found in (("count", model.counts(covariates)), ("severity", model.severities(covariates))):
            stated = np.array([row[quantity] for row in rows], dtype=np.float64)
            wrong = ~(np.abs(found - stated) <= PARITY_TOLERANCE * np.maximum(np.abs(stated), 1.0))
            if wrong.any():
                place = int(np.flatnonzero(wrong)[0])
                raise ArtefactError(
                    f"parity row {place} of {name}: {quantity} is {found[place]!r}, training had {stated[place]!r}"
                )
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{name} is no peril model: {error!r}") from error
    return model
