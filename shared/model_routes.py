"""Routes of the register of models, the same in every service that has models."""

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared import models
from shared.db import found
from shared.fields import Base, Flag, Moment, Names, PageQuery, Text, Versioned, page_of
from shared.models import ROLES, STATES, Model, Register
from shared.web import Blueprint, caller, page, uploaded

#: Largest signed model. [bytes]
MAX_MODEL = 16 * 1024 * 1024


class StepResponse(Base):
    """One change of a model's state."""

    number = fields.Integer(required=True)
    from_state = fields.String(required=True, allow_none=True)
    to_state = fields.String(required=True, metadata={"enum": list(STATES)})
    at = Moment(required=True)
    actor = fields.String(required=True)
    comment = fields.String(required=True)


class RegisteredModelResponse(Versioned):
    """One version of a model and where it stands."""

    purpose = fields.String(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    number = fields.Integer(required=True, metadata={"description": "The version its document gives itself"})
    note = fields.String(required=True)
    sha256 = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": list(STATES)})
    trained_by = fields.String(required=True)
    validated_by = fields.String(required=True, allow_none=True)
    approved_by = fields.String(required=True, allow_none=True)
    registered_at = Moment(required=True)


class ModelHistoryResponse(RegisteredModelResponse):
    """A model with everything that was done with it."""

    items = fields.List(fields.Nested(StepResponse()), required=True)
    signatures = fields.List(fields.Dict(), required=True)


class ServedModelResponse(Base):
    """A model that is served now."""

    purpose = fields.String(required=True)
    role = fields.String(required=True, metadata={"enum": list(ROLES)})
    kind = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    origin = fields.String(
        required=True,
        metadata={
            "enum": ["register", "shipped"],
            "description": "shipped: none is promoted here, so the one that came with the program serves",
        },
    )
    note = fields.String(required=True)
    warnings = Names(required=True, metadata={"description": "What the last measurement of drift found, say"})


class ServedModelsResponse(Base):
    """The models that are served now."""

    items = fields.List(fields.Nested(ServedModelResponse()), required=True)


def _comment(**more: Any) -> Text:
    return Text(max_length=1000, **more)


class ValidationRequest(Base):
    """Whether an independent person finds the model fit, and on what grounds."""

    fit = Flag(required=True)
    comment = _comment(required=True)


class ModelApprovalRequest(Base):
    """Approve exactly what was seen, or reject it."""

    payload_hash = fields.String(required=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z"))
    approve = Flag(required=True)
    comment = _comment(load_default="", min_length=0)


class PromotionRequest(Base):
    """Which place the model takes, and why."""

    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    comment = _comment(required=True)


class RollbackRequest(Base):
    """Why."""

    comment = _comment(required=True)


class RetirementRequest(Base):
    """Why, if there is more to say."""

    comment = _comment(load_default="", min_length=0)


class ModelsQuery(PageQuery):
    """Which models."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))


def model_routes(service: str, register: Register) -> Blueprint:
    """The blueprint of /v1/models for a service."""
    blp = Blueprint("models", __name__, url_prefix="/v1", description="Risk models: who answers for which")
    train, govern = f"{service}:train", f"{service}:govern"

    class EntryQuery(Base):
        kind = fields.String(required=True, validate=validate.OneOf(sorted(register.kinds)))
        comment = _comment(load_default="")

    def shown(session: Session, model: Model) -> dict[str, Any]:
        session.flush()
        columns = {
            column.key: getattr(model, column.key) for column in Model.__table__.columns if column.key != "content"
        }
        return {**columns, "items": models.steps_of(session, model.id)}

    @blp.upload("/models", scope=train, largest=MAX_MODEL)
    @blp.arguments(EntryQuery(), location="query")
    @blp.response(201, ModelHistoryResponse())
    def post_model(session: Session, query: dict[str, Any]) -> Any:
        """Register a signed model as trained: it must replay its own parity rows here. See `heartwood model-sign`."""
        file = uploaded().file
        file.seek(0)
        made = register.enter(session, query["kind"], file.read(), caller().subject, query["comment"])
        return shown(session, made), 201, {"Location": f"/v1/models/{made.id}"}

    @blp.query("/models", scope=f"{service}:read")
    @blp.arguments(ModelsQuery(), location="query")
    @blp.response(200, page_of(RegisteredModelResponse(), "ModelPage"))
    def get_models(session: Session, query: dict[str, Any]) -> Any:
        """List the registered models, newest first."""
        filters = {} if query["state"] is None else {"state": query["state"]}
        return page(session, select(Model).filter_by(**filters), Model.id, query, **filters)

    @blp.query("/models/serving", scope=f"{service}:read")
    @blp.response(200, ServedModelsResponse())
    def get_serving_models(session: Session) -> Any:
        """Show which model decides and which scores in the shadow, and whether they came with the program."""
        purposes = sorted({kind.purpose for kind in register.kinds.values()})
        places = [(p, role, register.serving(session, p, role)) for p in purposes for role in ROLES]
        return {
            "items": [
                {
                    "purpose": purpose,
                    "role": role,
                    "kind": one.kind,
                    **one.label(),
                    "warnings": register.warnings(session, one),
                }
                for purpose, role, one in places
                if one is not None
            ]
        }

    @blp.query("/models/<uuid:model_id>", scope=f"{service}:read")
    @blp.response(200, ModelHistoryResponse())
    def get_model(session: Session, model_id: UUID) -> Any:
        """Show a model with each step: who, when, why."""
        return shown(session, found(session, Model, model_id))

    @blp.query("/models/<uuid:model_id>/artefact", scope=f"{service}:read")
    @blp.doc(responses={200: {"description": "The artefact", "content": {"application/json": {"schema": {}}}}})
    def get_artefact(session: Session, model_id: UUID) -> Response:
        """Download a model as it was signed, byte for byte."""
        return Response(found(session, Model, model_id).content, mimetype="application/json")

    @blp.command("POST", "/models/<uuid:model_id>/validation", scope=govern)
    @blp.arguments(ValidationRequest())
    @blp.response(200, ModelHistoryResponse())
    def post_validation(session: Session, body: dict[str, Any], model_id: UUID) -> Any:
        """Find a trained model fit or not, as a person who did not train it; its approval is asked for."""
        return shown(session, register.validate(session, model_id, body["fit"], caller().subject, body["comment"]))

    @blp.command("POST", "/models/<uuid:model_id>/approval", scope=govern)
    @blp.arguments(ModelApprovalRequest())
    @blp.response(200, ModelHistoryResponse())
    def post_model_approval(session: Session, body: dict[str, Any], model_id: UUID) -> Any:
        """Approve or reject a validated model, as a person who did not train it, by the hash in /v1/approvals."""
        made = register.approve(
            session, model_id, body["payload_hash"], body["approve"], caller().subject, body["comment"]
        )
        return shown(session, made)

    @blp.command("POST", "/models/<uuid:model_id>/promotion", scope=govern, if_match=True)
    @blp.arguments(PromotionRequest())
    @blp.response(200, ModelHistoryResponse())
    def post_promotion(session: Session, body: dict[str, Any], model_id: UUID) -> Any:
        """Let an approved model decide, or score in the shadow."""
        return shown(session, register.promote(session, model_id, body["role"], body["comment"]))

    @blp.command("POST", "/models/<uuid:model_id>/rollback", scope=govern, if_match=True)
    @blp.arguments(RollbackRequest())
    @blp.response(200, ModelHistoryResponse())
    def post_rollback(session: Session, body: dict[str, Any], model_id: UUID) -> Any:
        """Take the champion out; the one before it decides again, or else the one that came with the program."""
        return shown(session, register.roll_back(session, model_id, body["comment"]))

    @blp.command("POST", "/models/<uuid:model_id>/retirement", scope=govern, if_match=True)
    @blp.arguments(RetirementRequest())
    @blp.response(200, ModelHistoryResponse())
    def post_retirement(session: Session, body: dict[str, Any], model_id: UUID) -> Any:
        """Take a model that does not decide out of use for good."""
        return shown(session, register.retire(session, model_id, body["comment"]))

    return blp
