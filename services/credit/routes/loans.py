"""Loans until the money goes out, and how they are read."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import applications, decisions, offers, reading
from services.credit.schemas.common import EmptyRequest
from services.credit.schemas.decisions import ReferralRequest, ReplayResponse
from services.credit.schemas.loans import (
    LOAN_PAGE,
    ApprovalRequest,
    HistoryResponse,
    LoanQuery,
    LoanRequest,
    LoanResponse,
    WithdrawalRequest,
)
from services.credit.tables import Loan
from shared.web import Blueprint, caller, page

blp = Blueprint("loans", __name__, url_prefix="/v1", description="Loans on pledged forests")


@blp.command("POST", "/loans", scope="credit:apply")
@blp.arguments(LoanRequest())
@blp.response(201, LoanResponse())
def post_loan(session: Session, body: dict[str, Any]) -> Any:
    """Apply for a loan on pledged forests; it is scored at once."""
    loan = applications.apply_for_loan(session, body, caller().subject)
    return reading.show(session, loan), 201, {"Location": f"/v1/loans/{loan.id}"}


@blp.query("/loans", scope="credit:read")
@blp.arguments(LoanQuery(), location="query")
@blp.response(200, LOAN_PAGE)
def get_loans(session: Session, query: dict[str, Any]) -> Any:
    """List loans, newest first."""
    filters = {name: query[name] for name in ("state", "county", "insurer", "guarantor") if query[name] is not None}
    return page(session, select(Loan).filter_by(**filters), Loan.id, query, **filters)


@blp.query("/loans/<uuid:loan_id>", scope="credit:read")
@blp.response(200, LoanResponse())
def get_loan(session: Session, loan_id: UUID) -> Any:
    """Show a loan: state, legs, decision, offer, covenants, balance."""
    return reading.show_by_id(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/history", scope="credit:read")
@blp.response(200, HistoryResponse())
def get_history(session: Session, loan_id: UUID) -> Any:
    """Show every change of a loan's state: who, why, when."""
    return reading.trail(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/replay", scope="credit:read")
@blp.response(200, ReplayResponse())
def get_replay(session: Session, loan_id: UUID) -> Any:
    """Make a loan's latest decision again and compare it byte for byte."""
    return decisions.replay(session, loan_id)


@blp.command("POST", "/loans/<uuid:loan_id>/referral", scope="credit:decide")
@blp.arguments(ReferralRequest())
@blp.response(200, LoanResponse())
def post_referral(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Decide a referred application, as a person who did not enter it."""
    proceed = body["decision"] == "proceed"
    loan = applications.decide_referral(
        session, loan_id, proceed, body["comment"], caller().subject, body["reason_code"]
    )
    return reading.show(session, loan)


@blp.command("POST", "/loans/<uuid:loan_id>/approval", scope="credit:approve")
@blp.arguments(ApprovalRequest())
@blp.response(200, LoanResponse())
def post_approval(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Approve or reject a proposed offer, as a second person, by the hash of what was seen."""
    loan = offers.approve(
        session,
        loan_id,
        body["payload_hash"],
        body["approve"],
        caller().subject,
        body["comment"],
        body["reason_code"],
    )
    return reading.show(session, loan)


@blp.command("POST", "/loans/<uuid:loan_id>/acceptance", scope="credit:apply", if_match=True)
@blp.arguments(EmptyRequest())
@blp.response(200, LoanResponse())
def post_acceptance(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Accept an offer for the borrower; pledges, policy and guarantee are then asked for."""
    return reading.show(session, offers.accept(session, loan_id))


@blp.command("POST", "/loans/<uuid:loan_id>/withdrawal", scope="credit:apply")
@blp.arguments(WithdrawalRequest())
@blp.response(200, LoanResponse())
def post_withdrawal(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Step back from a loan before money flows; every leg is undone."""
    return reading.show(session, applications.withdraw_application(session, loan_id, body["reason"]))
