"""What banks asked for, and the answers."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.insurance.actions import covers
from services.insurance.routes.common import filtered
from services.insurance.schemas.covers import ApprovalRequest, CoverQuery, CoverResponse, CoverSummary, ProposalRequest
from services.insurance.tables import Cover
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint, caller

blp = Blueprint("insurance-covers", __name__, url_prefix="/v1", description="What banks asked for, and the answers.")


@blp.query("/covers", scope="insurance:read")
@blp.arguments(CoverQuery(), location="query")
@blp.response(200, page_of(CoverSummary(), "CoverPage"))
def get_covers(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the covers that banks asked for, newest first."""
    return filtered(session, Cover, query, "state", "loan_id")


@blp.query("/covers/<uuid:cover_id>", scope="insurance:read")
@blp.response(200, CoverResponse())
def get_cover(session: Session, cover_id: UUID) -> Cover:
    """Show a cover with every step of its price."""
    return found(session, Cover, cover_id)


@blp.command("POST", "/covers/<uuid:cover_id>/proposal", scope="insurance:underwrite")
@blp.arguments(ProposalRequest())
@blp.response(200, CoverResponse())
def post_cover_proposal(session: Session, body: dict[str, Any], cover_id: UUID) -> Cover:
    """Propose to quote a cover that is beyond one person's authority."""
    return covers.propose_cover(session, cover_id, body["comment"], caller().subject)


@blp.command("POST", "/covers/<uuid:cover_id>/approval", scope="insurance:underwrite")
@blp.arguments(ApprovalRequest())
@blp.response(200, CoverResponse())
def post_cover_approval(session: Session, body: dict[str, Any], cover_id: UUID) -> Cover:
    """Approve or reject a proposal as a second person, by the hash of what was proposed."""
    return covers.approve_cover(session, cover_id, body["payload_hash"], body["approve"], caller().subject)
