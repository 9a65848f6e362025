"""The Kafka door of insurance: which event and which deadline leads to which action."""

from collections.abc import Mapping
from typing import Any

from services.insurance.actions import (
    accumulations,
    bulk_pricing,
    claims,
    covers,
    endorsements,
    index_covers,
    policies,
    valuations,
)
from shared.door import Door
from shared.events.base import Event
from shared.events.credit import (
    EnforcementOrdered,
    LegsRequested,
    LoanAccepted,
    LoanClosed,
    LoanDeclined,
    LoanDefaulted,
    LoanDisbursed,
    LoanEvent,
    LoanExpired,
    LoanRepaid,
    LoanWithdrawn,
    RecoveryReceived,
)
from shared.events.sink import CarbonAssetValued, ReversalReported
from shared.inbox import Batched, Consumer, Handler
from shared.jobs import Step
from shared.timers import TimerHandler

HANDLERS: Mapping[type[Event], Handler | Batched] = {
    CarbonAssetValued: Batched(valuations.remember_valuations),
    ReversalReported: claims.hear_reversal,
    LegsRequested: covers.ask_for_cover,
    LoanAccepted: covers.bind_cover,
    LoanDeclined: covers.undo_cover,
    LoanWithdrawn: covers.undo_cover,
    LoanExpired: covers.undo_cover,
    LoanDisbursed: policies.follow_balance,
    LoanRepaid: policies.follow_balance,
    LoanDefaulted: policies.follow_balance,
    EnforcementOrdered: policies.follow_balance,
    RecoveryReceived: policies.follow_balance,
    LoanClosed: policies.close_policy,
}

TIMERS: Mapping[str, TimerHandler] = {
    "cover_answer": covers.give_up_waiting,
    "cover_quote": covers.expire_quote,
    "policy_notice": policies.give_notice,
    "policy_end": policies.end_policy,
    "policy_instalment": endorsements.miss_instalment,
    "index_cover_end": index_covers.end_index_cover,
}

JOBS: Mapping[str, Step] = {
    "price_file": bulk_pricing.step_file,
    "price_book": bulk_pricing.step_book,
    "accumulate": accumulations.step,
    "price_renewal": bulk_pricing.step_renewal,
}


def tenant_of(event: Any) -> str:
    """The insurer a loan's event concerns; what happens to a forest concerns whoever watches it."""
    return event.insurer if isinstance(event, LoanEvent) else ""


DOOR = Door(Consumer("insurance", HANDLERS, tenant_of), TIMERS, JOBS)
