"""After default: the guarantee is called, the pledges are taken over, what comes back is shared, the rest written off.

The debtor's principal at default is one claim of the bank and its guarantors. A recovery settles that claim, net of its
costs; the guarantor tells how each was shared, and the bank keeps its part. What exceeds the claim pays the interest
and the charges the debtor owed, then belongs to the borrower. At the end the bank writes off what it paid out and never
received.
"""

from decimal import Decimal
from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import reasons, watching
from services.credit.actions.charges import NOTHING
from services.credit.actions.endings import let_timers_go, parties
from services.credit.actions.ledger import accrue, record_payment
from services.credit.actions.states import IN_DEFAULT, LIVE, demand, move, note
from services.credit.tables import Loan, LoanPayment, locked_loan, payment_of
from shared import clock, outbox
from shared.db import locked
from shared.errors import InvalidError, StateError
from shared.events.base import encode
from shared.events.credit import EnforcementOrdered, LoanClosed, LoanDefaulted, RecoveryReceived
from shared.events.guarantee import GuaranteeCalled, GuaranteeEvent, GuaranteePaid, RecoveryShared
from shared.events.parts import Reason
from shared.ids import uuid7

log = structlog.get_logger(__name__)
#: The guarantor bears, or is about to bear, its share of the loss, and shares in what is recovered.
SHARING = ("issued", "called", "paid")


def declare_default(session: Session, loan_id: UUID, ground: str, comment: str) -> Loan:
    """Declare a loan in default on one of the grounds the contract knows."""
    loan = locked(session, Loan, loan_id)
    demand(loan, *LIVE)
    if loan.balance == NOTHING:
        raise StateError("no principal is owed, so there is nothing to default on; close the loan instead")
    _default(session, loan, reasons.DEFAULT_GROUNDS[ground], comment)
    return loan


def default_uncured(session: Session, loan_id: UUID) -> None:
    """Declare a loan in default whose margin call was not cured in time."""
    loan = locked_loan(session, loan_id)
    if loan is not None and loan.state == "margin_called":
        _default(session, loan, reasons.margin_not_cured(), "")


def _default(session: Session, loan: Loan, why: Reason, comment: str) -> None:
    today = clock.today()
    accrue(session, loan, today)
    loan.defaulted_on, loan.default_balance, loan.cure_by = today, loan.balance, None
    loan.reasons = reasons.as_json([why])
    watching.class_defaulted(session, loan, why.code)
    move(session, loan, "defaulted", why.code, comment)
    let_timers_go(session, loan)
    for asset in loan.assets:
        if asset.pledge_state == "placed":
            # The register freezes it on the event below and tells nobody, since nobody else may ask.
            asset.pledge_state = "frozen"
    outbox.put(session, LoanDefaulted(**parties(loan), balance=loan.balance, defaulted_on=today, reason=why))


def order_enforcement(session: Session, loan_id: UUID) -> Loan:
    """Order the pledged units of a loan in default taken over."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "defaulted")
    move(session, loan, "enforcing", "enforcement_ordered")
    outbox.put(session, EnforcementOrdered(**parties(loan), balance=loan.balance))
    return loan


# -- what comes back --------------------------------------------------------------------------------------------------


def record_recovery(session: Session, loan_id: UUID, origin: str, amount: Decimal, costs: Decimal) -> Loan:
    """Enter money recovered after default, with what it cost to recover it."""
    loan = locked(session, Loan, loan_id)
    demand(loan, *IN_DEFAULT)
    if costs > amount:
        raise InvalidError(
            "the costs of a recovery cannot exceed it",
            errors=[{"pointer": "/costs", "detail": "At most the amount recovered."}],
        )
    take_recovery(session, loan, uuid7(), origin, amount, costs)
    return loan


def take_recovery(
    session: Session, loan: Loan, recovery_id: UUID, origin: str, amount: Decimal, costs: Decimal
) -> None:
    """Let recovered money settle what is left of the claim of a defaulted loan; the rest is interest, then surplus."""
    left = loan.unrecovered if loan.state == "closed" else loan.balance
    net = amount - costs
    shared = min(net, left)
    interest = min(net - shared, loan.interest_due)
    charges = min(net - shared - interest, loan.charges_due)
    surplus = net - shared - interest - charges
    loan.recovered += shared
    if loan.state == "closed":
        loan.unrecovered -= shared
    else:
        loan.balance -= shared
    payment = record_payment(
        session,
        loan,
        "recovery",
        origin,
        recovery_id,
        amount,
        principal=shared,
        interest=interest,
        charges_paid=charges,
        costs=costs,
        surplus=surplus,
        bank_part=None,
    )
    if shared == NOTHING or loan.guarantee.state not in SHARING:
        _keep(session, loan, payment, shared)
    if shared > NOTHING:
        outbox.put(
            session,
            RecoveryReceived(
                **parties(loan),
                recovery_id=recovery_id,
                source=origin,  # type: ignore[arg-type]
                amount=shared + costs,
                costs=costs,
            ),
        )


def remember_sharing(session: Session, event: RecoveryShared) -> None:
    """Keep the bank's part of a recovery as the guarantor shared it."""
    loan = _guaranteed(session, event)
    payment = None if loan is None else payment_of(session, loan.id, event.recovery_id)
    if loan is None or payment is None or payment.bank_part is not None:
        return
    _keep(session, loan, payment, event.shares.bank)


def _keep(session: Session, loan: Loan, payment: LoanPayment, part: Decimal) -> None:
    """Count the bank's part of a recovery; after closing it lowers what was written off."""
    payment.bank_part = part
    loan.recovered_by_bank += part
    _rewrite_loss(loan)
    note(session, loan, "share_recovery", recovery=str(payment.reference), part=str(part))


def _rewrite_loss(loan: Loan) -> None:
    """After closing, money that still comes in lowers the loss that was written off."""
    if loan.state == "closed":
        loan.written_off, loan.bank_surplus = _loss(loan)


# -- guarantee --------------------------------------------------------------------------------------------------------


def remember_call(session: Session, event: GuaranteeCalled) -> None:
    """Keep that the guarantee was called."""
    loan = _guaranteed(session, event)
    if loan is None or loan.guarantee.state == "paid":
        return
    guarantee = loan.guarantee
    guarantee.state, guarantee.guarantee_id, guarantee.call_id = "called", event.guarantee_id, event.call_id
    guarantee.shares = encode(event)["shares"]
    note(session, loan, "guarantee_called", call=str(event.call_id))


def receive_guarantee(session: Session, event: GuaranteePaid) -> None:
    """Take the guarantor's money: it covers the bank, the debtor goes on owing."""
    loan = _guaranteed(session, event)
    if loan is None:
        return
    guarantee = loan.guarantee
    guarantee.state, guarantee.guarantee_id, guarantee.call_id = "paid", event.guarantee_id, event.call_id
    if event.paid <= NOTHING or payment_of(session, loan.id, event.call_id) is not None:
        return
    loan.guarantee_received += event.paid
    _rewrite_loss(loan)
    record_payment(session, loan, "guarantee", "guarantee", event.call_id, event.paid, bank_part=event.paid)


def keep_unshared(session: Session, loan: Loan) -> None:
    """Once the guarantor has let go unpaid, nobody shares in what was recovered: the bank keeps it."""
    for payment in _unshared(session, loan):
        _keep(session, loan, payment, payment.principal)


# -- closing ----------------------------------------------------------------------------------------------------------


def close(session: Session, loan_id: UUID) -> Loan:
    """Close a defaulted loan: what the bank paid out and never received is written off.

    A live loan whose principal is repaid may be closed as well: the bank forgoes interest and charges that are left.
    """
    loan = locked(session, Loan, loan_id)
    demand(loan, *LIVE, *IN_DEFAULT)
    if loan.state in LIVE:
        if loan.balance > NOTHING:
            raise StateError("principal is owed: have it repaid, or declare the default first")
        accrue(session, loan, clock.today())
        return _closed(session, loan, "repaid", NOTHING)
    if _unshared(session, loan):
        raise StateError("the guarantor has not yet told how every recovery is shared; wait for it")
    loss, excess = _loss(loan)
    if loss > NOTHING and loan.guarantee.state in ("issued", "called"):
        raise StateError("the guarantee is called and not yet paid; wait for the guarantor's money")
    loan.written_off, loan.bank_surplus = loss, excess
    loan.unrecovered, loan.balance = loan.balance, NOTHING
    return _closed(session, loan, "written_off" if loss > NOTHING else "recovered", loss)


def close_if_repaid(session: Session, loan: Loan) -> bool:
    """Close a live loan on which nothing is owed any more."""
    if loan.state not in LIVE or loan.balance + loan.interest_due + loan.charges_due > NOTHING:
        return False
    _closed(session, loan, "repaid", NOTHING)
    return True


def _closed(
    session: Session, loan: Loan, outcome: Literal["repaid", "recovered", "written_off"], loss: Decimal
) -> Loan:
    loan.outcome, loan.shortfall, loan.covenant_reasons, loan.cure_by = outcome, None, [], None
    move(session, loan, "closed", outcome)
    let_timers_go(session, loan)
    outbox.put(session, LoanClosed(**parties(loan), outcome=outcome, written_off=loss))
    return loan


def _loss(loan: Loan) -> tuple[Decimal, Decimal]:
    """What the bank paid out and did not receive, and what it received beyond that. [CNY]"""
    missing = loan.disbursed - loan.principal_repaid - loan.guarantee_received - loan.recovered_by_bank
    return max(missing, NOTHING), max(-missing, NOTHING)


def _unshared(session: Session, loan: Loan) -> list[LoanPayment]:
    return list(
        session.scalars(
            select(LoanPayment).where(LoanPayment.loan_id == loan.id, LoanPayment.bank_part.is_(None))
        ).all()
    )


def _guaranteed(session: Session, event: GuaranteeEvent) -> Loan | None:
    loan = locked_loan(session, event.loan_id)
    if loan is None or loan.guarantor != event.guarantor:
        log.warning("an event of no loan of ours", type=type(event).__name__, loan=str(event.loan_id))
        return None
    return loan
