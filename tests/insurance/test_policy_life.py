"""A policy from referral to end: what two people decide, what a change costs, what is paid when, and to whom."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.insurance.actions import PARAMETERS, claims, endorsements, policies
from services.insurance.tables import Capacity, Claim, Cover, Endorsement, Policy
from shared import clock, db, timers
from shared.events.insurance import ClaimPaid, CoverQuoted, CoverRefused, PolicyBreached, PolicyEndorsed, PolicyLapsed
from shared.ids import uuid7
from shared.money import yuan
from shared.timers import Timer
from tests.conftest import Database
from tests.harness import INSURER, Client, body, client, deliver, published
from tests.insurance.examples import asked, bound, capacity_of, disbursed, pledge, reversal, row, rows, valued


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


@pytest.fixture
def asset() -> UUID:
    return uuid7()


@pytest.fixture
def loan() -> UUID:
    return uuid7()


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER, "underwriter-1")


@pytest.fixture
def second(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER, "underwriter-2")


def changed(insurer: Client, policy: UUID, what: str, sent: dict[str, Any], status: int = 200) -> Any:
    """Do something to a policy at its present version."""
    version = insurer.get(f"/v1/policies/{policy}").headers["ETag"]
    answer = insurer.post(f"/v1/policies/{policy}/{what}", sent, If_Match=version)
    assert answer.status_code == status, answer.get_json()
    return answer.get_json()


# -- two people -------------------------------------------------------------------------------------------------------


def referred(database: Database, asset: UUID, loan: UUID) -> UUID:
    deliver("insurance", database, valued(asset, median=100_000_000))
    deliver("insurance", database, asked(loan, pledge(asset, 60_000_000)))
    cover: UUID = row(database, Cover).id
    return cover


def test_a_cover_beyond_ones_authority_is_quoted_by_two(
    insurer: Client, second: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    path = f"/v1/covers/{referred(insurance_db, asset, loan)}"
    shown = body(insurer.get(path))
    assert (shown["state"], [one["code"] for one in shown["reasons"]]) == ("referred", ["sum_beyond_authority"])
    assert published(insurance_db, CoverQuoted, CoverRefused) == []
    proposed = body(insurer.post(f"{path}/proposal", {"comment": "well guarded"}))
    word = {"payload_hash": proposed["proposal_hash"], "approve": True}
    assert insurer.post(f"{path}/approval", word).status_code == 403
    assert second.post(f"{path}/approval", word | {"payload_hash": "0" * 64}).status_code == 409
    quoted = body(second.post(f"{path}/approval", word))
    assert quoted["state"] == "quoted"
    assert quoted["annual_premium"]["amount"] == proposed["referral"]["annual_premium"]
    assert len(published(insurance_db, CoverQuoted)) == 1
    assert capacity_of(insurance_db, "youyu")[0] == Decimal(60_000_000)


def test_a_referred_cover_is_refused_by_the_second_person_or_by_time(
    insurer: Client, second: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    path = f"/v1/covers/{referred(insurance_db, asset, loan)}"
    assert second.post(f"{path}/approval", {"payload_hash": "0" * 64, "approve": False}).status_code == 409
    proposed = body(insurer.post(f"{path}/proposal"))
    assert body(second.post(f"{path}/approval", {"payload_hash": proposed["proposal_hash"], "approve": False}))[
        "state"
    ] == ("refused")
    assert insurer.post(f"{path}/proposal").status_code == 409
    refused = published(insurance_db, CoverRefused)
    assert [one.reasons[0].code for one in refused] == ["referral_rejected"]


# -- changes ----------------------------------------------------------------------------------------------------------


def test_a_sum_goes_up_with_the_value_and_the_days_left_are_paid(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan, disbursed(loan))
    before = row(insurance_db, Policy)
    deliver("insurance", insurance_db, valued(asset, 2, 2_000_000), first=2)
    sums = {"assets": [{"asset_id": str(asset), "sum_insured": money("1000000.00")}]}
    shown = changed(insurer, policy, "endorsements", sums)
    assert shown["sum_insured"] == money("1000000.00")
    one = row(insurance_db, Endorsement)
    # The sum doubles on the first day of the year: a whole year's premium more, to the fen.
    assert one.premium_change == before.annual_premium
    assert sum(map(Decimal, one.split.values())) == one.premium_change
    assert shown["annual_premium"] == money(str(2 * before.annual_premium))
    assert capacity_of(insurance_db, "youyu")[1] == Decimal(1_000_000)
    (told,) = published(insurance_db, PolicyEndorsed)
    assert (told.sum_insured, told.kind) == (Decimal("1000000.00"), "revaluation")
    sums["assets"][0]["sum_insured"] = money("250000.00")
    shown = changed(insurer, policy, "endorsements", sums)
    assert shown["annual_premium"]["amount"] == str(yuan(before.annual_premium / 2))
    listed = body(insurer.get(f"/v1/policies/{policy}/endorsements"))["items"]
    assert [one["number"] for one in listed] == [1, 2]
    assert Decimal(listed[1]["premium_change"]) < 0
    assert capacity_of(insurance_db, "youyu")[1] == Decimal(250_000)


def test_a_sum_above_value_below_claims_or_of_strange_trees_changes_nothing(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan, disbursed(loan))
    deliver("insurance", insurance_db, reversal(asset), first=2)
    for sum_insured, whose, status in (
        ("900000.01", asset, 409),
        ("179999.99", asset, 409),
        ("100.00", uuid7(), 422),
    ):
        sent = {"assets": [{"asset_id": str(whose), "sum_insured": money(sum_insured)}]}
        assert changed(insurer, policy, "endorsements", sent, status)["detail"]
    assert rows(insurance_db, Endorsement) == []
    assert row(insurance_db, Policy).sum_insured == Decimal("500000.00")
    assert capacity_of(insurance_db, "youyu")[1] == Decimal("500000.00")


def test_no_sum_takes_more_than_the_capacity(insurer: Client, insurance_db: Database, asset: UUID, loan: UUID) -> None:
    policy = bound(insurance_db, asset, loan)
    body(insurer.post("/v1/capacities", {"county": "youyu", "cap": money("550000.00")}))
    sent = {"assets": [{"asset_id": str(asset), "sum_insured": money("600000.00")}]}
    assert "youyu" not in changed(insurer, policy, "endorsements", sent, 409)["detail"]
    assert row(insurance_db, Policy).sum_insured == Decimal("500000.00")
    assert row(insurance_db, Capacity, county="youyu").posted == Decimal("500000.00")


def test_a_policy_is_renewed_at_a_new_price_within_the_title(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan)
    before = row(insurance_db, Policy)
    hazards = {"fire": Decimal("0.8")}
    deliver("insurance", insurance_db, valued(asset, 2, hazards=hazards), first=2)
    shown = changed(insurer, policy, "renewal", {"months": 12})
    assert shown["expiry"] == policies.months_later(before.expiry, 12).isoformat() == shown["ends_on"]
    assert Decimal(shown["annual_premium"]["amount"]) > before.annual_premium
    # Renewed on its first day: a whole year costs the difference.
    due = row(insurance_db, Endorsement).premium_change
    assert before.annual_premium + due == Decimal(shown["annual_premium"]["amount"])
    assert published(insurance_db, PolicyEndorsed)[0].expiry.isoformat() == shown["expiry"]
    assert sum(map(Decimal, shown["premium_split"].values())) == Decimal(shown["annual_premium"]["amount"])
    soon = clock.today() + timedelta(days=900)
    deliver("insurance", insurance_db, valued(asset, 3, title_until=soon), first=3)
    refused = changed(insurer, policy, "renewal", {"months": 12}, 409)
    assert soon.isoformat() in refused["detail"]


# -- premium in parts -------------------------------------------------------------------------------------------------


def test_instalments_sum_to_the_premium_and_are_paid_in_order(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan)
    plan = changed(insurer, policy, "instalments", {"count": 4})["items"]
    assert sum(Decimal(one["amount"]["amount"]) for one in plan) == row(insurance_db, Policy).annual_premium
    assert [one["due_on"] for one in plan] == sorted(one["due_on"] for one in plan)
    path = f"/v1/policies/{policy}/premium-payments"
    assert insurer.post(path, {"number": 2}).status_code == 409
    assert body(insurer.post(path, {"number": 1}))["paid_on"] == clock.today().isoformat()
    assert insurer.post(path, {"number": 1}).status_code == 409
    assert insurer.post(path, {"number": 9}).status_code == 404
    changed(insurer, policy, "instalments", {"count": 2}, 409)


def test_a_missed_instalment_ends_the_cover_after_grace_and_notice(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan)
    changed(insurer, policy, "instalments", {"count": 2})
    with insurance_db.sessions.begin() as session:
        db.act_for(session, INSURER)
        due = session.query(Timer).filter_by(kind="policy_instalment", subject=policy).one().due_at
        grace = PARAMETERS.at(clock.today())["premium_grace_days"]
        assert due == policies.start_of(clock.today() + timedelta(days=grace + 1))
        timers.cancel(session, policy, "policy_instalment")
        endorsements.miss_instalment(session, policy)
    (lapsed,) = published(insurance_db, PolicyLapsed)
    assert (lapsed.reason, lapsed.ends_on) == ("non_payment", clock.today() + timedelta(days=10))
    assert row(insurance_db, Policy).state == "ending"


def test_what_was_bound_before_parts_were_kept_goes_back_to_the_owner(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan)
    with insurance_db.sessions.begin() as session:
        db.act_for(session, INSURER)
        session.get_one(Policy, policy).premium_split = {}
    assert changed(insurer, policy, "lapse", {"reason": "non_payment"})["return_split"] == {"owner": "0.00"}


def test_what_is_given_back_goes_to_those_who_paid(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan)
    shown = changed(insurer, policy, "lapse", {"reason": "ordinary"})
    assert sum(map(Decimal, shown["return_split"].values())) == Decimal(shown["return_premium"]["amount"])


# -- the lender's clause ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clause", "to_bank"), [("lender", "100000.00"), ("simple", "0.00")])
def test_after_a_breach_the_clause_says_who_is_paid(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID, clause: str, to_bank: str
) -> None:
    policy = bound(insurance_db, asset, loan, disbursed(loan, 100_000))
    with insurance_db.sessions.begin() as session:
        db.act_for(session, INSURER)
        found = session.get_one(Policy, policy)
        found.terms = found.terms | {"lender_clause": clause}
    deliver("insurance", insurance_db, reversal(asset), first=2)
    changed(insurer, policy, "breach", {"reason": "felled without a permit"})
    changed(insurer, policy, "breach", {"reason": "again"}, 409)
    assert [one.clause for one in published(insurance_db, PolicyBreached)] == [clause]
    with insurance_db.sessions.begin() as session:
        db.act_for(session, INSURER)
        paid = claims.pay_claim(session, row(insurance_db, Claim).id)
    assert (str(paid.to_bank), paid.to_owner, paid.subrogated) == (to_bank, 0, Decimal(to_bank))
    assert paid.to_bank + paid.to_owner + paid.withheld == paid.payable == Decimal("180000.00")
    (told,) = published(insurance_db, ClaimPaid)
    assert told.total == told.to_bank + told.to_owner == Decimal(to_bank)


def test_a_certificate_says_what_stands_and_can_be_checked(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy = bound(insurance_db, asset, loan)
    shown = body(insurer.get(f"/v1/policies/{policy}/certificate"))
    assert shown["content"]["first_loss_payee"] == row(insurance_db, Policy).bank
    assert shown["content"]["remaining"] in shown["zh"]
    assert shown["content"]["ends_on"] in shown["en"]
    assert len(shown["sha256"]) == 64
