"""Small peril models, trained on losses made up for the tests and signed for the register."""

import csv
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from services.insurance.training.command import document_of
from services.insurance.training.fit import fit
from services.insurance.training.panel import read_panel
from shared import clock
from shared.artefacts import DEVELOPMENT_KEY, sign
from shared.models import bundle

ROWS = [{"g": str(n % 20), "t": str(n // 20), "e": "2", "count": str(n % 3), "loss": str(n % 3 * 10), "x": str(n % 7)}
        for n in range(120)]  # fmt: skip
MAPPING = {"name": "p", "note": "Made up for the tests.", "region": "CN-SX", "peril": "fire", "group": ["g"],
           "period": "t", "exposure": "e", "amount": "loss", "features": ["x"], "unit_size": 10_000}  # fmt: skip


@cache
def _trained() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "losses.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(ROWS[0]))
            writer.writeheader()
            writer.writerows(ROWS)
        panel = read_panel(path, MAPPING, Path(folder))
    return document_of(fit(panel, []), panel, MAPPING, "0" * 64)


def document(**more: Any) -> dict[str, Any]:
    """A model of fire in the region that is priced, or another by what is given."""
    return {**_trained(), **more}


def signed(model: Mapping[str, Any]) -> bytes:
    """A model as the register takes it."""
    return bundle(model, [sign(model, DEVELOPMENT_KEY, "ann", clock.now())])
