"""Which peril models price for an insurer: the champions of its register.

None came with the program, since none was fitted to losses of Chinese forests. Where no champion covers a peril, the
dated rates do.
"""

from collections.abc import Mapping
from functools import partial
from time import monotonic

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.peril_model import ServedModel, served_model
from shared.artefacts import Artefact, ArtefactError
from shared.db import act_for
from shared.models import REMEMBERED, Kind, Model, Register

PERILS = ("fire", "pest", "drought", "frost_snow", "wind", "flood")


def _ready(peril: str, artefact: Artefact, name: str) -> ServedModel:
    model = served_model(artefact.document, artefact.sha256, name)
    if model.peril != peril:
        raise ArtefactError(f"{name} is a model of {model.peril}, not of {peril}")
    if not artefact.document.get("unit_size", 0) > 0:
        raise ArtefactError(f"{name} has no unit_size: nobody knows which share of a site its losses are")
    return model


REGISTER = Register(
    kinds={f"peril-{peril}": Kind(f"peril:{peril}", decides=True, ready=partial(_ready, peril)) for peril in PERILS},
    shipped={},
)
_remembered: dict[str, tuple[float, Mapping[str, ServedModel]]] = {}


def champions(session: Session) -> Mapping[str, ServedModel]:
    """The models that price for this transaction's insurer, by peril."""
    rows = session.scalars(select(Model).where(Model.state == "champion", Model.kind.in_(REGISTER.kinds)))
    return {model.peril: model for model in (REGISTER.of_row(row).model for row in rows)}


def champions_for_question(session: Session, institution: str) -> Mapping[str, ServedModel]:
    """The same for an answer that binds nobody: as the register said a few seconds ago at most."""
    known = _remembered.get(institution)
    if known is None or monotonic() - known[0] > REMEMBERED:
        act_for(session, institution)
        known = _remembered[institution] = (monotonic(), champions(session))
    return known[1]
