"""Cover in force, and how it is ended."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.insurance.actions import policies
from services.insurance.routes.common import filtered
from services.insurance.schemas.policies import LapseRequest, PolicyQuery, PolicyResponse
from services.insurance.tables import Policy
from shared.db import found
from shared.fields import page_of
from shared.web import Blueprint

blp = Blueprint("insurance-policies", __name__, url_prefix="/v1", description="Cover in force, and how it is ended.")


@blp.query("/policies", scope="insurance:read")
@blp.arguments(PolicyQuery(), location="query")
@blp.response(200, page_of(PolicyResponse(), "PolicyPage"))
def get_policies(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List policies, newest first."""
    return filtered(session, Policy, query, "state", "loan_id")


@blp.query("/policies/<uuid:policy_id>", scope="insurance:read")
@blp.response(200, PolicyResponse())
def get_policy(session: Session, policy_id: UUID) -> Policy:
    """Show a policy."""
    return found(session, Policy, policy_id)


@blp.command("POST", "/policies/<uuid:policy_id>/lapse", scope="insurance:underwrite", if_match=True)
@blp.arguments(LapseRequest())
@blp.response(200, PolicyResponse())
def post_lapse(session: Session, body: dict[str, Any], policy_id: UUID) -> Policy:
    """End a policy with the notice its reason demands; the bank is told at once."""
    return policies.lapse_policy(session, policy_id, body["reason"])
