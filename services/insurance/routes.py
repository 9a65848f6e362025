"""The HTTP door of insurance."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.insurance.actions import capacity, claims, policies
from services.insurance.schemas import (
    CapacityRequest,
    CapacityResponse,
    ClaimQuery,
    ClaimResponse,
    CoverQuery,
    CoverResponse,
    CoverSummary,
    LapseRequest,
    PolicyQuery,
    PolicyResponse,
)
from services.insurance.tables import Capacity, Claim, Cover, Policy
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, page

blp = Blueprint("insurance", __name__, url_prefix="/v1", description="Covers, policies, claims and capacity")


def _filtered(session: Session, table: Any, query: dict[str, Any], *names: str) -> dict[str, Any]:
    """One page of a table, by the filters that were given."""
    filters = {name: query[name] for name in names if query[name] is not None}
    statement: Select[Any] = select(table).where(*(getattr(table, name) == value for name, value in filters.items()))
    return page(session, statement, table.id, query, **filters)


@blp.query("/covers", scope="insurance:read")
@blp.arguments(CoverQuery(), location="query")
@blp.response(200, page_of(CoverSummary(), "CoverPage"))
def get_covers(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the covers that banks asked for, newest first."""
    return _filtered(session, Cover, query, "state", "loan_id")


@blp.query("/covers/<uuid:cover_id>", scope="insurance:read")
@blp.response(200, CoverResponse())
def get_cover(session: Session, cover_id: UUID) -> Cover:
    """Show a cover with every step of its price."""
    return found(session, Cover, cover_id)


@blp.query("/policies", scope="insurance:read")
@blp.arguments(PolicyQuery(), location="query")
@blp.response(200, page_of(PolicyResponse(), "PolicyPage"))
def get_policies(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List policies, newest first."""
    return _filtered(session, Policy, query, "state", "loan_id")


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


@blp.query("/claims", scope="insurance:read")
@blp.arguments(ClaimQuery(), location="query")
@blp.response(200, page_of(ClaimResponse(), "ClaimPage"))
def get_claims(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List claims, newest first."""
    return _filtered(session, Claim, query, "state", "loan_id", "policy_id")


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


@blp.query("/capacities", scope="insurance:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(CapacityResponse(), "CapacityPage"))
def get_capacities(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List what the insurer will carry by county and in all, and what is taken of it."""
    return page(session, select(Capacity), Capacity.id, query)


@blp.command("POST", "/capacities", scope="insurance:underwrite")
@blp.arguments(CapacityRequest())
@blp.response(200, CapacityResponse())
def post_capacity(session: Session, body: dict[str, Any]) -> Capacity:
    """Set what the insurer will carry in a county, or in `all` of them together."""
    return capacity.set_capacity(session, body["county"], body["cap"])
