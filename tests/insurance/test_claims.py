"""A claim from its notice to what comes back: covered or not, reserved, assessed, cleared, paid once, run off."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.insurance.actions import PARAMETERS, notices, policies, triangles
from services.insurance.tables import Claim, Endorsement, Policy, PolicyAsset, Proceeds
from shared import audit, clock, db
from shared.events.insurance import ClaimOpened, ClaimPaid, PolicyReinstated
from shared.ids import uuid7
from shared.money import yuan
from tests.conftest import Database
from tests.harness import INSURER, Client, body, client, deliver, published
from tests.insurance.examples import bound, disbursed, reversal, row, rows
from tests.insurance.formulas.examples import example

FOUND = {"severity": "0.4", "event_area_ha": "60"}


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


@pytest.fixture
def asset() -> UUID:
    return uuid7()


@pytest.fixture
def adjuster(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER, "adjuster-1")


@pytest.fixture
def second(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER, "adjuster-2")


@pytest.fixture
def policy(insurance_db: Database, asset: UUID) -> UUID:
    loan = uuid7()
    return bound(insurance_db, asset, loan, disbursed(loan, 100_000))


def notice(policy: UUID, asset: UUID, **more: Any) -> dict[str, Any]:
    return {"policy_id": str(policy), "asset_id": str(asset), "peril": "fire", "estimate": money("300000.00"),
            "occurred_on": clock.today().isoformat(), "note": "seen from the road"} | more  # fmt: skip


def act(who: Client, claim: dict[str, Any], what: str, sent: dict[str, Any], status: int = 200) -> Any:
    """Do something to a claim at its present version."""
    version = who.get(f"/v1/claims/{claim['id']}").headers["ETag"]
    return body(who.post(f"/v1/claims/{claim['id']}/{what}", sent, If_Match=version), status)


def assessed(who: Client, claim: dict[str, Any], before: str = "1000000.00", after: str = "600000.00") -> Any:
    return act(who, claim, "assessment", FOUND | {"value_before": money(before), "value_after": money(after)})


# -- covered or not ---------------------------------------------------------------------------------------------------


def standing(inception: str, ends_on: str = "2027-01-01") -> Policy:
    return Policy(inception=date.fromisoformat(inception), ends_on=date.fromisoformat(ends_on), perils=["fire"])


def test_a_loss_before_inception_after_the_end_or_of_another_peril_is_refused_with_its_reason() -> None:
    case = example("refuse-before-inception")
    day = date.fromisoformat(case["inputs"]["loss"])
    (why,) = notices.not_covered(standing(case["inputs"]["inception"]), day, "fire")
    assert (why.code, case["expected"]["accepted"]) == ("before_inception", False)
    policy = standing(case["inputs"]["inception"])
    assert [one.code for one in notices.not_covered(policy, policy.ends_on, "flood")] == [
        "after_end", "peril_not_insured",
    ]  # fmt: skip
    assert notices.not_covered(policy, policy.inception, "fire") == []


def test_the_bank_has_its_notice_so_many_days_before_the_end() -> None:
    case = example("cancel-notice")
    told, p = date.fromisoformat(case["inputs"]["notice_date"]), PARAMETERS.at(date(2026, 3, 1))
    assert policies.earliest_end(told, "ordinary", p).isoformat() == case["expected"]["earliest_end"]
    assert policies.earliest_end(told, "non_payment", p).isoformat() == case["expected"]["earliest_end_nonpayment"]


def test_what_no_cover_answers_for_is_refused_and_leaves_nothing(
    adjuster: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    for days, status in ((-1, 409), (1, 422)):
        day = (clock.today() + timedelta(days=days)).isoformat()
        assert adjuster.post("/v1/claims", notice(policy, asset, occurred_on=day)).status_code == status
    assert adjuster.post("/v1/claims", notice(policy, uuid7())).status_code == 422
    assert adjuster.post("/v1/claims", notice(uuid7(), asset)).status_code == 422
    assert rows(insurance_db, Claim) == []


# -- notice, assessment, clearance ------------------------------------------------------------------------------------


def test_a_notice_is_reserved_assessed_cleared_by_another_person_and_paid(
    adjuster: Client, second: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    claim = body(adjuster.post("/v1/claims", notice(policy, asset)), 201)
    # 300,000 told, half of the value insured, a tenth deducted.
    assert (claim["state"], claim["reserve"], claim["payable"]) == ("notified", money("135000.00"), money("0.00"))
    assert {one["code"] for one in claim["flags"]} == {"early_loss", "not_in_register"}
    assert adjuster.post("/v1/claims", notice(policy, asset)).status_code == 409, "one event is one claim"
    act(adjuster, claim, "payment", {}, 409)
    shown = assessed(adjuster, claim)
    assert (shown["state"], shown["payable"], shown["reserve"]) == ("open", money("180000.00"), money("180000.00"))
    act(adjuster, claim, "payment", {}, 409)
    act(adjuster, claim, "clearance", {"accept": True, "comment": "looked at it"}, 403)
    act(second, claim, "clearance", {"accept": True, "comment": "looked at it"})
    paid = act(adjuster, claim, "payment", {})
    assert (paid["to_bank"], paid["to_owner"], paid["reserve"]) == (
        money("100000.00"), money("80000.00"), money("0.00"),
    )  # fmt: skip
    act(adjuster, claim, "assessment", FOUND | {"value_before": money("2.00"), "value_after": money("1.00")}, 409)
    deliver("insurance", insurance_db, reversal(asset), first=2)
    assert len(rows(insurance_db, Claim)) == 1, "the register confirms what was paid, and pays it no second time"
    assert len(published(insurance_db, ClaimPaid)) == 1


def test_the_registers_measurement_takes_the_place_of_a_notice(
    adjuster: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    claim = body(adjuster.post("/v1/claims", notice(policy, asset)), 201)
    assessed(adjuster, claim, after="100000.00")
    fire = reversal(asset)
    deliver("insurance", insurance_db, fire, first=2)
    one = row(insurance_db, Claim)
    assert (str(one.id), one.reversal_id, one.payable) == (claim["id"], fire.reversal_id, Decimal("180000.00"))
    assert row(insurance_db, Policy).claimed == row(insurance_db, PolicyAsset).claimed == Decimal("180000.00")
    assert [told.payable for told in published(insurance_db, ClaimOpened)] == [
        Decimal("405000.00"), Decimal("180000.00"),
    ]  # fmt: skip
    assert "not_in_register" not in {flag["code"] for flag in one.flags}
    act(adjuster, claim, "payment", {})
    deliver("insurance", insurance_db, reversal(asset, before=600_000, after=500_000), first=3)
    assert len(rows(insurance_db, Claim)) == 2, "another event of the register is another claim"


def test_a_rejected_notice_pays_nothing_and_gives_the_sum_back(
    adjuster: Client, second: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    claim = body(adjuster.post("/v1/claims", notice(policy, asset)), 201)
    assessed(adjuster, claim)
    shown = act(second, claim, "clearance", {"accept": False, "comment": "nobody saw a fire"})
    assert (shown["state"], [one["code"] for one in shown["reasons"]]) == ("nil", ["notice_rejected"])
    assert row(insurance_db, Policy).claimed == 0
    act(adjuster, claim, "assessment", FOUND | {"value_before": money("2.00"), "value_after": money("1.00")}, 409)
    deliver("insurance", insurance_db, reversal(asset), first=2)
    assert row(insurance_db, Claim).state == "nil"


# -- what comes back, what is insured again ---------------------------------------------------------------------------


def test_what_comes_back_is_entered_once_and_never_exceeds_what_was_paid_or_is_owed(
    adjuster: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    deliver("insurance", insurance_db, reversal(asset), first=2)
    claim = {"id": str(row(insurance_db, Claim).id)}
    path = f"/v1/claims/{claim['id']}/proceeds"
    slip = {"kind": "salvage", "amount": money("5000.00"), "reference": "slip-1",
            "received_on": clock.today().isoformat()}  # fmt: skip
    assert adjuster.post(path, slip).status_code == 409, "nothing is paid yet"
    version = adjuster.get(f"/v1/policies/{policy}").headers["ETag"]
    body(adjuster.post(f"/v1/policies/{policy}/breach", {"reason": "felled"}, If_Match=version))
    act(adjuster, claim, "payment", {})
    assert row(insurance_db, Claim).subrogated == Decimal("100000.00")
    assert body(adjuster.post(path, slip))["recovered"] == money("5000.00")
    assert body(adjuster.post(path, slip))["recovered"] == money("5000.00")
    assert adjuster.post(path, slip | {"amount": money("5000.01")}).status_code == 409
    owner = slip | {"kind": "subrogation", "reference": "slip-2"}
    assert adjuster.post(path, owner | {"amount": money("95000.01")}).status_code == 409
    assert body(adjuster.post(path, owner | {"amount": money("95000.00")}))["recovered"] == money("100000.00")
    assert adjuster.post(path, slip | {"reference": "slip-3", "amount": money("0.01")}).status_code == 409
    listed = body(adjuster.get(path))["items"]
    assert sum(Decimal(one["amount"]["amount"]) for one in listed) == Decimal("100000.00")
    assert len(rows(insurance_db, Proceeds)) == 2


def test_a_sum_that_claims_took_is_insured_again_for_the_premium_of_the_days_left(
    adjuster: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    def reinstate(status: int = 200) -> Any:
        version = adjuster.get(f"/v1/policies/{policy}").headers["ETag"]
        sent = {"asset_id": str(asset)}
        return body(adjuster.post(f"/v1/policies/{policy}/reinstatement", sent, If_Match=version), status)

    reinstate(409)
    deliver("insurance", insurance_db, reversal(asset, after=0), first=2)
    reinstate(409)
    assert row(insurance_db, Policy).remaining == Decimal("50000.00")
    act(adjuster, {"id": str(row(insurance_db, Claim).id)}, "payment", {})
    shown = reinstate()
    assert (shown["remaining"], shown["sum_insured"]) == (money("500000.00"), money("500000.00"))
    change = row(insurance_db, Endorsement)
    assert change.premium_change == yuan(row(insurance_db, Policy).annual_premium * Decimal("0.9"))
    assert sum(map(Decimal, change.split.values())) == change.premium_change
    assert [one.reinstated for one in published(insurance_db, PolicyReinstated)] == [Decimal("450000.00")]
    reinstate(409)
    deliver("insurance", insurance_db, reversal(asset, after=0), first=3)
    assert row(insurance_db, Policy).claimed == Decimal("900000.00")
    assert row(insurance_db, Policy).remaining == Decimal("50000.00")


# -- run-off ----------------------------------------------------------------------------------------------------------


def _paid(session: Any, policy: Policy, occurred_on: date, paid_on: date, amount: int) -> None:
    total = Decimal(amount)
    at = policies.start_of(paid_on)
    session.add(
        Claim(id=uuid7(), institution=INSURER, policy_id=policy.id, loan_id=policy.loan_id, bank=policy.bank,
              asset_id=policy.assets[0].asset_id, origin="reversal", reversal_id=uuid7(), peril="fire",
              occurred_on=occurred_on, state="paid", loss=total, payable=total, reserve=Decimal(0),
              recovered=Decimal(0), explanation=[], reasons=[], flags=[], rejected=False, opened_at=at, paid_at=at,
              to_bank=total, to_owner=Decimal(0))
    )  # fmt: skip


def test_the_run_off_of_claims_gives_the_reserves_of_the_published_triangle(
    adjuster: Client, insurance_db: Database, policy: UUID
) -> None:
    case = example("chain-ladder")
    this = clock.today().year
    with insurance_db.sessions.begin() as session:
        db.act_for(session, INSURER)
        session.info["actor"] = "tester"
        held = session.get_one(Policy, policy)
        for i, line in enumerate(case["inputs"]["triangle"]):
            origin, before = this - 2 + i, 0
            for j, cumulative in enumerate(line):
                if cumulative is not None:
                    _paid(session, held, date(origin, 1, 1), date(origin + j, 1, 1), cumulative - before)
                    before = cumulative
        audit.seal(session)
    shown = body(adjuster.get("/v1/claims/reports/run-off", months=12, periods=3))
    paid = [[cell and float(cell["amount"]) for cell in one["paid"]] for one in shown["origins"]]
    assert paid == case["inputs"]["triangle"]
    factors = [float(factor) for factor in shown["factors"]]
    expected = case["expected"]
    assert factors == pytest.approx(expected["factors"], abs=1e-5)
    assert float(shown["chain_ladder_reserve"]) == pytest.approx(expected["reserve"], abs=0.01)
    assert shown["assumed_factors"] == []
    assert [one["case_reserve"] for one in shown["origins"]] == [money("0.00")] * 3
    youngest = shown["origins"][-1]
    prior = 0.6 * float(youngest["earned_premium"]["amount"])
    later = factors[0] * factors[1]
    assert float(youngest["bornhuetter_ferguson_reserve"]) == pytest.approx(prior * (1 - 1 / later), abs=0.01)
    quarters = body(adjuster.get("/v1/claims/reports/run-off", months=3, periods=2))
    assert quarters["assumed_factors"] == [1], "nothing to learn from is said, not guessed"


def test_periods_cover_the_time_up_to_today_without_a_gap() -> None:
    for months in (3, 6, 12):
        starts = triangles._starts(date(2026, 11, 30), months, 4)
        assert starts[-2] <= date(2026, 11, 30) < starts[-1]
        assert [policies.months_later(day, months) for day in starts[:-1]] == starts[1:]
