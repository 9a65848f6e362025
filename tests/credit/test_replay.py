"""A decision is made again to the byte from what was kept with it, whatever the present release carries."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from sqlalchemy import func, select

from services.credit.actions import decisions, underwriting
from services.credit.actions.policy import Policy
from services.credit.actions.underwriting import Case
from services.credit.tables import Decision, DecisionMaterial
from shared.strict_json import canonical, loads
from tests.conftest import Database
from tests.credit.story import Story
from tests.credit.test_path import BOOK, cases
from tests.harness import BANK, body


@settings(max_examples=40, deadline=None)
@given(cases)
def test_a_case_read_back_from_its_text_is_decided_the_same_to_the_byte(case: Case) -> None:
    made = canonical(underwriting.as_json(BOOK, underwriting.underwrite(BOOK, case)))
    again = underwriting.case_from_json(loads(canonical(underwriting.case_as_json(case))))
    kept = replace(
        BOOK,
        card=underwriting.kept_card(BOOK.card.sha256, BOOK.texts()[BOOK.card.sha256]),
        judged_by=Policy.from_text(BOOK.judged_by.text),
        priced_by=Policy.from_text(BOOK.priced_by.text),
    )
    assert canonical(underwriting.as_json(kept, underwriting.underwrite(kept, again))) == made


def test_a_later_release_with_other_coefficients_and_another_card_makes_the_old_decision_again(
    credit_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(credit_db)
    story.to("proposed")
    judged = replace(BOOK.judged_by, values={**BOOK.judged_by.values, "approve_below_default_probability": 0.001})
    document = {**BOOK.card.document, "intercept": BOOK.card.document["intercept"] + 1}
    card = underwriting.kept_card("0" * 64, canonical(document).decode())
    later = replace(BOOK, judged_by=judged, card=card)
    monkeypatch.setattr(decisions, "rulebook", lambda on, champion: later)
    again = body(story.officer.get(f"/v1/loans/{story.loan_id}/replay"))
    assert again["same"] is again["same_inputs"] is True
    assert again["same_artefact"] is again["same_parameters"] is False


def test_what_decisions_were_made_by_is_kept_once_and_under_its_own_hash(credit_db: Database, sealed: Any) -> None:
    story = Story(credit_db)
    story.to("proposed")
    story.to("structuring", borrower_reference="FILE-2026-0002")
    with sealed(credit_db.sessions, BANK) as session:
        kept = session.scalars(select(DecisionMaterial)).all()
        used = session.scalars(select(Decision)).all()
        assert session.scalar(select(func.count()).select_from(DecisionMaterial)) == 3
    assert {one.sha256 for one in kept} == {hashlib.sha256(one.content.encode()).hexdigest() for one in kept}
    for one in used:
        assert {one.artefact_hash, one.judgement_hash, one.price_hash} == {each.sha256 for each in kept}
