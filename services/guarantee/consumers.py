"""The Kafka door: what the guarantee service does when something happens to a loan, or a deadline passes."""

from collections.abc import Mapping

from services.guarantee.actions import acceptance, allocations
from services.guarantee.actions.calls import close_loan, open_call, share_recovery
from services.guarantee.actions.guarantees import (
    amortise_guarantee,
    end_claim_period,
    expire_reservation,
    issue_guarantee,
    remember_disbursement,
    reserve_guarantee,
    undo_guarantee,
)
from shared.door import Door
from shared.events.base import Event
from shared.events.credit import (
    LegsRequested,
    LoanAccepted,
    LoanClosed,
    LoanDeclined,
    LoanDefaulted,
    LoanDisbursed,
    LoanExpired,
    LoanRepaid,
    LoanWithdrawn,
    RecoveryReceived,
)
from shared.inbox import Consumer, Handler
from shared.jobs import Step
from shared.timers import TimerHandler

HANDLERS: Mapping[type[Event], Handler] = {
    LegsRequested: reserve_guarantee,
    LoanAccepted: issue_guarantee,
    LoanDeclined: undo_guarantee,
    LoanWithdrawn: undo_guarantee,
    LoanExpired: undo_guarantee,
    LoanDisbursed: remember_disbursement,
    LoanRepaid: amortise_guarantee,
    LoanDefaulted: open_call,
    RecoveryReceived: share_recovery,
    LoanClosed: close_loan,
}

TIMERS: Mapping[str, TimerHandler] = {
    "reservation": expire_reservation,
    "claim_period": end_claim_period,
    "allocation": acceptance.give_back,
}

JOBS: Mapping[str, Step] = {"allocation": allocations.step}


def tenant_of(event: Event) -> str:
    """The guarantor that an event concerns."""
    return str(getattr(event, "guarantor", ""))


DOOR = Door(Consumer("guarantee", HANDLERS, tenant_of), TIMERS, JOBS)
