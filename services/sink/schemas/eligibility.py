"""Eligibility and its evidence, over HTTP."""

from marshmallow import fields, validate

from services.sink.actions.parameters import EVIDENCE_KINDS, FINDINGS, RULES
from services.sink.schemas.common import share
from shared.fields import Base, Moment, ReasonSchema, Text


class EvidenceRequest(Base):
    """What a document or an observation says of a rule."""

    rule = fields.String(required=True, validate=validate.OneOf(RULES))
    kind = fields.String(required=True, validate=validate.OneOf(EVIDENCE_KINDS))
    reference = Text(
        max_length=128,
        required=True,
        metadata={"description": "Where the document is kept: a key, never a name"},
    )
    sha256 = fields.String(load_default=None, allow_none=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z"))
    dated_on = fields.Date(required=True, metadata={"description": "The day that the evidence shows"})
    finding = fields.String(required=True, validate=validate.OneOf(FINDINGS))
    share = share(
        load_default=None,
        allow_none=True,
        metadata={"description": "Share of the surface, if the rule asks for one"},
    )


class EvidenceResponse(Base):
    """A piece of evidence as it was recorded."""

    id = fields.UUID(required=True)
    asset_id = fields.UUID(required=True)
    rule = fields.String(required=True)
    kind = fields.String(required=True)
    reference = fields.String(required=True)
    sha256 = fields.String(required=True, allow_none=True)
    dated_on = fields.Date(required=True)
    finding = fields.String(required=True)
    share = share(required=True, allow_none=True)
    recorded_at = Moment(required=True)
    state = fields.String(required=True, metadata={"enum": ["recorded", "confirmed", "rejected"]})
    payload_hash = fields.String(required=True, allow_none=True)


class RuleSchema(Base):
    """A rule with what is known of it."""

    rule = fields.String(required=True)
    methodology = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)
    source = fields.String(required=True)
    verified = fields.String(required=True, metadata={"enum": ["read", "secondary", "no"]})
    evidence_kinds = fields.List(fields.String(), required=True)
    status = fields.String(
        required=True, metadata={"enum": ["met", "not_met", "manual_review", "unconfirmed", "no_evidence"]}
    )
    reason = fields.Nested(ReasonSchema(), required=True)
    evidence = fields.List(fields.Nested(EvidenceResponse()), required=True)


class EligibilityResponse(Base):
    """How an asset stands against the rules of its methodology; never that it conforms, which a person says."""

    asset_id = fields.UUID(required=True)
    methodology = fields.String(required=True)
    as_of = fields.Date(required=True)
    answer = fields.String(required=True, metadata={"enum": ["obstacle", "evidence_missing", "for_review", "no_rules"]})
    reason = fields.Nested(ReasonSchema(), required=True)
    rules = fields.List(fields.Nested(RuleSchema()), required=True)
    unverified_parameters = fields.List(fields.String(), required=True)
