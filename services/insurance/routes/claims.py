"""Losses: what is payable, and paying it."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.insurance.actions import claims
from services.insurance.routes.common import filtered
from services.insurance.schemas.claims import ClaimQuery, ClaimResponse
from services.insurance.tables import Claim
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint

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
