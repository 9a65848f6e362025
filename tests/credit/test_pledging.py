"""Collateral of a loan that is paid out: a further forest cures a call, a part no longer needed is let go of."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.credit.actions.dates import months_after
from shared import clock
from shared.events import credit, sink
from tests.conftest import Database
from tests.credit.story import ASSET, OTHER_ASSET, WHY, Story, amount, valued

FURTHER = {"asset_id": str(OTHER_ASSET), "tonnes": "20000"}


@pytest.fixture
def story(credit_db: Database) -> Story:
    told = Story(credit_db)
    told.to("performing")
    told.tell(valued(OTHER_ASSET, county="youyu"))
    return told


def called(story: Story) -> Story:
    story.value(2, 1_400_000)
    assert story.state() == "margin_called"
    return story


def test_a_further_forest_counts_once_it_is_placed_and_cures_the_call(story: Story) -> None:
    before = called(story).loan()["covenants"]["loan_to_value"]
    story.post("top-up", FURTHER)
    (ordered,) = story.told(credit.TopUpOrdered)
    assert [(one.asset_id, one.tonnes) for one in ordered.pledges] == [(OTHER_ASSET, Decimal(20_000))]
    # The shortest time in whole months that outlasts the loan.
    months, matures = ordered.term_months, date.fromisoformat(story.loan()["matures_on"])
    assert months_after(clock.today(), months - 1) < matures <= months_after(clock.today(), months)
    # Asked for is not had: another test finds the same ratio.
    story.value(3, 1_400_000)
    assert (story.state(), story.loan()["covenants"]["loan_to_value"]) == ("margin_called", before)
    story.post("top-up", FURTHER, status=422)
    story.tonnes[OTHER_ASSET] = Decimal(20_000)
    story.tell(story.placed(OTHER_ASSET), copies=2)
    loan = story.loan()
    assert loan["state"] == "performing"
    # A million on 1.12 m of the one and half of 2.4 m of the other.
    assert loan["covenants"]["loan_to_value"] == "0.43103448"
    assert len(story.told(credit.MarginCured)) == 1


def test_a_top_up_that_the_register_refuses_leaves_the_loan_as_it_was(story: Story) -> None:
    called(story).post("top-up", FURTHER)
    refusal = sink.PledgeRefused(asset_id=OTHER_ASSET, loan_id=story.loan_id, bank=story.bank, reasons=WHY)
    story.tell(refusal, copies=2)
    loan = story.loan()
    assert (loan["state"], loan["reasons"][0]["code"], len(loan["assets"])) == ("margin_called", "no_room", 1)
    story.post("top-up", FURTHER)


def test_a_forest_placed_for_a_loan_that_fell_into_default_is_frozen_with_the_rest(story: Story) -> None:
    called(story).post("top-up", FURTHER)
    story.post("default", {"ground": "overdue", "comment": "late"})
    story.tell(story.placed(OTHER_ASSET))
    assert {asset["pledge_state"] for asset in story.loan()["assets"]} == {"frozen"}


@pytest.mark.parametrize(("asset", "status"), [(ASSET, 422), (uuid4(), 409)], ids=["already pledged", "never valued"])
def test_a_top_up_that_cannot_be_is_refused(story: Story, asset: UUID, status: int) -> None:
    problem = story.post("top-up", {"asset_id": str(asset), "tonnes": "1"}, status=status)
    assert problem["errors"][0]["pointer"] == "/asset_id"
    assert len(story.loan()["assets"]) == 1


def test_what_is_no_longer_needed_is_released_up_to_the_initial_cap(story: Story) -> None:
    loan = story.post("release", {"asset_id": str(ASSET), "tonnes": "10000"})
    assert loan["assets"][0]["tonnes"] == "30000.000"
    assert loan["covenants"]["loan_to_value"] == "0.55555556"
    story.post("release", {"asset_id": str(ASSET), "tonnes": "1000"})
    ordered = story.told(credit.PledgeReductionOrdered)
    assert [(one.asset_id, one.tonnes) for one in ordered] == [(ASSET, Decimal(10_000)), (ASSET, Decimal(1_000))]
    # The register answers the first while the second is under way.
    story.tell(story.pledge_reduced("30000"))
    assert story.loan()["assets"][0]["tonnes"] == "29000.000"
    problem = story.post("release", {"asset_id": str(ASSET), "tonnes": "6000"}, status=409)
    assert "70%" in problem["detail"]
    assert "70%" in problem["detail"].partition("解除")[2]
    assert story.loan()["assets"][0]["tonnes"] == "29000.000"


@pytest.mark.parametrize(
    ("change", "status"),
    [({"tonnes": "40000"}, 422), ({"asset_id": str(OTHER_ASSET)}, 422), ({"tonnes": "0"}, 422)],
    ids=str,
)
def test_a_release_that_cannot_be_is_refused(story: Story, change: dict[str, Any], status: int) -> None:
    story.post("release", {"asset_id": str(ASSET), "tonnes": "10"} | change, status=status)


def test_a_called_loan_releases_nothing(story: Story) -> None:
    called(story).post("release", {"asset_id": str(ASSET), "tonnes": "10"}, status=409)
    assert story.told(credit.PledgeReductionOrdered) == []


def test_the_covenants_say_what_would_cure_in_cash_or_in_pledges(story: Story) -> None:
    called(story)
    found = story.officer.get(f"/v1/loans/{story.loan_id}/covenants").get_json()
    assert found["cure_cash"] == amount(160_000)
    assert found["cure_pledge_value"] == amount("213333.34")
