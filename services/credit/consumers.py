"""The Kafka door of credit: which event, which deadline, which action."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from services.credit.actions import (
    legs,
    monitoring,
    offers,
    prescreens,
    recovery,
    reviews,
    servicing,
    valuations,
    watching,
)
from services.credit.actions.models import shipped_card
from services.credit.schemas.prescreens import read_row
from shared.door import Door
from shared.events import guarantee, insurance, sink
from shared.events.base import Event
from shared.inbox import Batched, Consumer, Handler
from shared.jobs import Job, Step
from shared.timers import TimerHandler

HANDLERS: Mapping[type[Event], Handler | Batched] = {
    sink.CarbonAssetValued: Batched(valuations.remember_valuations),
    sink.CreditsIssued: valuations.remember_issuance,
    sink.CreditsRetired: valuations.remember_issuance,
    sink.PledgePlaced: legs.remember_pledge,
    sink.PledgeRefused: legs.remember_pledge_refusal,
    sink.PledgeReduced: legs.remember_reduction,
    sink.PledgeReleased: legs.remember_pledge_release,
    sink.PledgeEnforced: legs.remember_enforcement,
    insurance.CoverQuoted: legs.remember_quote,
    insurance.CoverRefused: legs.remember_cover_refusal,
    insurance.PolicyBound: legs.remember_policy,
    insurance.PolicyEndorsed: legs.remember_endorsement,
    insurance.PolicyReinstated: legs.remember_reinstatement,
    insurance.PolicyBreached: legs.remember_breach,
    insurance.PolicyLapsed: legs.remember_lapse,
    insurance.ClaimPaid: servicing.receive_claim,
    guarantee.GuaranteeReserved: legs.remember_reservation,
    guarantee.GuaranteeRefused: legs.remember_guarantee_refusal,
    guarantee.GuaranteeIssued: legs.remember_issue,
    guarantee.GuaranteeReleased: legs.remember_release,
    guarantee.GuaranteeCalled: recovery.remember_call,
    guarantee.GuaranteePaid: recovery.receive_guarantee,
    guarantee.RecoveryShared: recovery.remember_sharing,
}

TIMERS: Mapping[str, TimerHandler] = {
    "legs": legs.expire_legs,
    "offer": offers.expire_offer,
    "binding": legs.expire_binding,
    "drawdown": legs.expire_drawdown,
    "cure": recovery.default_uncured,
    "freshness": watching.watch_clock,
    "review": reviews.remind,
    "arrears": watching.watch_clock,
    "stability": monitoring.measure_again,
}


def screen(session: Session, job: Job) -> None:
    """Screen the next rows of a file, each read as the door would read it."""
    prescreens.step(session, job, read_row)


JOBS: Mapping[str, Step] = {"prescreen": screen}


def tenant_of(event: Event) -> str:
    """The bank an event concerns; a valuation concerns whoever watches the forest."""
    return str(getattr(event, "bank", ""))


# Offers are priced behind this door too: a card that is not what was signed stops the worker before any event.
shipped_card()
DOOR = Door(consumer=Consumer("credit", HANDLERS, tenant_of), timers=TIMERS, jobs=JOBS)
