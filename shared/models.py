"""Register of risk models: who trained, checked, approved and promoted each, and which one decides here and now.

trained → validated → approved → champion or challenger; a champion that is replaced is approved again, one that is
rolled back gives its place to the one before. What does not pass, or is not wanted any more, is retired. A model's
content is its signed artefact and never changes; each step names its hash. Who trained a model may neither validate nor
approve it.

An institution without a champion of its own is served by the model that came with the program, and told so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared import approvals, artefacts, audit, clock, strict_json
from shared.artefacts import Artefact, ArtefactError
from shared.db import Id, Institution, Moment, Plumbing, Versioned, act_for, locked, private_table, tenant
from shared.errors import ConflictError, ForbiddenError, InvalidError, StateError
from shared.ids import uuid7
from shared.settings import settings

STATES = ("trained", "validated", "approved", "champion", "challenger", "rolled_back", "retired")
ROLES = ("champion", "challenger")
#: How long a second person has to approve.
APPROVAL_TIME = timedelta(days=30)
#: For so long a process may answer what binds nobody from what it last knew of the register. [s]
REMEMBERED = 5.0
Origin = Literal["register", "shipped"]


class Model(Versioned, Plumbing):
    """One version of a model, registered for one institution."""

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(state) for state in STATES)})", name="state"),
        CheckConstraint("sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex')", name="hash_of_content"),
        Index("uq_models_content", "institution", "sha256", unique=True),
        *(
            Index(
                f"uq_models_{role}", "institution", "purpose", unique=True, postgresql_where=text(f"state = '{role}'")
            )
            for role in ROLES
        ),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    #: What it is for; of each purpose one champion decides.
    purpose: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(64))
    number: Mapped[int]
    note: Mapped[str] = mapped_column(String(4000))
    sha256: Mapped[str] = mapped_column(String(64))
    #: Large, and read only by who serves it.
    content: Mapped[str] = mapped_column(Text, deferred=True)
    signatures: Mapped[list[Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String(16))
    trained_by: Mapped[str] = mapped_column(String(128))
    registered_at: Mapped[Moment]
    validated_by: Mapped[str | None] = mapped_column(String(128))
    approved_by: Mapped[str | None] = mapped_column(String(128))
    #: The champion it took the place of, to go back to.
    replaced: Mapped[UUID | None]
    steps: Mapped[int]


class ModelStep(Plumbing):
    """One change of a model's state: who, why, when."""

    __tablename__ = "model_steps"

    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    at: Mapped[Moment]
    actor: Mapped[str] = mapped_column(String(128))
    comment: Mapped[str] = mapped_column(String(1000))


@dataclass(frozen=True)
class Kind:
    """A kind of artefact: what it is for, whether it may decide, and how it becomes something that computes."""

    purpose: str
    decides: bool
    #: Raises ArtefactError unless the artefact computes what training computed.
    ready: Callable[[Artefact, str], Any]


@dataclass(frozen=True)
class Served:
    """A model that is served, and where it comes from."""

    #: What the kind's `ready` made of it.
    model: Any
    kind: str
    origin: Origin
    model_id: UUID | None
    sha256: str
    name: str
    number: int
    note: str

    def label(self) -> dict[str, Any]:
        """Which model this is, to be told and kept."""
        return {
            "name": self.name,
            "version": self.number,
            "sha256": self.sha256,
            "origin": self.origin,
            "note": self.note,
        }


def served(model: Any, artefact: Artefact, kind: str, row: Model | None = None) -> Served:
    """What is served of an artefact."""
    document = artefact.document
    return Served(
        model=model,
        kind=kind,
        origin="shipped" if row is None else "register",
        model_id=None if row is None else row.id,
        sha256=artefact.sha256,
        name=str(document["name"]),
        number=int(document["version"]),
        note=str(document["note"]),
    )


@dataclass(frozen=True)
class Register:
    """The register of one service: its kinds of models and what it ships."""

    kinds: Mapping[str, Kind]
    #: By purpose and role, where the program brings one.
    shipped: Mapping[tuple[str, str], Callable[[], Served]]
    #: What the last look at a served model found, to be shown beside it.
    warnings: Callable[[Session, Served], list[str]] = lambda session, model: []

    # -- steps --------------------------------------------------------------------------------------------------------

    def enter(self, session: Session, kind: str, bundle: bytes, by: str, comment: str) -> Model:
        """Register a signed artefact as trained. Raises InvalidError, saying what is wrong with it."""
        document, signatures = _opened(bundle)
        content = artefacts.written(document)
        try:
            artefact = artefacts.check(kind, content, signatures, artefacts.trusted(settings()))
            self.kinds[kind].ready(artefact, kind)
            name, number, note = str(document["name"]), int(document["version"]), str(document["note"])
        except ArtefactError as error:
            raise InvalidError(f"the artefact is refused: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidError(f"the artefact does not say its name, version and note: {error!r}") from error
        known = session.scalars(select(Model).where(Model.sha256 == artefact.sha256)).first()
        if known is not None:
            raise ConflictError(f"this very artefact is registered already, as {known.id}, {known.state}")
        model = Model(
            id=uuid7(),
            institution=tenant(session),
            purpose=self.kinds[kind].purpose,
            kind=kind,
            name=name[:64],
            number=number,
            note=note[:4000],
            sha256=artefact.sha256,
            content=content.decode("utf-8"),
            signatures=[dict(each) for each in artefact.signatures],
            state="",
            trained_by=by,
            registered_at=clock.now(),
            steps=0,
        )
        session.add(model)
        _move(session, model, "trained", comment)
        return model

    def validate(self, session: Session, model_id: UUID, fit: bool, by: str, comment: str) -> Model:
        """Say as somebody independent whether a model is fit; if it is, its approval is asked for."""
        model = _demand(session, model_id, "trained")
        if by == model.trained_by:
            raise ForbiddenError("the person who trained a model cannot validate it; ask a colleague")
        # Once more on this machine, whose libraries may be others than when it was entered.
        self._ready(model)
        model.validated_by = by
        _move(session, model, "validated" if fit else "retired", comment)
        if fit:
            payload = {
                "model": str(model.id),
                "kind": model.kind,
                "name": model.name,
                "version": model.number,
                "sha256": model.sha256,
                "validated_by": by,
                "validation": comment,
            }
            # Whoever trained it is the maker, so that the approver is somebody else.
            approvals.ask(session, "model", model.id, payload, model.trained_by, clock.now() + APPROVAL_TIME)
        return model

    def approve(self, session: Session, model_id: UUID, seen: str, approve: bool, by: str, comment: str) -> Model:
        """Approve a validated model, or reject it, as somebody who did not train it and has seen what is approved."""
        model = _demand(session, model_id, "validated")
        approvals.decide(session, "model", model.id, seen, by, approve)
        model.approved_by = by if approve else None
        _move(session, model, "approved" if approve else "retired", comment)
        return model

    def promote(self, session: Session, model_id: UUID, role: str, comment: str) -> Model:
        """Let an approved model decide, or score in the shadow; who had the place before is approved again."""
        model = _demand(session, model_id, "approved", "challenger")
        if role == "champion" and not self.kinds[model.kind].decides:
            raise StateError(f"a model of the kind {model.kind} scores in the shadow only; it may not decide")
        if role == model.state:
            raise StateError(f"the model is the {role} already")
        self._ready(model)
        before = _in_role(session, model.purpose, role, lock=True)
        if before is not None:
            _move(session, before, "approved", f"replaced by {model.sha256[:12]}")
            session.flush()  # before the other takes the place, of which there is one
        if role == "champion":
            model.replaced = None if before is None else before.id
        _move(session, model, role, comment)
        return model

    def roll_back(self, session: Session, model_id: UUID, comment: str) -> Model:
        """Take a champion out; the one before it decides again, or else the one that came with the program."""
        model = _demand(session, model_id, "champion")
        _move(session, model, "rolled_back", comment)
        session.flush()
        before = None if model.replaced is None else session.get(Model, model.replaced, with_for_update=True)
        if before is not None and before.state in ("approved", "challenger"):
            _move(session, before, "champion", f"after the roll-back of {model.sha256[:12]}")
        return model

    def retire(self, session: Session, model_id: UUID, comment: str) -> Model:
        """Take a model that does not decide out of use for good."""
        model = _demand(session, model_id, *(s for s in STATES if s not in ("champion", "retired")))
        waiting = approvals.pending(session, "model", model.id)
        if waiting is not None:
            waiting.state = "superseded"
        _move(session, model, "retired", comment)
        return model

    # -- serving ------------------------------------------------------------------------------------------------------

    def serving(self, session: Session, purpose: str, role: str) -> Served | None:
        """The model in a role for this transaction's institution; the shipped one where it has none, if any."""
        row = _in_role(session, purpose, role)
        if row is not None:
            return self.of_row(row)
        shipped = self.shipped.get((purpose, role))
        return None if shipped is None else shipped()

    def champion(self, session: Session, purpose: str) -> Served:
        """The model that decides."""
        found = self.serving(session, purpose, "champion")
        if found is None:
            raise StateError(f"no model decides on {purpose}: none is registered and none came with the program")
        return found

    def remembered_champion(self, session: Session, institution: str, purpose: str) -> Served:
        """The model that decides, for an answer that binds nobody: as the register said a few seconds ago at most."""
        known = _remembered.get((institution, purpose))
        if known is None or monotonic() - known[0] > REMEMBERED:
            act_for(session, institution)
            known = _remembered[institution, purpose] = (monotonic(), self.champion(session, purpose))
        return known[1]

    def of_row(self, row: Model) -> Served:
        """A registered model, checked and made ready once by each process."""
        artefact, model = self._ready(row)
        return served(model, artefact, row.kind, row)

    def _ready(self, row: Model) -> tuple[Artefact, Any]:
        known = _ready.get(row.sha256)
        if known is None:
            try:
                content = row.content.encode("utf-8")
                artefact = artefacts.check(row.name, content, row.signatures, artefacts.trusted(settings()))
                known = _ready[row.sha256] = artefact, self.kinds[row.kind].ready(artefact, row.name)
            except ArtefactError as error:
                raise StateError(f"the registered model {row.id} cannot be served: {error}") from error
        return known


#: By the hash of its content: a model of the register that was checked here. They are few, and never change.
_ready: dict[str, tuple[Artefact, Any]] = {}
#: By institution and purpose: when the register was last read, and what it said.
_remembered: dict[tuple[str, str], tuple[float, Served]] = {}


def steps_of(session: Session, model_id: UUID) -> list[ModelStep]:
    """Every change of a model's state, oldest first."""
    return list(
        session.scalars(select(ModelStep).where(ModelStep.model_id == model_id).order_by(ModelStep.number)).all()
    )


def bundle(document: Mapping[str, Any], signatures: list[Mapping[str, Any]]) -> bytes:
    """A signed artefact as one file, as the register takes it."""
    return artefacts.written({"model": document, "signatures": signatures})


def _opened(content: bytes) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    try:
        read = strict_json.loads(content)
        document, signatures = read["model"], read["signatures"]
    except strict_json.JsonError as error:
        raise InvalidError(f"the file is no signed model: {error}") from None
    except (KeyError, TypeError):
        raise InvalidError("the file is no signed model; `heartwood model-sign` makes one") from None
    if not isinstance(document, dict) or not isinstance(signatures, list):
        raise InvalidError("the file is no signed model; `heartwood model-sign` makes one")
    return document, [each for each in signatures if isinstance(each, dict)]


def _demand(session: Session, model_id: UUID, *states: str) -> Model:
    model = locked(session, Model, model_id)
    if model.state not in states:
        raise StateError(f"the model is {model.state}; this needs one that is {' or '.join(states)}")
    return model


def _in_role(session: Session, purpose: str, role: str, *, lock: bool = False) -> Model | None:
    held = select(Model).where(Model.purpose == purpose, Model.state == role)
    return session.scalars(held.with_for_update() if lock else held).first()


def _move(session: Session, model: Model, state: str, comment: str) -> None:
    """Change a model's state, write down who and why, and let this process look anew at what decides."""
    before = model.state or None
    model.state, model.steps = state, model.steps + 1
    session.add(
        ModelStep(
            model_id=model.id,
            number=model.steps,
            institution=model.institution,
            from_state=before,
            to_state=state,
            at=clock.now(),
            actor=session.info.get("actor", "system"),
            comment=comment,
        )
    )
    audit.record(session, f"model_{state}", model.id, sha256=model.sha256, kind=model.kind, before=before)
    for key in [key for key in _remembered if key[0] == model.institution]:
        _remembered.pop(key, None)


def rules(service: str) -> list[str]:
    """SQL: models and their steps are private."""
    return [*private_table(service, "models"), *private_table(service, "model_steps")]
