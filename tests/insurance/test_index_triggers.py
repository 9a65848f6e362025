"""From an observation to its payment: once, whatever is delivered twice, late, revised or out of its order."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insurance.actions import index_triggers
from services.insurance.actions.pricing import Steps
from services.insurance.tables import Claim, IndexCover, IndexObservation, IndexTrigger, Policy
from shared import audit, clock, db
from shared.events.insurance import ClaimPaid, IndexTriggered
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, Client, body, client, deliver, published
from tests.insurance.examples import bound, disbursed, repaid, reversal, row, rows
from tests.insurance.formulas.examples import example


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


@pytest.fixture
def asset() -> UUID:
    return uuid7()


@pytest.fixture
def loan() -> UUID:
    return uuid7()


@pytest.fixture
def insurer(insurance_db: Database) -> Client:
    return client("insurance", insurance_db, "insurer", INSURER, "underwriter-1")


@pytest.fixture
def policy(insurance_db: Database, asset: UUID, loan: UUID) -> UUID:
    return bound(insurance_db, asset, loan, disbursed(loan, 100_000))


def quoted(insurer: Client, policy: UUID, asset: UUID, kind: str, **more: Any) -> dict[str, Any]:
    asked = {"policy_id": str(policy), "asset_id": str(asset), "kind": kind, "limit": money("200000.00"),
             "source": "satellite"} | more  # fmt: skip
    shown: dict[str, Any] = body(insurer.post("/v1/index-covers", asked), 201)
    return shown


def sold(insurer: Client, policy: UUID, asset: UUID, kind: str, **more: Any) -> str:
    shown = quoted(insurer, policy, asset, kind, **more)
    path = f"/v1/index-covers/{shown['id']}"
    assert body(insurer.post(f"{path}/binding", {"price_hash": shown["price_hash"]}))["state"] == "in_force"
    return path


def observe(
    insurer: Client, asset: UUID, kind: str, reading: str, name: str = "a", revision: int = 1, **more: Any
) -> Any:
    sent = {"asset_id": str(asset), "kind": kind, "source": "satellite", "name": name, "revision": revision,
            "observed_on": clock.today().isoformat(), "reading": reading} | more  # fmt: skip
    return insurer.post("/v1/index-observations", sent)


def outcome(insurer: Client, asset: UUID, kind: str, reading: str, *named: Any, **more: Any) -> tuple[str, str, str]:
    (one,) = body(observe(insurer, asset, kind, reading, *named, **more))["triggers"]
    return one["outcome"], one["paid"]["amount"], one["index"]


# -- before the sale --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["area_index", "remote_sensing", "annual_aggregate"])
def test_basis_risk_is_shown_before_the_sale_and_only_what_was_shown_is_sold(
    insurer: Client, policy: UUID, asset: UUID, kind: str
) -> None:
    shown = quoted(insurer, policy, asset, kind)
    assert (shown["state"], set(shown["basis_risk"])) == (
        "quoted", {"missed_loss_probability", "false_payout_probability", "uncovered_share"},
    )  # fmt: skip
    assert Decimal(shown["premium"]["amount"]) > Decimal(shown["expected_payout"]["amount"]) > 0
    assert shown["quantity"]["zh"]
    path = f"/v1/index-covers/{shown['id']}/binding"
    assert insurer.post(path, {"price_hash": "0" * 64}).status_code == 409
    assert observe(insurer, asset, kind, "0.5").status_code == 409, "what is only quoted pays nothing"
    assert body(insurer.post(path, {"price_hash": shown["price_hash"]}))["bound_by"] == "underwriter-1"
    assert insurer.post(path, {"price_hash": shown["price_hash"]}).status_code == 409
    again = quoted_status(insurer, policy, asset, kind)
    assert again == 409, "one cover of a kind on a forest"


def quoted_status(insurer: Client, policy: UUID, asset: UUID, kind: str, limit: str = "1.00") -> int:
    asked = {"policy_id": str(policy), "asset_id": str(asset), "kind": kind, "limit": money(limit), "source": "s"}
    status: int = insurer.post("/v1/index-covers", asked).status_code
    return status


def test_the_same_trees_are_insured_once_by_indemnity_and_index_together(
    insurer: Client, policy: UUID, asset: UUID
) -> None:
    # 900,000 can be insured, 500,000 is.
    assert quoted_status(insurer, policy, asset, "area_index", "400000.01") == 409
    sold(insurer, policy, asset, "area_index", limit=money("300000.00"))
    assert quoted_status(insurer, policy, asset, "annual_aggregate", "100000.01") == 409
    assert quoted_status(insurer, policy, asset, "annual_aggregate", "100000.00") == 201
    assert quoted_status(insurer, policy, uuid7(), "annual_aggregate") == 422
    sums = {"assets": [{"asset_id": str(asset), "sum_insured": money("600000.01")}]}
    version = insurer.get(f"/v1/policies/{policy}").headers["ETag"]
    assert insurer.post(f"/v1/policies/{policy}/endorsements", sums, If_Match=version).status_code == 409


def test_an_index_is_not_sold_before_the_loan_is_drawn(insurer: Client, insurance_db: Database, asset: UUID) -> None:
    policy = bound(insurance_db, asset, uuid7())
    assert quoted_status(insurer, policy, asset, "area_index") == 409
    assert rows(insurance_db, IndexCover) == []


# -- observation, trigger, payment ------------------------------------------------------------------------------------


def test_an_observation_pays_the_bank_first_at_once_and_every_threshold_is_kept(
    insurer: Client, insurance_db: Database, policy: UUID, asset: UUID, loan: UUID
) -> None:
    path = sold(insurer, policy, asset, "area_index")
    assert outcome(insurer, asset, "area_index", "0.05", "small") == ("below", "0.00", "0.05000000")
    # 1 - 0.95 * 0.4 = 0.62 of the area: 30 % of the limit at 0.3, all of it at 0.7.
    assert outcome(insurer, asset, "area_index", "0.6", "big") == ("paid", "172000.00", "0.62000000")
    shown = body(insurer.get(path))
    assert [(one["outcome"], one["threshold"]) for one in shown["triggers"]] == [
        ("below", "0.10000000"), ("paid", "0.10000000"),
    ]  # fmt: skip
    (claim,) = rows(insurance_db, Claim)
    assert (claim.state, claim.origin, claim.to_bank, claim.to_owner) == (
        "paid", "index", Decimal("100000.00"), Decimal("72000.00"),
    )  # fmt: skip
    (told,) = published(insurance_db, ClaimPaid)
    assert (told.total, told.to_bank) == (Decimal("172000.00"), Decimal("100000.00"))
    assert [one.observed for one in published(insurance_db, IndexTriggered)] == [Decimal("0.62")]
    deliver("insurance", insurance_db, repaid(loan, 100_000, 0, "insurance"), first=4)
    assert row(insurance_db, Policy).unsettled == 0
    assert row(insurance_db, Policy).claimed == 0, "an index does not use up the indemnity"


def test_delivered_twice_it_is_one_observation_and_one_payment(
    insurer: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    sold(insurer, policy, asset, "area_index")
    first = body(observe(insurer, asset, "area_index", "0.5"))
    assert body(observe(insurer, asset, "area_index", "0.50000000")) == first
    assert observe(insurer, asset, "area_index", "0.51").status_code == 409
    assert observe(insurer, asset, "area_index", "1.1").status_code == 422
    assert observe(insurer, asset, "area_index", "0.5", source="register").status_code == 422
    later = (clock.today() + timedelta(days=1)).isoformat()
    assert observe(insurer, asset, "area_index", "0.5", "b", observed_on=later).status_code == 422
    earlier = (clock.today() - timedelta(days=1)).isoformat()
    assert observe(insurer, asset, "area_index", "0.5", "b", observed_on=earlier).status_code == 409
    assert (len(rows(insurance_db, IndexObservation)), len(rows(insurance_db, Claim))) == (1, 1)
    assert len(published(insurance_db, ClaimPaid)) == 1


def test_a_revision_pays_the_difference_and_never_takes_back(
    insurer: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    sold(insurer, policy, asset, "remote_sensing", target_t="13626", unit_price=money("35.00"))
    assert outcome(insurer, asset, "remote_sensing", "14000")[:2] == ("below", "0.00")
    assert outcome(insurer, asset, "remote_sensing", "12000", "a", 3)[:2] == ("paid", "56910.00")
    assert outcome(insurer, asset, "remote_sensing", "1", "a", 2)[:2] == ("paid_before", "0.00"), "revised already"
    assert outcome(insurer, asset, "remote_sensing", "13000", "a", 4)[:2] == ("overpaid", "0.00")
    assert outcome(insurer, asset, "remote_sensing", "11000", "a", 5)[:2] == ("paid", "35000.00")
    assert outcome(insurer, asset, "remote_sensing", "0", "b")[:2] == ("paid", "108090.00")
    assert row(insurance_db, IndexCover).paid == Decimal("200000.00")
    assert sum(claim.payable for claim in rows(insurance_db, Claim)) == Decimal("200000.00")


def test_too_late_is_kept_and_pays_nothing(
    insurer: Client, insurance_db: Database, policy: UUID, asset: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold(insurer, policy, asset, "area_index")
    observed = clock.today().isoformat()
    assert outcome(insurer, asset, "area_index", "0.2", "a")[0] == "paid"
    over = row(insurance_db, IndexCover).ends_on
    for days, name, said in ((60, "b", "paid"), (61, "c", "late")):
        monkeypatch.setattr(clock, "today", lambda days=days: over + timedelta(days=days))
        assert outcome(insurer, asset, "area_index", "0.2", name, observed_on=observed)[0] == said
    assert [one.outcome for one in rows(insurance_db, IndexTrigger)] == ["paid", "paid", "late"]


def test_what_the_register_tells_is_an_observation_too_and_pays_beside_the_indemnity(
    insurer: Client, insurance_db: Database, policy: UUID, asset: UUID
) -> None:
    sold(insurer, policy, asset, "annual_aggregate", source="register")
    fire = reversal(asset, live_carbon_lost=Decimal(300))
    deliver("insurance", insurance_db, fire, first=2)
    index, indemnity = sorted(rows(insurance_db, Claim), key=lambda claim: claim.origin)
    assert (index.origin, index.payable, index.state) == ("index", Decimal("80000.00"), "paid")
    assert (indemnity.origin, indemnity.state) == ("reversal", "open")
    again = reversal(asset, reversal_id=fire.reversal_id, live_carbon_lost=Decimal(300))
    deliver("insurance", insurance_db, again, first=3)
    assert len(rows(insurance_db, Claim)) == 2
    deliver("insurance", insurance_db, reversal(asset, live_carbon_lost=Decimal(164)), first=4)
    owed = [one.owed for one in rows(insurance_db, IndexTrigger)]
    assert owed == [Decimal("80000.00"), Decimal("140000.00")]
    assert client("insurance", insurance_db, "insurer", OTHER_INSURER).get("/v1/index-observations").get_json()[
        "items"
    ] == ([])


@pytest.mark.parametrize(("clause", "to_bank"), [("lender", "100000.00"), ("simple", "0.00")])
def test_after_a_breach_the_clause_says_who_gets_the_index(
    insurer: Client, insurance_db: Database, policy: UUID, asset: UUID, clause: str, to_bank: str
) -> None:
    sold(insurer, policy, asset, "area_index")
    with insurance_db.sessions.begin() as session:
        db.act_for(session, INSURER)
        session.info["actor"] = "tester"
        held = session.get_one(Policy, policy)
        held.terms = held.terms | {"lender_clause": clause}
        audit.seal(session)
    version = insurer.get(f"/v1/policies/{policy}").headers["ETag"]
    body(insurer.post(f"/v1/policies/{policy}/breach", {"reason": "felled"}, If_Match=version))
    assert outcome(insurer, asset, "area_index", "0.9")[:2] == ("paid", "200000.00")
    claim = row(insurance_db, Claim)
    assert (claim.to_bank, claim.to_owner) == (Decimal(to_bank), Decimal("0.00"))
    assert claim.to_bank + claim.to_owner + claim.withheld == claim.payable


# -- the index itself -------------------------------------------------------------------------------------------------


def standing(kind: str, **terms: Any) -> IndexCover:
    return IndexCover(kind=kind, most=Decimal("1000.00"), terms=terms)


def delivered(*rows_: tuple[str, int, float]) -> list[IndexObservation]:
    """Observations in the order in which an index reads them."""
    found = [
        IndexObservation(name=name, revision=revision, reading=Decimal(str(reading)), observed_on=clock.today())
        for name, revision, reading in rows_
    ]
    return sorted(found, key=lambda one: one.revision)


def test_a_year_is_one_event_however_its_observations_come() -> None:
    case = example("annual-threshold")
    told = [(one["id"], one.get("revision", 1), one["t"]) for one in case["inputs"]["observations"]]
    cover = standing("annual_aggregate", tiers=[[case["inputs"]["threshold_t"], 1.0]])
    for order in permutations(dict.fromkeys(told)):
        found = index_triggers.read(cover, delivered(*order), Steps())
        assert (found.index, found.crossed) == (case["expected"]["cumulative_t"], case["expected"]["event"])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1))
def test_an_index_owes_no_less_for_more_damage_and_never_more_than_its_limit(shares: list[float], more: float) -> None:
    cover = standing("area_index", steps=[[0.1, 0.05], [0.3, 0.3], [0.7, 1.0]])
    told = [(str(number), 1, share) for number, share in enumerate(shares)]
    less = index_triggers.read(cover, delivered(*told), Steps())
    worse = index_triggers.read(cover, delivered(*told, ("more", 1, more)), Steps())
    assert 0 <= less.owed <= worse.owed <= 100_000
