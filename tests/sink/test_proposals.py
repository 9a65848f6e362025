"""No unit without a second person who saw exactly what was entered."""

from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from shared.events.sink import CreditsIssued
from tests.conftest import Database
from tests.harness import BANK, BUREAU, Client, body, client, published
from tests.sink.examples import read_asset
from tests.sink.test_ledger import forest


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The registrar."""
    return client("sink", sink_db, "bureau", BUREAU)


def entered(bureau: Client, asset_id: Any, origin: str = "1") -> dict[str, Any]:
    """An issuance that waits."""
    day = clock.today().isoformat()
    sent = {"asset_id": str(asset_id), "origin": origin, "tonnes": "9", "vintage_from": day, "vintage_to": day}
    return dict(body(bureau.post("/v1/issuance-proposals", sent), 201))


def test_an_issuance_is_minted_once_another_person_approved_just_that(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = forest(sink_db, sealed)
    made = entered(bureau, asset.id)
    assert (made["state"], made["payload"]["tonnes"]) == ("open", "9")
    assert read_asset(sink_db, asset.id).issued_tonnes == 0
    (waiting,) = body(bureau.get("/v1/issuance-proposals"))["items"]
    assert waiting == made
    assert body(client("sink", sink_db, "officer", BANK).get("/v1/issuance-proposals"))["items"] == []
    path, seen = f"/v1/issuance-proposals/{made['id']}/issuance", {"payload_hash": made["payload_hash"]}
    approver = client("sink", sink_db, "bureau-approver", BUREAU)
    assert bureau.post(path, seen).status_code == 403
    assert approver.post(path, {"payload_hash": "0" * 64}).status_code == 409
    other = client("sink", sink_db, "bureau-approver", "bureau-elsewhere")
    assert other.post(path, seen).status_code == 404
    assert published(sink_db, CreditsIssued) == []
    issued = body(approver.post(path, seen), 201)
    assert (issued["tonnes"], issued["buffer_tonnes"]) == ("9.000", "1.000")
    assert approver.post(path, seen).status_code == 409
    assert body(bureau.get("/v1/issuance-proposals"))["items"] == []


def test_the_maker_does_not_approve_even_with_both_roles(sink_db: Database, sealed: Any, bureau: Client) -> None:
    made = entered(bureau, forest(sink_db, sealed).id)
    both = client("sink", sink_db, "bureau-approver", BUREAU, subject=made["proposed_by"])
    seen = {"payload_hash": made["payload_hash"]}
    refused = both.post(f"/v1/issuance-proposals/{made['id']}/issuance", seen)
    assert "cannot approve it" in body(refused, 403)["detail"]


def test_what_was_rejected_or_expired_or_is_no_more_true_mints_nothing(
    sink_db: Database, sealed: Any, bureau: Client
) -> None:
    asset = forest(sink_db, sealed)
    approver = client("sink", sink_db, "bureau-approver", BUREAU)
    rejected, late, twice, first = (entered(bureau, asset.id, origin) for origin in ("1", "2", "3", "4"))
    seen = {"payload_hash": rejected["payload_hash"]}
    said = body(approver.post(f"/v1/issuance-proposals/{rejected['id']}/rejection", seen))
    assert said["state"] == "rejected"
    assert approver.post(f"/v1/issuance-proposals/{rejected['id']}/issuance", seen).status_code == 409
    with clock.travelled(timedelta(days=31)):
        expired = approver.post(f"/v1/issuance-proposals/{late['id']}/issuance", {"payload_hash": late["payload_hash"]})
    assert "expired" in body(expired, 409)["detail"]
    path = "/v1/issuance-proposals/{id}/issuance"
    body(approver.post(path.format(**first), {"payload_hash": first["payload_hash"]}), 201)
    # The vintage was issued for meanwhile: what was true when it was entered is looked at again.
    problem = body(approver.post(path.format(**twice), {"payload_hash": twice["payload_hash"]}), 409)
    assert problem["errors"][0]["pointer"] == "/vintage_from"
    assert read_asset(sink_db, asset.id).issued_tonnes == 9
