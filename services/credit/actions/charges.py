"""What a late borrower owes beyond the contract's interest, and fees entered by an officer.

Late charges run on what of the instalments has not come in, at the markup that was agreed in the offer; a loan whose
offer names none bears none. Nothing runs on a charge itself.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import reasons, schedules, watching
from services.credit.actions.policy import FEES, policy
from services.credit.actions.states import LIVE, demand, touch
from services.credit.formulas import schedule
from services.credit.tables import Instalment, Loan, LoanCharge, instalments_of
from shared import audit, clock, money
from shared.db import locked
from shared.errors import ConflictError
from shared.events.parts import Reason
from shared.ids import uuid7

NOTHING = Decimal("0.00")


class FeeError(ConflictError):
    """The fee may not be charged to this borrower."""

    kind, title = "fee", "The fee may not be charged"


def late_charges(session: Session, loan: Loan, until: date) -> list[LoanCharge]:
    """Penalty and compound interest since the balance last changed, between one due day and the next. Adds no row."""
    late_from = loan.next_due_on or loan.matures_on
    if loan.late_markup is None or loan.interest_until is None or late_from is None or late_from >= until:
        return []
    rows = instalments_of(session, loan.id)
    edges = [day for day in sorted({row.due_on for row in rows}) if loan.interest_until < day < until]
    days = [loan.interest_until, *edges, until]
    return [one for start, end in pairwise(days) for one in _between(loan, rows, start, end) if one.amount]


def charge_fee(session: Session, loan_id: UUID, kind: str, amount: Decimal, comment: str) -> Loan:
    """Charge a fee of the tariff to the borrower of a live loan, if it may be charged there."""
    loan = locked(session, Loan, loan_id)
    demand(loan, *LIVE)
    today = clock.today()
    why = _objection(loan, kind, amount, today)
    if why is not None:
        raise FeeError(f"{why.zh}; {why.en}", errors=[{"pointer": "/kind", **reasons.as_json([why])[0]}])
    session.add(_charge(loan, kind, today, today, amount, amount, comment))
    loan.charges_due += amount
    touch(loan)
    audit.record(session, "charge_fee", loan.id, kind=kind, amount=str(amount), comment=comment)
    return loan


def _objection(loan: Loan, kind: str, amount: Decimal, today: date) -> Reason | None:
    rules = policy(today, FEES)
    limit = money.from_fen(rules["self_valuation_limit"])
    if kind == "appraisal" and loan.amount < limit:
        return reasons.bank_appraises(limit)
    if kind == "enforcement" and watching.days_past_due(loan, today) == 0:
        return reasons.nothing_to_enforce()
    most = money.yuan(float(loan.amount) * rules["loan_fees"][kind])
    return reasons.fee_too_high(amount, most) if amount > most else None


def _between(loan: Loan, rows: list[Instalment], start: date, end: date) -> Iterator[LoanCharge]:
    """Charges between two days between which nothing falls due."""
    assert loan.annual_rate is not None
    assert loan.late_markup is not None
    assert loan.day_count is not None
    principal, interest = _overdue(loan, [row for row in rows if row.due_on <= start], start)
    rate, markup = float(loan.annual_rate), float(loan.late_markup)
    length = schedules.period(loan.day_count, start, end)
    for kind, overdue, charged in (
        ("late_principal", principal, schedule.penalty_interest(money.fen(principal), rate, markup, *length)),
        ("late_interest", interest, schedule.compound_interest(money.fen(interest), rate, markup, *length)),
    ):
        yield _charge(loan, kind, start, end, overdue, money.from_fen(charged))


def _overdue(loan: Loan, due: list[Instalment], on: date) -> tuple[Decimal, Decimal]:
    """Principal and interest of instalments that fell due and have not come in. Money counts as it does for arrears."""
    if not due:
        return NOTHING, NOTHING
    late = max(NOTHING, due[-1].due_in_all - loan.principal_repaid - loan.recovered - loan.interest_paid)
    # Who paid principal ahead owes less interest than was planned.
    owed = loan.interest_due + schedules.accrued_of(loan, on)
    interest = min(late, owed, max(NOTHING, sum((row.interest for row in due), NOTHING) - loan.interest_paid))
    return min(late - interest, loan.balance), interest


def _charge(
    loan: Loan, kind: str, start: date, end: date, on_amount: Decimal, amount: Decimal, comment: str = ""
) -> LoanCharge:
    return LoanCharge(
        id=uuid7(),
        institution=loan.institution,
        loan_id=loan.id,
        kind=kind,
        from_day=start,
        until_day=end,
        on_amount=on_amount,
        amount=amount,
        comment=comment,
        at=clock.now(),
    )
