"""A person's word beside the machine's: reviews that borrowers ask for, and what persons decided, with its outcome."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.credit.tables import overridden_outcomes
from shared import clock, db
from shared.events import credit
from tests.conftest import Database
from tests.credit.story import Story, amount
from tests.harness import BANK, OTHER_BANK, body, client

SAID = "The accounts show two more years of income than the file."
#: A natural person's application that the card is in doubt about.
PERSON = {"borrower_kind": "natural_person", "amount": amount(5_000_000)}


@pytest.fixture
def story(credit_db: Database) -> Story:
    made = Story(credit_db)
    made.value(p10=30_000_000)
    return made


def declined(story: Story) -> Any:
    """A natural person's loan, declined by the colleague."""
    assert story.apply(**PERSON)["state"] == "referred"
    refusal = {"decision": "decline", "comment": "no accounts", "reason_code": "information_withheld"}
    return story.post("referral", refusal, story.colleague)


def ask(story: Story, status: int = 201, **more: Any) -> Any:
    return story.post("review", {"grounds": "facts_missing"} | more, status=status)


def decide(story: Story, who: str, outcome: str = "overturn", status: int = 200, **more: Any) -> Any:
    asked = {"decision": outcome, "reason_code": "accounts_seen", "explanation": SAID} | more
    return story.post("review/decision", asked, story.person("credit-approver", who), status)


def overrides(story: Story, **query: str) -> Any:
    return body(story.officer.get("/v1/overrides", **query))["items"]


def test_a_decline_is_reviewed_by_a_third_person_and_goes_on_as_a_new_application(story: Story) -> None:
    first = declined(story)
    review = ask(story)
    assert (review["state"], review["first_decider"], review["loan_id"]) == ("open", "approver", first["id"])
    assert review["due_at"] > review["requested_at"]
    (event,) = story.told(credit.ReviewRequested)
    assert event.grounds == "facts_missing"
    for involved in ("officer", "approver"):
        assert decide(story, involved, status=403)["type"].endswith("/forbidden")
    made = decide(story, "reviewer")
    assert (made["state"], made["decided_by"], made["explanation"]) == ("overturned", "reviewer", SAID)
    (event,) = story.told(credit.ReviewDecided)
    assert (event.outcome, event.new_loan_id) == ("overturned", UUID(made["new_loan_id"]))
    assert story.state() == "declined"
    story.loan_id = event.new_loan_id
    renewed = story.loan()
    assert (renewed["state"], renewed["applied_by"]) == ("structuring", "officer")
    same = ("amount", "term_months", "borrower_reference", "features", "guarantor", "guaranteed_share")
    assert {name: renewed[name] for name in same} == {name: first[name] for name in same}
    assert renewed["decision"]["id"] != first["decision"]["id"], "judged anew"
    (request,) = story.told(credit.LegsRequested)
    assert request.obligor == first["obligor"]
    kept = [(one["stage"], one["outcome"]) for one in overrides(story)]
    assert kept == [("review", "proceed"), ("referral", "decline")]


def test_an_upheld_decline_stays_and_is_told_with_its_reason(story: Story) -> None:
    declined(story)
    ask(story)
    made = decide(story, "reviewer", "uphold", reason_code="machine_confirmed")
    assert (made["state"], made["new_loan_id"]) == ("upheld", None)
    assert story.state() == "declined"
    assert decide(story, "reviewer", status=409)["detail"] == "the review was upheld already"
    assert ask(story, 409)["detail"] == "a review of this decision was asked for already"


def test_of_a_referral_the_review_is_the_decision(story: Story) -> None:
    story.apply(**PERSON)
    assert ask(story)["first_decider"] is None
    assert decide(story, "officer", status=403)
    assert decide(story, "reviewer")["state"] == "overturned"
    assert story.state() == "structuring"
    (one,) = overrides(story)
    assert (one["stage"], one["reason_code"], one["loan_state"]) == ("review", "accounts_seen", "structuring")


def test_a_referral_that_is_decided_answers_the_review(story: Story) -> None:
    story.apply(**PERSON)
    ask(story)
    story.post("referral", {"decision": "decline", "comment": "no accounts"}, story.colleague)
    review = body(story.officer.get(f"/v1/loans/{story.loan_id}/review"))
    assert (review["state"], review["decided_by"], review["reason_code"]) == ("upheld", "approver", "other")


def test_nobody_passes_over_what_stands_in_the_way_and_nothing_is_half_done(story: Story) -> None:
    declined(story)
    ask(story)
    story.value(2, 1_000_000)
    told = decide(story, "reviewer", status=409)
    assert {error["code"] for error in told["errors"]} >= {"loan_to_value_high"}
    assert body(story.officer.get(f"/v1/loans/{story.loan_id}/review"))["state"] == "open"
    assert len(body(story.officer.get("/v1/loans"))["items"]) == 1
    assert [one["stage"] for one in overrides(story)] == ["referral"]


def test_who_may_ask_and_until_when(story: Story) -> None:
    story.apply(amount=amount(5_000_000))
    assert "natural persons" in ask(story, 409)["detail"]
    declined(story)
    assert story.post("review", {"grounds": "I am right"}, status=422)["errors"][0]["pointer"] == "/grounds"
    with clock.travelled(timedelta(days=61)):
        assert "within 60 days" in ask(story, 409)["detail"]
    stranger = client("credit", story.database, "officer", OTHER_BANK, "officer")
    assert stranger.post(f"/v1/loans/{story.loan_id}/review", {"grounds": "other"}).status_code == 404
    assert decide(story, "reviewer", status=404)
    ask(story)
    assert decide(story, "reviewer", explanation="too short", status=422)["errors"][0]["pointer"] == "/explanation"


def test_a_review_that_nobody_decided_is_overdue_and_one_without_a_matter_lapses(story: Story) -> None:
    declined(story)
    ask(story)
    with clock.travelled(timedelta(days=16)):
        story.timers()
        (late,) = body(story.officer.get("/v1/reviews", state="open"))["items"]
        assert late["overdue_at"] > late["due_at"]
        assert decide(story, "reviewer", "uphold")["state"] == "upheld"
    story.value(2, 30_000_000)
    story.apply(**PERSON)
    ask(story)
    story.post("withdrawal", {"reason": "found the money elsewhere"})
    with clock.travelled(timedelta(days=16)):
        story.timers()
        assert body(story.officer.get(f"/v1/loans/{story.loan_id}/review"))["state"] == "lapsed"


def test_decisions_against_the_machine_are_kept_with_what_became_of_the_loan(story: Story) -> None:
    story.to("proposed")
    seen = story.loan()["offer"]["payload_hash"]
    rejected = {"payload_hash": seen, "approve": False, "comment": "not this purpose", "reason_code": "purpose"}
    assert story.post("approval", rejected, story.colleague)["state"] == "declined"
    (against,) = overrides(story, against_machine="true")
    told = {name: against[name] for name in ("machine_outcome", "outcome", "reason_code", "stage", "loan_state")}
    assert told == {
        "machine_outcome": "approve",
        "outcome": "decline",
        "reason_code": "purpose",
        "stage": "approval",
        "loan_state": "declined",
    }
    declined(story)
    assert [one["against_machine"] for one in overrides(story)] == [False, True]
    with story.database.sessions() as session:
        db.act_for(session, BANK)
        rows = overridden_outcomes(session, clock.now() - timedelta(days=1))
        assert [(row.reason_code, row.state, row.loan_outcome) for row in rows] == [
            ("purpose", "declined", None),
            ("information_withheld", "declined", None),
        ]
        db.act_for(session, OTHER_BANK)
        assert overridden_outcomes(session, clock.now() - timedelta(days=1)) == []
