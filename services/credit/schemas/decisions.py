"""Decisions: what a person adds, what is shown, what is replayed."""

from marshmallow import fields, validate

from services.credit.schemas.common import money, rate
from services.credit.schemas.scores import ScoreResponse
from services.credit.tables.reviews import PERSONS_REASONS
from shared.fields import Base, Moment, Names, Text


class ReferralRequest(Base):
    """What a person decided about a referred application, and why."""

    decision = fields.String(required=True, validate=validate.OneOf(["proceed", "decline"]))
    comment = Text(required=True, max_length=1000)
    reason_code = fields.String(load_default="other", validate=validate.OneOf(PERSONS_REASONS))


class RuleResponse(Base):
    """A rule of the decision: what it said, and the coefficients it was applied with."""

    rule = fields.String(required=True)
    verdict = fields.String(required=True, metadata={"enum": ["holds", "refer", "fault", "decline", "unknown"]})
    parameters = Names(required=True)
    in_force_from = fields.String(metadata={"description": "Version of the rule: since when its coefficients hold"})
    digest = fields.String(metadata={"description": "SHA-256 over the values of its coefficients"})


class DecisionResponse(ScoreResponse):
    """A decision as it was stored, with everything needed to make it again."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": ["application", "referral", "offer"]})
    decided_at = Moment(required=True)
    annual_rate = rate(required=True, metadata={"description": "Rate that pays every cost, up to the basis point"})
    loss_given_default = rate(required=True, metadata={"description": "The bank's, after every leg"})
    loss_given_default_before_legs = rate(required=True)
    expected_losses = fields.Dict(keys=fields.String(), values=money(), required=True, allow_none=True)
    worth_bp = fields.Dict(keys=fields.String(), values=fields.Float(), required=True, allow_none=True)
    rules = fields.List(fields.Nested(RuleResponse()), required=True)
    inputs = fields.Dict(required=True)
    inputs_hash = fields.String(required=True)
    result_hash = fields.String(required=True)


class ReplayResponse(Base):
    """Whether a decision, made again from what was stored, is the same to the byte."""

    decision_id = fields.UUID(required=True)
    decided_at = Moment(required=True)
    same = fields.Boolean(required=True)
    same_artefact = fields.Boolean(required=True)
    same_parameters = fields.Boolean(required=True)
    same_inputs = fields.Boolean(required=True)
    result_hash = fields.String(required=True)
    replayed_hash = fields.String(required=True)
