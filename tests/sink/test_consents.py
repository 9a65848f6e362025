"""What a bank took over goes where the bank agreed that it goes, once, and the database sees to it."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from services.sink.actions import units
from services.sink.actions.pledges import enforce_pledges, freeze_pledges
from services.sink.tables import Asset, Consent, Pledge
from shared.events.sink import TransferAgreed
from tests.conftest import Database
from tests.harness import BANK, BUREAU, OTHER_BANK, Client, body, client, published
from tests.sink.examples import read_asset
from tests.sink.test_ledger import by_account, forest, issue, pledge


@pytest.fixture
def bureau(sink_db: Database) -> Client:
    """The registrar."""
    return client("sink", sink_db, "bureau", BUREAU)


@pytest.fixture
def officer(sink_db: Database) -> Client:
    """The bank's loan officer."""
    return client("sink", sink_db, "officer", BANK)


def taken_over(database: Database, sealed: Any, tonnes: str = "20") -> tuple[Asset, Pledge]:
    """A forest of which a bank took issued units over."""
    asset = forest(database, sealed)
    held = pledge(database, sealed, asset, tonnes)
    with sealed(database.sessions, BANK) as session:
        enforce_pledges(session, held.loan_id)
    issue(database, sealed, asset, 90)
    return asset, held


def listed(person: Client, **query: Any) -> Any:
    return body(person.get("/v1/consents", **query))["items"]


def test_enforced_units_go_where_the_bank_agreed_and_only_once(
    sink_db: Database, sealed: Any, bureau: Client, officer: Client
) -> None:
    asset, held = taken_over(sink_db, sealed)
    sent = {"asset_id": str(asset.id), "tonnes": "8", "to": "Steelworks", "holder": BANK}
    before = by_account(sink_db, asset)
    assert body(bureau.post("/v1/transfers", sent), 409)["type"].endswith("/bank-consent-missing")
    given = body(officer.post(f"/v1/pledges/{held.id}/consents", {"tonnes": "8", "to": "Steelworks"}), 201)
    # The registrar sees what it may use, and from whom; another bank does not.
    assert listed(bureau, state="waiting") == listed(officer, asset_id=asset.id) == [given]
    assert listed(bureau, state="used") == listed(client("sink", sink_db, "officer", OTHER_BANK)) == []
    # Neither more, nor to anybody else.
    for changes in ({"tonnes": "9"}, {"to": "Trader"}):
        assert bureau.post("/v1/transfers", sent | changes).status_code == 409
    assert by_account(sink_db, asset) == before
    moved = body(bureau.post("/v1/transfers", sent), 201)
    assert ("transferred", 8) in by_account(sink_db, asset)
    assert read_asset(sink_db, asset.id).enforced_tonnes == 12
    assert bureau.post("/v1/transfers", sent).status_code == 409
    (told,) = published(sink_db, TransferAgreed)
    assert (told.bank, told.to, told.tonnes, str(told.consent_id)) == (BANK, "Steelworks", 8, given["id"])
    path = f"/v1/pledges/{held.id}/consents"
    assert body(officer.get(path))["items"] == listed(bureau, state="used") == [given | {"posting_id": moved["id"]}]
    assert listed(bureau, state="waiting") == []
    assert client("sink", sink_db, "officer", OTHER_BANK).get(path).status_code == 404
    # Whom the bank gave them to uses them as anybody does.
    used = {"asset_id": str(asset.id), "tonnes": "8", "holder": "Steelworks", "reason": "own emissions"}
    body(bureau.post("/v1/retirements", used), 201)


def test_only_the_bank_agrees_and_only_to_what_it_took_over(
    sink_db: Database, sealed: Any, bureau: Client, officer: Client
) -> None:
    asset = forest(sink_db, sealed)
    held = pledge(sink_db, sealed, asset, "20")
    path, asked = f"/v1/pledges/{held.id}/consents", {"tonnes": "8", "to": "Steelworks"}
    assert officer.post(path, asked).status_code == 409
    with sealed(sink_db.sessions, BANK) as session:
        freeze_pledges(session, held.loan_id)
    assert officer.post(path, asked).status_code == 409
    with sealed(sink_db.sessions, BANK) as session:
        enforce_pledges(session, held.loan_id)
    assert bureau.post(path, asked).status_code == 403
    assert client("sink", sink_db, "officer", OTHER_BANK).post(path, asked).status_code == 404
    assert body(officer.post(path, asked | {"tonnes": "21"}), 422)["errors"][0]["pointer"] == "/tonnes"
    with sink_db.sessions() as session:
        assert session.scalars(select(Consent)).all() == []


def test_the_database_lets_no_enforced_unit_go_without_consent(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset, _ = taken_over(sink_db, sealed)
    monkeypatch.setattr(units, "demand_consent", lambda *_: None)
    with pytest.raises(DBAPIError, match="by its consent only"), sealed(sink_db.sessions, BUREAU) as session:
        units.transfer_credits(session, asset.id, Decimal(8), "Steelworks", BANK)
