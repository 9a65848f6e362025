"""Small peril models, trained on losses made up for the tests and signed for the register."""

import csv
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.insurance.actions import models
from services.insurance.training.command import document_of
from services.insurance.training.fit import fit
from services.insurance.training.panel import read_panel
from shared import clock, db
from shared.approvals import Approval
from shared.artefacts import DEVELOPMENT_KEY, sign
from shared.models import bundle
from tests.conftest import Database
from tests.harness import INSURER, body, client

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


def promoted(database: Database, content: bytes) -> Any:
    """Bring a model to where it decides: entered by one person, validated and approved by two others."""
    modeller = client("insurance", database, "modeller", INSURER, "ann")
    path = f"/v1/models/{body(modeller.send('/v1/models?kind=peril-fire', content), 201)['id']}"
    risk, board = (client("insurance", database, "model-risk", INSURER, name) for name in ("bob", "eve"))
    body(risk.post(f"{path}/validation", {"fit": True, "comment": "seen"}, If_Match=risk.get(path).headers["ETag"]))
    with database.sessions() as session:
        db.act_for(session, INSURER)
        seen = session.scalars(select(Approval.payload_hash).where(Approval.action == "model")).one()
    word = {"payload_hash": seen, "approve": True, "comment": "agreed"}
    body(board.post(f"{path}/approval", word, If_Match=board.get(path).headers["ETag"]))
    word = {"role": "champion", "comment": "go"}
    shown = body(board.post(f"{path}/promotion", word, If_Match=board.get(path).headers["ETag"]))
    models._remembered.clear()
    return shown
