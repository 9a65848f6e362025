"""The credit database keeps its own promises, whoever forgets them."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from services.credit.tables import Loan, LoanHistory
from shared import clock
from shared.db import act_for
from tests.conftest import Database
from tests.credit.story import Story
from tests.harness import BANK, OTHER_BANK

PRIVATE = (
    "loans",
    "loan_assets",
    "loan_covers",
    "loan_guarantees",
    "decisions",
    "loan_history",
    "loan_payments",
    "covenant_tests",
    "loan_classes",
    "loan_instalments",
)


@pytest.fixture
def story(credit_db: Database) -> Story:
    return Story(credit_db)


def test_another_bank_sees_no_row_even_if_a_query_forgets(story: Story) -> None:
    story.to("performing")
    story.tell(story.claim_paid(1000))
    for role in ("sessions", "worker_sessions"):
        for bank, sees in ((BANK, True), (OTHER_BANK, False), ("", False)):
            with getattr(story.database, role)() as session:
                act_for(session, bank)
                for table in PRIVATE:
                    assert bool(session.scalar(text(f"SELECT count(*) FROM {table}"))) is sees, (role, bank, table)


def test_a_row_cannot_be_entered_for_another_bank(story: Story) -> None:
    story.to("structuring")
    line = LoanHistory(
        loan_id=story.loan_id,
        number=99,
        institution=BANK,
        from_state=None,
        to_state="closed",
        at=clock.now(),
        actor="stranger",
        reason="none",
        comment="",
    )
    with story.database.sessions() as session:
        act_for(session, OTHER_BANK)
        session.add(line)
        with pytest.raises(ProgrammingError):
            session.flush()


def test_what_was_decided_is_not_rewritten(story: Story) -> None:
    story.to("performing")
    for table in ("decisions", "loan_history", "covenant_tests", "loan_classes", "loan_instalments"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET institution = institution"):
            with story.database.sessions() as session:
                act_for(session, BANK)
                with pytest.raises(ProgrammingError):
                    session.execute(text(statement))


def test_a_loan_that_does_not_add_up_is_refused_by_the_database(story: Story) -> None:
    story.to("performing")
    wrong: list[dict[str, Any]] = [
        {"balance": Decimal("-0.01")},
        {"balance": Decimal("999999.99")},
        {"state": "settled"},
        {"state": "ready"},
        {"state": "defaulted"},
        {"state": "closed"},
        {"written_off": Decimal("-1")},
        {"disbursed": Decimal("2")},
        {"surplus": Decimal("-1")},
    ]
    for change in wrong:
        with story.database.sessions() as session:
            act_for(session, BANK)
            loan = session.get_one(Loan, story.loan_id)
            for name, value in change.items():
                setattr(loan, name, value)
            with pytest.raises(IntegrityError):
                session.flush()
