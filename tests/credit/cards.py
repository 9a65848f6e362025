"""Cards to register: the shipped one under other versions, signed or not."""

from collections.abc import Mapping
from typing import Any

from services.credit.actions.models import shipped_card
from services.credit.formulas.scorecard import Card, score
from shared import clock
from shared.artefacts import DEVELOPMENT_KEY, sign
from shared.models import bundle


def card(version: int = 7, **more: Any) -> dict[str, Any]:
    """The shipped card under another version; with another intercept its parity rows do not replay."""
    return {**shipped_card().model.document, "version": version, **more}


def riskier(version: int) -> dict[str, Any]:
    """A card whose intercept was moved by one, with the parity rows it computes."""
    document = card(version)
    document["intercept"] += 1
    made = Card.from_document(document)
    found = [(row, score(made, row["features"])) for row in document["parity"]]
    parity = [{**row, "log_odds": one.log_odds, "probability": one.probability} for row, one in found]
    return {**document, "parity": parity}


def signed(document: Mapping[str, Any]) -> bytes:
    """A model as the register takes it."""
    return bundle(document, [sign(document, DEVELOPMENT_KEY, "ann", clock.now())])
