"""The HTTP door: who may do what, whose rows they see, and that a repeated or stale request changes nothing."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from services.insurance.tables import Claim, Cover, Policy
from shared.events.insurance import ClaimPaid, PolicyLapsed
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, Client, body, client, deliver, published
from tests.insurance.examples import bound, disbursed, quoted, reversal, row


@pytest.fixture
def asset() -> UUID:
    return uuid7()


@pytest.fixture
def loan() -> UUID:
    return uuid7()


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


@pytest.fixture
def other(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", OTHER_INSURER)


@pytest.fixture
def auditor(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "auditor", INSURER)


@pytest.fixture
def story(insurance_db: Database, asset: UUID, loan: UUID) -> dict[str, UUID]:
    """A drawn loan, a policy and an open claim."""
    policy = bound(insurance_db, asset, loan, disbursed(loan, 100_000))
    deliver("insurance", insurance_db, reversal(asset), first=2)
    return {"cover": row(insurance_db, Cover).id, "policy": policy, "claim": row(insurance_db, Claim).id}


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def test_without_a_token_nothing_is_shown(insurance_db: Database) -> None:
    nobody = client("insurance", insurance_db)
    for path in ("/v1/covers", "/v1/policies", "/v1/claims", "/v1/capacities", "/v1/jobs"):
        response = nobody.get(path)
        assert (response.status_code, response.mimetype) == (401, "application/problem+json")


def test_a_token_for_another_service_is_refused(insurance_db: Database) -> None:
    assert client("insurance", insurance_db, "officer", "bank-yanmen").get("/v1/covers").status_code == 401


def test_an_auditor_reads_and_decides_nothing(auditor: Client, story: dict[str, UUID]) -> None:
    assert body(auditor.get("/v1/claims"))["items"]
    for path, sent in (
        (f"/v1/claims/{story['claim']}/payment", {}),
        (f"/v1/policies/{story['policy']}/lapse", {"reason": "ordinary"}),
        ("/v1/capacities", {"county": "youyu", "cap": money("1.00")}),
    ):
        assert auditor.post(path, sent, If_Match='"v1"').status_code == 403


def test_what_belongs_to_another_insurer_does_not_exist(other: Client, story: dict[str, UUID]) -> None:
    for path in (f"covers/{story['cover']}", f"policies/{story['policy']}", f"claims/{story['claim']}"):
        assert other.get(f"/v1/{path}").status_code == 404
    assert other.post(f"/v1/claims/{story['claim']}/payment", If_Match='"v1"').status_code == 404
    lapse = other.post(f"/v1/policies/{story['policy']}/lapse", {"reason": "ordinary"}, If_Match='"v1"')
    assert lapse.status_code == 404
    for path in ("covers", "policies", "claims", "capacities"):
        assert body(other.get(f"/v1/{path}")) == {"items": [], "next": None}


def test_a_cover_shows_its_price_step_by_step(insurer: Client, insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover_id = quoted(insurance_db, asset, loan)
    shown = body(insurer.get(f"/v1/covers/{cover_id}"))
    assert shown["state"] == "quoted"
    assert shown["sum_insured"] == money("500000.00")
    assert shown["assets"][0]["sum_insured"] == money("500000.00")
    assert shown["deductible"] == "0.10000000"
    assert {"equation", "name", "of", "inputs", "result"} == set(shown["explanation"][0])
    assert shown["unverified_parameters"]


def test_covers_are_filtered_by_state_and_loan(
    insurer: Client, insurance_db: Database, asset: UUID, loan: UUID, story: dict[str, UUID]
) -> None:
    quoted(insurance_db, uuid7(), uuid7())
    assert len(body(insurer.get("/v1/covers"))["items"]) == 2
    assert [one["state"] for one in body(insurer.get("/v1/covers", state="bound"))["items"]] == ["bound"]
    assert [one["loan_id"] for one in body(insurer.get("/v1/policies", loan_id=str(loan)))["items"]] == [str(loan)]
    assert insurer.get("/v1/covers", state="happy").status_code == 422
    first = body(insurer.get("/v1/covers", limit=1))
    second = body(insurer.get("/v1/covers", limit=1, cursor=first["next"]))
    assert second["next"] is None
    assert second["items"][0]["id"] < first["items"][0]["id"]


def test_a_payment_goes_to_the_bank_and_the_owner(
    insurer: Client, insurance_db: Database, story: dict[str, UUID]
) -> None:
    path = f"/v1/claims/{story['claim']}"
    seen = insurer.get(path)
    paid = insurer.post(f"{path}/payment", If_Match=seen.headers["ETag"])
    answer = body(paid)
    assert (answer["state"], answer["payable"]) == ("paid", money("180000.00"))
    assert (answer["to_bank"], answer["to_owner"]) == (money("100000.00"), money("80000.00"))
    assert paid.headers["ETag"] != seen.headers["ETag"]
    assert len(published(insurance_db, ClaimPaid)) == 1


def test_a_repeated_payment_gets_the_same_answer_and_pays_once(
    insurer: Client, insurance_db: Database, story: dict[str, UUID]
) -> None:
    path, key = f"/v1/claims/{story['claim']}/payment", str(uuid4())
    first = insurer.post(path, If_Match='"v1"', Idempotency_Key=key)
    again = insurer.post(path, If_Match='"v1"', Idempotency_Key=key)
    assert body(first) == body(again)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert insurer.post(path, If_Match='"v1"').status_code == 412
    assert insurer.post(path, If_Match='"v2"').status_code == 409
    assert len(published(insurance_db, ClaimPaid)) == 1


def test_a_payment_needs_the_version_it_was_decided_on(insurer: Client, story: dict[str, UUID]) -> None:
    assert insurer.post(f"/v1/claims/{story['claim']}/payment").status_code == 428


def test_a_dry_run_of_a_payment_pays_nothing(insurer: Client, insurance_db: Database, story: dict[str, UUID]) -> None:
    response = insurer.post(f"/v1/claims/{story['claim']}/payment?dry_run=true", If_Match='"v1"')
    assert body(response)["state"] == "paid"
    assert published(insurance_db, ClaimPaid) == []
    assert body(insurer.get(f"/v1/claims/{story['claim']}"))["state"] == "open"


def test_a_lapse_gives_notice(insurer: Client, insurance_db: Database, story: dict[str, UUID]) -> None:
    path = f"/v1/policies/{story['policy']}"
    seen = insurer.get(path)
    lapsed = body(insurer.post(f"{path}/lapse", {"reason": "ordinary"}, If_Match=seen.headers["ETag"]))
    assert lapsed["state"] == "ending"
    assert lapsed["ends_on"] > lapsed["inception"]
    assert lapsed["return_premium"]["amount"] > "0"
    assert len(published(insurance_db, PolicyLapsed)) == 1
    version = f'"v{lapsed["version"]}"'
    assert insurer.post(f"{path}/lapse", {"reason": "ordinary"}, If_Match=version).status_code == 409


@pytest.mark.parametrize(
    "sent", [{}, {"reason": "whim"}, {"reason": "ordinary", "ends_on": "2030-01-01"}, {"reason": None}]
)
def test_a_lapse_for_no_known_reason_is_refused(insurer: Client, story: dict[str, UUID], sent: dict[str, Any]) -> None:
    response = insurer.post(f"/v1/policies/{story['policy']}/lapse", sent, If_Match='"v1"')
    assert response.status_code == 422


def test_the_insurer_sets_and_sees_its_capacity(insurer: Client, insurance_db: Database) -> None:
    set_ = body(insurer.post("/v1/capacities", {"county": "youyu", "cap": money("600000.00")}))
    assert (set_["cap"], set_["room"], set_["set_by"]) == (money("600000.00"), money("600000.00"), "insurer")
    quoted(insurance_db, uuid7(), uuid7())
    held = {one["county"]: one for one in body(insurer.get("/v1/capacities"))["items"]}
    assert held["youyu"]["pending"] == money("500000.00")
    assert held["youyu"]["room"] == money("100000.00")
    assert held["all"]["set_by"] == "parameters"
    refused = insurer.post("/v1/capacities", {"county": "youyu", "cap": money("100.00")})
    assert refused.status_code == 409
    assert insurer.post("/v1/capacities", {"county": "youyu", "cap": "600000.00"}).status_code == 422
    assert insurer.post("/v1/capacities", {"county": "nowhere", "cap": money("1.00")}).status_code == 422


def test_a_policy_shows_its_sums_and_dates(insurer: Client, insurance_db: Database, story: dict[str, UUID]) -> None:
    shown = body(insurer.get(f"/v1/policies/{story['policy']}"))
    policy = row(insurance_db, Policy)
    assert shown["balance"] == money("100000.00")
    assert shown["remaining"] == money("320000.00")
    assert shown["inception"] == policy.inception.isoformat()
    assert shown["assets"][0]["claimed"] == money("180000.00")


def test_the_door_describes_itself(insurer: Client) -> None:
    described = body(insurer.get("/v1/openapi.json"))
    assert {"/v1/covers", "/v1/claims/{claim_id}/payment", "/v1/capacities"} <= set(described["paths"])
