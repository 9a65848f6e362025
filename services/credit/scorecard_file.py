"""Loading of the committed scorecard: hash checked, parity rows replayed, or nothing is served.

The card is data. Neither pickle nor scikit-learn is on this path.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.credit.formulas.scorecard import Card, score

MODELS = Path(__file__).resolve().parent / "models"
LEAST_PARITY_ROWS = 200
PARITY_TOLERANCE = 1e-12


class ScorecardError(RuntimeError):
    """The scorecard on disk is not the one that was approved, or does not compute what it was trained to compute."""


@dataclass(frozen=True)
class Scorecard:
    """A card ready to serve, its document and the hash a decision stores."""

    card: Card
    document: Mapping[str, Any]
    sha256: str


def load_scorecard(directory: Path = MODELS, name: str = "scorecard.json") -> Scorecard:
    """Load a card, refuse it unless its hash is in the manifest and every parity row replays."""
    try:
        content = (directory / name).read_bytes()
        expected = json.loads((directory / "MANIFEST.json").read_bytes())[name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScorecardError(f"{name} or its entry in MANIFEST.json cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ScorecardError(f"{name} has SHA-256 {found}, the manifest says {expected}")
    try:
        document = json.loads(content)
        card = Card.from_document(document)
        parity = document["parity"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ScorecardError(f"{name} is no scorecard: {error!r}") from error
    _replay(card, parity, name)
    return Scorecard(card=card, document=document, sha256=found)


def _replay(card: Card, parity: list[dict[str, Any]], name: str) -> None:
    if len(parity) < LEAST_PARITY_ROWS:
        raise ScorecardError(f"{name} holds {len(parity)} parity rows, at least {LEAST_PARITY_ROWS} are needed")
    for number, row in enumerate(parity):
        try:
            found = score(card, row["features"])
        except ValueError as error:
            raise ScorecardError(f"parity row {number} of {name} cannot be scored: {error}") from error
        for quantity, value in (("log_odds", found.log_odds), ("probability", found.probability)):
            if not abs(value - row[quantity]) <= PARITY_TOLERANCE:
                raise ScorecardError(
                    f"parity row {number} of {name}: {quantity} is {value!r}, training had {row[quantity]!r}"
                )
