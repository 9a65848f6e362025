"""Losses: what is payable, and paying it."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.insurance.actions import claims, notices, proceeds, triangles
from services.insurance.routes.common import filtered
from services.insurance.schemas.claims import (
    AssessmentRequest,
    ClaimNoticeRequest,
    ClaimQuery,
    ClaimResponse,
    ClearanceRequest,
    ProceedsList,
    ProceedsRequest,
    RunOffQuery,
    RunOffResponse,
)
from services.insurance.tables import Claim
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, caller

blp = Blueprint("insurance-claims", __name__, url_prefix="/v1", description="Losses: what is payable, and paying it.")


@blp.query("/claims", scope="insurance:read")
@blp.arguments(ClaimQuery(), location="query")
@blp.response(200, page_of(ClaimResponse(), "ClaimPage"))
def get_claims(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List claims, newest first."""
    return filtered(session, Claim, query, "state", "loan_id", "policy_id")


@blp.query("/claims/<uuid:claim_id>", scope="insurance:read")
@blp.response(200, ClaimResponse())
def get_claim(session: Session, claim_id: UUID) -> Claim:
    """Show a claim with every step of what it pays."""
    return found(session, Claim, claim_id)


@blp.command("POST", "/claims/<uuid:claim_id>/payment", scope="insurance:claims", if_match=True)
@blp.response(200, ClaimResponse())
def post_payment(session: Session, claim_id: UUID) -> Claim:
    """Pay an open claim: the bank up to its live interest, then the owner."""
    return claims.pay_claim(session, claim_id)


@blp.command("POST", "/claims", scope="insurance:claims")
@blp.arguments(ClaimNoticeRequest())
@blp.response(201, ClaimResponse())
def post_claim(session: Session, body: dict[str, Any]) -> Claim:
    """Notify a loss: the cover is checked, a reserve set aside; the same event is one claim, whoever tells of it."""
    return notices.notify_claim(session, body)


@blp.command("POST", "/claims/<uuid:claim_id>/assessment", scope="insurance:claims", if_match=True)
@blp.arguments(AssessmentRequest())
@blp.response(200, ClaimResponse())
def post_assessment(session: Session, body: dict[str, Any], claim_id: UUID) -> Claim:
    """Say as an adjuster what a notified event did; the terms say what is payable."""
    return notices.assess_claim(session, claim_id, body, caller().subject)


@blp.command("POST", "/claims/<uuid:claim_id>/clearance", scope="insurance:claims", if_match=True)
@blp.arguments(ClearanceRequest())
@blp.response(200, ClaimResponse())
def post_clearance(session: Session, body: dict[str, Any], claim_id: UUID) -> Claim:
    """Clear a flagged claim for payment or reject it, as somebody other than its adjuster."""
    return notices.clear_claim(session, claim_id, body["accept"], body["comment"], caller().subject)


@blp.command("POST", "/claims/<uuid:claim_id>/proceeds", scope="insurance:claims")
@blp.arguments(ProceedsRequest())
@blp.response(200, ClaimResponse())
def post_proceeds(session: Session, body: dict[str, Any], claim_id: UUID) -> Claim:
    """Enter what came back on a paid claim, once for each slip."""
    return proceeds.enter_proceeds(session, claim_id, body, caller().subject)


@blp.query("/claims/<uuid:claim_id>/proceeds", scope="insurance:read")
@blp.response(200, ProceedsList())
def get_proceeds(session: Session, claim_id: UUID) -> dict[str, Any]:
    """Show what came back on a claim."""
    return {"items": proceeds.proceeds_of(session, found(session, Claim, claim_id).id)}


@blp.query("/claims/reports/run-off", scope="insurance:read")
@blp.arguments(RunOffQuery(), location="query")
@blp.response(200, RunOffResponse())
def get_run_off(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """Show the run-off triangle, chain ladder and Bornhuetter-Ferguson side by side."""
    return triangles.run_off(session, query["months"], query["periods"])
