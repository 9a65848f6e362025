"""The HTTP door: who may, what is refused, what the answers hold."""

from uuid import uuid4

import pytest

from shared.events.guarantee import GuaranteePaid
from tests.guarantee.stories import COUNTY, accepted, asked, defaulted, recovered, yuan
from tests.harness import BANK, GUARANTOR, OTHER_GUARANTOR, body, client, deliver, published

TERMS = {
    "net_assets": {"amount": "200000000.00", "currency": "CNY"},
    "leverage_class": 15,
    "province_quota": {"amount": "100000000.00", "currency": "CNY"},
    "national_quota": {"amount": "0.00", "currency": "CNY"},
    "default_probability_ceiling": "0.06",
    "counties": [
        {"county": COUNTY, "cap": None, "pool_balance": {"amount": "2000000.00", "currency": "CNY"}},
    ],
}


def speaks(database, institution=GUARANTOR, role="guarantor"):
    return client("guarantee", database, role, institution)


@pytest.fixture
def guarantor(guarantee_db):
    """A client of a guarantor that has a profile."""
    made = speaks(guarantee_db)
    body(made.post("/v1/profile", TERMS, If_Match='"v0"'))
    return made


@pytest.fixture
def issued(guarantee_db, guarantor):
    """A guarantee in force; says its loan."""
    request = asked()
    deliver("guarantee", guarantee_db, request)
    (row,) = body(guarantor.get("/v1/guarantees"))["items"]
    deliver("guarantee", guarantee_db, accepted(request, row["id"]), first=2)
    return request.loan_id


@pytest.fixture
def call(guarantee_db, guarantor, issued):
    """An open call."""
    deliver("guarantee", guarantee_db, defaulted(issued), first=3)
    (found,) = body(guarantor.get("/v1/calls", state="open"))["items"]
    return found


def test_a_profile_is_set_read_and_set_again_by_whoever_read_it(guarantee_db):
    made = speaks(guarantee_db)
    assert made.get("/v1/profile").status_code == 404
    first = made.post("/v1/profile", TERMS, If_Match='"v0"')
    assert first.headers["ETag"] == '"v1"'
    assert body(first) == body(made.get("/v1/profile"))
    assert made.post("/v1/profile", TERMS).status_code == 428
    assert made.post("/v1/profile", TERMS, If_Match='"v0"').status_code == 412
    assert body(made.post("/v1/profile", TERMS | {"leverage_class": 10}, If_Match='"v1"'))["version"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"net_assets": "200000000.00"},
        {"net_assets": {"amount": "-1.00", "currency": "CNY"}},
        {"leverage_class": 12},
        {"leverage_class": "15"},
        {"default_probability_ceiling": "1.01"},
        {"default_probability_ceiling": 0.05},
        {"counties": [{"county": COUNTY}]},
        {"institution": GUARANTOR},
        {"version": 3},
    ],
)
def test_a_profile_that_cannot_be_right_is_refused(guarantee_db, wrong):
    assert speaks(guarantee_db).post("/v1/profile", TERMS | wrong, If_Match='"v0"').status_code == 422


def test_a_trial_run_of_a_profile_changes_nothing(guarantee_db):
    made = speaks(guarantee_db)
    assert body(made.post("/v1/profile?dry_run=true", TERMS, If_Match='"v0"'))["leverage_class"] == 15
    assert made.get("/v1/profile").status_code == 404


def test_headroom_shows_every_limit_with_what_is_held_taken_and_left(guarantee_db, guarantor):
    request = asked()
    deliver("guarantee", guarantee_db, request)
    rows = {row["kind"]: row for row in body(guarantor.get("/v1/headroom"))["items"]}
    assert set(rows) == {"headroom", "obligor", "county", "province", "national", "pool"}
    (found,) = body(guarantor.get("/v1/headroom", kind="headroom"))["items"]
    del found["id"]
    assert found == {
        "kind": "headroom",
        "key": "",
        "cap": {"amount": "3000000000.00", "currency": "CNY"},
        "cap_effective": {"amount": "3000000000.00", "currency": "CNY"},
        "posted": {"amount": "0.00", "currency": "CNY"},
        "pending": {"amount": "600000.00", "currency": "CNY"},
        "room": {"amount": "2999400000.00", "currency": "CNY"},
        "over_limit": False,
    }
    assert body(guarantor.get("/v1/headroom", key=request.obligor))["items"] == [rows["obligor"]]
    assert body(guarantor.get("/v1/headroom", over_limit="true"))["items"] == []
    nothing = {"amount": "0.00", "currency": "CNY"}
    body(guarantor.post("/v1/profile", TERMS | {"province_quota": nothing}, If_Match='"v1"'))
    (over,) = body(guarantor.get("/v1/headroom", over_limit="true"))["items"]
    assert (over["kind"], over["cap"], over["room"]) == ("province", nothing, nothing)


def test_headroom_comes_in_pages(guarantor):
    first = body(guarantor.get("/v1/headroom", limit=2))
    second = body(guarantor.get("/v1/headroom", limit=2, cursor=first["next"]))
    third = body(guarantor.get("/v1/headroom", limit=2, cursor=second["next"]))
    assert [len(one["items"]) for one in (first, second, third)] == [2, 2, 1]
    assert third["next"] is None
    assert guarantor.get("/v1/headroom", limit=2, cursor=first["next"], kind="pool").status_code == 400


def test_a_guarantee_shows_the_limits_and_the_parameters_behind_it(guarantee_db, guarantor):
    deliver("guarantee", guarantee_db, asked())
    (found,) = body(guarantor.get("/v1/guarantees", state="reserved"))["items"]
    assert found == body(guarantor.get(f"/v1/guarantees/{found['id']}"))
    assert found["shares"]["primary"] == {"amount": "400000.00", "currency": "CNY"}
    assert found["guaranteed"]["amount"] == "800000.00"
    assert {one["kind"] for one in found["measures"]} >= {"headroom", "obligor", "county", "province", "pool"}
    assert "reservation_validity_days" in found["unverified_parameters"]
    assert found["fee_rate"] == "0.01000000"


def test_a_refusal_is_kept_with_its_reasons(guarantee_db, guarantor):
    request = asked(default_probability=yuan(1) / 10)
    deliver("guarantee", guarantee_db, request)
    (found,) = body(guarantor.get("/v1/guarantees", loan_id=str(request.loan_id)))["items"]
    assert found["state"] == "refused"
    assert found["reasons"][0]["en"].startswith("The default probability of 10.00 % is above the accepted 6.00 %")


def test_a_call_is_paid_once_by_whoever_read_it(guarantee_db, guarantor, call):
    path = f"/v1/calls/{call['id']}/payment"
    assert call["payable"] == {"amount": "800000.00", "currency": "CNY"}
    assert guarantor.post(path).status_code == 428
    assert guarantor.post(path, If_Match='"v9"').status_code == 412
    paid = guarantor.post(path, {"reference": "T-1"}, If_Match='"v1"', Idempotency_Key="one")
    assert body(paid)["paid"] == call["payable"]
    again = guarantor.post(path, {"reference": "T-1"}, If_Match='"v1"', Idempotency_Key="one")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.get_json() == body(paid)
    other = guarantor.post(path, {"reference": "T-2"}, If_Match=paid.headers["ETag"])
    assert (other.status_code, other.get_json()["type"].rsplit("/", 1)[1]) == (409, "state")
    assert len(published(guarantee_db, GuaranteePaid)) == 1


@pytest.mark.parametrize("more", [{"amount": "1.00"}, {"paid": "1.00"}, {"reference": "x" * 65}, {"state": "paid"}])
def test_a_payment_is_never_a_part_nor_anything_else(guarantor, call, more):
    assert guarantor.post(f"/v1/calls/{call['id']}/payment", more, If_Match='"v1"').status_code == 422


def test_the_journal_of_a_call_sums_to_zero(guarantee_db, guarantor, call):
    body(guarantor.post(f"/v1/calls/{call['id']}/payment", If_Match='"v1"'))
    deliver("guarantee", guarantee_db, recovered(call["loan_id"], yuan("0.03")), first=4)
    journal = body(guarantor.get(f"/v1/calls/{call['id']}/journal"))
    assert [row["kind"] for row in journal["rows"]] == ["call"] * 3 + ["payment"] + ["recovery"] * 2
    assert {one["account"]: one["balance"] for one in journal["balances"]} == {
        "bank": "0.02",
        "cash": "-800000.00",
        "pool": "100000.00",
        "province": "299999.99",
        "subrogated": "399999.99",
    }
    (back,) = body(guarantor.get(f"/v1/calls/{call['id']}/recoveries"))["items"]
    assert (back["net"]["amount"], back["shares"]["bank"]["amount"]) == ("0.03", "0.01")


def test_schemes_say_where_they_come_from(guarantor):
    items = body(guarantor.get("/v1/schemes"))["items"]
    found = next(one for one in items if one["name"] == "4-3-2-1")
    assert found["shares"] == {"primary": 4000, "province": 3000, "national": 0, "bank": 2000, "pool": 1000}
    assert (found["verified"], found["household_maximum"]["amount"]) == ("read", "20000000.00")
    assert all(sum(one["shares"].values()) == 10_000 for one in items)


PATHS = ["/v1/profile", "/v1/headroom", "/v1/guarantees", "/v1/calls", "/v1/schemes"]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_without_a_token_or_a_scope(guarantee_db, path):
    assert client("guarantee", guarantee_db).get(path).status_code == 401
    assert speaks(guarantee_db, BANK, "officer").get(path).status_code == 401


def test_an_auditor_reads_and_decides_nothing(guarantee_db, guarantor, call):
    auditor = speaks(guarantee_db, role="auditor")
    assert body(auditor.get(f"/v1/calls/{call['id']}"))["state"] == "open"
    assert auditor.post("/v1/profile", TERMS, If_Match='"v1"').status_code == 403
    assert auditor.post(f"/v1/calls/{call['id']}/payment", If_Match='"v1"').status_code == 403


def test_what_belongs_to_another_guarantor_does_not_exist(guarantee_db, guarantor, call):
    other = speaks(guarantee_db, OTHER_GUARANTOR)
    missing = other.get(f"/v1/calls/{uuid4()}")
    for path in (
        f"/v1/calls/{call['id']}",
        f"/v1/calls/{call['id']}/journal",
        f"/v1/calls/{call['id']}/recoveries",
        f"/v1/guarantees/{call['guarantee_id']}",
    ):
        answer = other.get(path)
        assert (answer.status_code, answer.get_json()["type"]) == (404, missing.get_json()["type"])
    assert other.post(f"/v1/calls/{call['id']}/payment", If_Match='"v1"').status_code == 404
    assert other.get("/v1/profile").status_code == 404
    for path in ("/v1/headroom", "/v1/guarantees", "/v1/calls"):
        assert body(other.get(path))["items"] == []
