"""Arrears, stages and classes: by the day, by the money that came in, by what else is known; every change is kept."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from services.credit.actions import classes
from services.credit.formulas import staging
from services.credit.tables import watching
from shared import clock
from shared.db import act_for
from tests.conftest import Database
from tests.credit.story import Story, amount

DAYS = st.integers(min_value=0, max_value=500)
LIMITS = [0, 90, 270, 360]


@pytest.fixture
def story(credit_db: Database) -> Story:
    told = Story(credit_db)
    told.to("performing")
    return told


def passed(story: Story) -> list[Any]:
    """The classes the loan passed through."""
    with story.database.worker_sessions() as session:
        act_for(session, story.bank)
        return list(session.execute(text("SELECT * FROM loan_classes ORDER BY id")).all())


@given(st.lists(st.tuples(DAYS, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_a_column_of_stages_is_each_stage_alone(many: list[Any]) -> None:
    late, rose, impaired, breach = (np.array(column) for column in zip(*many, strict=True))
    found = staging.stages(late, rose, impaired, breach, default_days=90, significant_days=30)
    alone = [
        staging.stage(days, up, bad, "actual" if broken else None, default_days=90, significant_days=30).stage
        for days, up, bad, broken in many
    ]
    assert found.tolist() == alone
    assert staging.FIVE_CLASSES == watching.FIVE_CLASSES
    five = staging.class_numbers(late, LIMITS, np.zeros(len(many), dtype=np.int64))
    assert [staging.FIVE_CLASSES[one] for one in five] == [staging.five_class(days, LIMITS) for days, *_ in many]


def test_a_loan_passes_through_the_classes_as_the_days_go_by(story: Story) -> None:
    for days in (31, 33, 65, 95, 125, 305, 395):
        with clock.travelled(timedelta(days=days)):
            story.timers()
            if days < 150:  # later its valuation is stale, and the call is not cured
                story.value(1 + days, as_of=clock.today(), valid_until=clock.today() + timedelta(days=150))
    seen = [(one.bucket, one.stage, one.five_class) for one in passed(story)]
    assert seen[:5] == [
        ("0", 1, "正常"),
        ("1-30", 1, "关注"),
        ("31-60", 2, "关注"),
        ("61-90", 2, "关注"),
        ("91-180", 3, "次级"),
    ]


def test_who_pays_as_agreed_is_never_late_and_interest_alone_can_be(story: Story) -> None:
    plan = story.officer.get(f"/v1/loans/{story.loan_id}/schedule").get_json()["items"]
    for row in plan[:3]:
        whole = Decimal(row["principal"]["amount"]) + Decimal(row["interest"]["amount"])
        with clock.travelled(timedelta(days=(date.fromisoformat(row["due_on"]) - clock.today()).days)):
            story.post("repayments", {"amount": amount(whole)}, status=201)
            story.timers()
            assert story.loan()["risk"]["days_past_due"] == 0
    assert {one.bucket for one in passed(story)} == {"0"}
    with clock.travelled(timedelta(days=130)):
        story.timers()
        assert story.loan()["risk"]["days_past_due"] > 0


def test_a_fire_hazard_that_rises_moves_the_loan_by_its_probability_alone(story: Story) -> None:
    before = passed(story)[-1]
    story.value(2, 3_000_000, hazards={"fire": Decimal("25")})
    after = passed(story)[-1]
    assert (before.stage, after.stage) == (1, 2)
    assert after.grounds == ["risk_increased"]
    assert after.default_probability > 2 * after.origin_probability
    assert after.actor.startswith("event:")
    # Lifetime against twelve months, and at the risk of now.
    assert after.expected_loss > 2 * before.expected_loss


def test_the_expected_loss_follows_the_stage() -> None:
    today = clock.today()
    agreed = [(today + timedelta(days=365 * year), Decimal(100)) for year in (1, 2, 3)]
    first, second, third = (
        classes.expected_loss(stage, 0.1, 0.5, 0.0, Decimal(300), agreed, today) for stage in (1, 2, 3)
    )
    assert first == Decimal("15.00")
    # 300, 200 and 100 owed in three years of a constant hazard.
    assert second == Decimal("15.00") + Decimal("9.00") + Decimal("4.05")
    assert third == Decimal("150.00")
    assert classes.expected_loss(1, float("nan"), 0.5, 0.0, Decimal(300), agreed, today) is None
