"""Money: paying out, repayments, default, enforcement, recovery."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import charges, reading, recovery, servicing
from services.credit.schemas.common import EmptyRequest
from services.credit.schemas.loans import LoanResponse
from services.credit.schemas.servicing import (
    DefaultRequest,
    FeeRequest,
    PaymentsResponse,
    RecoveryRequest,
    RepaymentRequest,
    ScheduleResponse,
)
from shared.web import Blueprint

blp = Blueprint(
    "servicing",
    __name__,
    url_prefix="/v1",
    description="Money paid out, repaid and recovered",
)


@blp.query("/loans/<uuid:loan_id>/payments", scope="credit:read")
@blp.response(200, PaymentsResponse())
def get_payments(session: Session, loan_id: UUID) -> Any:
    """Show the money that came in on a loan, what became of it, and what was charged beside the interest."""
    return reading.ledger_of(session, loan_id)


@blp.query("/loans/<uuid:loan_id>/schedule", scope="credit:read")
@blp.response(200, ScheduleResponse())
def get_schedule(session: Session, loan_id: UUID) -> Any:
    """Show a loan's instalments as agreed."""
    return reading.schedule_of(session, loan_id)


@blp.command("POST", "/loans/<uuid:loan_id>/disbursement", scope="credit:disburse", if_match=True)
@blp.arguments(EmptyRequest())
@blp.response(200, LoanResponse())
def post_disbursement(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Pay a loan out, if its collateral is freshly valued and carries it."""
    return reading.show(session, servicing.disburse(session, loan_id))


@blp.command("POST", "/loans/<uuid:loan_id>/repayments", scope="credit:service")
@blp.arguments(RepaymentRequest())
@blp.response(201, LoanResponse())
def post_repayment(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Take a repayment: charges first, then interest, then principal; more than is owed is refused."""
    return reading.show(session, servicing.repay(session, loan_id, body["amount"]))


@blp.command("POST", "/loans/<uuid:loan_id>/fees", scope="credit:service")
@blp.arguments(FeeRequest())
@blp.response(201, LoanResponse())
def post_fee(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Charge a fee of the tariff to the borrower of a live loan."""
    return reading.show(session, charges.charge_fee(session, loan_id, **body))


@blp.command("POST", "/loans/<uuid:loan_id>/default", scope="credit:service")
@blp.arguments(DefaultRequest())
@blp.response(200, LoanResponse())
def post_default(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Declare a loan in default; the guarantee is called and the pledges are frozen."""
    return reading.show(session, recovery.declare_default(session, loan_id, body["ground"], body["comment"]))


@blp.command("POST", "/loans/<uuid:loan_id>/enforcement", scope="credit:service")
@blp.arguments(EmptyRequest())
@blp.response(200, LoanResponse())
def post_enforcement(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Order the pledged units taken over."""
    return reading.show(session, recovery.order_enforcement(session, loan_id))


@blp.command("POST", "/loans/<uuid:loan_id>/recoveries", scope="credit:service")
@blp.arguments(RecoveryRequest())
@blp.response(201, LoanResponse())
def post_recovery(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Enter money recovered after default; the guarantor shares it by the shares of the call."""
    loan = recovery.record_recovery(session, loan_id, body["source"], body["amount"], body["costs"])
    return reading.show(session, loan)


@blp.command("POST", "/loans/<uuid:loan_id>/closing", scope="credit:service")
@blp.arguments(EmptyRequest())
@blp.response(200, LoanResponse())
def post_closing(session: Session, body: dict[str, Any], loan_id: UUID) -> Any:
    """Close a defaulted loan and write off what the bank lost."""
    return reading.show(session, recovery.close(session, loan_id))
