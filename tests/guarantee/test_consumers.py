"""The Kafka door: each event has one effect, whatever the broker does, and a whole story leaves no room taken."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from services.guarantee.actions.calls import pay_call
from services.guarantee.consumers import DOOR, HANDLERS, tenant_of
from shared import clock, inbox, timers
from shared.events import REGISTRY
from shared.events.guarantee import (
    GuaranteeCalled,
    GuaranteeIssued,
    GuaranteePaid,
    GuaranteeRefused,
    GuaranteeReleased,
    GuaranteeReserved,
    RecoveryShared,
)
from tests.guarantee.stories import (
    accepted,
    asked,
    closed,
    declined,
    defaulted,
    disbursed,
    expired,
    guarantee,
    ready,
    recovered,
    repaid,
    used,
    withdrawn,
    yuan,
)
from tests.harness import GUARANTOR, OTHER_GUARANTOR, deliver, published, record


@pytest.fixture
def database(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    return guarantee_db


def held(database, sealed):
    with sealed(database.sessions, GUARANTOR) as session:
        return used(session)


def reserved(database, sealed):
    request = asked()
    deliver("guarantee", database, request)
    with sealed(database.sessions, GUARANTOR) as session:
        return request, guarantee(session, request.loan_id).id


def kinds(database):
    return [type(event) for event in published(database)]


def dead(database):
    with database.worker_sessions() as session:
        return inbox.dead_letters(session)


def test_every_handled_event_is_declared_and_names_its_guarantor():
    assert set(HANDLERS) <= set(REGISTRY.values())
    assert DOOR.consumer.topics() == ["credit.events"]
    assert tenant_of(asked()) == GUARANTOR


def test_a_repaid_loan_leaves_no_room_taken(database, sealed):
    request, guarantee_id = reserved(database, sealed)
    loan = request.loan_id
    deliver(
        "guarantee",
        database,
        accepted(request, guarantee_id),
        disbursed(loan),
        repaid(loan, yuan(400_000)),
        repaid(loan, yuan(0)),
        closed(loan),
        first=2,
    )
    assert kinds(database) == [GuaranteeReserved, GuaranteeIssued, GuaranteeReleased]
    assert held(database, sealed) == {}


def test_a_defaulted_loan_is_called_recovered_and_released(database, sealed):
    request, guarantee_id = reserved(database, sealed)
    loan = request.loan_id
    deliver(
        "guarantee",
        database,
        accepted(request, guarantee_id),
        disbursed(loan),
        defaulted(loan, yuan(900_000)),
        recovered(loan, yuan(300_000)),
        first=2,
    )
    assert kinds(database) == [GuaranteeReserved, GuaranteeIssued, GuaranteeCalled, RecoveryShared]
    called, shared = published(database)[2:]
    assert (called.shares.total, shared.shares.total) == (yuan(900_000), yuan(300_000))


@pytest.mark.parametrize("copies", [2, 3])
def test_every_event_again_and_again_has_one_effect(database, sealed, copies):
    request, guarantee_id = reserved(database, sealed)
    loan = request.loan_id
    story = [request, accepted(request, guarantee_id), disbursed(loan), defaulted(loan), recovered(loan, yuan(7))]
    with database.worker_sessions() as session:
        asked_as = session.scalars(select(inbox.Inbox.event_id)).one()
    records = [record(event, number) for number, event in enumerate(story, 1)]
    records[0] = record(request, event_id=asked_as)
    for one in records:
        inbox.receive(database.worker_sessions, DOOR.consumer, [one] * copies, "test")
    inbox.receive(database.worker_sessions, DOOR.consumer, records[::-1], "test")
    assert kinds(database) == [GuaranteeReserved, GuaranteeIssued, GuaranteeCalled, RecoveryShared]
    assert dead(database) == []


def test_events_that_come_in_the_wrong_order_wait_for_each_other(database, sealed):
    request = asked()
    late = [record(declined(request.loan_id), 2), record(request, 1)]
    for one in late:
        inbox.receive(database.worker_sessions, DOOR.consumer, [one], "test")
    assert kinds(database) == [GuaranteeReserved, GuaranteeReleased]
    assert held(database, sealed) == {}


@pytest.mark.parametrize("undoing", [declined, withdrawn, expired])
@pytest.mark.parametrize("was_issued", [False, True])
def test_every_way_out_gives_the_room_back(database, sealed, undoing, was_issued):
    request, guarantee_id = reserved(database, sealed)
    story = [accepted(request, guarantee_id)] if was_issued else []
    deliver("guarantee", database, *story, undoing(request.loan_id), first=2)
    assert kinds(database)[-1] is GuaranteeReleased
    assert held(database, sealed) == {}
    with database.worker_sessions() as session:
        assert session.scalars(select(timers.Timer)).all() == []


def test_a_refused_loan_needs_no_undoing(database, sealed):
    request = asked(scheme="unknown")
    deliver("guarantee", database, request, declined(request.loan_id))
    assert kinds(database) == [GuaranteeRefused]


def test_a_reservation_expires_by_its_timer(database, sealed):
    request, guarantee_id = reserved(database, sealed)
    assert timers.run_due(database.worker_sessions, DOOR.timers) == 0
    with clock.travelled(timedelta(days=30, seconds=1)):
        assert timers.run_due(database.worker_sessions, DOOR.timers) == 1
        deliver("guarantee", database, accepted(request, guarantee_id), expired(request.loan_id), first=2)
    assert kinds(database) == [GuaranteeReserved, GuaranteeReleased, GuaranteeRefused]
    assert held(database, sealed) == {}


def test_each_guarantor_answers_from_its_own_profile(database, sealed):
    deliver("guarantee", database, asked(), asked(uuid4(), guarantor=OTHER_GUARANTOR))
    deliver("guarantee", database, asked(guarantor=OTHER_GUARANTOR))
    answers = [(event.guarantor, type(event)) for event in published(database)]
    assert (GUARANTOR, GuaranteeReserved) in answers
    assert (OTHER_GUARANTOR, GuaranteeRefused) in answers
    assert dead(database) == []


def test_a_payment_and_a_late_recovery_meet_in_any_order(database, sealed):
    request, guarantee_id = reserved(database, sealed)
    deliver("guarantee", database, accepted(request, guarantee_id), defaulted(request.loan_id), first=2)
    call_id = published(database, GuaranteeCalled)[0].call_id
    with sealed(database.sessions, GUARANTOR) as session:
        pay_call(session, call_id, "")
    deliver("guarantee", database, recovered(request.loan_id, yuan(5)), closed(request.loan_id, "recovered"), first=4)
    assert kinds(database)[2:] == [GuaranteeCalled, GuaranteePaid, RecoveryShared, GuaranteeReleased]
    with sealed(database.sessions, GUARANTOR) as session:
        assert guarantee(session, request.loan_id).state == "released"
    assert held(database, sealed) == {}
