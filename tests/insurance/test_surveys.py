"""What an insurer found at a site moves every price after it, and nobody else's."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.insurance.tables import Cover
from shared import clock
from shared.events.insurance import CoverQuoted
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, Client, body, client, deliver, published
from tests.insurance.examples import asked, pledge, rows, valued


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


def survey(insurer: Client, asset: UUID, **found: Any) -> Any:
    day = clock.today().isoformat()
    return insurer.post("/v1/site-surveys", {"asset_id": str(asset), "surveyed_on": day, "source": "walked"} | found)


def quote(database: Database, asset: UUID) -> Decimal:
    loan = uuid7()
    deliver("insurance", database, asked(loan, pledge(asset, 100_000)))
    return next(event.annual_premium for event in published(database, CoverQuoted) if event.loan_id == loan)


def test_a_quote_asked_for_by_event_is_priced_with_what_was_found(insurer: Client, insurance_db: Database) -> None:
    asset = uuid7()
    deliver("insurance", insurance_db, valued(asset))
    body(survey(client("insurance", insurance_db, "insurer", OTHER_INSURER), asset, fuel="high"), 201)
    plain = quote(insurance_db, asset)
    body(survey(insurer, asset, slope_deg="30", access_km="8", fuel="high", aspect="south"), 201)
    steep = quote(insurance_db, asset)
    body(survey(insurer, asset, slope_deg="2", access_km="0.2", fuel="low", aspect="north", fire_break="yes"), 201)
    flat = quote(insurance_db, asset)
    assert flat < plain < steep
    factors = [
        {one["peril"]: one["factors"] for one in cover.pricing["factors"]} for cover in rows(insurance_db, Cover)
    ]
    assert "fuel" not in factors[0]["fire"]
    assert factors[1]["fire"]["fuel"] == "1.250000"
    asked_over_http = {
        "forests": [{"asset_id": str(asset), "sum_insured": {"amount": "100000.00", "currency": "CNY"}}],
        "term_months": 24,
    }
    assert body(insurer.post("/v1/price", asked_over_http))["annual_premium"]["amount"] == str(flat)
    assert len(body(insurer.get("/v1/site-surveys"))["items"]) == 2


def test_a_survey_of_nothing_or_of_tomorrow_is_refused(insurer: Client) -> None:
    assert survey(insurer, uuid7()).status_code == 422
    tomorrow = (clock.today() + timedelta(days=1)).isoformat()
    assert survey(insurer, uuid7(), fuel="low", surveyed_on=tomorrow).status_code == 422
    assert survey(insurer, uuid7(), slope_deg="91").status_code == 422
