"""The Kafka door of credit: what the legs tell in whatever order, twice, late, or about somebody else's loan."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.credit.actions import servicing
from services.credit.consumers import DOOR, HANDLERS, tenant_of
from services.credit.tables import Loan
from shared import clock
from shared.db import act_for
from shared.events import credit, insurance, sink
from shared.events.base import REGISTRY
from tests.conftest import Database
from tests.credit.story import ASSET, OTHER_ASSET, Story, amount, money, valued
from tests.harness import BANK, INSURER, OTHER_BANK, OTHER_GUARANTOR, OTHER_INSURER, body, deliver, door

BOTH = [{"asset_id": str(asset), "tonnes": "20000"} for asset in (ASSET, OTHER_ASSET)]


@pytest.fixture
def story(credit_db: Database) -> Story:
    return Story(credit_db)


def held(loan: Any) -> list[str]:
    """The legs that are still held for a loan."""
    legs = [loan["cover"]["state"], loan["guarantee"]["state"], *(asset["pledge_state"] for asset in loan["assets"])]
    return [leg for leg in legs if leg in ("bound", "reserved", "issued", "called", "placed", "frozen")]


def test_every_handler_is_of_a_declared_event_of_another_service() -> None:
    assert all(event in REGISTRY.values() and event.TOPIC != "credit.events" for event in HANDLERS)
    assert DOOR.consumer.topics() == ["guarantee.events", "insurance.events", "sink.events"]


def test_an_event_of_a_bank_is_handled_for_it_and_a_valuation_for_nobody_in_particular(story: Story) -> None:
    assert tenant_of(story.quoted()) == tenant_of(story.reserved()) == tenant_of(story.placed()) == BANK
    assert tenant_of(valued()) == ""


# -- the legs in every order ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_the_offer_is_drafted_when_both_have_answered_in_whatever_order(story: Story, order: Any) -> None:
    story.to("structuring")
    answers = [story.quoted(), story.reserved()]
    story.tell(answers[order[0]], copies=2)
    assert story.state() == "structuring"
    story.tell(answers[order[1]], copies=2)
    loan = story.loan()
    assert loan["state"] == "proposed"
    assert loan["offer"]["payload"]["cover"]["sum_insured"] == "1200000.00"
    assert loan["guarantee"]["shares"]["bank"] == amount(200_000)


# Each leg first, in the middle and last, and the two pledges together and apart.
@pytest.mark.parametrize("order", [*itertools.permutations((0, 2, 3)), (0, 1), (1, 0)], ids=str)
def test_the_loan_is_ready_when_all_stand_in_whatever_order(story: Story, order: Any) -> None:
    story.tell(valued(OTHER_ASSET, county="youyu"))
    story.to("binding", assets=BOTH)
    legs = [story.placed(ASSET), story.placed(OTHER_ASSET), story.bound(), story.issued()]
    first = [number for number in range(4) if number not in order]
    *earlier, last = [*first, *order]
    for number in earlier:
        story.tell(legs[number], copies=2)
        assert story.state() == "binding"
    story.tell(legs[last], copies=2)
    assert story.state() == "ready"


@pytest.mark.parametrize("refusal", ["cover", "guarantee"])
@pytest.mark.parametrize("other_first", [True, False])
def test_a_leg_that_will_not_have_the_loan_ends_it_and_is_named(story: Story, refusal: str, other_first: bool) -> None:
    story.to("structuring")
    refused, other = (
        (story.cover_refused(), story.reserved()) if refusal == "cover" else (story.guarantee_refused(), story.quoted())
    )
    story.tell(*((other, refused) if other_first else (refused, other)))
    loan = story.loan()
    assert loan["state"] == "declined"
    assert loan["blocked_by"] == ("insurance" if refusal == "cover" else "guarantee")
    assert loan["reasons"][0]["code"] == "no_room"
    (declined,) = story.told(credit.LoanDeclined)
    assert declined.reasons[0].zh == "额度不足"
    story.tell(story.released())
    assert held(story.loan()) == []


@pytest.mark.parametrize("blocker", ["sink", "insurance", "guarantee"])
@pytest.mark.parametrize("position", range(3))
def test_a_leg_lost_while_binding_ends_the_loan_and_late_answers_are_only_kept(
    story: Story, blocker: str, position: int
) -> None:
    story.to("binding")
    good = {"sink": story.placed(), "insurance": story.bound(), "guarantee": story.issued()}
    bad = {
        "sink": story.pledge_refused(),
        "insurance": story.cover_refused("bind"),
        "guarantee": story.guarantee_refused("issue"),
    }
    others = [event for leg, event in good.items() if leg != blocker]
    others.insert(position, bad[blocker])
    story.tell(*others, copies=2)
    loan = story.loan()
    assert (loan["state"], loan["blocked_by"]) == ("declined", blocker)
    assert len(story.told(credit.LoanDeclined)) == 1
    # What the others were told to undo they undo.
    undone = {"sink": story.pledge_released(), "insurance": story.lapsed("undone"), "guarantee": story.released()}
    story.tell(*(event for leg, event in undone.items() if leg != blocker))
    loan = story.loan()
    assert held(loan) == []
    assert loan["state"] == "declined"
    assert len(story.told(credit.LoanDeclined)) == 1


@pytest.mark.parametrize("event", ["lapsed", "breached", "released", "pledge_released"])
def test_a_leg_lost_before_the_money_flows_ends_the_loan(story: Story, event: str) -> None:
    story.to("ready")
    story.tell(getattr(story, event)())
    assert story.state() == "declined"


def test_a_reservation_that_ran_out_before_acceptance_ends_the_loan(story: Story) -> None:
    story.to("offered")
    story.tell(story.released("expired"))
    loan = story.loan()
    assert (loan["state"], loan["blocked_by"]) == ("declined", "guarantee")
    assert loan["reasons"][0]["code"] == "guarantee_released"


# -- late, twice, foreign ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["withdrawn", "expired"])
def test_answers_after_the_end_are_kept_and_undone(story: Story, ending: str) -> None:
    story.to("binding")
    if ending == "withdrawn":
        story.post("withdrawal", {"reason": "no need"})
    else:
        with clock.travelled(timedelta(hours=73)):
            story.timers()
    story.tell(story.bound(), story.issued(), story.placed())
    loan = story.loan()
    assert loan["state"] == ending
    assert len(held(loan)) == 3
    story.tell(story.lapsed("undone"), story.released(), story.pledge_released())
    assert held(story.loan()) == []
    assert story.state() == ending


def test_a_quote_after_the_deadline_changes_nothing(story: Story) -> None:
    story.to("structuring")
    with clock.travelled(timedelta(hours=73)):
        story.timers()
        story.tell(story.quoted(), story.reserved())
    loan = story.loan()
    assert loan["state"] == "expired"
    assert loan["offer"] is None


def test_a_loan_of_another_institution_is_not_moved_by_a_stranger(story: Story) -> None:
    story.to("structuring")
    stranger = {"loan_id": story.loan_id, "bank": BANK}
    story.tell(insurance.CoverRefused(**stranger, insurer=OTHER_INSURER, stage="quote", reasons=()))
    assert story.state() == "structuring"
    # The bank named in an event decides whose loans are seen at all.
    story.tell(
        insurance.CoverRefused(loan_id=story.loan_id, bank=OTHER_BANK, insurer=INSURER, stage="quote", reasons=())
    )
    assert story.state() == "structuring"
    guarantor = story.guarantee_refused().__class__(**stranger, guarantor=OTHER_GUARANTOR, stage="reserve", reasons=())
    story.tell(guarantor)
    assert story.state() == "structuring"


def test_an_event_of_an_unknown_loan_or_asset_is_no_dead_letter(story: Story) -> None:
    story.to("structuring")
    story.tell(story.placed(uuid4()))
    story.loan_id = uuid4()
    story.tell(
        story.quoted(),
        story.bound(),
        story.claim_paid(1),
        story.reserved(),
        story.called(1),
        story.guarantee_paid(1),
        story.placed(),
    )


def test_an_older_valuation_never_replaces_a_later_one(story: Story) -> None:
    story.value(2, 2_000_000)
    story.value(1, 9_000_000)
    story.value(2, 8_000_000)
    (kept,) = body(story.officer.get("/v1/valuations"))["items"]
    assert (kept["version"], kept["pv_p10"]) == (2, amount(2_000_000))


def test_a_margin_call_is_made_once_however_often_the_value_falls(story: Story) -> None:
    story.to("performing")
    for version, value in enumerate((1_400_000, 1_300_000, 1_200_000), 2):
        story.value(version, value)
    assert len(story.told(credit.MarginCalled)) == 1
    assert story.loan()["covenants"]["shortfall"] == amount(1_000_000 - 0.75 * 0.8 * 1_200_000)


def test_a_claim_repays_principal_first_and_the_rest_is_the_borrower_s(story: Story) -> None:
    story.to("performing")
    with clock.travelled(timedelta(days=30)):
        story.tell(story.claim_paid(400_000), copies=3)
        loan = story.loan()
        assert loan["balance"]["principal"] == amount(600_000)
        (repaid,) = story.told(credit.LoanRepaid)
        assert (repaid.source, repaid.principal, repaid.interest) == ("insurance", money(400_000), 0)
        interest = money(loan["balance"]["interest"]["amount"])
        assert interest > 0
        story.tell(story.claim_paid(700_000))
    loan = story.loan()
    assert (loan["state"], loan["outcome"]) == ("closed", "repaid")
    assert loan["balance"]["interest_paid"] == amount(interest)
    assert loan["balance"]["surplus"] == amount(100_000 - interest)
    last = story.told(credit.LoanRepaid)[-1]
    assert last.amount == last.principal + last.interest == 600_000 + interest


def test_a_claim_told_again_in_another_event_counts_once(story: Story) -> None:
    story.to("performing")
    claim = uuid4()
    story.tell(story.claim_paid(1000, claim), story.claim_paid(1000, claim))
    assert story.loan()["balance"]["principal"] == amount(999_000)


def test_a_guarantee_whose_parts_do_not_divide_is_still_priced(story: Story) -> None:
    story.to("structuring")
    reserved = story.reserved()
    sixths = type(reserved.shares)(
        primary=money("166666.67"),
        province=money("166666.67"),
        national=money("666666.66"),
        bank=money(0),
        pool=money(0),
    )
    story.tell(story.quoted(), story.reserved(shares=sixths))
    assert story.state() == "proposed"


def test_a_claim_cures_a_margin_call(story: Story) -> None:
    story.to("performing")
    story.value(2, 1_400_000)
    assert story.state() == "margin_called"
    story.tell(story.claim_paid(300_000))
    assert story.state() == "performing"


def test_a_claim_paid_after_the_loan_was_repaid_is_the_borrower_s(story: Story) -> None:
    story.to("performing")
    story.post("repayments", {"amount": amount(1_000_000)}, status=201)
    story.tell(story.claim_paid(5000))
    loan = story.loan()
    assert loan["state"] == "closed"
    assert loan["balance"]["surplus"] == amount(5000)
    assert len(story.told(credit.LoanRepaid)) == 1


def test_a_claim_after_default_is_a_recovery(story: Story) -> None:
    story.to("defaulted")
    story.tell(story.called(1_000_000))
    story.tell(story.claim_paid(250_000))
    (received,) = story.told(credit.RecoveryReceived)
    assert (received.source, received.amount, received.costs) == ("insurance", money(250_000), 0)
    assert story.loan()["balance"]["principal"] == amount(750_000)
    story.tell(story.shared(received), copies=2)
    assert story.loan()["balance"]["recovered_by_bank"] == amount(50_000)


def test_a_claim_after_closing_lowers_the_loss(story: Story) -> None:
    story.to("defaulted")
    story.tell(story.called(1_000_000), story.guarantee_paid(1_000_000))
    assert story.post("closing")["balance"]["written_off"] == amount(200_000)
    story.tell(story.claim_paid(300_000))
    (received,) = story.told(credit.RecoveryReceived)
    story.tell(story.shared(received))
    balance = story.loan()["balance"]
    assert balance["written_off"] == amount(140_000)
    assert balance["unrecovered"] == amount(700_000)


def test_a_guarantee_paid_twice_counts_once(story: Story) -> None:
    story.to("defaulted")
    story.tell(story.guarantee_paid(1_000_000), copies=3)  # the call itself comes later, or never
    story.tell(story.guarantee_paid(1_000_000))
    story.tell(story.called(1_000_000))
    loan = story.loan()
    assert loan["guarantee"]["state"] == "paid"
    assert loan["balance"]["guarantee_received"] == amount(800_000)
    assert loan["balance"]["principal"] == amount(1_000_000)


def test_a_release_after_the_guarantee_was_paid_is_no_news(story: Story) -> None:
    story.to("defaulted")
    story.tell(story.called(1_000_000), story.guarantee_paid(1_000_000), story.released())
    assert story.loan()["guarantee"]["state"] == "paid"


def test_a_recovery_that_a_released_guarantor_does_not_share_is_the_bank_s(story: Story) -> None:
    story.to("defaulted")
    story.post("recoveries", {"amount": amount(100_000), "costs": amount(0), "source": "borrower"}, status=201)
    story.tell(story.released("claim period over"))
    assert story.loan()["balance"]["recovered_by_bank"] == amount(100_000)
    story.post("recoveries", {"amount": amount(50_000), "costs": amount(0), "source": "borrower"}, status=201)
    assert story.loan()["balance"]["recovered_by_bank"] == amount(150_000)
    assert story.post("closing")["balance"]["written_off"] == amount(850_000)


def test_a_renewal_keeps_the_cover_in_force_beyond_its_first_end(story: Story) -> None:
    story.to("performing")
    with clock.travelled(timedelta(days=1)):
        story.tell(story.bound(expiry=clock.today() + timedelta(days=20)))
        story.tell(story.endorsed())
    with clock.travelled(timedelta(days=40)):
        story.value(2)  # as fresh as the policy
        story.timers()
        loan = story.loan()
        assert (loan["state"], loan["cover"]["expiry"]) == (
            "performing",
            story.endorsed(expiry=clock.today() + timedelta(days=1421)).expiry.isoformat(),
        )
        assert loan["cover"]["annual_premium"] == amount(13_000)
    # A change of a policy that is not the loan's, or that ended, is no news.
    before = story.loan()["cover"]
    story.tell(story.endorsed(policy_id=uuid4(), sum_insured=money(1)))
    assert story.loan()["cover"] == before
    story.tell(story.lapsed(), story.endorsed(), story.breached("lender"))
    assert story.loan()["cover"]["state"] == "lapsed"


def test_a_broken_policy_warns_where_the_bank_is_still_paid_and_calls_the_margin_where_not(story: Story) -> None:
    def warned() -> list[str]:
        items = body(story.officer.get("/v1/warnings"))["items"]
        return [why["code"] for one in items for why in one["grounds"]]

    story.to("performing")
    story.tell(story.endorsed(kind="revaluation", sum_insured=money(900_000)))
    assert warned() == ["cover_reduced"]
    story.tell(story.endorsed(number=2, kind="revaluation"), story.breached("lender"))
    assert (story.state(), story.loan()["cover"]["state"], warned()) == ("performing", "breached", ["cover_breached"])
    # The owner can mend nothing that the insurer is told of: what is renewed stays broken.
    story.tell(story.breached("simple"))
    loan = story.loan()
    assert (loan["state"], loan["cover"]["state"]) == ("margin_called", "void")
    assert [one["code"] for one in loan["covenants"]["reasons"]] == ["cover_void"]
    covenants = body(story.officer.get(f"/v1/loans/{story.loan_id}/covenants"))["items"]
    assert {one["covenant"]: one["verdict"] for one in covenants}["insurance"] == "broken"
    assert warned() == ["cover_lost"]


def test_what_claims_took_of_the_sum_is_missing_until_it_is_insured_again(story: Story) -> None:
    def missing() -> list[Any]:
        items = body(story.officer.get("/v1/warnings"))["items"]
        return [one["at_risk"] for one in items if [why["code"] for why in one["grounds"]] == ["cover_reduced"]]

    story.to("performing")
    # 1,200,000 insured; the owner was paid 500,000 of it, so the million owed is 300,000 short of cover.
    paid = story.claim_paid(500_000)
    story.tell(replace(paid, to_bank=money(0), to_owner=paid.total), copies=2)
    assert (story.loan()["cover"]["claimed"], missing()) == (amount(500_000), [amount(300_000)])
    tests = len(body(story.officer.get(f"/v1/loans/{story.loan_id}/covenants"))["tests"])
    story.tell(story.reinstated(400_000), copies=2)
    assert (story.loan()["cover"]["claimed"], missing()) == (amount(100_000), [])
    # Of another policy, or of one that ended, it is no news.
    story.tell(replace(story.reinstated(100_000), policy_id=uuid4()))
    covenants = body(story.officer.get(f"/v1/loans/{story.loan_id}/covenants"))["tests"]
    assert (len(covenants), covenants[0]["cause"], covenants[0]["verdict"]) == (tests + 1, "cover", "kept")
    story.tell(story.lapsed(), story.reinstated(100_000))
    assert story.loan()["cover"]["claimed"] == amount(100_000)


def test_pledges_follow_the_register_to_the_end(story: Story) -> None:
    story.to("enforcing")
    assert story.loan()["assets"][0]["pledge_state"] == "frozen"
    story.tell(story.pledge_enforced())
    assert story.loan()["assets"][0]["pledge_state"] == "enforced"


def test_a_repaid_loan_ends_with_no_leg_held(story: Story) -> None:
    story.to("performing")
    story.post("repayments", {"amount": amount(1_000_000)}, status=201)
    story.tell(story.pledge_released(reason="repaid"), story.lapsed("repaid"), story.released("repaid"))
    loan = story.loan()
    assert loan["state"] == "closed"
    assert held(loan) == []


def test_events_of_one_batch_move_one_loan_as_one_by_one(credit_db: Database) -> None:
    from shared import inbox
    from tests.harness import record

    story = Story(credit_db)
    story.to("binding")
    # The quote and the reservation were the first of their topics.
    legs = [record(story.bound(), 2), record(story.issued(), 2), record(story.placed(), 2)]
    inbox.receive(credit_db.worker_sessions, door("credit").consumer, [*legs, *legs], "test")
    assert story.state() == "ready"


def test_a_valuation_reaches_only_the_banks_that_watch_the_forest(credit_db: Database) -> None:
    story = Story(credit_db)
    story.to("performing")
    other = valued(OTHER_ASSET)
    deliver("credit", credit_db, other)
    with credit_db.worker_sessions() as session:
        act_for(session, BANK)
        tested = session.get_one(Loan, story.loan_id).tested_at
    assert tested is not None
    assert isinstance(other, sink.CarbonAssetValued)
    assert story.told(credit.MarginCalled) == []


def test_a_valuation_that_comes_while_the_money_flows_is_tested_on_the_loan(
    credit_db: Database, sealed: Callable[..., Any]
) -> None:
    story = Story(credit_db)
    story.to("ready")
    fallen = threading.Thread(target=story.value, args=(2, 1_000_000))
    with sealed(credit_db.sessions, BANK) as session:
        servicing.disburse(session, story.loan_id)
        session.flush()
        fallen.start()
        # The valuation waits for the row that the disbursement holds.
        with credit_db.sessions() as looking:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while fallen.is_alive() and not looking.scalar(waiting):
                looking.rollback()
    fallen.join()
    assert story.state() == "margin_called"
