"""The loan, end to end, through the real APIs, actions and databases of four services."""

import itertools
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from random import Random

import pytest

from shared import clock, inbox
from tests.flows.people import People, amount, money
from tests.harness import BANK, GUARANTOR, INSURER, OTHER_BANK, Town, body, door


@pytest.fixture
def people(town: Town) -> People:
    made = People(town)
    made.set_profile()
    made.register_forests(2)
    town.pump()
    return made


def test_a_loan_from_application_to_its_last_repayment(people: People, town: Town) -> None:
    loan_id = people.lend(people.assets[0])
    loan = people.loan(loan_id)
    assert loan["state"] == "performing"
    assert {a["pledge_state"] for a in loan["assets"]} == {"placed"}
    assert (loan["cover"]["state"], loan["guarantee"]["state"]) == ("bound", "issued")
    owed = loan["balance"]["owed"]
    people.on(loan_id, "repayments", {"amount": owed})
    town.pump()
    assert people.state(loan_id) == "closed"
    assert people.held(loan_id) == []
    assert people.held_by_legs(loan_id) == {}
    assert town.dead_letters() == {}


def test_every_event_delivered_twice_changes_nothing(people: People, town: Town) -> None:
    town.copies = 2
    loan_id = people.lend(people.assets[0])
    assert people.state(loan_id) == "performing"
    people.on(loan_id, "default", {"ground": "insolvency", "comment": "bankrupt"})
    town.pump()
    (call,) = people.pay_calls()
    town.pump()
    loan = people.loan(loan_id)
    assert loan["balance"]["guarantee_received"] == call["payable"]
    assert town.dead_letters() == {}


@pytest.mark.parametrize("order", list(itertools.permutations(("sink", "insurance", "guarantee"))), ids=" ".join)
def test_the_legs_may_answer_in_any_order(people: People, town: Town, order: tuple[str, ...]) -> None:
    loan_id = people.apply(people.assets[0])
    for service in (*order, "credit"):
        _deliver_to(town, service)
    town.pump()
    people.approve(loan_id)
    people.on(loan_id, "acceptance")
    for service in order:
        _deliver_to(town, service)
        town.relay()
        _deliver_to(town, "credit")
    assert people.state(loan_id) == "ready"


def _deliver_to(town: Town, service: str) -> None:
    """Deliver all that waits for one service, and nothing else."""
    town.relay()
    for queue in town.waiting.get(service, {}).values():
        while queue:
            inbox.receive(town.databases[service].worker_sessions, door(service).consumer, [queue.pop(0)], "town")


def test_a_double_pledge_is_refused_and_the_other_legs_are_undone(people: People, town: Town) -> None:
    asset = people.assets[0]
    first = people.application(asset, share="0.7")
    second = people.application(asset, share="0.7")
    one = body(people.officer(BANK).post("/v1/loans", first), 201)["id"]
    two = body(people.officer(OTHER_BANK).post("/v1/loans", second), 201)["id"]
    town.pump()
    for bank, loan_id in ((BANK, one), (OTHER_BANK, two)):
        people.approve(loan_id, bank)
        people.on(loan_id, "acceptance", bank=bank)
    town.pump()
    states = {people.state(one, BANK): (one, BANK), people.state(two, OTHER_BANK): (two, OTHER_BANK)}
    assert set(states) == {"ready", "declined"}
    loser, bank = states["declined"]
    assert people.loan(loser, bank)["blocked_by"] == "sink"
    assert people.held(loser, bank) == []
    assert people.held_by_legs(loser) == {}
    assert people.free_tonnes(asset) >= 0


def test_a_refusal_by_the_guarantor_undoes_the_cover(people: People, town: Town) -> None:
    people.set_profile(net_assets=money(1000))
    loan_id = people.apply(people.assets[0])
    town.pump()
    loan = people.loan(loan_id)
    assert (loan["state"], loan["blocked_by"]) == ("declined", "guarantee")
    assert loan["reasons"]
    assert people.held_by_legs(loan_id) == {}


def test_a_refusal_by_the_insurer_releases_the_reservation(people: People, town: Town) -> None:
    body(people.insurer().post("/v1/capacities", {"county": "youyu", "cap": money(1)}))
    loan_id = people.apply(people.assets[0])
    town.pump()
    loan = people.loan(loan_id)
    assert (loan["state"], loan["blocked_by"]) == ("declined", "insurance")
    assert people.held_by_legs(loan_id) == {}


def test_legs_that_never_answer_let_the_loan_expire_and_undo_themselves_later(people: People, town: Town) -> None:
    loan_id = people.apply(people.assets[0])
    with clock.travelled(timedelta(days=30)):
        town.run_timers()
        assert people.state(loan_id) == "expired"
    town.pump()
    assert people.held_by_legs(loan_id) == {}


def test_a_withdrawal_at_any_moment_before_money_flows_leaves_nothing_held(people: People, town: Town) -> None:
    for stop_at in ("structuring", "proposed", "offered", "binding", "ready"):
        loan_id = people.apply(people.assets[0])
        for state in ("structuring", "proposed", "offered", "binding", "ready"):
            assert people.state(loan_id) == state
            if state == stop_at:
                people.on(loan_id, "withdrawal", {"reason": "not wanted any more"})
                break
            if state == "proposed":
                people.approve(loan_id)
            elif state == "offered":
                people.on(loan_id, "acceptance")
            else:
                town.pump()
        town.pump()
        assert people.state(loan_id) == "withdrawn"
        assert people.held(loan_id) == []
        assert people.held_by_legs(loan_id) == {}
    assert town.dead_letters() == {}


def test_a_price_fall_calls_for_margin_and_a_repayment_cures_it(people: People, town: Town) -> None:
    loan_id = people.lend(people.assets[0], amount=people_amount(people, people.assets[0], Decimal("0.55")))
    _set_price(people, town, "25.00")
    loan = people.loan(loan_id)
    assert loan["state"] == "margin_called"
    people.on(loan_id, "repayments", {"amount": loan["covenants"]["shortfall"]})
    town.pump()
    loan = people.loan(loan_id)
    assert loan["state"] == "performing", loan["covenants"]


def test_a_margin_call_that_is_not_cured_ends_in_default_and_a_guarantee_call(people: People, town: Town) -> None:
    loan_id = people.lend(people.assets[0], amount=people_amount(people, people.assets[0], Decimal("0.55")))
    _set_price(people, town, "25.00")
    assert people.state(loan_id) == "margin_called"
    with clock.travelled(timedelta(days=60)):
        town.run_timers()
        town.pump()
        assert people.state(loan_id) == "defaulted"
    loan = people.loan(loan_id)
    assert loan["guarantee"]["state"] == "called"
    assert {a["pledge_state"] for a in loan["assets"]} == {"frozen"}


def test_a_fire_pays_the_bank_first_and_lowers_the_balance(people: People, town: Town) -> None:
    loan_id = people.lend(people.assets[0])
    before = amount(people.loan(loan_id)["balance"]["principal"])
    fire = {
        "peril": "fire",
        "occurred_on": clock.today().isoformat(),
        "event_area_ha": "500.0000",
        "assets": [{"asset_id": people.assets[0], "severity": "0.9"}],
    }
    body(people.bureau().post("/v1/reversals", fire), 201)
    town.pump()
    (claim,) = people.pay_claims()
    town.pump()
    to_bank, to_owner = amount(claim["to_bank"]), amount(claim["to_owner"])
    assert to_bank + to_owner == amount(claim["payable"])
    assert to_bank > 0
    after = amount(people.loan(loan_id)["balance"]["principal"])
    assert before - after == min(before, to_bank)
    assert town.dead_letters() == {}


def test_a_sum_that_a_claim_used_is_insured_again_once_the_forest_is_worth_it(people: People, town: Town) -> None:
    loan_id = people.lend(people.assets[0])
    fire = {
        "peril": "fire",
        "occurred_on": clock.today().isoformat(),
        "event_area_ha": "500.0000",
        "assets": [{"asset_id": people.assets[0], "severity": "0.1"}],
    }
    body(people.bureau().post("/v1/reversals", fire), 201)
    town.pump()
    (claim,) = people.pay_claims()
    town.pump()
    assert people.loan(loan_id)["cover"]["claimed"] == claim["payable"]
    _set_price(people, town, "90.00")
    (policy,) = body(people.insurer().get("/v1/policies"))["items"]
    again = f"/v1/policies/{policy['id']}/reinstatement"
    body(people.insurer().post(again, {"asset_id": people.assets[0]}, If_Match=f'"v{policy["version"]}"'))
    town.pump()
    loan = people.loan(loan_id)
    assert (loan["state"], loan["cover"]["claimed"]) == ("performing", money("0.00"))
    assert town.dead_letters() == {}


def test_default_call_enforcement_recovery_and_closing_conserve_every_fen(people: People, town: Town) -> None:
    loan_id = people.lend(people.assets[0])
    people.on(loan_id, "default", {"ground": "overdue", "comment": "ninety days"})
    town.pump()
    (call,) = people.pay_calls()
    town.pump()
    assert sum(amount(share) for share in call["shares"].values()) == amount(call["balance"])
    people.on(loan_id, "enforcement")
    town.pump()
    assert {a["pledge_state"] for a in people.loan(loan_id)["assets"]} == {"enforced"}
    people.on(loan_id, "recoveries", {"amount": money("5000.01"), "costs": money("100.00"), "source": "carbon"})
    town.pump()
    (recovery,) = body(people.guarantor().get(f"/v1/calls/{call['id']}/recoveries"))["items"]
    assert sum(amount(share) for share in recovery["shares"].values()) == Decimal("4900.01")
    people.on(loan_id, "closing")
    town.pump()
    loan = people.loan(loan_id)
    assert loan["state"] == "closed"
    assert people.held(loan_id) == []
    money_in = amount(loan["balance"]["guarantee_received"]) + amount(loan["balance"]["recovered_by_bank"])
    lost = amount(loan["balance"]["written_off"])
    assert money_in + lost == amount(loan["balance"]["disbursed"])
    assert amount(recovery["shares"]["bank"]) == amount(loan["balance"]["recovered_by_bank"])
    journal = body(people.guarantor().get(f"/v1/calls/{call['id']}/journal"))
    assert sum(Decimal(account["balance"]) for account in journal["balances"]) == 0
    assert town.dead_letters() == {}


@pytest.mark.parametrize("seed", range(3))
def test_the_outcome_does_not_depend_on_the_order_of_delivery(people: People, town: Town, seed: int) -> None:
    town.random, town.copies = Random(seed), 2
    loan_id = people.lend(people.assets[0])
    other = people.lend(people.assets[1])
    people.on(loan_id, "repayments", {"amount": money("1000.00")})
    people.on(other, "default", {"ground": "misuse", "comment": "spent elsewhere"})
    town.pump()
    people.pay_calls()
    town.pump()
    assert (people.state(loan_id), people.state(other)) == ("performing", "defaulted")
    assert people.loan(other)["guarantee"]["state"] == "paid"
    assert town.dead_letters() == {}


def people_amount(people: People, asset_id: str, share: Decimal) -> dict[str, str]:
    """A loan that is a share of what half of a forest's pledge carries at most."""
    application = people.application(asset_id)
    for name in ("borrower_reference", "small_or_farmer", "insurer", "guarantor", "scheme"):
        del application[name]
    scored = body(people.officer().post("/v1/score", application))
    # Rounded down: at the whole maximum, a yuan more would be declined.
    return money((amount(scored["maximum_amount"]) * share / Decimal("0.55")).quantize(Decimal("1"), ROUND_DOWN))


def _set_price(people: People, town: Town, price: str) -> None:
    """Propose and approve a price curve, and value the register anew."""
    curve = {
        "name": "fallen",
        "spot_price": money(price),
        "long_run_price": money(price),
        "reversion": "0.25",
        "volatility": "0.35",
        "source": "a fall assumed by the test",
    }
    proposed = body(people.bureau().post("/v1/price-curves", curve), 201)
    approver = town.client("sink", "bureau-approver", "bureau-shuozhou")
    decision = {"payload_hash": proposed["payload_hash"], "approve": True}
    body(approver.post(f"/v1/price-curves/{proposed['id']}/approval", decision))
    town.run_jobs()
    town.pump()


def test_the_legs_named_by_an_application_are_the_only_ones_asked(people: People, town: Town) -> None:
    loan_id = people.apply(people.assets[0])
    town.pump()
    (cover,) = body(people.insurer(INSURER).get("/v1/covers", loan_id=loan_id))["items"]
    assert cover["bank"] == BANK
    assert body(people.insurer("insurer-guancen").get("/v1/covers", loan_id=loan_id))["items"] == []
    assert len(body(people.guarantor(GUARANTOR).get("/v1/guarantees", loan_id=loan_id))["items"]) == 1
    assert body(people.guarantor("guarantor-sanjin").get("/v1/guarantees", loan_id=loan_id))["items"] == []
