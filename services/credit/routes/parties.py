"""Parties: who borrows. What is personal is starred everywhere but in a disclosure."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import erasure, groups, parties
from services.credit.schemas.parties import (
    PARTY_PAGE,
    DisclosureRequest,
    ErasureRequest,
    GroupResponse,
    GroupsResponse,
    PartyChangeRequest,
    PartyQuery,
    PartyRequest,
    PartyResponse,
    PartySearchRequest,
    PartySearchResponse,
    VerificationRequest,
)
from services.credit.tables import Party
from shared.web import Blueprint, caller, page

blp = Blueprint("parties", __name__, url_prefix="/v1", description="Who borrows, and who stands behind them")


@blp.command("POST", "/parties", scope="credit:apply")
@blp.arguments(PartyRequest())
@blp.response(201, PartyResponse())
def post_party(session: Session, body: dict[str, Any]) -> Any:
    """Register a borrower: a person, a household's business, a village, a cooperative or a firm."""
    party = parties.register(session, body, caller().subject)
    session.flush()
    return parties.show(session, party), 201, {"Location": f"/v1/parties/{party.id}"}


@blp.query("/parties", scope="credit:read")
@blp.arguments(PartyQuery(), location="query")
@blp.response(200, PARTY_PAGE)
def get_parties(session: Session, query: dict[str, Any]) -> Any:
    """List borrowers, newest first, starred."""
    filters = {"kind": query["kind"]} if query["kind"] is not None else {}
    found = page(session, select(Party).filter_by(**filters), Party.id, query, **filters)
    return {**found, "items": [parties.show(session, party) for party in found["items"]]}


@blp.query("/parties/<uuid:party_id>", scope="credit:read")
@blp.response(200, PartyResponse())
def get_party(session: Session, party_id: UUID) -> Any:
    """Show a borrower, starred."""
    return parties.show_by_id(session, party_id)


@blp.command("POST", "/parties/<uuid:party_id>/changes", scope="credit:apply", if_match=True)
@blp.arguments(PartyChangeRequest())
@blp.response(200, PartyResponse())
def post_party_change(session: Session, body: dict[str, Any], party_id: UUID) -> Any:
    """Change what is named of a borrower; kind and identity stay what they are."""
    party = parties.change(session, party_id, body)
    session.flush()
    return parties.show(session, party)


@blp.command("POST", "/parties/<uuid:party_id>/verification", scope="credit:apply", if_match=True)
@blp.arguments(VerificationRequest())
@blp.response(200, PartyResponse())
def post_party_verification(session: Session, body: dict[str, Any], party_id: UUID) -> Any:
    """Note that a borrower's file was checked by you, and how long that holds."""
    party = parties.verify(session, party_id, body, caller().subject)
    session.flush()
    return parties.show(session, party)


@blp.disclosure("/parties/search", scope="credit:read")
@blp.arguments(PartySearchRequest())
@blp.response(200, PartySearchResponse())
def post_party_search(session: Session, body: dict[str, Any]) -> Any:
    """Find the borrower with an identity number, starred. The search is in the audit trail, the number is not."""
    return {"items": [parties.show(session, party) for party in parties.search(session, body["identity_number"])]}


@blp.disclosure("/parties/<uuid:party_id>/disclosure", scope="credit:personal")
@blp.arguments(DisclosureRequest())
@blp.response(200, PartyResponse())
def post_party_disclosure(session: Session, body: dict[str, Any], party_id: UUID) -> Any:
    """Read a borrower's personal data whole; the audit trail keeps who read them and why."""
    return parties.disclose(session, party_id, body["purpose"])


@blp.command("POST", "/parties/<uuid:party_id>/erasure", scope="credit:personal")
@blp.arguments(ErasureRequest())
@blp.response(200, PartyResponse())
def post_party_erasure(session: Session, body: dict[str, Any], party_id: UUID) -> Any:
    """Erase a borrower's personal data, once no loan lives and no record of one must be kept."""
    party = erasure.erase(session, party_id, body["ground"])
    session.flush()
    return parties.show(session, party)


@blp.query("/parties/<uuid:party_id>/group", scope="credit:read")
@blp.response(200, GroupResponse())
def get_party_group(session: Session, party_id: UUID) -> Any:
    """Show whom a borrower is connected with, and what the bank has at risk with all of them."""
    return groups.show(session, party_id)


@blp.query("/groups", scope="credit:read")
@blp.response(200, GroupsResponse())
def get_groups(session: Session) -> Any:
    """List the groups of connected borrowers, the largest exposure first."""
    return groups.show_all(session)
