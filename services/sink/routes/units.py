"""Liens and units: the HTTP door."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions import consents, proposals, units
from services.sink.schemas.units import (
    ConsentQuery,
    ConsentRequest,
    ConsentResponse,
    DecisionRequest,
    IssuanceRequest,
    IssuanceResponse,
    PledgeQuery,
    PledgeResponse,
    ProposalResponse,
    RetirementRequest,
    RetirementResponse,
    UnitsQuery,
)
from services.sink.tables import Consent, Issuance, Pledge, Retirement
from shared.approvals import Approval
from shared.db import found
from shared.fields import PageQuery, page_of
from shared.web import Blueprint, caller, page

blp = Blueprint("units", __name__, url_prefix="/v1", description="Issued units, and who has a lien on them")

_CONSENTS = page_of(ConsentResponse(), "ConsentPage")


@blp.query("/pledges", scope="sink:read")
@blp.arguments(PledgeQuery(), location="query")
@blp.response(200, page_of(PledgeResponse(), "PledgePage"))
def get_pledges(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own liens, newest first."""
    statement = select(Pledge)
    if query["loan_id"]:
        statement = statement.where(Pledge.loan_id == query["loan_id"])
    if query["asset_id"]:
        statement = statement.where(Pledge.asset_id == query["asset_id"])
    return page(session, statement, Pledge.id, query, loan_id=query["loan_id"], asset_id=query["asset_id"])


@blp.query("/pledges/<uuid:pledge_id>", scope="sink:read")
@blp.response(200, PledgeResponse())
def get_pledge(session: Session, pledge_id: UUID) -> Pledge:
    """Show one of the caller's own liens."""
    return found(session, Pledge, pledge_id)


@blp.command("POST", "/pledges/<uuid:pledge_id>/consents", scope="sink:pledge")
@blp.arguments(ConsentRequest())
@blp.response(201, ConsentResponse())
def post_consent(session: Session, body: dict[str, Any], pledge_id: UUID) -> Consent:
    """Agree that the registrar writes units, which the caller took over under its lien, over to somebody, once."""
    return consents.agree_to_transfer(session, pledge_id, caller().subject, **body)


@blp.query("/pledges/<uuid:pledge_id>/consents", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, _CONSENTS)
def get_consents(session: Session, query: dict[str, Any], pledge_id: UUID) -> dict[str, Any]:
    """List what the caller agreed to under one of its own liens, newest first."""
    found(session, Pledge, pledge_id)
    return page(session, select(Consent).where(Consent.pledge_id == pledge_id), Consent.id, query)


@blp.query("/consents", scope="sink:read")
@blp.arguments(ConsentQuery(), location="query")
@blp.response(200, _CONSENTS)
def get_all_consents(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the consents that the caller gave as a bank, or may use as the registrar of the forest, newest first."""
    statement = select(Consent)
    if query["asset_id"]:
        statement = statement.where(Consent.asset_id == query["asset_id"])
    if query["state"]:
        waiting = Consent.posting_id.is_(None)
        statement = statement.where(waiting if query["state"] == "waiting" else ~waiting)
    return page(session, statement, Consent.id, query, asset_id=query["asset_id"], state=query["state"])


@blp.command("POST", "/issuance-proposals", scope="sink:register")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(IssuanceRequest())
@blp.response(201, ProposalResponse())
def post_issuance_proposal(session: Session, body: dict[str, Any]) -> Approval:
    """Enter credits that the programme issued for a vintage; a second person has them minted."""
    return proposals.propose_issuance(session, caller().subject, **body)


@blp.query("/issuance-proposals", scope="sink:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, page_of(ProposalResponse(), "ProposalPage"))
def get_issuance_proposals(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own issuances that wait for a second person, newest first."""
    waiting = select(Approval).where(Approval.action == proposals.ACTION, Approval.state == "open")
    return page(session, waiting, Approval.id, query)


@blp.command("POST", "/issuance-proposals/<uuid:proposal_id>/issuance", scope="sink:approve")
@blp.arguments(DecisionRequest())
@blp.response(201, IssuanceResponse())
def post_proposed_issuance(session: Session, body: dict[str, Any], proposal_id: UUID) -> Issuance:
    """Approve an issuance as a second person; its units are minted."""
    return proposals.approve_issuance(session, proposal_id, body["payload_hash"], caller().subject)


@blp.command("POST", "/issuance-proposals/<uuid:proposal_id>/rejection", scope="sink:approve")
@blp.arguments(DecisionRequest())
@blp.response(200, ProposalResponse())
def post_issuance_rejection(session: Session, body: dict[str, Any], proposal_id: UUID) -> Approval:
    """Reject an issuance as a second person; nothing is minted."""
    return proposals.reject_issuance(session, proposal_id, body["payload_hash"], caller().subject)


@blp.query("/issuances", scope="sink:read")
@blp.arguments(UnitsQuery(), location="query")
@blp.response(200, page_of(IssuanceResponse(), "IssuancePage"))
def get_issuances(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List issuances, newest first."""
    statement = select(Issuance)
    if query["asset_id"]:
        statement = statement.where(Issuance.asset_id == query["asset_id"])
    return page(session, statement, Issuance.id, query, asset_id=query["asset_id"])


@blp.command("POST", "/retirements", scope="sink:register")
@blp.doc(responses={404: "NOT_FOUND"})
@blp.arguments(RetirementRequest())
@blp.response(201, RetirementResponse())
def post_retirement(session: Session, body: dict[str, Any]) -> Retirement:
    """Use up issued, free credits for a stated reason."""
    return units.retire_credits(session, **body)


@blp.query("/retirements", scope="sink:read")
@blp.arguments(UnitsQuery(), location="query")
@blp.response(200, page_of(RetirementResponse(), "RetirementPage"))
def get_retirements(session: Session, query: dict[str, Any]) -> dict[str, Any]:
    """List retirements, newest first."""
    statement = select(Retirement)
    if query["asset_id"]:
        statement = statement.where(Retirement.asset_id == query["asset_id"])
    return page(session, statement, Retirement.id, query, asset_id=query["asset_id"])
