"""Bugs planted on purpose: the random town finds each of them, so it would find them in earnest.

Each test breaks one promise of one service and expects the machine to fail within a few towns. What it fails with is
told as well: by the rule of the books that the bug breaks, or by the table that refuses it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase
from hypothesis.stateful import RULE_MARKER, run_state_machine_as_test
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.guarantee import consumers as guarantee
from services.guarantee.actions import calls
from services.insurance import consumers as insurance
from services.insurance.actions import capacity as insurance_capacity
from services.insurance.actions import claims
from services.insurance.tables import Claim
from services.sink.actions import pledges
from shared import audit, inbox, timers
from shared.events.credit import LoanDeclined, LoanExpired, LoanRepaid, LoanWithdrawn
from shared.events.sink import ReversalReported
from tests.conftest import Database
from tests.flows.invariants import Books
from tests.flows.machine import Machine, examples

#: Towns in which a planted bug has to show.
TOWNS = 6

Plant = Callable[[pytest.MonkeyPatch], None]


def inbox_without_numbers(patch: pytest.MonkeyPatch) -> None:
    """Every record is applied as it comes: twice if it comes twice, early if it comes early."""

    def apply(session: Session, consumer: inbox.Consumer, records: Any, *_: Any, **__: Any) -> Counter[str]:
        done: list[dict[str, Any]] = []
        for record in records:
            envelope, event = inbox.read(record)
            inbox._handle(session, consumer, envelope, event, done, Counter())
            inbox._advance(session, {(record.topic, envelope.subject): envelope.sequence})
        if done:
            session.execute(insert(inbox.Inbox).on_conflict_do_nothing(), done)
        audit.seal(session)
        return Counter()

    patch.setattr(inbox, "_apply", apply)


def guarantee_kept_for_a_loan_that_ended(patch: pytest.MonkeyPatch) -> None:
    """The guarantor forgets to release what it holds for a loan that will not be."""
    for event in (LoanDeclined, LoanWithdrawn, LoanExpired):
        patch.setitem(guarantee.HANDLERS, event, _nothing)


def cover_kept_for_a_loan_that_ended(patch: pytest.MonkeyPatch) -> None:
    """The insurer forgets to undo the policy of a loan that was withdrawn or expired."""
    for event in (LoanWithdrawn, LoanExpired):
        patch.setitem(insurance.HANDLERS, event, _nothing)


def pledges_without_a_look_at_what_is_free(patch: pytest.MonkeyPatch) -> None:
    """The register enters whatever lien is asked for."""
    patch.setattr(pledges, "_objections", lambda *_: [])


def a_claim_paid_as_often_as_asked(patch: pytest.MonkeyPatch) -> None:
    """The insurer pays a claim that it has paid already."""
    pay = claims.pay_claim

    def pay_again(session: Session, claim_id: Any) -> Claim:
        claim = session.get_one(Claim, claim_id)
        if claim.state == "paid":
            claim.state, claim.paid_at, claim.to_bank, claim.to_owner = "open", None, None, None
            session.info.pop("expected_version", None)
            session.flush()
        return pay(session, claim_id)

    patch.setattr(claims, "pay_claim", pay_again)


def guarantee_that_does_not_fall_with_the_balance(patch: pytest.MonkeyPatch) -> None:
    """The guarantor does not hear of repayments."""
    patch.setitem(guarantee.HANDLERS, LoanRepaid, _nothing)


def a_share_rounded_away(patch: pytest.MonkeyPatch) -> None:
    """The bank's part of a recovery loses a fen."""
    shares = calls.recovery_shares

    def careless(*given: Any) -> dict[str, int]:
        parts = shares(*given)
        return parts | {"bank": max(parts["bank"] - 1, 0)}

    patch.setattr(calls, "recovery_shares", careless)


def capacity_that_is_never_given_back(patch: pytest.MonkeyPatch) -> None:
    """The insurer's capacity stays taken by what has ended."""
    patch.setattr(insurance_capacity, "release", _nothing)


def deadlines_that_are_not_set(patch: pytest.MonkeyPatch) -> None:
    """Nothing ever times out."""
    patch.setattr(timers, "put", _nothing)


def fires_that_the_insurer_does_not_hear_of(patch: pytest.MonkeyPatch) -> None:
    """The handler of one event fails with a mistake of its own."""
    patch.setitem(insurance.HANDLERS, ReversalReported, lambda session, event: event.no_such_field)


#: What may happen in the town beside applying, lending and settling, and what the bug shows in.
PLANTED: dict[Plant, tuple[set[str], str]] = {
    inbox_without_numbers: (
        {"deliver_again", "deliver_early", "start_over"},
        "before its predecessor|every_fact|_once",
    ),
    guarantee_kept_for_a_loan_that_ended: ({"stop"}, "every_compensation_is_complete"),
    cover_kept_for_a_loan_that_ended: ({"stop"}, "every_compensation_is_complete"),
    pledges_without_a_look_at_what_is_free: (
        set(),
        "no_tonne_under_two_liens|exceeds the free units|more than the account holds",
    ),
    a_claim_paid_as_often_as_asked: ({"burn", "pay_claim"}, "every_fact_is_told_once"),
    guarantee_that_does_not_fall_with_the_balance: ({"repay"}, "money_is_the_same_on_both_sides"),
    a_share_rounded_away: ({"recover"}, "shares_sum_to_the_net"),
    capacity_that_is_never_given_back: ({"stop"}, "insurance_capacity_holds_its_lines"),
    deadlines_that_are_not_set: (set(), "nothing_waits_without_a_deadline"),
    fires_that_the_insurer_does_not_hear_of: ({"burn"}, "no_such_field"),
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    databases: dict[str, Database], books: Books, monkeypatch: pytest.MonkeyPatch, plant: Plant
) -> None:
    happens, shows = PLANTED[plant]
    town = _town(happens | {"apply", "lend", "settle", "catch_up"})
    town.databases, town.books = databases, books
    plant(monkeypatch)
    with pytest.raises(Exception, match=shows):
        run_state_machine_as_test(town, settings=examples(TOWNS, 20, derandomize=True, phases=[Phase.generate]))


def _town(happens: set[str]) -> type[Machine]:
    """A town in which only these things happen, so that a bug in one of them shows soon."""
    rules = {name for name, thing in vars(Machine).items() if hasattr(thing, RULE_MARKER)}
    assert happens <= rules
    return type("Town", (Machine,), dict.fromkeys(rules - happens))


def _nothing(*_: Any, **__: Any) -> None:
    """Forget to do what was to be done."""
