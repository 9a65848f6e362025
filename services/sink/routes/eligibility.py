"""Eligibility and its evidence: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import eligibility
from services.sink.actions.eligibility import Eligibility
from services.sink.schemas.eligibility import EligibilityResponse, EvidenceRequest, EvidenceResponse
from services.sink.schemas.prices import ApprovalRequest
from services.sink.tables import Asset, Evidence
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, caller, page

blp = Blueprint("eligibility", __name__, url_prefix="/v1", description="Forests against the rules of the methodology")


@blp.query("/assets/<uuid:asset_id>/eligibility", scope="sink:read")
@blp.response(200, EligibilityResponse())
def get_eligibility(session: Session, asset_id: UUID) -> Eligibility:
    """Hold a forest against each rule of the methodology, with the evidence for it."""
    return eligibility.eligibility(session, asset_id)


@blp.command("POST", "/assets/<uuid:asset_id>/evidence", scope="sink:register")
@blp.arguments(EvidenceRequest())
@blp.response(201, EvidenceResponse())
def post_evidence(session: Session, body: dict[str, Any], asset_id: UUID) -> Evidence:
    """Record evidence for or against a rule; it is never changed afterwards."""
    return eligibility.record_evidence(session, asset_id, caller().subject, **body)


@blp.command("POST", "/evidence/<uuid:evidence_id>/approval", scope="sink:approve")
@blp.arguments(ApprovalRequest())
@blp.response(200, EvidenceResponse())
def post_evidence_approval(session: Session, body: dict[str, Any], evidence_id: UUID) -> Evidence:
    """Confirm or reject evidence as a second person; only what was confirmed speaks for a forest."""
    return eligibility.decide_evidence(session, evidence_id, body["payload_hash"], caller().subject, body["approve"])


@blp.query("/assets/<uuid:asset_id>/evidence", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(EvidenceResponse(), "EvidencePage"))
def get_evidence(session: Session, query: dict[str, Any], asset_id: UUID) -> dict[str, Any]:
    """List the evidence recorded for a forest, newest first."""
    found(session, Asset, asset_id)
    return page(session, select(Evidence).where(Evidence.asset_id == asset_id), Evidence.id, query)
