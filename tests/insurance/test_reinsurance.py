"""Reinsurance as contract data: two people, a day it begins, and what it leaves of the bad years."""

from datetime import timedelta
from decimal import Decimal

import pytest

from shared import clock
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, Client, body, client
from tests.insurance.test_accumulations import book, run

SHARE = {"name": "share", "kind": "quota_share", "ceded_share": "0.25"}
LAYER = {"name": "layer", "kind": "catastrophe", "order": 2, "attachment": "10000.00", "limit": "50000.00",
         "reinstatements": 1, "reinstatement_rate": "1", "premium": "1000.00"}  # fmt: skip


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


def proposed(insurer: Client, *contracts: dict, days: int = 0, status: int = 201) -> dict:
    day = clock.today() + timedelta(days=days)
    asked = {"name": "the year", "starts_on": day.isoformat(), "contracts": list(contracts)}
    return body(insurer.post("/v1/reinsurance-programmes", asked), status)


def test_another_person_puts_a_programme_in_force_and_the_next_run_is_gross_ceded_and_net(
    insurer: Client, insurance_db: Database
) -> None:
    book(insurance_db)
    made = proposed(insurer, SHARE, LAYER)
    path, seen = f"/v1/reinsurance-programmes/{made['id']}", {"payload_hash": made["payload_hash"], "approve": True}
    assert insurer.post(f"{path}/approval", seen).status_code == 403
    colleague = client("insurance", insurance_db, "insurer", INSURER, subject="colleague")
    assert colleague.post(f"{path}/approval", seen | {"payload_hash": "0" * 64}).status_code == 409
    before = run(insurance_db, insurer)
    approved = body(colleague.post(f"{path}/approval", seen))
    assert (approved["state"], approved["decided_by"]) == ("approved", "colleague")
    assert colleague.post(f"{path}/approval", seen).status_code == 409
    later = proposed(insurer, SHARE, days=1)
    seen = {"payload_hash": later["payload_hash"], "approve": True}
    body(colleague.post(f"/v1/reinsurance-programmes/{later['id']}/approval", seen))
    after = run(insurance_db, insurer)
    assert before["book_digest"] != after["book_digest"]
    aal = {(m["of"], m["name"]): Decimal(m["aal"]) for m in after["metrics"]}
    assert aal["all", ""] == next(Decimal(m["aal"]) for m in before["metrics"] if m["of"] == "net")
    assert aal["ceded", "share"] == pytest.approx(aal["all", ""] / 4, abs=Decimal("0.01"))
    assert aal["ceded", "layer"] > 0
    parts = aal["net", ""] + aal["ceded", "share"] + aal["ceded", "layer"]
    assert parts == pytest.approx(aal["all", ""], abs=Decimal("0.02"))
    assert 0 < aal["reinstatement_premium", "layer"] <= 1000
    other = client("insurance", insurance_db, "insurer", OTHER_INSURER)
    assert other.get(path).status_code == 404


def test_layers_that_overlap_are_refused_with_their_place(insurer: Client) -> None:
    refused = proposed(insurer, LAYER, LAYER | {"name": "other", "attachment": "50000.00"}, status=422)
    assert refused["errors"][0]["pointer"] == "/contracts/0"
    assert "overlaps with other" in refused["errors"][0]["detail"]
