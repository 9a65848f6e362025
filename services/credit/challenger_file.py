"""Loading of the challenger: trees as data, their parity rows replayed, or it scores nothing.

It needs numpy; the card that decides does not, so that this stands apart from its loading.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.credit.formulas.trees import Trees, ensemble_probability
from services.credit.scorecard_file import PARITY_TOLERANCE, demand_rows
from shared.artefacts import Artefact, ArtefactError


@dataclass(frozen=True)
class Challenger:
    """Trees ready to score in the shadow."""

    trees: Trees
    sha256: str

    def probability(self, features: Mapping[str, Any]) -> float:
        """Default probability of one application. Raises ValueError where a feature cannot be read."""
        return float(ensemble_probability(self.trees, self.trees.rows([features]))[0])


def challenger_of(artefact: Artefact, name: str) -> Challenger:
    """Make signed trees ready to score. Raises ArtefactError unless they compute what training computed."""
    try:
        trees = Trees.from_document(artefact.document)
        parity = artefact.document["parity"]
        demand_rows(parity, name)
        found = ensemble_probability(trees, trees.rows([row["features"] for row in parity]))
        apart = np.abs(found - np.array([float(row["probability"]) for row in parity]))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise ArtefactError(f"{name} is no challenger: {error!r}") from error
    if not (apart <= PARITY_TOLERANCE).all():
        worst = int(np.argmax(np.where(np.isnan(apart), np.inf, apart)))
        raise ArtefactError(f"parity row {worst} of {name}: probability is {found[worst]!r}, training had another")
    return Challenger(trees, artefact.sha256)
