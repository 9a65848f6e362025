"""The HTTP door of credit: translate, nothing else."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit import schemas
from services.credit.actions import applications, decisions, offers, reading, recovery, servicing
from services.credit.tables import Loan, Valuation, valuations_of
from shared.approvals import Approval
from shared.fields import PageQuery
from shared.web import Blueprint, caller, page

blp = Blueprint("credit", __name__, url_prefix="/v1", description="Loans on pledged forests")


# -- what-if ----------------------------------------------------------------------------------------------------------


@blp.question("/score", scope="credit:read")
@blp.arguments(schemas.ScoreRequest())
@blp.response(200, schemas.ScoreResponse())
def post_score(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    """Score an application that nobody has made.

    Keeps nothing and needs no Idempotency-Key. The database is read only if forests are named; limits of the bank's
    book are not judged.
    """
    return reading.what_if(body, lambda asset_ids: valuations_of(session, asset_ids))


# -- loans ------------------------------------------------------------------------------------------------------------


@blp.command("POST", "/loans", scope="credit:apply")
@blp.arguments(schemas.LoanRequest())
@blp.response(201, schemas.LoanResponse())
def post_loan(session: Session, body: dict[str, Any]) -> Any:
    """Apply for a loan on pledged forests; it is scored at once."""
    loan = applications.apply_for_loan(session, body, caller().subject)
    return reading.show(session, loan), 201, {"Location": f"/v1/loans/{loan.id}"}


@blp.query("/loans", scope="credit:read")
@blp.arguments(schemas.LoanQuery(), location="query")
@blp.response(200, schemas.LOAN_PAGE)
def get_loans(session: Session, query: dict[str, Any]) -> Any:
    """List loans, newest first."""
    filters = {name: query[name] for name in ("state", "county", "insurer", "guarantor") if query[name] is not None}
    return page(session, select(Loan).filter_by(**filters), Loan.id, query, **filters)


@blp.query("/loans/<uuid:loan_id>", scope="credit:read")
@blp.response(200, schemas.LoanResponse())
def get_loan(session: Session, loan_id: UUID) -> Any:
    """Show a loan: state, legs, decision, offer, covenants, balance."""
    return reading.show_by_id(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/history", scope="credit:read")
@blp.response(200, schemas.HistoryResponse())
def get_history(session: Session, loan_id: UUID) -> Any:
    """Show every change of a loan's state: who, why, when."""
    return reading.trail(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/payments", scope="credit:read")
@blp.response(200, schemas.PaymentsResponse())
def get_payments(session: Session, loan_id: UUID) -> Any:
    """Show the money that came in on a loan, and what became of it."""
    return reading.ledger_of(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/schedule", scope="credit:read")
@blp.response(200, schemas.ScheduleResponse())
def get_schedule(session: Session, loan_id: UUID) -> Any:
    """Show a loan's instalments as agreed."""
    return reading.schedule_of(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/replay", scope="credit:read")
@blp.response(200, schemas.ReplayResponse())
def get_replay(session: Session, loan_id: UUID) -> Any:
    """Make a loan's latest decision again and compare it byte for byte."""
    return decisions.replay(session, loan_id)


# -- before money -----------------------------------------------------------------------------------------------------


@blp.command("POST", "/loans/<uuid:loan_id>/referral", scope="credit:decide")
@blp.arguments(schemas.ReferralRequest())
@blp.response(200, schemas.LoanResponse())
def post_referral(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Decide a referred application, as a person who did not enter it."""
    proceed = body["decision"] == "proceed"
    loan = applications.decide_referral(session, loan_id, proceed, body["comment"], caller().subject)
    return reading.show(session, loan)


@blp.command("POST", "/loans/<uuid:loan_id>/approval", scope="credit:approve")
@blp.arguments(schemas.ApprovalRequest())
@blp.response(200, schemas.LoanResponse())
def post_approval(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Approve or reject a proposed offer, as a second person, by the hash of what was seen."""
    loan = offers.approve(session, loan_id, body["payload_hash"], body["approve"], caller().subject, body["comment"])
    return reading.show(session, loan)


@blp.command("POST", "/loans/<uuid:loan_id>/acceptance", scope="credit:apply", if_match=True)
@blp.arguments(schemas.EmptyRequest())
@blp.response(200, schemas.LoanResponse())
def post_acceptance(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Accept an offer for the borrower; pledges, policy and guarantee are then asked for."""
    return reading.show(session, offers.accept(session, loan_id))


@blp.command("POST", "/loans/<uuid:loan_id>/withdrawal", scope="credit:apply")
@blp.arguments(schemas.WithdrawalRequest())
@blp.response(200, schemas.LoanResponse())
def post_withdrawal(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Step back from a loan before money flows; every leg is undone."""
    return reading.show(session, applications.withdraw_application(session, loan_id, body["reason"]))


# -- money ------------------------------------------------------------------------------------------------------------


@blp.command("POST", "/loans/<uuid:loan_id>/disbursement", scope="credit:disburse", if_match=True)
@blp.arguments(schemas.EmptyRequest())
@blp.response(200, schemas.LoanResponse())
def post_disbursement(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Pay a loan out, if its collateral is freshly valued and carries it."""
    return reading.show(session, servicing.disburse(session, loan_id))


@blp.command("POST", "/loans/<uuid:loan_id>/repayments", scope="credit:service")
@blp.arguments(schemas.RepaymentRequest())
@blp.response(201, schemas.LoanResponse())
def post_repayment(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Take a repayment: interest first, then principal; more than is owed is refused."""
    return reading.show(session, servicing.repay(session, loan_id, body["amount"]))


@blp.command("POST", "/loans/<uuid:loan_id>/default", scope="credit:service")
@blp.arguments(schemas.DefaultRequest())
@blp.response(200, schemas.LoanResponse())
def post_default(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Declare a loan in default; the guarantee is called and the pledges are frozen."""
    return reading.show(session, recovery.declare_default(session, loan_id, body["ground"], body["comment"]))


@blp.command("POST", "/loans/<uuid:loan_id>/enforcement", scope="credit:service")
@blp.arguments(schemas.EmptyRequest())
@blp.response(200, schemas.LoanResponse())
def post_enforcement(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Order the pledged units taken over."""
    return reading.show(session, recovery.order_enforcement(session, loan_id))


@blp.command("POST", "/loans/<uuid:loan_id>/recoveries", scope="credit:service")
@blp.arguments(schemas.RecoveryRequest())
@blp.response(201, schemas.LoanResponse())
def post_recovery(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Enter money recovered after default; the guarantor shares it by the shares of the call."""
    loan = recovery.record_recovery(session, loan_id, body["source"], body["amount"], body["costs"])
    return reading.show(session, loan)


@blp.command("POST", "/loans/<uuid:loan_id>/closing", scope="credit:service")
@blp.arguments(schemas.EmptyRequest())
@blp.response(200, schemas.LoanResponse())
def post_closing(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Close a defaulted loan and write off what the bank lost."""
    return reading.show(session, recovery.close(session, loan_id))


# -- valuations and approvals -----------------------------------------------------------------------------------------


@blp.query("/valuations", scope="credit:read")
@blp.arguments(schemas.ValuationQuery(), location="query")
@blp.response(200, schemas.VALUATION_PAGE)
def get_valuations(session: Session, query: dict[str, Any]) -> Any:
    """List our copies of the latest valuations."""
    filters = {"county": query["county"]} if query["county"] is not None else {}
    return page(session, select(Valuation).filter_by(**filters), Valuation.asset_id, query, **filters)


@blp.query("/approvals", scope="credit:read")
@blp.arguments(PageQuery(), location="query")
@blp.response(200, schemas.APPROVAL_PAGE)
def get_approvals(session: Session, query: dict[str, Any]) -> Any:
    """List what waits for a second person."""
    return page(session, select(Approval).where(Approval.state == "open"), Approval.id, query)
