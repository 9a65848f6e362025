"""Bad input over HTTP: each is refused with its place, and nothing whatever is left behind by it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from shared import clock
from tests.conftest import Database
from tests.credit.borrowers import amount, code, firm, person, resident
from tests.credit.story import ASSET, Story, application
from tests.credit.test_files import asked, registered
from tests.harness import GUARANTOR, body


def rows(database: Database) -> dict[str, int]:
    """How many rows each table holds."""
    with psycopg.connect(database.admin_url.replace("postgresql+psycopg", "postgresql")) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() for (name,) in names}  # type: ignore[call-overload]
    return {name: count[0] for name, count in counts.items() if count}


def raw(value: str, **more: Any) -> Callable[[Story], str]:
    """An application with a bare word in a number's place, which no JSON writer would write."""
    return lambda story: json.dumps(application(employees="@", **more)).replace('"@"', value)


def loan(**more: Any) -> Callable[[Story], str]:
    return lambda story: json.dumps(application(**more))


def party(**more: Any) -> Callable[[Story], str]:
    return lambda story: json.dumps(firm(**more))


def somebody(**more: Any) -> Callable[[Story], str]:
    return lambda story: json.dumps(person(**more))


def own_guarantor(story: Story) -> str:
    return json.dumps(asked(registered(story, firm(3, "91", acts_as=GUARANTOR))))


def superseded_of_nobody(story: Story) -> str:
    story.value(2)
    seen = [{"asset_id": str(ASSET), "tonnes": "1.000", "valuation_version": 1}]
    return json.dumps(application(assets=seen))


def superseded(story: Story) -> str:
    story.value(2)
    seen = [{"asset_id": str(ASSET), "tonnes": "1.000", "valuation_version": 1}]
    return json.dumps(asked(registered(story, firm()), assets=seen))


def money_of_year(income: str, costs: str = "1.00") -> dict[str, Any]:
    return {
        "yearly_income": {"amount": income, "currency": "CNY"},
        "yearly_costs": {"amount": costs, "currency": "CNY"},
        "debts": [],
    }


def wrong(number: str) -> str:
    """The number with another check character."""
    return number[:-1] + ("0" if number[-1] != "0" else "1")


YESTERDAY = (clock.today() - timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("path", "make", "status", "where"),
    [
        pytest.param("/v1/loans", raw("NaN"), 400, "", id="a NaN"),
        pytest.param("/v1/loans", raw("Infinity"), 400, "", id="an infinity"),
        pytest.param("/v1/score", raw("-Infinity"), 400, "", id="an infinity in a question"),
        pytest.param("/v1/loans", raw("1e999"), 400, "", id="a number beyond every number"),
        pytest.param("/v1/loans", raw("9" * 40), 400, "", id="an endless integer"),
        pytest.param("/v1/loans", raw("-1"), 422, "/employees", id="fewer than no employees"),
        pytest.param("/v1/loans", raw("2.5"), 422, "/employees", id="half an employee"),
        pytest.param("/v1/loans", loan(guaranteed_share="NaN"), 422, "/guaranteed_share", id="a NaN as text"),
        pytest.param("/v1/loans", loan(amount=amount(0)), 422, "/amount/amount", id="no money"),
        pytest.param("/v1/loans", loan(term_months=361), 422, "/term_months", id="a term of a lifetime"),
        pytest.param("/v1/loans", loan(grace_months=36), 422, "/grace_months", id="grace as long as the term"),
        pytest.param(
            "/v1/loans", loan(repayment="issuance_matched"), 422, "/repayment", id="no issuance within the term"
        ),
        pytest.param("/v1/loans", loan(borrower_reference=resident()), 422, "/borrower_reference", id="an identity"),
        pytest.param("/v1/loans", own_guarantor, 422, "/guarantor", id="its own guarantor"),
        pytest.param("/v1/loans", superseded, 422, "/assets/0/valuation_version", id="a superseded valuation"),
        pytest.param(
            "/v1/loans", superseded_of_nobody, 422, "/assets/0/valuation_version", id="superseded, not registered"
        ),
        pytest.param(
            "/v1/parties", party(identity_number=wrong(code())), 422, "/identity_number", id="a wrong check of a code"
        ),
        pytest.param(
            "/v1/parties",
            somebody(identity_number=wrong(resident())),
            422,
            "/identity_number",
            id="a wrong id",
        ),
        pytest.param(
            "/v1/parties",
            somebody(document={"kind": "resident_id", "valid_until": YESTERDAY}),
            422,
            "/document/valid_until",
            id="an expired document",
        ),
        pytest.param(
            "/v1/parties",
            party(finances=money_of_year("-1.00")),
            422,
            "/finances/yearly_income/amount",
            id="a negative income",
        ),
        pytest.param(
            "/v1/parties",
            party(finances=money_of_year("100000000001.00")),
            422,
            "/finances/yearly_income",
            id="an absurd income",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_and_leaves_nothing(
    credit_db: Database, path: str, make: Callable[[Story], str], status: int, where: str
) -> None:
    story = Story(credit_db)
    story.value()
    content = make(story)
    before = rows(credit_db)
    answer = story.officer.http.post(
        path,
        data=content,
        content_type="application/json",
        headers={"Authorization": f"Bearer {story.officer.bearer}", "Idempotency-Key": str(uuid4())},
    )
    problem = body(answer, status)
    if where:
        assert where in [error["pointer"] for error in problem["errors"]], problem
    assert rows(credit_db) == before


@pytest.mark.parametrize("industry", ["9190", "977"])
def test_an_industry_the_card_never_saw_is_scored_as_unseen_and_says_so(credit_db: Database, industry: str) -> None:
    story = Story(credit_db)
    story.value()
    named = ("borrower_kind", "amount", "term_months", "employees", "new_business")
    question = {name: application()[name] for name in named} | {"industry": industry}
    told = body(story.officer.post("/v1/score", question))
    assert "industry: unseen" in told["flags"]
    seen = body(story.officer.post("/v1/score", question | {"industry": "022"}))
    assert "industry: unseen" not in seen["flags"]
    assert told["points"]["industry"] <= seen["points"]["industry"]


def test_what_nobody_said_is_scored_as_missing_and_says_so(credit_db: Database) -> None:
    story = Story(credit_db)
    question = {name: application()[name] for name in ("borrower_kind", "amount", "term_months", "industry")}
    told = body(story.officer.post("/v1/score", question))
    assert {"employees: missing", "new_business: missing"} <= set(told["flags"])
