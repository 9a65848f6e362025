"""How a loan ends before money flows: declined, withdrawn, expired. Every leg then undoes what it holds."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.orm import Session

from services.credit.actions import reasons
from services.credit.actions.states import move
from services.credit.tables import Loan
from shared import approvals, outbox, timers
from shared.events.credit import LoanDeclined, LoanExpired, LoanWithdrawn
from shared.events.parts import Reason

#: Every deadline a loan can have.
TIMERS = ("legs", "offer", "binding", "drawdown", "cure", "freshness", "arrears")
Blocker = Literal["credit", "sink", "insurance", "guarantee", "approver"]


def parties(loan: Loan) -> dict[str, Any]:
    """What every event of a loan says: which loan, and the institutions of its three legs."""
    return {"loan_id": loan.id, "bank": loan.institution, "insurer": loan.insurer, "guarantor": loan.guarantor}


def decline(session: Session, loan: Loan, blocked_by: Blocker, why: Sequence[Reason], comment: str = "") -> None:
    """Decline a loan and name who blocked it."""
    loan.blocked_by = blocked_by
    loan.reasons = reasons.as_json(why)
    move(session, loan, "declined", why[0].code if why else blocked_by, comment)
    _let_go(session, loan)
    outbox.put(session, LoanDeclined(**parties(loan), blocked_by=blocked_by, reasons=tuple(why)))


def withdraw(session: Session, loan: Loan, reason: str) -> None:
    """Step back from a loan before money flows."""
    move(session, loan, "withdrawn", "withdrawn", reason)
    _let_go(session, loan)
    outbox.put(session, LoanWithdrawn(**parties(loan), reason=reason))


def expire(session: Session, loan: Loan, deadline: str) -> None:
    """Let a loan end because a deadline passed."""
    move(session, loan, "expired", f"deadline_{deadline}")
    _let_go(session, loan)
    outbox.put(session, LoanExpired(**parties(loan), deadline=deadline))


def let_timers_go(session: Session, loan: Loan, *kinds: str) -> None:
    """Cancel deadlines of a loan: these, or all of them."""
    timers.cancel(session, loan.id, *(kinds or TIMERS))


def _let_go(session: Session, loan: Loan) -> None:
    let_timers_go(session, loan)
    waiting = approvals.pending(session, "offer", loan.id)
    if waiting is not None:
        waiting.state = "superseded"
