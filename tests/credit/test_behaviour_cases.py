"""The worked cases that are no arithmetic: what a machine may not say alone, and who may decide a resubmission."""

import pytest

from tests.conftest import Database
from tests.credit.story import Story, amount


@pytest.mark.parametrize("case", ["credit-natural-person-decline"])
def test_a_machine_s_decline_of_a_natural_person_goes_to_a_human_with_reasons(credit_db: Database, case: str) -> None:
    story = Story(credit_db)
    story.value()
    refused = {"amount": amount(1_700_000)}
    assert story.apply(**refused)["state"] == "declined"
    loan = story.apply(**refused, borrower_kind="natural_person")
    assert (loan["state"], "human_review" in loan["decision"]["flags"]) == ("referred", True), case
    assert 1 <= len(loan["reasons"]) <= 4


@pytest.mark.parametrize("case", ["credit-refer-resubmit"])
def test_whoever_decided_a_referral_may_decide_the_resubmission_and_the_score_is_made_anew(
    credit_db: Database, case: str
) -> None:
    story = Story(credit_db)
    story.value(p10=30_000_000)
    doubtful = {"amount": amount(5_000_000)}
    first = story.apply(**doubtful)
    story.post("referral", {"decision": "decline", "comment": "bring the accounts"}, story.colleague)
    second = story.apply(**doubtful)
    assert second["decision"]["id"] != first["decision"]["id"]
    decided = story.post("referral", {"decision": "proceed", "comment": "accounts seen"}, story.colleague)
    assert decided["state"] == "structuring", case
    assert decided["decision"]["kind"] == "referral"
    assert decided["decision"]["id"] != second["decision"]["id"], "scored anew"
