"""The ledger of a loan: money that came in, and the interest that grows between its movements."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import charges, schedules
from services.credit.actions.charges import NOTHING
from services.credit.actions.states import touch
from services.credit.tables import Loan, LoanPayment
from shared import audit, clock
from shared.ids import uuid7


def accrue(session: Session, loan: Loan, until: date) -> None:
    """Add the interest on the balance, and the charges on what is late, since it last changed.

    A clock that steps back adds nothing.
    """
    if loan.interest_until is None or until <= loan.interest_until:
        return
    late = charges.late_charges(session, loan, until)
    session.add_all(late)
    loan.charges_due += sum((one.amount for one in late), NOTHING)
    loan.interest_due += schedules.accrued_of(loan, until)
    loan.interest_until = until


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
    charges_paid: Decimal = NOTHING,
    costs: Decimal = NOTHING,
    surplus: Decimal = NOTHING,
    bank_part: Decimal | None = NOTHING,
) -> LoanPayment:
    """Enter money that came in. What it does to principal is the caller's; the rest is counted here."""
    loan.charges_due -= charges_paid
    loan.charges_paid += charges_paid
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
        charges=charges_paid,
        surplus=surplus,
        bank_part=bank_part,
        balance=loan.balance,
    )
    session.add(payment)
    audit.record(session, f"receive_{source}", loan.id, amount=str(amount), reference=str(reference))
    return payment
