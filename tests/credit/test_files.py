"""The file of an application: a registered borrower, what is refused, what is found, documents, groups, erasure."""

import hashlib
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from services.credit.tables import Decision, Loan, LoanDocument, Party
from shared import clock, db
from shared.audit import AuditEntry
from shared.events.credit import LegsRequested, LoanScored
from shared.events.sink import Units
from tests.conftest import Database
from tests.credit.borrowers import amount, code, firm, person, verification
from tests.credit.story import ASSET, OTHER_ASSET, Story, valued
from tests.credit.test_parties import dump
from tests.harness import BANK, GUARANTOR, INSURER, OTHER_BANK, body, client


@pytest.fixture
def story(credit_db: Database) -> Story:
    made = Story(credit_db)
    made.value()
    return made


def registered(story: Story, asked: dict[str, Any]) -> str:
    return str(body(story.officer.post("/v1/parties", asked), 201)["id"])


def asked(party_id: str, **more: Any) -> dict[str, Any]:
    return {
        "borrower_id": party_id,
        "purpose": "tending",
        "amount": amount(1_000_000),
        "term_months": 36,
        "assets": [{"asset_id": str(ASSET), "tonnes": "40000.000"}],
        "insurer": INSURER,
        "guarantor": GUARANTOR,
        "scheme": "4-3-2-1",
    } | more


def applied(story: Story, party_id: str, **more: Any) -> Any:
    loan = body(story.officer.post("/v1/loans", asked(party_id, **more)), 201)
    story.loan_id = UUID(loan["id"])
    return loan


def codes(loan: Any) -> dict[str, bool]:
    return {finding["code"]: finding["stands"] for finding in loan["findings"]}


def refused(story: Story, party_id: str, **more: Any) -> dict[str, str]:
    problem = body(story.officer.post("/v1/loans", asked(party_id, **more)), 422)
    assert all(error["zh"] for error in problem["errors"] if "code" in error)
    return {error["pointer"]: error.get("code", error["detail"]) for error in problem["errors"]}


# -- a registered borrower --------------------------------------------------------------------------------------------


def test_an_application_takes_what_is_known_of_its_borrower(story: Story) -> None:
    party = registered(story, firm())
    loan = applied(story, party)
    assert (loan["state"], loan["party_id"], loan["findings"]) == ("structuring", party, [])
    assert (loan["borrower_kind"], loan["borrower_reference"]) == ("cooperative", party)
    assert loan["features"]["new_business"] is False
    assert loan["features"]["employees"] == 8
    assert loan["finances"]["yearly_income"] == "5000000.00"
    (request,) = story.told(LegsRequested)
    assert request.obligor == hashlib.sha256(code("93").encode()).hexdigest()[:32]


def test_a_described_borrower_and_a_registered_one_are_told_apart(story: Story) -> None:
    party = registered(story, firm())
    assert set(refused(story, party, industry="022", small_or_farmer=True)) == {"/industry", "/small_or_farmer"}
    assert set(refused(story, party, purpose=None)) == {"/purpose"}
    nobody = asked(party)
    del nobody["borrower_id"]
    told = body(story.officer.post("/v1/loans", nobody), 422)["errors"]
    assert {error["pointer"] for error in told} >= {"/borrower_reference", "/borrower_kind", "/industry"}
    other = client("credit", story.database, "officer", OTHER_BANK, "officer")
    (error,) = body(other.post("/v1/loans", asked(party)), 422)["errors"]
    assert error["pointer"] == "/borrower_id"


def test_what_the_application_says_of_the_year_counts_instead_and_is_guarded(story: Story) -> None:
    party = registered(story, firm())
    year = {"yearly_income": amount(7), "yearly_costs": amount(3)}
    assert applied(story, party, finances=year)["finances"]["yearly_income"] == "7.00"
    absurd = year | {"yearly_income": amount(100_000_000_001)}
    assert set(refused(story, party, finances=absurd)) == {"/finances/yearly_income"}
    for wrong in ("-1.00", "NaN", "Infinity", "1e9"):
        bad = year | {"yearly_income": {"amount": wrong, "currency": "CNY"}}
        assert set(refused(story, party, finances=bad)) == {"/finances/yearly_income/amount"}, wrong


# -- refused ----------------------------------------------------------------------------------------------------------


def test_nobody_guarantees_or_insures_a_debt_of_their_own(story: Story) -> None:
    itself = registered(story, firm(1, "91", acts_as=GUARANTOR))
    owned = registered(story, firm(2, owners=[{"name": "担保公司", "identity_number": code("91", 1), "share": "0.4"}]))
    assert refused(story, itself) == {"/guarantor": "borrower_is_guarantor"}
    assert refused(story, owned) == {"/guarantor": "borrower_is_guarantor"}
    insurer = registered(story, firm(3, "91", acts_as=INSURER))
    assert refused(story, insurer) == {"/insurer": "borrower_is_insurer"}
    cousin = registered(story, firm(4, account=firm(1)["account"]))
    loan = applied(story, cousin)
    assert loan["state"] == "referred"
    assert {"leg_related", "related_party"} <= codes(loan).keys()


def test_an_expired_document_is_refused_and_an_expired_check_stands_in_the_way(story: Story) -> None:
    until = clock.today() + timedelta(days=40)
    document = {"kind": "resident_id", "valid_until": until.isoformat()}
    party = registered(story, person(document=document, verification=verification(20)))
    with clock.travelled(timedelta(days=30)):
        story.value(2)
        loan = applied(story, party)
        assert loan["state"] == "referred"
        assert codes(loan) == {"verification_expired": True}
        assert loan["reasons"][0]["code"] == "verification_expired"
        proceed = {"decision": "proceed", "comment": "known for years"}
        told = story.post("referral", proceed, story.colleague, 409)
        assert told["errors"][0]["code"] == "verification_expired"
        again = {"verified_on": clock.today().isoformat(), "valid_until": until.isoformat()}
        version = body(story.officer.get(f"/v1/parties/{party}"))["version"]
        body(story.officer.post(f"/v1/parties/{party}/verification", again, If_Match=f'"v{version}"'))
        loan = story.post("referral", proceed, story.colleague)
        assert (loan["state"], loan["findings"]) == ("structuring", [])
    with clock.travelled(timedelta(days=41)):
        assert refused(story, party) == {"/borrower_id": "document_expired"}


def test_a_valuation_that_was_superseded_is_refused_with_its_place(story: Story) -> None:
    party = registered(story, firm())
    story.value(2)
    pledge = {"asset_id": str(ASSET), "tonnes": "40000.000", "valuation_version": 1}
    assert refused(story, party, assets=[pledge]) == {"/assets/0/valuation_version": "valuation_superseded"}
    assert applied(story, party, assets=[pledge | {"valuation_version": 2}])["state"] == "structuring"


# -- forests ----------------------------------------------------------------------------------------------------------


def test_each_fault_of_a_pledged_forest_has_its_own_reason(story: Story) -> None:
    party = registered(story, firm())
    unknown = applied(story, party, assets=[{"asset_id": str(OTHER_ASSET), "tonnes": "1.000"}])
    assert unknown["reasons"][0]["code"] == "valuation_missing"
    story.tell(valued(OTHER_ASSET, 1, as_of=clock.today() - timedelta(days=2000), valid_until=date(2022, 1, 1)))
    stale = applied(story, party, assets=[{"asset_id": str(OTHER_ASSET), "tonnes": "1.000"}])
    assert "valuation_stale" in [reason["code"] for reason in stale["reasons"]]
    beyond = applied(story, party, term_months=120)
    assert "term_too_long" in [reason["code"] for reason in beyond["reasons"]]
    story.value(2, title_until=clock.today() + timedelta(days=700))
    short = applied(story, party)
    assert "term_beyond_title" in [reason["code"] for reason in short["reasons"]]
    assert short["state"] == "declined"


def test_what_others_hold_or_were_promised_stands_in_the_way(story: Story) -> None:
    party = registered(story, firm())
    units = Units(free=Decimal(10_000), pledged=Decimal(30_000), retired=Decimal(0))
    story.value(2, units=units)
    loan = applied(story, party, amount=amount(200_000))
    assert codes(loan) == {"pledged_elsewhere": True}
    assert "10,000.000" in loan["findings"][0]["en"]
    body(story.officer.post(f"/v1/loans/{loan['id']}/withdrawal", {"reason": "smaller"}))
    first = {"asset_id": str(ASSET), "tonnes": "6000.000", "rank": 1}
    ranked = applied(story, party, amount=amount(200_000), assets=[first])
    assert codes(ranked) == {"rank_taken": True}
    assert ranked["assets"][0]["asked_rank"] == 1
    other = registered(story, firm(2))
    both = applied(story, other, amount=amount(200_000), assets=[first | {"rank": 2}])
    assert codes(both) == {"asset_in_application": True}, "6 000 t and 6 000 t are more than the 10 000 t left"
    assert ranked["id"] in both["findings"][0]["en"]


def test_the_carbons_income_is_shown_issuance_by_issuance(story: Story) -> None:
    party = registered(story, firm())
    loan = applied(story, party, assets=[{"asset_id": str(ASSET), "tonnes": "20000.000"}], amount=amount(500_000))
    shown = body(story.officer.get(f"/v1/loans/{loan['id']}/carbon-income"))
    assert [one["on"] for one in shown["items"]] == [f"{year}-01-01" for year in (2030, 2035, 2040, 2045)]
    first = shown["items"][0]
    assert (first["tonnes"], first["income"]["amount"], first["low_income"]["amount"]) == (
        "5000.000",
        "400000.00",
        "320000.00",
    )
    matures = date.fromisoformat(loan["applied_at"][:10]) + timedelta(days=3 * 366)
    within = sum(one["within_term"] for one in shown["items"])
    assert within == sum(date.fromisoformat(one["on"]) <= matures for one in shown["items"])
    assert Decimal(shown["income_within_term"]["amount"]) == 400_000 * within


# -- circles ----------------------------------------------------------------------------------------------------------


def test_whoever_shares_something_is_named_and_a_second_application_is_noticed(story: Story) -> None:
    one, two = registered(story, person(1)), registered(story, person(2, address=person(1)["address"]))
    applied(story, one, assets=[{"asset_id": str(ASSET), "tonnes": "10000.000"}], amount=amount(100_000))
    first = story.loan_id
    again = applied(story, one, assets=[{"asset_id": str(ASSET), "tonnes": "10000.000"}], amount=amount(100_000))
    assert codes(again) == {"asset_in_application": False, "application_open": False, "related_party": False}
    assert again["state"] == "referred"
    assert str(first) in " ".join(finding["en"] for finding in again["findings"])
    (related,) = [finding for finding in again["findings"] if finding["code"] == "related_party"]
    assert two in related["en"]
    assert "地址" in related["zh"]
    loan = story.post("referral", {"decision": "proceed", "comment": "two plots, one plan"}, story.colleague)
    assert loan["state"] == "structuring", "what does not stand a person may pass over"
    (scored, *_) = story.told(LoanScored)
    assert scored.outcome == "refer"


def test_an_address_alone_connects_nobody_and_a_chain_of_links_connects_everybody(story: Story) -> None:
    shared = person(1)
    one = registered(story, shared)
    two = registered(story, person(2, address=shared["address"]))
    three = registered(story, person(3, phone=person(1)["phone"]))
    signer = {"name": person(3)["name"], "identity_number": person(3)["identity_number"]}
    four = registered(story, firm(4, representative=signer))
    group = body(story.officer.get(f"/v1/parties/{one}/group"))
    assert [member["party_id"] for member in group["members"]] == sorted([one, three, four])
    assert {(link["party_id"], link["link"]) for link in group["shared"]} == {(two, "address"), (three, "phone")}
    applied(story, four, amount=amount(300_000), assets=[{"asset_id": str(ASSET), "tonnes": "20000.000"}])
    story.post("referral", {"decision": "proceed", "comment": "they are known"}, story.colleague)
    assert body(story.officer.get(f"/v1/parties/{one}/group"))["exposure"] == amount(300_000)
    assert body(story.officer.get(f"/v1/parties/{two}/group"))["exposure"] == amount(0)
    (listed,) = body(story.officer.get("/v1/groups"))["items"]
    assert (listed["members"], listed["exposure"]) == (
        body(story.officer.get(f"/v1/parties/{three}/group"))["members"],
        amount(300_000),
    )


def test_the_cap_of_a_group_counts_every_connected_borrower_and_the_decision_replays(story: Story) -> None:
    story.tell(valued(ASSET, 2, 30_000_000), valued(OTHER_ASSET, 1, 30_000_000, longitude=Decimal("113.4")))
    elsewhere = [{"asset_id": str(OTHER_ASSET), "tonnes": "40000.000"}]
    applied(story, registered(story, firm()), amount=amount(6_000_000))
    assert (
        story.post("referral", {"decision": "proceed", "comment": "known"}, story.colleague)["state"] == "structuring"
    )
    cousin = registered(story, firm(2, phone=firm(1)["phone"]))
    neighbour = registered(story, firm(3, address=firm(1)["address"]))
    for party, beside, verdict in ((cousin, 6_000_000.0, "refer"), (neighbour, 0.0, "holds")):
        loan = applied(story, party, amount=amount(5_000_000), assets=elsewhere)
        assert loan["decision"]["inputs"]["facts"]["beside"]["group"] == [loan["obligor"], beside]
        rules = {rule["rule"]: rule["verdict"] for rule in loan["decision"]["rules"]}
        assert rules["concentration-group"] == verdict
        assert ("group_concentrated" in [why["code"] for why in loan["decision"]["reasons"]]) == (verdict == "refer")
        assert body(story.officer.get(f"/v1/loans/{loan['id']}/replay"))["same"] is True


def test_the_groups_of_the_whole_book_are_those_of_each_borrower(story: Story) -> None:
    drawn = Random(7)
    everybody = [
        registered(
            story, person(serial, phone=f"1390000{drawn.randrange(14):04d}", account=f"6222{drawn.randrange(14):08d}")
        )
        for serial in range(1, 21)
    ]
    listed = [
        {member["party_id"] for member in group["members"]} for group in body(story.officer.get("/v1/groups"))["items"]
    ]
    for party in everybody:
        group = body(story.officer.get(f"/v1/parties/{party}/group"))
        own = {member["party_id"] for member in group["members"]}
        assert own == {party} or own in listed
    assert sum(len(group) for group in listed) <= 20


def test_a_default_in_the_group_sends_the_next_application_to_a_person(story: Story) -> None:
    party = registered(story, firm())
    loan = applied(story, party)
    story.tonnes = {ASSET: Decimal(40_000)}
    story.tell(story.quoted(), story.reserved())
    story.approve()
    story.post("acceptance")
    story.tell(story.placed(), story.bound(), story.issued())
    story.post("disbursement")
    story.post("default", {"ground": "overdue", "comment": "90 days"})
    cousin = registered(story, firm(2, phone=firm(1)["phone"]))
    found = applied(story, cousin, amount=amount(100_000))
    assert codes(found)["group_in_default"] is False
    assert loan["id"] in " ".join(finding["en"] for finding in found["findings"])


def test_no_money_goes_out_to_a_borrower_whose_identity_check_has_ended(story: Story) -> None:
    party = registered(story, firm(verification=verification(5)))
    applied(story, party)
    story.tonnes = {ASSET: Decimal(40_000)}
    story.tell(story.quoted(), story.reserved())
    story.approve()
    story.post("acceptance")
    story.tell(story.placed(), story.bound(), story.issued())
    with clock.travelled(timedelta(days=6)):
        told = story.post("disbursement", status=409)
        assert told["type"].endswith("/identity")
        assert [error["code"] for error in told["errors"]] == ["verification_expired"]
        assert "身份核实" in told["errors"][0]["zh"]
        assert story.loan()["balance"]["disbursed"] == amount(0)
        version = body(story.officer.get(f"/v1/parties/{party}"))["version"]
        body(story.officer.post(f"/v1/parties/{party}/verification", verification(30), If_Match=f'"v{version}"'))
        assert story.post("disbursement")["state"] == "performing"


# -- documents and erasure --------------------------------------------------------------------------------------------


def test_a_document_is_known_again_by_its_hash_and_its_name_is_sealed(story: Story) -> None:
    party = registered(story, firm())
    loan = applied(story, party, amount=amount(100_000), assets=[{"asset_id": str(ASSET), "tonnes": "10000.000"}])
    other = applied(story, party, amount=amount(100_000), assets=[{"asset_id": str(ASSET), "tonnes": "10000.000"}])
    title = {"name": "苗木森的林权证.pdf", "kind": "forest_title", "sha256": "ab" * 32, "size": 1234}
    noted = body(story.officer.post(f"/v1/loans/{loan['id']}/documents", title), 201)
    assert (noted["name"], noted["also_on"]) == (None, [])
    body(story.officer.post(f"/v1/loans/{loan['id']}/documents", title), 409)
    again = body(story.officer.post(f"/v1/loans/{other['id']}/documents", title), 201)
    assert again["also_on"] == [loan["id"]]
    (listed,) = body(story.officer.get(f"/v1/loans/{loan['id']}/documents"))["items"]
    assert (listed["name"], listed["also_on"]) == (title["name"], [other["id"]])
    assert "苗木森" not in dump(story.database)
    bad = story.officer.post(f"/v1/loans/{loan['id']}/documents", title | {"sha256": "AB" * 32, "size": 0})
    assert {error["pointer"] for error in body(bad, 422)["errors"]} == {"/sha256", "/size"}


def test_data_are_erased_once_no_loan_lives_and_no_record_must_be_kept(story: Story) -> None:
    keeper = story.person("credit-approver", "keeper")
    party = registered(story, firm())
    loan = applied(story, party)
    body(story.officer.post(f"/v1/loans/{loan['id']}/documents", _title()), 201)
    path = f"/v1/parties/{party}/erasure"
    body(story.officer.post(path, {"ground": "own_request"}), 403)
    assert "lives" in body(keeper.post(path, {"ground": "own_request"}), 409)["detail"]
    body(story.officer.post(f"/v1/loans/{loan['id']}/withdrawal", {"reason": "no need"}))
    erased = body(keeper.post(path, {"ground": "own_request"}))
    assert (erased["personal"], erased["yearly_income"]) == (None, None)
    body(keeper.post(path, {"ground": "own_request"}), 409)
    body(keeper.post(f"/v1/parties/{party}/disclosure", {"purpose": "contract"}), 409)
    assert refused(story, party) == {"/borrower_id": "party_erased"}
    assert body(story.officer.get(f"/v1/loans/{loan['id']}"))["party_id"] == party
    (document,) = body(story.officer.get(f"/v1/loans/{loan['id']}/documents"))["items"]
    assert document["name"] is None
    registered(story, firm())
    with story.database.worker_sessions() as session:
        db.act_for(session, BANK)
        deeds = session.scalars(select(AuditEntry).where(AuditEntry.action == "erase_party")).all()
        assert [deed.detail for deed in deeds] == [{"ground": "own_request"}]
        assert session.scalars(select(LoanDocument.sealed)).all() == [None]


def _title() -> dict[str, Any]:
    return {"name": "林权证", "kind": "forest_title", "sha256": "cd" * 32, "size": 9}


def test_the_records_of_a_loan_that_was_paid_out_are_kept_for_five_years(story: Story) -> None:
    keeper = story.person("credit-approver", "keeper")
    party = registered(story, firm())
    applied(story, party)
    story.tonnes = {ASSET: Decimal(40_000)}
    story.tell(story.quoted(), story.reserved())
    story.approve()
    story.post("acceptance")
    story.tell(story.placed(), story.bound(), story.issued())
    story.post("disbursement")
    owed = Decimal(story.loan()["balance"]["owed"]["amount"])
    story.post("repayments", {"amount": {"amount": str(owed), "currency": "CNY"}}, status=201)
    assert story.state() == "closed"
    path = f"/v1/parties/{party}/erasure"
    assert "must be kept until" in body(keeper.post(path, {"ground": "retention_ended"}), 409)["detail"]
    with story.database.worker_sessions.begin() as session:
        db.act_for(session, BANK)
        long_ago = clock.now() - timedelta(days=5 * 366 + 1)
        session.execute(update(Loan).values(updated_at=long_ago))
    assert body(keeper.post(path, {"ground": "retention_ended"}))["personal"] is None


def test_nothing_personal_stands_in_a_decision_or_a_loan(story: Story) -> None:
    asked_ = person()
    party = registered(story, asked_)
    applied(story, party)
    with story.database.worker_sessions() as session:
        db.act_for(session, BANK)
        (decision,) = session.scalars(select(Decision)).all()
        assert session.get_one(Party, UUID(party)).sealed is not None
    assert decision.inputs["facts"]["natural_person"] is True
    said = dump(story.database)
    assert [
        asked_[name] for name in ("name", "identity_number", "phone", "address", "account") if asked_[name] in said
    ] == []
