"""A town in which everything has happened once: the contract tests ask about things that are there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from deploy.embedded import EmbeddedPostgres
from services.credit.actions import prescreens
from services.insurance.actions import bulk_pricing
from shared import audit, clock, db, jobs
from shared.schema import SERVICES
from tests.conftest import Database, empty
from tests.credit import borrowers
from tests.credit.cards import card, signed
from tests.flows.people import People
from tests.flows.people import money as people_money
from tests.guarantee import test_acceptance
from tests.harness import BANK, BUREAU, GUARANTOR, INSURER, Town, body, client
from tests.insurance import peril_models
from tests.sink import compensation, test_landuse, test_plantings

#: Whose resources each service keeps in this story.
OWNERS = {"sink": BUREAU, "credit": BANK, "insurance": INSURER, "guarantee": GUARANTOR}


@dataclass
class Story:
    """Four services with a loan repaid in part and burnt, one in default and called, and one waiting for approval."""

    databases: dict[str, Database]
    #: An id that exists, for each name of a path's parameter.
    ids: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def story(databases: dict[str, Database], postgres: EmbeddedPostgres) -> Iterator[Story]:
    """One story for a module's tests; every row is gone afterwards."""
    for database in databases.values():
        empty(database, postgres)
    town = Town(databases)
    people = People(town)
    people.set_profile()
    people.register_forests(3)
    town.pump()
    burnt, defaulted = people.lend(people.assets[0]), people.lend(people.assets[1])
    people.apply(people.assets[2])
    reviewed = _review(people)
    people.issue(people.assets[0], "600", "ccer:1")
    people.propose(people.assets[1], "5", "ccer:waiting")
    _index(people)
    _fire(people)
    people.on(defaulted, "default", {"ground": "overdue", "comment": "ninety days"})
    town.pump()
    _take_over(people, defaulted)
    _forecast(people)
    _compensate(people)
    _survey(people)
    rows = f"{','.join(prescreens.REQUIRED)}\nFILE-1,cooperative,022,500000.00,36\n".encode()
    body(client("credit", databases["credit"], "officer", BANK).send("/v1/prescreens", rows), 202)
    body(client("credit", databases["credit"], "modeller", BANK).send("/v1/models?kind=scorecard", signed(card())), 201)
    peril_models.promoted(databases["insurance"], peril_models.signed(peril_models.document()))
    rows = f"{','.join(bulk_pricing.REQUIRED)}\nPARCEL-1,youyu,1000.00,900.00\n".encode()
    body(client("insurance", databases["insurance"], "insurer", INSURER).send("/v1/pricings", rows), 202)
    contract = {"name": "share", "kind": "quota_share", "ceded_share": "0.2"}
    programme = {"name": "year", "starts_on": clock.today().isoformat(), "contracts": [contract]}
    insurer = client("insurance", databases["insurance"], "insurer", INSURER)
    body(insurer.post("/v1/reinsurance-programmes", programme), 201)
    limit = {"kind": "ring", "name": "near", "radius_km": "5", "cap": people_money(900_000_000)}
    body(insurer.post("/v1/aggregate-limits", limit))
    asked = {"years": 200}
    body(insurer.post("/v1/accumulations", asked), 202)
    manager = client("guarantee", databases["guarantee"], "guarantor", GUARANTOR)
    allocation = body(manager.send("/v1/allocations", json.dumps(test_acceptance.queue()).encode()), 202)
    # Two borrowers of one telephone, so that there is a group.
    for serial in (1, 2):
        asked = borrowers.person(serial, phone="13900000000")
        body(client("credit", databases["credit"], "officer", BANK).post("/v1/parties", asked), 201)

    body(people.bureau().post("/v1/asset-imports", {"rows": [{"name": "no forest"}]}), 202)
    town.run_jobs()
    prices = {"allocation_id": allocation["id"], "starts_on": clock.today().isoformat()}
    body(manager.post("/v1/bid-prices", prices), 201)
    for service in SERVICES:
        _job(service, databases[service])
    assert town.dead_letters() == {}
    ids = {service: _ids(service, databases[service], burnt) for service in SERVICES}
    ids["credit"]["review"] = reviewed
    yield Story(databases, ids)
    for database in databases.values():
        empty(database, postgres)


def _review(people: People) -> str:
    """A natural person's application that was declined, reviewed and upheld; returns the loan's id."""
    loan_id = people.apply(people.assets[2], borrower_kind="natural_person", amount=people_money(5_000_000))
    body(people.officer().post(f"/v1/loans/{loan_id}/review", {"grounds": "facts_missing"}), 201)
    word = {"decision": "uphold", "reason_code": "machine_confirmed", "explanation": "the accounts were read"}
    body(people.approver().post(f"/v1/loans/{loan_id}/review/decision", word))
    return loan_id


def _fire(people: People) -> None:
    fire = {
        "peril": "fire",
        "occurred_on": clock.today().isoformat(),
        "event_area_ha": "500.0000",
        "assets": [{"asset_id": people.assets[0], "severity": "0.6"}],
    }
    body(people.bureau().post("/v1/reversals", fire), 201)


def _take_over(people: People, loan_id: str) -> None:
    """The bank takes what was pledged over, and agrees that a unit of it goes to somebody."""
    people.on(loan_id, "enforcement")
    people.town.pump()
    bank = people.town.client("sink", "officer", BANK)
    (lien,) = body(bank.get("/v1/pledges", loan_id=loan_id))["items"]
    body(bank.post(f"/v1/pledges/{lien['id']}/consents", {"tonnes": "1", "to": "somebody"}), 201)


def _index(people: People) -> None:
    """An index cover of a drawn loan, bound and observed."""
    insurer = client("insurance", people.town.databases["insurance"], "insurer", INSURER)
    policy = next(one for one in body(insurer.get("/v1/policies"))["items"] if one["balance"])
    asset = policy["assets"][0]["asset_id"]
    asked = {"policy_id": policy["id"], "asset_id": asset, "kind": "area_index", "limit": people_money(1_000)}
    shown = body(insurer.post("/v1/index-covers", asked | {"source": "satellite"}), 201)
    body(insurer.post(f"/v1/index-covers/{shown['id']}/binding", {"price_hash": shown["price_hash"]}))
    seen = {"observed_on": clock.today().isoformat(), "reading": "0.05", "source": "satellite", "name": "pass-1"}
    found = {"asset_id": asset, "surveyed_on": clock.today().isoformat(), "source": "walked", "fuel": "medium"}
    body(insurer.post("/v1/site-surveys", found), 201)
    body(insurer.post("/v1/index-observations", {"asset_id": asset, "kind": "area_index"} | seen))


def _forecast(people: People) -> None:
    price = {"amount": "80.00", "currency": "CNY"}
    curve = {"name": "next", "spot_price": price, "long_run_price": price, "reversion": "0.25", "volatility": "0.3"}
    body(people.bureau().post("/v1/price-curves", curve | {"source": "assumed by the test"}), 201)
    weeks = [(clock.today() - timedelta(days=21 * (39 - week)), 60 + 7 * week % 13) for week in range(40)]
    prices = [{"on": day.isoformat(), "price": f"{level}.00"} for day, level in weeks]
    past = {"name": "past", "source": "assumed by the test", "instrument": "ccer", "process": "lognormal"}
    body(people.bureau().post("/v1/price-histories", past | {"prices": prices}), 201)


def _compensate(people: People) -> None:
    """A footprint made up for with issued units, land taken, a grove adopted and an account kept."""
    bureau = people.bureau()
    (asset,) = people.register_forests(1)
    people.issue(asset, "50", "ccer:story")
    body(bureau.post("/v1/footprints", compensation.meeting()), 201)
    compensation.retired(people.town.databases["sink"], bureau)
    body(bureau.post("/v1/land-use-compensations", test_landuse.project()), 201)
    grove = body(bureau.post("/v1/plantings", test_plantings.grove(40)), 201)
    body(bureau.post(f"/v1/plantings/{grove['id']}/adoptions", {"adopter": "somebody", "trees": 1}), 201)
    opened = {"kind": "village", "name": "a village", "county": "youyu"}
    account = body(bureau.post("/v1/zero-carbon-accounts", opened), 201)
    line = {"kind": "emission", "year": clock.today().year, "tonnes": "1", "note": "counted"}
    body(bureau.post(f"/v1/zero-carbon-accounts/{account['id']}/entries", line), 201)


def _survey(people: People) -> None:
    path = f"/v1/assets/{people.assets[2]}"
    asset = body(people.bureau().get(path))
    species = asset["species"][0]["species"]
    plots = [{"name": name, "volumes": [{"species": species, "volume_m3_ha": "12"}]} for name in ("one", "two")]
    stratum = {"name": "whole", "area_ha": asset["area_ha"], "plots": plots}
    survey = {"measured_on": clock.today().isoformat(), "strata": [stratum]}
    body(people.bureau().post(f"{path}/measurements", survey), 201)


def _job(service: str, database: Database) -> None:
    with database.sessions.begin() as session:
        db.act_for(session, OWNERS[service])
        session.info["actor"] = "tester"
        jobs.start(session, "import", 1, rows=[])
        audit.seal(session)


#: The list in which an id of each kind is found.
_LISTS = {
    "sink": {
        "asset_id": "assets",
        "import_id": "asset-imports",
        "curve_id": "price-curves",
        "history_id": "price-histories",
        "pledge_id": "pledges",
        "footprint_id": "footprints",
        "order_id": "compensation-orders",
        "land_use_id": "land-use-compensations",
        "planting_id": "plantings",
        "adoption_id": "adoptions",
        "account_id": "zero-carbon-accounts",
        "project_id": "projects",
        "duty_id": "replacement-duties",
        "proposal_id": "issuance-proposals",
    },
    "credit": {"loan_id": "loans", "party_id": "parties", "prescreen_id": "prescreens", "model_id": "models"},
    "insurance": {
        "cover_id": "covers",
        "policy_id": "policies",
        "claim_id": "claims",
        "index_cover_id": "index-covers",
        "pricing_id": "pricings",
        "accumulation_id": "accumulations",
        "programme_id": "reinsurance-programmes",
        "model_id": "models",
    },
    "guarantee": {"guarantee_id": "guarantees", "call_id": "calls", "allocation_id": "allocations"},
}
_ROLES = {"sink": "bureau", "credit": "officer", "insurance": "insurer", "guarantee": "guarantor"}


def _ids(service: str, database: Database, loan_id: str) -> dict[str, str]:
    owner = client(service, database, _ROLES[service], OWNERS[service])
    bank = client(service, database, "officer", BANK) if service == "sink" else owner
    found = {}
    for name, path in {**_LISTS[service], "job_id": "jobs"}.items():
        found[name] = body((bank if name == "pledge_id" else owner).get(f"/v1/{path}"))["items"][0]["id"]
    if service == "sink":
        valued = body(owner.get(f"/v1/assets/{found['asset_id']}/valuations"))
        found["valuation_id"] = valued["items"][0]["id"]
        lines = body(owner.get(f"/v1/zero-carbon-accounts/{found['account_id']}/entries"))
        found["entry_id"] = lines["items"][0]["id"]
        for asset in body(owner.get("/v1/assets"))["items"]:
            for measured in body(owner.get(f"/v1/assets/{asset['id']}/measurements"))["items"]:
                found["measurement_id"] = measured["id"]
        found["code"] = body(bank.get(f"/v1/pledges/{found['pledge_id']}/certificate"))["code"]
    if service == "credit":
        found["loan_id"] = loan_id
    return found
