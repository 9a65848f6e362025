"""Queues placed as a whole."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from services.guarantee.actions import acceptance, allocations
from services.guarantee.schemas.allocations import (
    ALLOCATIONS,
    AcceptanceRequest,
    AcceptanceResponse,
    AllocationDecisionRequest,
    AllocationQuery,
    AllocationResponse,
)
from services.guarantee.tables import Allocation
from shared.db import found
from shared.errors import NotFoundError
from shared.fields import PageQuery
from shared.strict_json import canonical
from shared.web import Blueprint, caller, page, uploaded

blp = Blueprint("allocations", __name__, url_prefix="/v1", description="Queues placed as a whole")
_JSON = {
    200: {"description": "The certificate", "content": {"application/json": {"schema": {"type": "object"}}}},
    404: "NOT_FOUND",
}


@blp.upload("/allocations", scope="guarantee:manage", largest=allocations.MAX_FILE)
@blp.arguments(AllocationQuery(), location="query")
@blp.response(202, AllocationResponse())
def post_allocation(session: Session, query: dict[str, Any]) -> Any:
    """Place a queue of loans with guarantors within every limit; a job of the same id works on it.

    The job's log tells bound and gap after each turn. Nothing is reserved before two persons accept it.
    """
    changes = query["what_if"].split(",") if query["what_if"] else []
    made = allocations.start(session, uploaded().file, query["seed"], changes, caller().subject)
    session.flush()
    return made, {"Location": f"/v1/allocations/{made.id}"}


@blp.query("/allocations", scope="guarantee:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, ALLOCATIONS)
def get_allocations(session: Session, query: dict[str, Any]) -> object:
    """List the queues that were placed, newest first."""
    light = (defer(Allocation.queue), defer(Allocation.state), defer(Allocation.certificate))
    return page(session, select(Allocation).options(*light), Allocation.id, query)


@blp.query("/allocations/<uuid:allocation_id>", scope="guarantee:read")
@blp.response(200, AllocationResponse())
def get_allocation(session: Session, allocation_id: UUID) -> Allocation:
    """Show how far the placing of a queue has come: best value, lowest bound, gap."""
    return found(session, Allocation, allocation_id)


@blp.query("/allocations/<uuid:allocation_id>/certificate", scope="guarantee:read")
@blp.doc(responses=_JSON)
def get_allocation_certificate(session: Session, allocation_id: UUID) -> Response:
    """Download the certificate: placing, prices, bound, refusals; `heartwood guarantee verify` checks it."""
    made = found(session, Allocation, allocation_id)
    if made.certificate is None:
        raise NotFoundError("the queue is not placed yet; its job tells how far it has come")
    return Response(canonical(made.certificate), mimetype="application/json")


@blp.query("/allocations/<uuid:allocation_id>/acceptance", scope="guarantee:read")
@blp.response(200, AcceptanceResponse())
def get_allocation_acceptance(session: Session, allocation_id: UUID) -> object:
    """Show what was placed with this guarantor, is proposed or was accepted, with the state of each loan's room."""
    return acceptance.proposed(session, allocation_id)


@blp.command("POST", "/allocations/<uuid:allocation_id>/acceptance", scope="guarantee:manage")
@blp.arguments(AcceptanceRequest())
@blp.response(200, AllocationResponse())
def post_allocation_acceptance(session: Session, body: dict[str, Any], allocation_id: UUID) -> Allocation:
    """Propose to accept what was placed with this guarantor; another person decides by its hash."""
    return acceptance.propose(session, allocation_id, body["loans"], caller().subject)


@blp.command("POST", "/allocations/<uuid:allocation_id>/approval", scope="guarantee:manage")
@blp.arguments(AllocationDecisionRequest())
@blp.response(200, AllocationResponse())
def post_allocation_approval(session: Session, body: dict[str, Any], allocation_id: UUID) -> Allocation:
    """Accept or reject as a second person who saw exactly it; accepting holds room for every loan, or for none."""
    return acceptance.decide(session, allocation_id, body["payload_hash"], body["approve"], caller().subject)
