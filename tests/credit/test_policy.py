"""The policy as dated data: every rule says what it was applied with, and each limit does what its number says."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from services.credit.actions.policy import JUDGEMENT, PRICE, Policy, policy
from services.credit.actions.rules import RULES
from services.credit.actions.scoring import judge
from services.credit.actions.underwriting import Case, Legs, rules_applied, underwrite
from shared.events import sink
from shared.ids import uuid7
from tests.conftest import Database
from tests.credit.story import Story, amount
from tests.credit.test_path import BOOK, ON, forest, request


def codes(case: Case) -> list[str]:
    return [reason.code for reason in underwrite(BOOK, case).reasons]


def test_every_rule_is_in_the_decision_with_the_coefficients_it_was_applied_with() -> None:
    case = Case(request(), (forest(tonnes=40_000.0),), Legs())
    told = rules_applied(BOOK, underwrite(BOOK, case))
    assert [one["rule"] for one in told] == list(RULES)
    for one in told:
        known = {name for book in (BOOK.judged_by, BOOK.priced_by) for name in book.values}
        assert set(one["parameters"]) <= known
        assert ("digest" in one) == bool(one["parameters"])
        if one["parameters"]:
            assert date.fromisoformat(one["in_force_from"]) <= ON
    verdicts = {one["rule"]: one["verdict"] for one in told}
    assert verdicts["loan-to-value"] == "holds"
    assert verdicts["concentration-verifier"] == "unknown"
    assert set(verdicts.values()) == {"holds", "unknown"}


def test_a_rule_that_was_broken_says_so_under_its_name() -> None:
    found = underwrite(BOOK, Case(request(amount=500_000_000, term_months=61), (forest(),), Legs()))
    verdicts = {one["rule"]: one["verdict"] for one in rules_applied(BOOK, found)}
    assert verdicts["loan-to-value"] == verdicts["pledge-rate"] == verdicts["tenor-policy"] == "decline"
    assert len(found.reasons) <= 4


def test_what_was_not_valued_leaves_the_rules_on_it_unknown_and_never_kept() -> None:
    found = underwrite(BOOK, Case(request(), (forest(version=None),), Legs()))
    verdicts = {one["rule"]: one["verdict"] for one in rules_applied(BOOK, found)}
    assert verdicts["valuation-fresh"] == "fault"
    assert verdicts["loan-to-value"] == verdicts["pledge-rate"] == verdicts["rate-cap"] == "unknown"
    assert found.outcome == "refer"


def test_the_digest_of_a_rule_moves_with_its_coefficients_only() -> None:
    other = Policy(ON, {**BOOK.judged_by.values, "maximum_tenor_months": 48}, BOOK.judged_by.sources, "d")
    changed = replace(BOOK, judged_by=other)
    case = Case(request(), (forest(),), Legs())
    before, after = (
        {one["rule"]: one.get("digest") for one in rules_applied(book, underwrite(book, case))}
        for book in (BOOK, changed)
    )
    assert [rule for rule in before if before[rule] != after[rule]] == ["tenor-policy"]


def test_a_policy_reads_back_from_its_text_as_it_was() -> None:
    for names in (JUDGEMENT, PRICE):
        made = policy(ON, names)
        again = Policy.from_text(made.text)
        assert (again, again.sha256, again.unverified) == (made, made.sha256, made.unverified)


def test_issued_units_carry_a_larger_loan_than_forecast_ones_and_each_class_has_its_own_rate() -> None:
    worth = {"tonnes": 40_000.0, "p10": 30_000_000.0, "p50": 4_000_000.0}
    rates = {"certified_domestic": "CCER-14-001", "voluntary": "Verra AFOLU"}
    for name, methodology in rates.items():
        for state, issued in (("forecast", 39_999.0), ("issued", 40_000.0)):
            cap = BOOK.judged_by["pledge_rate_caps"][name][state]
            # 0.8 is left of the median after the haircut: its own limit must not bind first.
            asset = forest(methodology=methodology, issued_tonnes=issued, haircut=0.0001, **worth)
            most = round(4_000_000 * min(cap, 0.5999) * 100)
            facts = request(amount=most, verifier="verifier-a")
            assert "pledge_rate_high" not in codes(Case(facts, (asset,), Legs()))
            over = replace(facts, amount=round(4_000_000 * cap * 100) + 1)
            assert "pledge_rate_high" in codes(Case(over, (asset,), Legs()))


def test_a_mixed_pledge_carries_the_sum_of_what_each_part_carries() -> None:
    both = (
        forest(tonnes=40_000.0, haircut=0.0001, p10=30_000_000.0),
        forest(asset_id="b", tonnes=40_000.0, haircut=0.0001, p10=30_000_000.0, methodology="Verra"),
    )
    judgement = judge(BOOK.judged_by, BOOK.card, request(), both)
    assert judgement.maximum_amount == Decimal("3600000.00")


def test_an_asset_under_an_unknown_methodology_is_not_lent_on() -> None:
    found = underwrite(BOOK, Case(request(), (forest(methodology="of our own"),), Legs()))
    assert found.outcome == "decline"
    assert found.reasons[0].code == "asset_class_unknown"
    assert found.judgement.value is None
    assert found.price is None


def test_issued_units_want_the_name_of_who_verified_them() -> None:
    issued = forest(tonnes=40_000.0, issued_tonnes=40_000.0)
    found = underwrite(BOOK, Case(request(), (issued,), Legs()))
    assert (found.outcome, found.reasons[0].code) == ("refer", "verifier_unnamed")
    named = request(verifier="verifier-a")
    assert underwrite(BOOK, Case(named, (issued,), Legs())).outcome == "approve"


@pytest.mark.parametrize("dimension", ["county", "fire_zone", "verifier", "guarantor", "group"])
def test_each_limit_of_the_book_is_a_question_for_a_person_one_fen_above_it(dimension: str) -> None:
    cap, least = BOOK.judged_by["concentration_caps"][dimension], BOOK.judged_by["concentration_minimum_book"] / 100
    asset = forest(tonnes=40_000.0)

    def at(beside: float) -> Any:
        usual = {**(request().beside or {}), dimension: ("there", beside)}
        return underwrite(BOOK, Case(request(beside=usual, book=0.0), (asset,), Legs()))

    within, over = at(cap * least - 1_000_000), at(cap * least - 1_000_000 + 0.02)
    assert within.outcome == "approve"
    assert [reason.code for reason in within.judgement.watch] == [f"watch_{dimension}"]
    assert (over.outcome, over.reasons[0].code) == ("refer", f"{dimension}_concentrated")


def test_what_is_close_to_a_limit_is_told_and_changes_nothing() -> None:
    asset = forest(tonnes=40_000.0, valid_until="2026-03-20")
    found = underwrite(BOOK, Case(request(amount=167_000_000), (asset,), Legs()))
    assert {reason.code for reason in found.judgement.watch} == {"watch_loan_to_value", "watch_valuation"}
    assert found.outcome == underwrite(BOOK, Case(request(amount=150_000_000), (asset,), Legs())).outcome


def test_the_book_is_counted_by_every_dimension_of_the_loan(credit_db: Database) -> None:
    story = Story(credit_db)
    story.value()
    first = story.apply(verifier="verifier-a")
    assert first["fire_zone"] == "E112.40-N39.80"
    second = story.apply(verifier="verifier-a", borrower_reference="FILE-2026-0009")
    beside = second["decision"]["inputs"]["facts"]["beside"]
    assert beside == {
        "county": ["youyu", 1_000_000],
        "fire_zone": ["E112.40-N39.80", 1_000_000],
        "verifier": ["verifier-a", 1_000_000],
        "guarantor": [first["guarantor"], 1_000_000],
        "group": [second["obligor"], 0],
    }


def test_issuance_and_retirement_of_credits_say_what_of_a_pledge_is_issued(credit_db: Database) -> None:
    story = Story(credit_db)
    story.value()
    issued = sink.CreditsIssued(
        asset_id=story.asset,
        issuance_id=uuid7(),
        vintage_from=date(2024, 1, 1),
        vintage_to=date(2024, 12, 31),
        tonnes=Decimal(40_500),
    )
    retired = sink.CreditsRetired(asset_id=story.asset, retirement_id=uuid7(), tonnes=Decimal(501), reason="a concert")
    story.tell(issued, copies=2)
    assert story.apply()["reasons"][0]["code"] == "verifier_unnamed"
    story.value(2)
    assert story.apply(amount=amount(1_000_000))["state"] == "referred", "a new valuation keeps what was issued"
    story.tell(retired)
    assert story.apply()["state"] == "structuring"
