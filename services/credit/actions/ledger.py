"""The ledger of a loan: money that came in, and the interest that grows between its movements."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import schedules
from services.credit.actions.states import touch
from services.credit.tables import Loan, LoanPayment
from shared import audit, clock
from shared.ids import uuid7

NOTHING = Decimal("0.00")


def accrue(loan: Loan, until: date) -> None:
    """Add the simple interest on the balance since it last changed. A clock that steps back adds nothing."""
    if loan.interest_until is not None and until > loan.interest_until:
        loan.interest_due += accrued(loan, until)
        loan.interest_until = until


def accrued(loan: Loan, until: date) -> Decimal:
    """Interest since the balance last changed, not yet added to what is due. [CNY]"""
    if loan.interest_until is None or loan.annual_rate is None or loan.day_count is None:
        return NOTHING
    return schedules.accrued(loan.balance, loan.annual_rate, loan.day_count, loan.interest_until, until)


def record_payment(
    session: Session,
    loan: Loan,
    source: str,
    origin: str,
    reference: UUID,
    amount: Decimal,
    *,
    principal: Decimal = NOTHING,
    interest: Decimal = NOTHING,
    costs: Decimal = NOTHING,
    surplus: Decimal = NOTHING,
    bank_part: Decimal | None = NOTHING,
) -> LoanPayment:
    """Enter money that came in; interest and surplus are counted here, what it does to principal is the caller's."""
    loan.interest_due -= interest
    loan.interest_paid += interest
    loan.surplus += surplus
    touch(loan)
    payment = LoanPayment(
        id=uuid7(),
        institution=loan.institution,
        loan_id=loan.id,
        source=source,
        origin=origin,
        reference=reference,
        at=clock.now(),
        received_on=clock.today(),
        amount=amount,
        costs=costs,
        principal=principal,
        interest=interest,
        surplus=surplus,
        bank_part=bank_part,
        balance=loan.balance,
    )
    session.add(payment)
    audit.record(session, f"receive_{source}", loan.id, amount=str(amount), reference=str(reference))
    return payment
