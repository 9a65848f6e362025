"""What events and deadlines do to covers, policies and claims, in order, out of order and twice."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from services.insurance.actions import claims, policies
from services.insurance.consumers import DOOR, TIMERS
from services.insurance.tables import Capacity, Claim, Cover, Policy, Valuation
from shared import clock, inbox, timers
from shared.events.credit import EnforcementOrdered, LoanDefaulted, LoanExpired, RecoveryReceived
from shared.events.insurance import (
    ClaimOpened,
    ClaimPaid,
    CoverQuoted,
    CoverRefused,
    PolicyBound,
    PolicyLapsed,
)
from shared.events.parts import Reason
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import INSURER, OTHER_INSURER, deliver, published, record
from tests.insurance.examples import (
    LEGS,
    accepted,
    asked,
    bound,
    capacity_of,
    closed,
    declined,
    disbursed,
    pledge,
    quoted,
    repaid,
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


def tell(database: Database, *events, first: int = 1) -> None:
    deliver("insurance", database, *events, first=first)


def run_timers(database: Database) -> int:
    return timers.run_due(database.worker_sessions, TIMERS)


def refusal_codes(database: Database, stage: str) -> set[str]:
    (refused,) = published(database, CoverRefused)
    assert refused.stage == stage
    return {reason.code for reason in refused.reasons}


# -- quoting ----------------------------------------------------------------------------------------------------------


def test_a_request_on_a_known_valuation_is_quoted(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover_id = quoted(insurance_db, asset, loan)
    (event,) = published(insurance_db)
    assert (event.cover_id, event.loan_id, event.insurer) == (cover_id, loan, INSURER)
    assert event.sum_insured == Decimal("500000.00")
    assert ZERO < event.expected_annual_loss < event.annual_premium
    assert event.owner_premium == event.annual_premium
    assert "base_rate" in event.unverified_parameters
    cover = row(insurance_db, Cover)
    assert cover.state == "quoted"
    assert cover.expires_at == event.expires_at
    assert capacity_of(insurance_db, "youyu") == (event.sum_insured, ZERO)
    assert capacity_of(insurance_db, "all") == (event.sum_insured, ZERO)


def test_the_same_request_twice_is_quoted_once(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    tell(insurance_db, valued(asset))
    request = asked(loan, pledge(asset))
    tell(insurance_db, request, request)
    one = record(request, 1)
    inbox.receive(insurance_db.worker_sessions, DOOR.consumer, [one, one], "test")
    assert len(published(insurance_db, CoverQuoted)) == 1
    assert capacity_of(insurance_db, "youyu") == (Decimal("500000.00"), ZERO)


def test_a_request_that_comes_before_the_valuation_waits_for_it(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    tell(insurance_db, asked(loan, pledge(asset)))
    assert row(insurance_db, Cover).state == "waiting"
    assert published(insurance_db) == []
    tell(insurance_db, valued(asset))
    assert row(insurance_db, Cover).state == "quoted"
    assert len(published(insurance_db, CoverQuoted)) == 1
    with clock.travelled(timedelta(hours=2)):
        assert run_timers(insurance_db) == 0


def test_a_request_on_a_newer_valuation_than_ours_waits_for_that_one(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    tell(insurance_db, valued(asset, 1))
    tell(insurance_db, asked(loan, pledge(asset, version=3)))
    tell(insurance_db, valued(asset, 2), first=2)
    assert row(insurance_db, Cover).state == "waiting"
    tell(insurance_db, valued(asset, 3, median=100_000), first=3)
    cover = row(insurance_db, Cover)
    assert cover.state == "quoted"
    assert cover.sum_insured == Decimal("90000.00")
    assert cover.assets[0].valuation_version == 3


def test_a_request_on_two_forests_waits_for_both(insurance_db: Database, loan: UUID) -> None:
    first, second = uuid7(), uuid7()
    tell(insurance_db, asked(loan, pledge(first), pledge(second)))
    tell(insurance_db, valued(second))
    assert row(insurance_db, Cover).state == "waiting"
    tell(insurance_db, valued(first))
    assert row(insurance_db, Cover).sum_insured == Decimal("1000000.00")


def test_the_valuation_wakes_every_insurer_that_waits(insurance_db: Database, asset: UUID) -> None:
    tell(insurance_db, asked(uuid7(), pledge(asset)))
    tell(insurance_db, asked(uuid7(), pledge(asset), insurer=OTHER_INSURER))
    tell(insurance_db, valued(asset))
    assert {event.insurer for event in published(insurance_db, CoverQuoted)} == {INSURER, OTHER_INSURER}
    assert row(insurance_db, Cover, OTHER_INSURER).state == "quoted"


def test_a_valuation_that_never_comes_is_a_refusal_at_the_deadline(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    tell(insurance_db, asked(loan, pledge(asset)))
    assert run_timers(insurance_db) == 0
    with clock.travelled(timedelta(hours=2)):
        assert run_timers(insurance_db) == 1
        tell(insurance_db, valued(asset))
    assert refusal_codes(insurance_db, "quote") == {"valuation_missing"}
    assert row(insurance_db, Cover).state == "refused"


def test_a_request_whose_deadline_has_passed_is_refused(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    tell(insurance_db, valued(asset))
    tell(insurance_db, asked(loan, pledge(asset), answer_by=clock.now() - timedelta(seconds=1)))
    assert refusal_codes(insurance_db, "quote") == {"answer_too_late"}


def test_an_older_valuation_is_passed_over(insurance_db: Database, asset: UUID) -> None:
    tell(insurance_db, valued(asset, 2, median=200), valued(asset, 1, median=100))
    with insurance_db.sessions() as session:
        kept = session.get_one(Valuation, asset)
    assert (kept.version, kept.present_value["p50"]) == (2, "200.00")


def test_a_site_above_the_hazard_ceiling_is_refused_with_its_county_and_peril(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    scores = {"fire": Decimal("0.95"), "pest": Decimal("0.91"), "wind": Decimal("0.9")}
    tell(insurance_db, valued(asset, hazards=scores))
    tell(insurance_db, asked(loan, pledge(asset)))
    (refused,) = published(insurance_db)
    assert [reason.code for reason in refused.reasons] == ["hazard_too_high", "hazard_too_high"]
    assert "右玉县" in refused.reasons[0].zh
    assert "火灾" in refused.reasons[0].zh
    assert "Youyu" in refused.reasons[0].en
    assert "0.95 for fire" in refused.reasons[0].en
    assert rows(insurance_db, Capacity) == []


def test_an_expired_valuation_is_no_ground_for_a_quote(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    tell(insurance_db, valued(asset, valid_until=clock.today() - timedelta(days=1)))
    tell(insurance_db, asked(loan, pledge(asset)))
    assert refusal_codes(insurance_db, "quote") == {"valuation_expired"}


def test_a_forest_without_value_cannot_be_insured(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    tell(insurance_db, valued(asset, median=0))
    tell(insurance_db, asked(loan, pledge(asset)))
    assert refusal_codes(insurance_db, "quote") == {"no_insurable_value"}


def test_a_request_without_a_forest_is_refused(insurance_db: Database, loan: UUID) -> None:
    tell(insurance_db, asked(loan))
    assert refusal_codes(insurance_db, "quote") == {"no_forest"}


def test_a_second_cover_beyond_the_value_of_the_forest_is_refused(insurance_db: Database, asset: UUID) -> None:
    quoted(insurance_db, asset, uuid7())
    tell(insurance_db, asked(uuid7(), pledge(asset, 400_000)))
    assert len(published(insurance_db, CoverQuoted)) == 2
    tell(insurance_db, asked(uuid7(), pledge(asset, 1)))
    assert refusal_codes(insurance_db, "quote") == {"duplicate_cover"}


def test_a_bound_cover_counts_against_a_second_one_until_it_ends(insurance_db: Database, asset: UUID) -> None:
    first = uuid7()
    bound(insurance_db, asset, first)
    tell(insurance_db, asked(uuid7(), pledge(asset)))
    assert refusal_codes(insurance_db, "quote") == {"duplicate_cover"}
    tell(insurance_db, withdrawn(first), first=3)
    tell(insurance_db, asked(uuid7(), pledge(asset)))
    assert len(published(insurance_db, CoverQuoted)) == 2


def test_a_pledge_listed_twice_is_one_forest(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    tell(insurance_db, valued(asset))
    tell(insurance_db, asked(loan, pledge(asset, 200_000), pledge(asset, 100_000)))
    assert row(insurance_db, Cover).sum_insured == Decimal("300000.00")


def test_a_request_for_no_insurer_asks_nobody(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    tell(insurance_db, asked(loan, pledge(asset), insurer=""))
    tell(insurance_db, accepted(loan, uuid7(), pledge(asset), insurer=""), first=2)
    assert published(insurance_db) == []


def test_a_quote_that_nobody_accepts_lets_its_capacity_go(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    quoted(insurance_db, asset, loan)
    with clock.travelled(timedelta(days=31)):
        assert run_timers(insurance_db) == 1
    assert row(insurance_db, Cover).state == "void"
    assert capacity_of(insurance_db, "youyu") == capacity_of(insurance_db, "all") == (ZERO, ZERO)
    assert len(published(insurance_db)) == 1


# -- binding ----------------------------------------------------------------------------------------------------------


def test_an_accepted_loan_binds_the_policy_with_the_bank_as_loss_payee(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    policy_id = bound(insurance_db, asset, loan)
    (event,) = published(insurance_db, PolicyBound)
    policy = row(insurance_db, Policy)
    assert (event.policy_id, event.cover_id) == (policy_id, row(insurance_db, Cover).id)
    assert (policy.bank, event.interest) == (LEGS["bank"], Decimal("300000.00"))
    assert event.inception == clock.today()
    assert event.expiry > clock.today() + timedelta(days=730)
    assert policy.assets[0].sum_insured == policy.sum_insured == event.sum_insured == Decimal("500000.00")
    assert capacity_of(insurance_db, "youyu") == (ZERO, event.sum_insured)
    assert row(insurance_db, Cover).state == "bound"


def test_an_acceptance_twice_binds_once(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover = quoted(insurance_db, asset, loan)
    acceptance = accepted(loan, cover, pledge(asset))
    tell(insurance_db, acceptance, acceptance, first=2)
    assert len(published(insurance_db, PolicyBound)) == 1
    assert published(insurance_db, CoverRefused) == []


def test_an_expired_quote_is_not_bound(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover = quoted(insurance_db, asset, loan)
    with clock.travelled(timedelta(days=31)):
        tell(insurance_db, accepted(loan, cover, pledge(asset)), first=2)
    assert refusal_codes(insurance_db, "bind") == {"quote_expired"}
    assert capacity_of(insurance_db, "all") == (ZERO, ZERO)


def test_a_quote_whose_expiry_was_handled_first_is_not_bound(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover = quoted(insurance_db, asset, loan)
    with clock.travelled(timedelta(days=31)):
        run_timers(insurance_db)
        tell(insurance_db, accepted(loan, cover, pledge(asset)), first=2)
    assert refusal_codes(insurance_db, "bind") == {"quote_expired"}


def test_after_the_deadline_nothing_is_bound(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover = quoted(insurance_db, asset, loan)
    late = accepted(loan, cover, pledge(asset), bind_by=clock.now() - timedelta(seconds=1))
    tell(insurance_db, late, first=2)
    assert refusal_codes(insurance_db, "bind") == {"bind_too_late"}
    assert capacity_of(insurance_db, "all") == (ZERO, ZERO)
    assert rows(insurance_db, Policy) == []


def test_another_cover_than_the_quoted_one_is_not_bound(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    quoted(insurance_db, asset, loan)
    tell(insurance_db, accepted(loan, uuid7(), pledge(asset)), first=2)
    assert refusal_codes(insurance_db, "bind") == {"no_quote"}


def test_a_loan_that_never_asked_is_told_there_is_no_quote(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    tell(insurance_db, accepted(loan, uuid7(), pledge(asset)))
    assert refusal_codes(insurance_db, "bind") == {"no_quote"}


def test_other_pledges_than_the_quoted_ones_are_not_bound(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover = quoted(insurance_db, asset, loan)
    tell(insurance_db, accepted(loan, cover, pledge(uuid7())), first=2)
    assert refusal_codes(insurance_db, "bind") == {"pledges_changed"}


def test_a_forest_that_burnt_after_the_quote_is_not_bound(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover = quoted(insurance_db, asset, loan)
    tell(insurance_db, reversal(asset), valued(asset, 2, median=600_000), first=2)
    tell(insurance_db, accepted(loan, cover, pledge(asset)), first=2)
    assert refusal_codes(insurance_db, "bind") == {"reversal_since_quote", "value_fell"}
    assert rows(insurance_db, Claim) == []


def test_a_small_fall_in_value_does_not_hinder_the_binding(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    cover = quoted(insurance_db, asset, loan)
    tell(insurance_db, valued(asset, 2, median=900_000), first=2)
    tell(insurance_db, accepted(loan, cover, pledge(asset)), first=2)
    assert len(published(insurance_db, PolicyBound)) == 1


# -- undoing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [declined, withdrawn, lambda loan: LoanExpired(loan_id=loan, **LEGS, deadline="x")])
def test_a_quote_is_voided_quietly_when_the_loan_is_undone(
    insurance_db: Database, asset: UUID, loan: UUID, ending
) -> None:
    quoted(insurance_db, asset, loan)
    tell(insurance_db, ending(loan), first=2)
    assert row(insurance_db, Cover).state == "void"
    assert capacity_of(insurance_db, "youyu") == capacity_of(insurance_db, "all") == (ZERO, ZERO)
    assert len(published(insurance_db)) == 1


def test_a_waiting_request_is_voided_and_its_valuation_comes_too_late(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    tell(insurance_db, asked(loan, pledge(asset)), declined(loan))
    tell(insurance_db, valued(asset))
    with clock.travelled(timedelta(hours=2)):
        assert run_timers(insurance_db) == 0
    assert row(insurance_db, Cover).state == "void"
    assert published(insurance_db) == []


def test_undoing_a_loan_that_never_asked_does_nothing(insurance_db: Database, loan: UUID) -> None:
    tell(insurance_db, declined(loan), withdrawn(loan), disbursed(loan), repaid(loan, 1, 1), closed(loan))
    assert published(insurance_db) == []


def test_a_bound_policy_is_undone_with_the_whole_premium_back(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan, declined(loan), withdrawn(loan))
    (event,) = published(insurance_db, PolicyLapsed)
    policy = row(insurance_db, Policy)
    assert (event.reason, event.ends_on, event.return_premium) == ("undone", policy.inception, policy.annual_premium)
    assert policy.state == "ended"
    assert capacity_of(insurance_db, "youyu") == capacity_of(insurance_db, "all") == (ZERO, ZERO)
    tell(insurance_db, reversal(asset), first=2)
    assert rows(insurance_db, Claim) == []


def test_a_loss_before_the_undoing_keeps_its_claim_and_the_owner_gets_it_all(
    insurance_db: Database, asset: UUID, loan: UUID
) -> None:
    bound(insurance_db, asset, loan)
    tell(insurance_db, reversal(asset), first=2)
    tell(insurance_db, withdrawn(loan), declined(loan), first=3)
    (event,) = published(insurance_db, PolicyLapsed)
    policy = row(insurance_db, Policy)
    assert event.ends_on == clock.today() + timedelta(days=1)
    assert event.return_premium < policy.annual_premium
    assert (policy.state, policy.balance) == ("ending", ZERO)
    with clock.travelled(timedelta(days=1)):
        assert run_timers(insurance_db) == 1
    assert row(insurance_db, Policy).state == "ended"
    assert capacity_of(insurance_db, "all") == (ZERO, ZERO)


def test_a_closed_loan_lapses_the_policy_pro_rata(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan, disbursed(loan))
    with clock.travelled(timedelta(days=100)):
        tell(insurance_db, closed(loan), closed(loan), first=4)
        (event,) = published(insurance_db, PolicyLapsed)
        assert event.ends_on == clock.today() + timedelta(days=1)
    policy = row(insurance_db, Policy)
    year = (policy.inception.replace(year=policy.inception.year + 1) - policy.inception).days
    expected = policy.annual_premium * (year - 101) / year
    assert abs(event.return_premium - expected) < Decimal("0.01")
    assert policy.balance == ZERO
    with clock.travelled(timedelta(days=101)):
        assert run_timers(insurance_db) == 1
    assert capacity_of(insurance_db, "youyu") == (ZERO, ZERO)


def test_a_policy_that_runs_out_is_told_before_it_ends(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan, disbursed(loan))
    policy = row(insurance_db, Policy)
    until_notice = (policy.expiry - clock.today()).days - 30
    with clock.travelled(timedelta(days=until_notice)):
        assert run_timers(insurance_db) == 1
        (event,) = published(insurance_db, PolicyLapsed)
        assert clock.today() < event.ends_on == policy.expiry
        assert event.return_premium == ZERO
        assert capacity_of(insurance_db, "all")[1] > 0
    with clock.travelled(timedelta(days=until_notice + 30)):
        assert run_timers(insurance_db) == 1
    assert row(insurance_db, Policy).state == "ended"
    assert capacity_of(insurance_db, "all") == (ZERO, ZERO)


# -- the bank's interest ----------------------------------------------------------------------------------------------


def test_the_banks_interest_follows_the_loan(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan)
    reason = Reason(code="late", zh="逾期", en="late")
    story = [
        (disbursed(loan), "300000.00"),
        (repaid(loan, 100_000, 200_000), "200000.00"),
        (
            LoanDefaulted(loan_id=loan, **LEGS, balance=Decimal(200_000), defaulted_on=clock.today(), reason=reason),
            "200000.00",
        ),
        (EnforcementOrdered(loan_id=loan, **LEGS, balance=Decimal(190_000)), "190000.00"),
        (
            RecoveryReceived(
                loan_id=loan, **LEGS, recovery_id=uuid7(), source="carbon", amount=Decimal(50_000), costs=Decimal(5_000)
            ),
            "145000.00",
        ),
        (closed(loan), "0.00"),
    ]
    for number, (event, balance) in enumerate(story, 3):
        tell(insurance_db, event, first=number)
        assert row(insurance_db, Policy).balance == Decimal(balance)


# -- claims -----------------------------------------------------------------------------------------------------------


def test_a_fire_opens_one_claim_after_the_policys_terms(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    policy_id = bound(insurance_db, asset, loan, disbursed(loan))
    fire = reversal(asset)
    tell(insurance_db, fire, valued(asset, 2, median=600_000), first=2)
    (event,) = published(insurance_db, ClaimOpened)
    # 400,000 lost of 1,000,000, half of it insured, a tenth kept by the owner.
    assert (event.loss, event.payable) == (Decimal("400000.00"), Decimal("180000.00"))
    assert (event.policy_id, event.reversal_id, event.asset_id) == (policy_id, fire.reversal_id, asset)
    claim = row(insurance_db, Claim)
    assert claim.state == "open"
    assert [step["name"] for step in claim.explanation] == ["loss", "fire_covered", "indemnity"]
    assert row(insurance_db, Policy).claimed == Decimal("180000.00")


def test_the_same_reversal_again_opens_no_second_claim(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan)
    fire = reversal(asset)
    tell(insurance_db, fire, fire, first=2)
    assert len(published(insurance_db, ClaimOpened)) == 1
    assert row(insurance_db, Policy).claimed == Decimal("180000.00")


def test_one_fire_opens_claims_at_every_insurer_behind_the_forest(insurance_db: Database, asset: UUID) -> None:
    bound(insurance_db, asset, uuid7())
    other = uuid7()
    tell(insurance_db, asked(other, pledge(asset), insurer=OTHER_INSURER))
    cover = row(insurance_db, Cover, OTHER_INSURER)
    tell(insurance_db, accepted(other, cover.id, pledge(asset), insurer=OTHER_INSURER), first=2)
    tell(insurance_db, reversal(asset), first=2)
    assert {event.insurer for event in published(insurance_db, ClaimOpened)} == {INSURER, OTHER_INSURER}


def test_a_fire_on_two_insured_forests_opens_a_claim_for_each(insurance_db: Database, loan: UUID) -> None:
    first, second, fire = uuid7(), uuid7(), uuid7()
    for forest in (first, second):
        tell(insurance_db, valued(forest))
    tell(insurance_db, asked(loan, pledge(first), pledge(second)))
    cover = row(insurance_db, Cover)
    tell(insurance_db, accepted(loan, cover.id, pledge(first), pledge(second)), first=2)
    for forest in (first, second):
        tell(insurance_db, reversal(forest, reversal_id=fire), first=2)
    assert {claim.asset_id for claim in rows(insurance_db, Claim)} == {first, second}


def test_claims_never_exceed_the_sum_insured(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan)
    for number, (before, after) in enumerate([(1_000_000, 200_000), (1_000_000, 200_000), (1_000_000, 0)], 2):
        tell(insurance_db, reversal(asset, before, after), first=number)
    payable = [event.payable for event in published(insurance_db, ClaimOpened)]
    assert payable == [Decimal("360000.00"), Decimal("140000.00"), ZERO]
    policy = row(insurance_db, Policy)
    assert policy.claimed == policy.sum_insured == sum(payable)
    last = rows(insurance_db, Claim)[-1]
    assert (last.state, last.reasons[0]["code"]) == ("nil", "sum_used_up")


def test_a_small_fire_is_judged_on_the_whole_event(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan)
    tell(insurance_db, reversal(asset, event_area_ha=Decimal("0.6")), first=2)
    tell(insurance_db, reversal(asset, event_area_ha=Decimal("0.7"), damaged_ha=Decimal("0.1")), first=3)
    small, large = published(insurance_db, ClaimOpened)
    assert (small.payable, large.payable) == (ZERO, Decimal("180000.00"))
    claim = rows(insurance_db, Claim)[0]
    assert (claim.state, claim.reasons[0]["code"]) == ("nil", "small_fire")


def test_pest_damage_pays_from_its_threshold_on(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan)
    tell(insurance_db, reversal(asset, peril="pest", severity=Decimal("0.149")), first=2)
    tell(insurance_db, reversal(asset, peril="pest", severity=Decimal("0.15")), first=3)
    slight, enough = published(insurance_db, ClaimOpened)
    assert slight.payable == ZERO < enough.payable


def test_a_forest_without_value_left_has_no_loss(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan)
    tell(insurance_db, reversal(asset, before=0, after=0), first=2)
    assert row(insurance_db, Claim).reasons[0]["code"] == "no_loss"


def test_harvest_is_no_insured_peril(insurance_db: Database, asset: UUID, loan: UUID) -> None:
    bound(insurance_db, asset, loan)
    tell(insurance_db, reversal(asset, peril="harvest"), first=2)
    assert published(insurance_db, ClaimOpened) == []


@pytest.mark.parametrize(("days", "opened"), [(-1, 0), (0, 1), (9, 1), (10, 0)])
def test_the_date_of_the_event_decides_whether_the_policy_stood(
    insurance_db: Database, asset: UUID, loan: UUID, sealed, days: int, opened: int
) -> None:
    policy_id = bound(insurance_db, asset, loan, disbursed(loan))
    with sealed(insurance_db.sessions, INSURER) as session:
        policies.lapse_policy(session, policy_id, "non_payment")
    with clock.travelled(timedelta(days=20)):
        run_timers(insurance_db)
        assert row(insurance_db, Policy).state == "ended"
        day = clock.today() + timedelta(days=days - 20)
        tell(insurance_db, reversal(asset, occurred_on=day), first=2)
    assert len(published(insurance_db, ClaimOpened)) == opened


def test_a_fire_on_a_forest_nobody_insures_is_only_remembered(insurance_db: Database, asset: UUID) -> None:
    tell(insurance_db, valued(asset), reversal(asset))
    assert published(insurance_db) == []


def test_money_paid_to_the_bank_is_not_paid_again_before_credit_has_booked_it(
    insurance_db: Database, asset: UUID, loan: UUID, sealed
) -> None:
    bound(insurance_db, asset, loan, disbursed(loan, 200_000))
    tell(insurance_db, reversal(asset), reversal(asset, 600_000, 300_000), first=2)
    first, second = rows(insurance_db, Claim)
    for claim in (first, second):
        with sealed(insurance_db.sessions, INSURER) as session:
            claims.pay_claim(session, claim.id)
    paid = published(insurance_db, ClaimPaid)
    assert [event.to_bank for event in paid] == [Decimal("180000.00"), Decimal("20000.00")]
    tell(insurance_db, repaid(loan, 180_000, 20_000, "insurance"), repaid(loan, 20_000, 0, "insurance"), first=4)
    policy = row(insurance_db, Policy)
    assert (policy.balance, policy.unsettled) == (ZERO, ZERO)


@pytest.mark.parametrize("block", [1, 100])
def test_a_block_of_valuations_leaves_what_one_by_one_leaves(insurance_db: Database, block: int) -> None:
    """Whoever waits is quoted on the first valuation that reaches what was asked; of the rest the latest is kept."""
    waiting, others = uuid7(), [uuid7() for _ in range(3)]
    tell(insurance_db, asked(loan := uuid7(), pledge(waiting, version=2)))
    events = [valued(asset, version, 1_000_000 + version) for version in (1, 2, 3) for asset in (*others, waiting)]
    # One that was told before, as a state topic tells it, is no newer.
    records = [record(event, event.version) for event in events]
    for start in range(0, len(records), block):
        inbox.receive(insurance_db.worker_sessions, DOOR.consumer, records[start : start + block], "test")
    for asset in (*others, waiting):
        kept = row(insurance_db, Valuation, asset_id=asset)
        assert (kept.version, Decimal(kept.present_value["mean"])) == (3, events[-1].present_value.mean)
    (quote,) = published(insurance_db, CoverQuoted)
    assert quote.loan_id == loan
    (cover,) = rows(insurance_db, Cover, loan_id=loan)
    assert [one.valuation_version for one in cover.assets] == [2]
