"""The sink's Kafka door: what it does when credit tells of a loan, and the steps of its long work."""

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from services.sink.actions import imports
from services.sink.actions.assets import AssetFacts
from services.sink.actions.certificates import certify_liens
from services.sink.actions.files import request_of
from services.sink.actions.pledges import (
    add_pledges,
    enforce_pledges,
    freeze_pledges,
    place_pledges,
    reduce_pledge_of,
    release_pledges,
)
from services.sink.actions.valuations import revalue_register
from services.sink.schemas.assets import AssetRequest
from shared.door import Door
from shared.events.base import Event
from shared.events.credit import (
    EnforcementOrdered,
    LoanAccepted,
    LoanClosed,
    LoanDeclined,
    LoanDefaulted,
    LoanEvent,
    LoanExpired,
    LoanWithdrawn,
    PledgeReductionOrdered,
    TopUpOrdered,
)
from shared.fields import faults
from shared.inbox import Consumer, Handler
from shared.jobs import Job, Step
from shared.spreadsheets import Row
from shared.timers import TimerHandler

#: Rows of an import in one transaction: few enough to commit often, many enough to check together.
IMPORTED_AT_ONCE = 500
#: Rows read in one transaction where few of them can go in.
READ_AT_ONCE = 2000

_ASSET = AssetRequest()


def on_loan_accepted(session: Session, event: LoanAccepted) -> None:
    """Place the loan's pledges, all or none."""
    place_pledges(session, event)


def on_loan_declined(session: Session, event: LoanDeclined) -> None:
    """Let go of a declined loan's pledges."""
    release_pledges(session, event.loan_id, "declined")


def on_loan_withdrawn(session: Session, event: LoanWithdrawn) -> None:
    """Let go of a withdrawn loan's pledges."""
    release_pledges(session, event.loan_id, "withdrawn")


def on_loan_expired(session: Session, event: LoanExpired) -> None:
    """Let go of an expired loan's pledges."""
    release_pledges(session, event.loan_id, "expired")


def on_loan_closed(session: Session, event: LoanClosed) -> None:
    """Let go of what a closed loan still holds."""
    release_pledges(session, event.loan_id, "closed")


def on_loan_defaulted(session: Session, event: LoanDefaulted) -> None:
    """Freeze a defaulted loan's pledges."""
    freeze_pledges(session, event.loan_id)


def on_enforcement_ordered(session: Session, event: EnforcementOrdered) -> None:
    """Take the pledged units over for the bank."""
    enforce_pledges(session, event.loan_id)


def on_top_up_ordered(session: Session, event: TopUpOrdered) -> None:
    """Place further pledges of a loan that is paid out, all or none."""
    add_pledges(session, event)


def on_pledge_reduction_ordered(session: Session, event: PledgeReductionOrdered) -> None:
    """Let go of a part of a lien."""
    reduce_pledge_of(session, event)


def tenant_of(event: Event) -> str:
    """Pledges are the bank's rows."""
    return event.bank if isinstance(event, LoanEvent) else ""


def import_step(session: Session, job: Job) -> None:
    """Register and value the next rows of an import; a row that cannot go in is told, and the others go on."""
    one = imports.of_job(session, job)
    if imports.unfold(session, one, job):
        return
    readable: list[tuple[int, AssetFacts]] = []
    refused: list[tuple[int, imports.Errors]] = []
    last, read, ended = None, 0, True
    for row in imports.rows(session, one, job):
        last, read = row, read + 1
        if not row.blank:
            facts, errors = _facts_of(row, one.reading)
            if facts is None:
                refused.append((row.number, errors))
            else:
                readable.append((row.number, facts))
        if len(readable) == IMPORTED_AT_ONCE or read == READ_AT_ONCE:
            ended = False
            break
    refused += imports.take(session, one, job, readable)
    imports.refuse(session, one, job, sorted(refused))
    imports.move_on(session, one, job, last, read, ended)


def _facts_of(row: Row, reading: str) -> tuple[AssetFacts | None, list[tuple[str, str]]]:
    """What a row says of a forest, or what is wrong with it."""
    if row.errors:
        return None, list(row.errors)
    request, errors = request_of(row, reading)
    try:
        facts = AssetFacts(**_ASSET.load(request))
    except ValidationError as error:
        told = dict(errors)
        return None, errors + [pair for pair in faults(error.messages) if pair[0] not in told]
    return (None, errors) if errors else (facts, [])


HANDLERS: dict[type[Event], Handler] = {
    LoanAccepted: on_loan_accepted,
    LoanDeclined: on_loan_declined,
    LoanWithdrawn: on_loan_withdrawn,
    LoanExpired: on_loan_expired,
    LoanClosed: on_loan_closed,
    LoanDefaulted: on_loan_defaulted,
    EnforcementOrdered: on_enforcement_ordered,
    TopUpOrdered: on_top_up_ordered,
    PledgeReductionOrdered: on_pledge_reduction_ordered,
}
TIMERS: dict[str, TimerHandler] = {"certify_liens": certify_liens}
JOBS: dict[str, Step] = {"import": import_step, "revalue": revalue_register}
DOOR = Door(Consumer("sink", HANDLERS, tenant_of), TIMERS, JOBS)
