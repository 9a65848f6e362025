"""The HTTP door of credit: who may, what is read, what is refused and how."""

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from services.credit.routes import BLUEPRINTS
from services.credit.tables import Loan
from shared.outbox import Outbox
from tests.conftest import Database
from tests.credit.story import ASSET, OTHER_ASSET, Story, amount, application
from tests.harness import BANK, OTHER_BANK, Client, app, body, client


@pytest.fixture
def story(credit_db: Database) -> Story:
    return Story(credit_db)


def asked(**more: Any) -> dict[str, Any]:
    """A what-if of the usual application."""
    usual = application()
    names = (
        "borrower_kind",
        "industry",
        "employees",
        "new_business",
        "revolving",
        "low_doc",
        "amount",
        "term_months",
        "assets",
    )
    return {name: usual[name] for name in names} | more


def counted(database: Database, table: Any) -> int:
    with database.worker_sessions() as session:
        return int(session.scalar(select(func.count()).select_from(table)) or 0)


# -- who may ----------------------------------------------------------------------------------------------------------

READS = ("", "/history", "/payments", "/schedule", "/replay")
WRITES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "referral": ({"decision": "decline", "comment": "no"}, ("auditor", "insurer")),
    "approval": ({"payload_hash": "0" * 64, "approve": True}, ("officer", "auditor")),
    "acceptance": ({}, ("credit-approver", "auditor")),
    "withdrawal": ({"reason": "no need"}, ("credit-approver", "auditor")),
    "disbursement": ({}, ("credit-approver", "auditor")),
    "repayments": ({"amount": amount(1)}, ("credit-approver", "auditor")),
    "default": ({"ground": "overdue", "comment": "late"}, ("credit-approver", "auditor")),
    "enforcement": ({}, ("credit-approver", "auditor")),
    "recoveries": ({"amount": amount(1), "costs": amount(0), "source": "carbon"}, ("credit-approver", "auditor")),
    "closing": ({}, ("credit-approver", "auditor")),
}


def test_every_route_demands_a_scope(credit_db: Database) -> None:
    made = app("credit", credit_db)
    for rule in made.url_map.iter_rules():
        if rule.endpoint.startswith("credit."):
            assert getattr(made.view_functions[rule.endpoint], "scope", "").startswith("credit:"), rule


def test_without_a_token_nothing_is_told(story: Story) -> None:
    story.to("structuring")
    stranger = client("credit", story.database)
    for path in ("/v1/loans", f"/v1/loans/{story.loan_id}", "/v1/valuations", "/v1/approvals"):
        assert stranger.get(path).status_code == 401
    assert stranger.post("/v1/loans", application()).status_code == 401
    assert stranger.post("/v1/score", asked()).status_code == 401


@pytest.mark.parametrize("step", WRITES)
def test_a_token_without_the_scope_is_refused_before_anything_is_read(story: Story, step: str) -> None:
    content, roles = WRITES[step]
    for role in roles:
        who = story.person(role, "somebody")
        refused = who.post(f"/v1/loans/{uuid4()}/{step}", content, If_Match='"v1"')
        assert refused.status_code in (401, 403)
        # Without the scope not even the shape of a body is judged.
        assert who.post(f"/v1/loans/{uuid4()}/{step}", {"nonsense": 1}, If_Match='"v1"').status_code in (401, 403)


def test_an_auditor_reads_and_applies_for_nothing(story: Story) -> None:
    story.to("structuring")
    auditor = story.person("auditor", "auditor")
    assert auditor.get(f"/v1/loans/{story.loan_id}").status_code == 200
    assert auditor.post("/v1/loans", application()).status_code == 403
    assert auditor.post("/v1/score", asked()).status_code == 200


def without_request(problem: Any) -> Any:
    return {name: value for name, value in problem.items() if name != "instance"}


def test_another_bank_s_loan_is_the_same_as_none(story: Story) -> None:
    loan = story.to("proposed")
    other = client("credit", story.database, "officer", OTHER_BANK, "officer")
    approver = client("credit", story.database, "credit-approver", OTHER_BANK, "approver")
    missing = uuid4()

    def same(answer: Any, nothing: Any) -> None:
        told = without_request(body(answer, 404)), without_request(body(nothing, 404))
        assert json.dumps(told[0]).replace(str(story.loan_id), str(missing)) == json.dumps(told[1])

    for read in READS:
        same(other.get(f"/v1/loans/{story.loan_id}{read}"), other.get(f"/v1/loans/{missing}{read}"))
    for step, (content, _) in WRITES.items():
        who = approver if step in ("approval", "referral") else other
        version = f'"v{loan["version"]}"'
        same(
            who.post(f"/v1/loans/{story.loan_id}/{step}", content, If_Match=version),
            who.post(f"/v1/loans/{missing}/{step}", content, If_Match=version),
        )
    assert body(other.get("/v1/loans"))["items"] == []
    assert body(other.get("/v1/approvals"))["items"] == []
    assert story.loan()["version"] == loan["version"]


# -- shape ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"amount": 1000000}, "/amount"),
        ({"amount": {"amount": 1000000, "currency": "CNY"}}, "/amount/amount"),
        ({"amount": {"amount": "1000000.005", "currency": "CNY"}}, "/amount/amount"),
        ({"amount": {"amount": "1e6", "currency": "CNY"}}, "/amount/amount"),
        ({"amount": {"amount": "-1.00", "currency": "CNY"}}, "/amount/amount"),
        ({"amount": {"amount": "1.00\n", "currency": "CNY"}}, "/amount/amount"),
        ({"amount": {"amount": "1.00", "currency": "CNY"}}, "/amount/amount"),
        ({"amount": {"amount": "1000000.00", "currency": "USD"}}, "/amount/currency"),
        ({"term_months": "36"}, "/term_months"),
        ({"term_months": 0}, "/term_months"),
        ({"term_months": True}, "/term_months"),
        ({"grace_months": 36}, "/grace_months"),
        ({"industry": "22"}, "/industry"),
        ({"industry": "022\n"}, "/industry"),
        ({"new_business": 1}, "/new_business"),
        ({"small_or_farmer": "yes"}, "/small_or_farmer"),
        ({"borrower_reference": "张三"}, "/borrower_reference"),
        ({"borrower_reference": "Zhang San"}, "/borrower_reference"),
        ({"borrower_kind": "bank"}, "/borrower_kind"),
        ({"assets": []}, "/assets"),
        ({"assets": [{"asset_id": str(ASSET), "tonnes": 40000}]}, "/assets/0/tonnes"),
        ({"assets": [{"asset_id": str(ASSET), "tonnes": "40000.0001"}]}, "/assets/0/tonnes"),
        ({"assets": [{"asset_id": "forest", "tonnes": "1"}]}, "/assets/0/asset_id"),
        ({"assets": [{"asset_id": str(ASSET), "tonnes": "1"}] * 2}, "/assets"),
        ({"guaranteed_share": "1.1"}, "/guaranteed_share"),
        ({"insurer": "Insurer!"}, "/insurer"),
        ({"state": "offered"}, "/state"),
        ({"institution": OTHER_BANK}, "/institution"),
        ({"decision": {}}, "/decision"),
    ],
)
def test_an_application_of_the_wrong_shape_is_refused_with_its_place(
    credit_db: Database, wrong: dict[str, Any], pointer: str
) -> None:
    officer = client("credit", credit_db, "officer", BANK, "officer")
    problem = body(officer.post("/v1/loans", application(**wrong)), 422)
    assert problem["errors"][0]["pointer"] == pointer
    assert counted(credit_db, Outbox) == 0


def test_what_is_missing_is_named(credit_db: Database) -> None:
    officer = client("credit", credit_db, "officer", BANK, "officer")
    problem = body(officer.post("/v1/loans", {}), 422)
    assert {error["pointer"] for error in problem["errors"]} == {
        f"/{name}"
        for name in (
            "borrower_reference",
            "borrower_kind",
            "industry",
            "small_or_farmer",
            "amount",
            "term_months",
            "assets",
            "insurer",
            "guarantor",
            "scheme",
        )
    }


def test_a_new_loan_is_where_the_answer_says(story: Story) -> None:
    story.value()
    answer = story.officer.post("/v1/loans", application())
    loan = body(answer, 201)
    assert answer.headers["Location"] == f"/v1/loans/{loan['id']}"
    assert answer.headers["ETag"] == f'"v{loan["version"]}"'
    again = story.officer.get(answer.headers["Location"])
    assert body(again) == loan
    assert again.headers["ETag"] == answer.headers["ETag"]
    assert loan["amount"] == {"amount": "1000000.00", "currency": "CNY"}
    assert loan["assets"][0]["tonnes"] == "40000.000"


# -- the same request again, an older version -------------------------------------------------------------------------


def test_a_repeated_request_gets_the_same_answer_and_one_loan(story: Story) -> None:
    story.value()
    key = str(uuid4())
    first = story.officer.post("/v1/loans", application(), Idempotency_Key=key)
    second = story.officer.post("/v1/loans", application(), Idempotency_Key=key)
    assert (second.status_code, second.get_data()) == (201, first.get_data())
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(body(story.officer.get("/v1/loans"))["items"]) == 1
    other = story.officer.post("/v1/loans", application(term_months=12), Idempotency_Key=key)
    assert other.status_code == 422
    assert story.officer.post("/v1/loans", application(), Idempotency_Key="").status_code == 400


def test_a_repeated_repayment_is_taken_once(story: Story) -> None:
    story.to("performing")
    key = str(uuid4())
    for _ in range(3):
        paid = story.officer.post(
            f"/v1/loans/{story.loan_id}/repayments", {"amount": amount(1000)}, Idempotency_Key=key
        )
        assert body(paid, 201)["balance"]["principal"] == amount(999_000)
    assert len(body(story.officer.get(f"/v1/loans/{story.loan_id}/payments"))["items"]) == 1


def test_a_dry_run_answers_and_keeps_nothing(story: Story) -> None:
    story.value()
    answer = story.officer.post("/v1/loans?dry_run=true", application())
    assert body(answer, 201)["state"] == "structuring"
    assert answer.headers["Dry-Run"] == "true"
    assert body(story.officer.get("/v1/loans"))["items"] == []
    assert counted(story.database, Outbox) == 0


@pytest.mark.parametrize(("step", "state"), [("acceptance", "offered"), ("disbursement", "ready")])
def test_a_step_on_a_version_one_has_not_read_is_refused(story: Story, step: str, state: str) -> None:
    loan = story.to(state)
    path = f"/v1/loans/{story.loan_id}/{step}"
    assert story.officer.post(path).status_code == 428
    assert story.officer.post(path, If_Match=f'"v{loan["version"] - 1}"').status_code == 412
    assert story.officer.post(path, If_Match="yesterday").status_code == 400
    assert body(story.officer.post(path, If_Match=f'"v{loan["version"]}"'))["version"] > loan["version"]


def test_whatever_a_leg_tells_makes_a_new_version(story: Story) -> None:
    before = story.to("structuring")["version"]
    story.tell(story.quoted())
    between = story.loan()["version"]
    story.tell(story.reserved())
    assert before < between < story.loan()["version"]


# -- lists ------------------------------------------------------------------------------------------------------------


def test_loans_are_listed_by_state_page_by_page(story: Story) -> None:
    story.value()
    made = [story.apply()["id"] for _ in range(5)]
    story.post("withdrawal", {"reason": "no need"})
    first = body(story.officer.get("/v1/loans", state="structuring", limit=3))
    second = body(story.officer.get("/v1/loans", state="structuring", limit=3, cursor=first["next"]))
    assert sorted(item["id"] for item in first["items"] + second["items"]) == sorted(made[:4])
    assert second["next"] is None
    assert story.officer.get("/v1/loans", state="withdrawn", cursor=first["next"]).status_code == 400
    assert [item["state"] for item in body(story.officer.get("/v1/loans", state="withdrawn"))["items"]] == ["withdrawn"]
    assert body(story.officer.get("/v1/loans", county="huairen"))["items"] == []
    assert story.officer.get("/v1/loans", colour="green").status_code == 422


def test_valuations_are_ours_and_the_latest(story: Story) -> None:
    story.value()
    story.value(2, 2_000_000)
    (valuation,) = body(story.officer.get("/v1/valuations"))["items"]
    assert (valuation["version"], valuation["pv_p10"]) == (2, amount(2_000_000))
    assert valuation["forecast_tonnes"] == "40000.000"
    assert body(story.officer.get("/v1/valuations", county="huairen"))["items"] == []


def test_payments_show_what_became_of_the_money(story: Story) -> None:
    story.to("performing")
    story.post("repayments", {"amount": amount(1000)}, status=201)
    story.tell(story.claim_paid(2000))
    first, second = body(story.officer.get(f"/v1/loans/{story.loan_id}/payments"))["items"]
    assert (first["source"], first["principal"], first["balance"]) == ("borrower", amount(1000), amount(999_000))
    assert (second["source"], second["principal"], second["balance"]) == ("insurance", amount(2000), amount(997_000))


# -- what-if ----------------------------------------------------------------------------------------------------------


def test_a_what_if_says_what_an_application_would_and_keeps_nothing(story: Story) -> None:
    story.value()
    what_if = body(story.officer.post("/v1/score", asked()))
    assert counted(story.database, Loan) == counted(story.database, Outbox) == 0
    decision = story.apply()["decision"]
    for name in (
        "outcome",
        "score",
        "points",
        "default_probability",
        "loan_to_value",
        "value",
        "maximum_amount",
        "reasons",
    ):
        assert what_if[name] == decision[name]
    assert "NOT calibrated" in what_if["model"]["note"]
    assert what_if["model"]["sha256"] == decision["model"]["sha256"]
    assert what_if["unverified_parameters"]


def test_a_what_if_needs_neither_forests_nor_a_key_nor_the_database(credit_db: Database) -> None:
    officer = client("credit", credit_db, "officer", BANK, "officer")
    plain = Client(officer.http, officer.bearer)
    answer = plain.http.post(
        "/v1/score",
        json=asked(assets=[]),
        headers={"Authorization": f"Bearer {plain.bearer}"},
    )
    told = body(answer)
    assert told["outcome"] == "approve"
    assert told["loan_to_value"] is None
    assert told["maximum_amount"] is None
    assert {"collateral_not_judged", "limits_not_judged"} <= set(told["flags"])
    assert Decimal(told["default_probability_low"]) < Decimal(told["default_probability_high"])


def test_a_what_if_on_a_forest_without_valuation_says_so(credit_db: Database) -> None:
    officer = client("credit", credit_db, "officer", BANK, "officer")
    told = body(officer.post("/v1/score", asked(assets=[{"asset_id": str(OTHER_ASSET), "tonnes": "1"}])))
    assert told["outcome"] == "refer"
    assert told["loan_to_value"] is None
    assert told["reasons"][0]["code"] == "valuation_missing"


def test_a_what_if_of_the_wrong_shape_is_refused(credit_db: Database) -> None:
    officer = client("credit", credit_db, "officer", BANK, "officer")
    assert body(officer.post("/v1/score", asked(amount=5)), 422)["errors"][0]["pointer"] == "/amount"
    assert officer.post("/v1/score", asked(insurer="insurer-jinbei")).status_code == 422


def test_the_documented_paths_are_the_served_ones(credit_db: Database) -> None:
    made = app("credit", credit_db)
    document = body(made.test_client().get("/v1/openapi.json"))
    served = {
        rule.rule.replace("<uuid:", "{").replace(">", "}")
        for rule in made.url_map.iter_rules()
        if rule.endpoint.split(".")[0] in {"jobs", "models", *(blueprint.name for blueprint in BLUEPRINTS)}
    }
    assert set(document["paths"]) == served
    assert document["paths"]["/v1/loans"]["post"]["summary"]
