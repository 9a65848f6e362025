"""Limits on what stands together refuse when asked and when bound, and one insurer's are not another's."""

from decimal import Decimal

import pytest

from services.insurance.tables import Cover, Policy
from shared.events.insurance import CoverRefused
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import BANK, GUARANTOR, INSURER, OTHER_INSURER, Client, body, client, deliver, published
from tests.insurance.examples import accepted, asked, bound, pledge, row, rows, valued

ZONE = [[112.3, 39.8], [112.5, 39.8], [112.5, 40.0], [112.3, 40.0]]


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER)


def limit(insurer: Client, cap: str, status: int = 200, **more) -> dict:
    given = {"name": "one", "cap": {"amount": cap, "currency": "CNY"}} | more
    return body(insurer.post("/v1/aggregate-limits", given), status)


@pytest.mark.parametrize(
    "of",
    [
        {"kind": "ring", "radius_km": "5"},
        {"kind": "zone", "outline": ZONE},
        {"kind": "bank", "name": BANK},
        {"kind": "guarantor", "name": GUARANTOR},
    ],
    ids=lambda of: of["kind"],
)
def test_what_would_stand_together_above_a_limit_is_refused_when_asked_and_when_bound(
    insurer: Client, insurance_db: Database, of: dict
) -> None:
    bound(insurance_db, uuid7(), uuid7())
    carried = row(insurance_db, Policy).sum_insured
    limit(insurer, str(2 * carried), **of)
    near, loan = uuid7(), uuid7()
    deliver("insurance", insurance_db, valued(near, latitude=Decimal("39.92")))
    deliver("insurance", insurance_db, asked(loan, pledge(near)))
    (cover,) = rows(insurance_db, Cover, loan_id=loan)
    assert cover.state == "quoted"
    # The limit falls between quote and binding.
    limit(insurer, str(2 * carried - 1), **of)
    deliver("insurance", insurance_db, accepted(loan, cover.id, pledge(near)), first=2)
    assert row(insurance_db, Cover, loan_id=loan).state == "refused"
    (refused,) = published(insurance_db, CoverRefused)
    assert [(refused.stage, one.code) for one in refused.reasons] == [("bind", f"aggregate_{of['kind']}")]
    again = uuid7()
    deliver("insurance", insurance_db, asked(again, pledge(near)))
    assert row(insurance_db, Cover, loan_id=again).state == "refused"
    (shown,) = body(insurer.get("/v1/aggregates"))["items"]
    assert Decimal(shown["carried"]["amount"]) == carried
    assert Decimal(shown["room"]["amount"]) == carried - 1
    other = client("insurance", insurance_db, "insurer", OTHER_INSURER)
    assert body(other.get("/v1/aggregates"))["items"] == []


def test_a_forest_far_away_is_in_no_ring_with_the_others_and_outside_of_the_zone(
    insurer: Client, insurance_db: Database
) -> None:
    bound(insurance_db, uuid7(), uuid7())
    carried = row(insurance_db, Policy).sum_insured
    limit(insurer, str(carried), kind="ring", radius_km="5")
    limit(insurer, str(carried), kind="zone", outline=ZONE)
    far, loan = uuid7(), uuid7()
    deliver("insurance", insurance_db, valued(far, longitude=Decimal("112.6")))
    deliver("insurance", insurance_db, asked(loan, pledge(far)))
    assert row(insurance_db, Cover, loan_id=loan).state == "quoted"


@pytest.mark.parametrize(
    "of",
    [
        {"kind": "ring"},
        {"kind": "zone"},
        {"kind": "bank", "radius_km": "5"},
        {"kind": "zone", "outline": [[0, 0], [1, 1], [0, 1], [1, 0]]},
    ],
)
def test_a_limit_that_means_nothing_is_refused(insurer: Client, of: dict) -> None:
    limit(insurer, "1.00", 422, **of)
