"""The use cases themselves: the price and its audit, capacity under many hands, lapses and payments."""

import threading
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from services.insurance.actions import PARAMETERS, capacity, claims, covers, policies
from services.insurance.formulas import premium as formulas
from services.insurance.tables import Capacity, Claim, Cover, Policy
from shared import audit, clock, db
from shared.errors import ConflictError, NotFoundError, StateError
from shared.events.insurance import ClaimPaid, CoverQuoted, CoverRefused, PolicyBound, PolicyLapsed
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, deliver, published
from tests.insurance.examples import (
    HAZARDS,
    accepted,
    asked,
    bound,
    capacity_of,
    disbursed,
    pledge,
    quoted,
    reversal,
    row,
    rows,
    valued,
    withdrawn,
)

ZERO = Decimal("0.00")


@pytest.fixture
def asset() -> UUID:
    return uuid7()


@pytest.fixture
def loan() -> UUID:
    return uuid7()


def at_once(*tasks) -> list:
    """Run tasks in threads that start together; what each returned, or raised."""
    gate, results = threading.Barrier(len(tasks)), [None] * len(tasks)

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = tasks[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# -- price ------------------------------------------------------------------------------------------------------------


def test_each_step_of_the_price_can_be_followed(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    quoted(insurance_db, asset, loan)
    cover = row(insurance_db, Cover)
    steps = Counter(step["name"] for step in cover.explanation)
    assert steps["peril_rate"] == steps["peril_pure_premium"] == steps["capped_loss_variance"] == 6
    last = {step["name"]: step for step in cover.explanation}
    parts = [float(step["result"]) for step in cover.explanation if step["name"] == "peril_pure_premium"]
    assert float(last["pure_premium"]["result"]) == pytest.approx(formulas.pure_premium(parts))
    assert Decimal(last["premium"]["result"]) / 100 == cover.annual_premium
    assert Decimal(last["owner_premium"]["result"]) / 100 == cover.owner_premium
    fire = next(step for step in cover.explanation if step["of"] == f"{asset}/fire" and step["name"] == "peril_rate")
    inputs = fire["inputs"]
    assert Decimal(inputs["hazard_score"]) == HAZARDS["fire"]
    assert float(fire["result"]) == formulas.peril_rate(
        *(float(inputs[name]) for name in ("base_rate", "hazard_score", "reference_score", "exponent"))
    )


def test_the_quote_names_its_parameter_set_and_what_nobody_verified(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    quoted(insurance_db, asset, loan)
    cover = row(insurance_db, Cover)
    p = PARAMETERS.at(clock.today())
    assert cover.parameters_digest == p.digest
    assert {"base_rate", "hazard_exponent", "maximum_sum_insured_share"} <= set(cover.unverified_parameters)
    assert "small_fire_exclusion_mu" not in cover.unverified_parameters
    assert cover.terms["small_fire_exclusion_mu"] == "10"


def test_a_riskier_site_costs_more(insurance_db: Database) -> None:
    premiums = []
    for fire in ("0.2", "0.5", "0.8"):
        forest = uuid7()
        deliver("insurance", insurance_db, valued(forest, hazards=HAZARDS | {"fire": Decimal(fire)}))
        deliver("insurance", insurance_db, asked(uuid7(), pledge(forest)))
        premiums.append(published(insurance_db, CoverQuoted)[-1].annual_premium)
    assert premiums == sorted(set(premiums))


def test_a_peril_nobody_scored_counts_as_the_average_site(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    deliver("insurance", insurance_db, valued(asset, hazards={}))
    deliver("insurance", insurance_db, asked(loan, pledge(asset)))
    step = next(s for s in row(insurance_db, Cover).explanation if s["name"] == "peril_rate")
    assert step["inputs"]["scored"] == "False"
    assert step["inputs"]["hazard_score"] == step["inputs"]["reference_score"]


def test_the_sum_insured_stays_within_the_share_of_the_value(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    deliver("insurance", insurance_db, valued(asset, median="1000000.01"))
    deliver("insurance", insurance_db, asked(loan, pledge(asset, 2_000_000)))
    cover = row(insurance_db, Cover)
    assert cover.sum_insured == Decimal("900000.00")
    assert cover.assets[0].insured_value == Decimal("1000000.01")


# -- capacity ---------------------------------------------------------------------------------------------------------


def set_cap(database: Database, county: str, cap: int, institution: str = INSURER) -> None:
    with database.sessions.begin() as session:
        db.act_for(session, institution)
        capacity.set_capacity(session, county, Decimal(cap))
        audit.seal(session)


def test_a_full_county_refuses_and_says_what_room_is_left(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    set_cap(insurance_db, "youyu", 400_000)
    deliver("insurance", insurance_db, valued(asset))
    deliver("insurance", insurance_db, asked(loan, pledge(asset)))
    (refused,) = published(insurance_db)
    (reason,) = refused.reasons
    assert reason.code == "county_capacity"
    assert "400,000.00" in reason.en
    assert "右玉县" in reason.zh
    assert capacity_of(insurance_db, "youyu") == capacity_of(insurance_db, "all") == (ZERO, ZERO)
    assert row(insurance_db, Cover).explanation != []


def test_the_total_over_all_counties_binds_too(insurance_db: Database) -> None:
    set_cap(insurance_db, "all", 900_000)
    for county in ("youyu", "pinglu"):
        forest = uuid7()
        deliver("insurance", insurance_db, valued(forest, county=county))
        deliver("insurance", insurance_db, asked(uuid7(), pledge(forest, county=county)))
    (refused,) = published(insurance_db, CoverRefused)
    assert [reason.code for reason in refused.reasons] == ["total_capacity"]
    assert capacity_of(insurance_db, "pinglu") == (ZERO, ZERO)


def test_the_capacity_of_one_insurer_is_not_anothers(insurance_db: Database, asset: UUID) -> None:
    set_cap(insurance_db, "youyu", 0)
    deliver("insurance", insurance_db, valued(asset))
    deliver("insurance", insurance_db, asked(uuid7(), pledge(asset), insurer=OTHER_INSURER))
    assert [event.insurer for event in published(insurance_db, CoverQuoted)] == [OTHER_INSURER]
    assert {one.county for one in rows(insurance_db, Capacity, OTHER_INSURER)} == {"all", "youyu"}


def test_a_capacity_cannot_fall_below_what_is_taken(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    quoted(insurance_db, asset, loan)
    with pytest.raises(ConflictError, match="cannot be less"):
        set_cap(insurance_db, "youyu", 499_999)
    set_cap(insurance_db, "youyu", 500_000)
    assert row(insurance_db, Capacity, county="youyu").room == ZERO


def test_a_decision_under_a_cap_nobody_set_says_so_each_time(insurance_db: Database) -> None:
    for _ in range(2):
        quoted(insurance_db, uuid7(), uuid7())
        assert "county_capacity" in published(insurance_db, CoverQuoted)[-1].unverified_parameters
    set_cap(insurance_db, "youyu", 2_000_000)
    quoted(insurance_db, uuid7(), uuid7())
    assert "county_capacity" not in published(insurance_db, CoverQuoted)[-1].unverified_parameters


def test_many_quotes_at_once_never_exceed_the_cap(insurance_db: Database) -> None:
    set_cap(insurance_db, "all", 2_000_000)
    counties = ("youyu", "pinglu", "shanyin")
    requests = []
    for number in range(12):
        first, second = counties[number % 3], counties[(number + 1) % 3]
        forests = [uuid7(), uuid7()]
        for forest, county in zip(forests, (first, second), strict=True):
            deliver("insurance", insurance_db, valued(forest, county=county))
        requests.append(
            asked(uuid7(), pledge(forests[0], 300_000, county=first), pledge(forests[1], 200_000, county=second))
        )
    at_once(*[lambda event=event: deliver("insurance", insurance_db, event) for event in requests])
    quotes, refusals = published(insurance_db, CoverQuoted), published(insurance_db, CoverRefused)
    assert (len(quotes), len(refusals)) == (4, 8)
    held = {one.county: one for one in rows(insurance_db, Capacity)}
    assert held["all"].pending == Decimal(2_000_000)
    assert sum(held[county].pending for county in counties) == held["all"].pending


def test_binding_and_undoing_at_once_leave_the_books_straight(insurance_db: Database) -> None:
    loans = {uuid7(): uuid7() for _ in range(6)}
    quotes = {loan: quoted(insurance_db, asset, loan) for loan, asset in loans.items()}

    def bind_and_undo(loan: UUID) -> None:
        deliver("insurance", insurance_db, accepted(loan, quotes[loan], pledge(loans[loan])), first=2)
        deliver("insurance", insurance_db, withdrawn(loan), first=3)

    results = at_once(*[lambda loan=loan: bind_and_undo(loan) for loan in loans])
    assert results == [None] * 6
    assert len(published(insurance_db, PolicyLapsed)) == len(published(insurance_db, PolicyBound)) == 6
    assert {(one.pending, one.posted) for one in rows(insurance_db, Capacity)} == {(ZERO, ZERO)}


def test_a_valuation_and_the_request_that_needs_it_never_miss_each_other(insurance_db: Database) -> None:
    pairs = [(uuid7(), uuid7()) for _ in range(6)]
    tasks = []
    for asset, loan in pairs:
        tasks.append(lambda asset=asset: deliver("insurance", insurance_db, valued(asset)))
        tasks.append(lambda asset=asset, loan=loan: deliver("insurance", insurance_db, asked(loan, pledge(asset))))
    assert at_once(*tasks) == [None] * 12
    assert len(published(insurance_db, CoverQuoted)) == 6


def test_two_loans_at_once_cannot_insure_one_forest_twice(insurance_db: Database, asset: UUID) -> None:
    deliver("insurance", insurance_db, valued(asset))
    at_once(*[
        lambda: deliver("insurance", insurance_db, asked(uuid7(), pledge(asset, 500_000))) for _ in range(4)
    ])  # fmt: skip
    assert (len(published(insurance_db, CoverQuoted)), len(published(insurance_db, CoverRefused))) == (1, 3)


# -- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "days"), [("ordinary", 30), ("non_payment", 10)])
def test_a_lapse_is_told_before_the_cover_ends(
    insurance_db: Database, asset: UUID, loan: UUID, sealed, reason: str, days: int
) -> None:
    policy_id = bound(insurance_db, asset, loan, disbursed(loan))
    with sealed(insurance_db.sessions, INSURER) as session:
        policy = policies.lapse_policy(session, policy_id, reason)
        assert (policy.state, policy.covers(clock.today())) == ("ending", True)
    (event,) = published(insurance_db, PolicyLapsed)
    assert event.ends_on == clock.today() + timedelta(days=days)
    assert (event.return_premium > 0) == (reason == "ordinary")
    assert capacity_of(insurance_db, "all")[1] > 0


def test_a_policy_is_lapsed_once(insurance_db: Database, asset: UUID, loan: UUID, sealed) -> None:
    policy_id = bound(insurance_db, asset, loan)
    with sealed(insurance_db.sessions, INSURER) as session:
        policies.lapse_policy(session, policy_id, "ordinary")
    with pytest.raises(StateError), sealed(insurance_db.sessions, INSURER) as session:
        policies.lapse_policy(session, policy_id, "ordinary")


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2023, 1, 31), 13, date(2024, 2, 29)),
        (date(2026, 12, 1), 12, date(2027, 12, 1)),
    ],
)
def test_months_later_keep_to_the_month(day: date, months: int, later: date) -> None:
    assert policies.months_later(day, months) == later


# -- claims -----------------------------------------------------------------------------------------------------------


def burnt(database: Database, asset: UUID, loan: UUID, *after) -> UUID:
    """A bound policy, then a fire; the claim's id."""
    bound(database, asset, loan, *after)
    deliver("insurance", database, reversal(asset), first=2)
    return row(database, Claim).id


@pytest.mark.parametrize(
    ("balance", "to_bank", "to_owner"),
    [(300_000, "180000.00", "0.00"), (100_000, "100000.00", "80000.00"), (180_000, "180000.00", "0.00")],
)
def test_a_claim_is_paid_to_the_bank_first_and_then_to_the_owner(
    insurance_db: Database, asset: UUID, loan: UUID, sealed, balance: int, to_bank: str, to_owner: str
) -> None:
    claim_id = burnt(insurance_db, asset, loan, disbursed(loan, balance))
    with sealed(insurance_db.sessions, INSURER) as session:
        claims.pay_claim(session, claim_id)
    (event,) = published(insurance_db, ClaimPaid)
    assert (event.to_bank, event.to_owner) == (Decimal(to_bank), Decimal(to_owner))
    assert event.to_bank + event.to_owner == event.total == Decimal("180000.00")


def test_a_claim_is_not_paid_while_the_banks_interest_is_open(
    insurance_db: Database, asset: UUID, loan: UUID, sealed
) -> None:
    claim_id = burnt(insurance_db, asset, loan)
    with pytest.raises(StateError, match="neither drawn nor undone"), sealed(insurance_db.sessions, INSURER) as session:
        claims.pay_claim(session, claim_id)
    deliver("insurance", insurance_db, withdrawn(loan), first=3)
    with sealed(insurance_db.sessions, INSURER) as session:
        assert claims.pay_claim(session, claim_id).to_owner == Decimal("180000.00")


def test_a_nil_claim_cannot_be_paid(insurance_db: Database, asset: UUID, loan: UUID, sealed) -> None:
    bound(insurance_db, asset, loan, disbursed(loan))
    deliver("insurance", insurance_db, reversal(asset, event_area_ha=Decimal("0.1")), first=2)
    with pytest.raises(StateError, match="nil"), sealed(insurance_db.sessions, INSURER) as session:
        claims.pay_claim(session, row(insurance_db, Claim).id)


def test_two_hands_pay_a_claim_once(insurance_db: Database, asset: UUID, loan: UUID, sealed) -> None:
    claim_id = burnt(insurance_db, asset, loan, disbursed(loan))

    def pay() -> None:
        with sealed(insurance_db.sessions, INSURER) as session:
            claims.pay_claim(session, claim_id)

    outcomes = at_once(*[pay] * 4)
    assert Counter(type(outcome) for outcome in outcomes) == {type(None): 1, StateError: 3}
    assert len(published(insurance_db, ClaimPaid)) == 1


def test_the_claim_of_another_insurer_does_not_exist(insurance_db: Database, asset: UUID, loan: UUID, sealed) -> None:
    claim_id = burnt(insurance_db, asset, loan, disbursed(loan))
    with pytest.raises(NotFoundError), sealed(insurance_db.sessions, OTHER_INSURER) as session:
        claims.pay_claim(session, claim_id)


# -- audit ------------------------------------------------------------------------------------------------------------


def test_every_deed_stands_in_an_unbroken_chain(insurance_db: Database, asset: UUID, loan: UUID, sealed) -> None:
    claim_id = burnt(insurance_db, asset, loan, disbursed(loan))
    with sealed(insurance_db.sessions, INSURER) as session:
        claims.pay_claim(session, claim_id)
        policies.lapse_policy(session, row(insurance_db, Policy).id, "ordinary")
    with insurance_db.sessions() as session:
        assert audit.verify(session, INSURER) is None
        deeds = [entry.action for entry in session.query(audit.AuditEntry).order_by(audit.AuditEntry.number)]
    assert deeds == ["quote_cover", "bind_policy", "open_claim", "pay_claim", "lapse_policy"]


def test_expiring_a_bound_quote_does_nothing(insurance_db: Database, asset: UUID, loan: UUID, sealed) -> None:
    bound(insurance_db, asset, loan)
    with sealed(insurance_db.sessions, INSURER) as session:
        covers.expire_quote(session, row(insurance_db, Cover).id)
    assert row(insurance_db, Cover).state == "bound"
