"""Which models of default score for a bank: those of its register, or else the ones that came with the program."""

import json
from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit import challenger_file, scorecard_file
from services.credit.scorecard_file import Scorecard
from services.credit.tables import StabilityRun, materials_of
from shared.artefacts import Artefact
from shared.models import Kind, Model, Register, Served, served

PURPOSE = "default-probability"


@lru_cache(maxsize=1)
def shipped_card() -> Served:
    """The card that came with the program, its signature checked and its parity rows replayed once."""
    artefact = scorecard_file.load_artefact()
    return served(scorecard_file.scorecard_of(artefact), artefact, "scorecard")


def _card(artefact: Artefact, name: str) -> Scorecard:
    return scorecard_file.scorecard_of(artefact, name)


def _warnings(session: Session, model: Served) -> list[str]:
    """Whether the last measurement of drift found that applications are not what the model was trained on."""
    last = session.scalars(
        select(StabilityRun)
        .where(StabilityRun.model_sha256 == model.sha256)
        .order_by(StabilityRun.at.desc(), StabilityRun.id.desc())
        .limit(1)
    ).first()
    return [f"drift_{last.band}"] if last is not None and last.band in ("watch", "alarm") else []


REGISTER = Register(
    kinds={
        "scorecard": Kind(PURPOSE, decides=True, ready=_card),
        "trees": Kind(PURPOSE, decides=False, ready=challenger_file.challenger_of),
    },
    shipped={(PURPOSE, "champion"): shipped_card},
    warnings=_warnings,
)


def champion(session: Session) -> Served:
    """The card that decides for this transaction's bank."""
    return REGISTER.champion(session, PURPOSE)


def challenger(session: Session) -> Served | None:
    """The model that scores in the shadow for this transaction's bank, if there is one."""
    return REGISTER.serving(session, PURPOSE, "challenger")


def challenger_row(session: Session) -> Model | None:
    """The registered challenger as a row, also where it cannot be served."""
    return session.scalars(select(Model).where(Model.purpose == PURPOSE, Model.state == "challenger")).first()


def label_of_kept(session: Session, sha256: str) -> dict[str, Any]:
    """Which card a decision was made by that did not write it down: read from the card that was kept with it."""
    text = materials_of(session, [sha256]).get(sha256)
    document = {"name": "", "version": 0, "note": ""} if text is None else json.loads(text)
    return {name: document[name] for name in ("name", "version", "note")} | {"sha256": sha256, "origin": "shipped"}


def champion_for_question(session: Session, institution: str) -> Served:
    """The card that decides for a bank, for an answer that binds nobody."""
    return REGISTER.remembered_champion(session, institution, PURPOSE)
