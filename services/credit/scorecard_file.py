"""Loading of cards: signature and hash checked, parity rows replayed, or nothing is served.

A card is data. Neither pickle nor scikit-learn is on this path.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.credit.formulas.scorecard import Card, score
from shared.artefacts import Artefact, ArtefactError, check, trusted, written
from shared.settings import settings

#: Models that came with the program.
MODELS = Path(__file__).resolve().parent / "models"
SCORECARD = "scorecard.json"
LEAST_PARITY_ROWS = 200
PARITY_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Scorecard:
    """A card ready to serve, its document and the hash a decision stores."""

    card: Card
    document: Mapping[str, Any]
    sha256: str
    signatures: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def text(self) -> str:
        """Its document as it is written, to be kept with what it decides."""
        return written(self.document).decode("utf-8")


def load_scorecard(
    directory: Path | None = None, name: str = SCORECARD, keys: Mapping[str, Ed25519PublicKey] | None = None
) -> Scorecard:
    """Load a card; refuse it unless a trusted person signed these very bytes and every parity row replays.

    Folder and keys are those of the environment. Raises ArtefactError.
    """
    return scorecard_of(load_artefact(directory, name, keys), name)


def load_artefact(
    directory: Path | None = None, name: str = SCORECARD, keys: Mapping[str, Ed25519PublicKey] | None = None
) -> Artefact:
    """Read a model from a folder of signed ones. Raises ArtefactError."""
    environment = settings()
    directory = directory or Path(environment.models or MODELS)
    try:
        content = (directory / name).read_bytes()
        signatures = json.loads((directory / "MANIFEST.json").read_bytes())[name]["signatures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{name} or its entry in MANIFEST.json cannot be read: {error}") from error
    return check(name, content, signatures, trusted(environment) if keys is None else keys)


def scorecard_of(artefact: Artefact, name: str = SCORECARD) -> Scorecard:
    """Make a signed card ready to serve. Raises ArtefactError unless it computes what training computed."""
    try:
        card = Card.from_document(artefact.document)
        parity = artefact.document["parity"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ArtefactError(f"{name} is no scorecard: {error!r}") from error
    _replay(card, parity, name)
    return Scorecard(card, artefact.document, artefact.sha256, artefact.signatures)


def demand_rows(parity: list[dict[str, Any]], name: str) -> None:
    """Refuse a model that brings too few rows to be proved by. Raises ArtefactError."""
    if len(parity) < LEAST_PARITY_ROWS:
        raise ArtefactError(f"{name} holds {len(parity)} parity rows, at least {LEAST_PARITY_ROWS} are needed")


def _replay(card: Card, parity: list[dict[str, Any]], name: str) -> None:
    demand_rows(parity, name)
    for number, row in enumerate(parity):
        try:
            found = score(card, row["features"])
        except (ValueError, KeyError, TypeError) as error:
            raise ArtefactError(f"parity row {number} of {name} cannot be scored: {error!r}") from error
        for quantity, value in (("log_odds", found.log_odds), ("probability", found.probability)):
            if not abs(value - row[quantity]) <= PARITY_TOLERANCE:
                raise ArtefactError(
                    f"parity row {number} of {name}: {quantity} is {value!r}, training had {row[quantity]!r}"
                )
