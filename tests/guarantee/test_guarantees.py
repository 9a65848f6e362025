"""Guarantees: reserved when every limit has room, issued in time, undone without a trace, amortised to the fen."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from services.guarantee.actions import guarantees
from services.guarantee.actions.calls import close_loan, open_call
from services.guarantee.tables import Bucket, Reservation
from shared import clock, timers
from shared.events.guarantee import GuaranteeIssued, GuaranteeRefused, GuaranteeReleased, GuaranteeReserved
from shared.events.parts import PrincipalDue
from tests.guarantee.stories import (
    COUNTY,
    accepted,
    asked,
    closed,
    declined,
    defaulted,
    disbursed,
    expired,
    guarantee,
    parts,
    ready,
    repaid,
    used,
    withdrawn,
    yuan,
)
from tests.harness import GUARANTOR, published


@pytest.fixture
def sessions(guarantee_db, sealed):
    ready(guarantee_db.sessions, sealed)
    return guarantee_db.sessions


def do(sessions, sealed, action, event):
    with sealed(sessions, GUARANTOR) as session:
        action(session, event)


def reserved(sessions, sealed, **changed):
    request = asked(**changed)
    do(sessions, sealed, guarantees.reserve_guarantee, request)
    with sealed(sessions, GUARANTOR) as session:
        return request, guarantee(session, request.loan_id)


def issued(sessions, sealed, **changed):
    request, row = reserved(sessions, sealed, **changed)
    do(sessions, sealed, guarantees.issue_guarantee, accepted(request, row.id))
    return request, row


def test_a_reservation_holds_room_in_every_bucket_and_says_what_it_costs(guarantee_db, sessions, sealed):
    request, row = reserved(sessions, sealed)
    (event,) = published(guarantee_db, GuaranteeReserved)
    assert parts(event.shares) == {
        "primary": "400000.00",
        "province": "300000.00",
        "national": "0.00",
        "bank": "200000.00",
        "pool": "100000.00",
    }
    # 1 % a year of the guaranteed 800,000 for two years.
    assert (event.fee, event.guarantee_id) == (yuan(16_000), row.id)
    assert event.expires_at == row.expires_at > clock.now() + timedelta(days=29)
    with sealed(sessions, GUARANTOR) as session:
        # The small weight of 75 % on what the bank may claim; nothing in the national fund's bucket.
        assert used(session) == {
            ("headroom", ""): (0, 60_000_000),
            ("obligor", request.obligor): (0, 60_000_000),
            ("county", COUNTY): (0, 60_000_000),
            ("province", ""): (0, 30_000_000),
            ("pool", COUNTY): (0, 10_000_000),
        }
    assert "deduct_reguarantee" in row.unverified_parameters


def test_without_a_profile_the_refusal_says_that_none_is_set(guarantee_db, sealed):
    do(guarantee_db.sessions, sealed, guarantees.reserve_guarantee, asked())
    (event,) = published(guarantee_db)
    assert (event.stage, [reason.code for reason in event.reasons]) == ("reserve", ["profile.missing"])
    assert "档案" in event.reasons[0].zh


@pytest.mark.parametrize(
    ("profile", "request_", "code", "citation"),
    [
        ({"other_liability": yuan(1_999_500_000)}, {}, "limit.headroom", "art. 15"),
        ({"net_assets": yuan(5_999_999)}, {}, "limit.obligor", "Order 683 (2017), art. 16"),
        (
            {"counties": [{"county": COUNTY, "cap": yuan("599999.99"), "pool_balance": yuan(9**9)}]},
            {},
            "limit.county",
            "version 2",
        ),
        ({"province_quota": yuan("299999.99")}, {}, "limit.province", "version 2"),
        ({"national_quota": yuan("199999.99")}, {"scheme": "4-2-2-2"}, "limit.national", "version 2"),
        (
            {"counties": [{"county": COUNTY, "cap": None, "pool_balance": yuan("19999.99")}]},
            {},
            "limit.pool",
            "this project",
        ),
        ({"counties": []}, {}, "limit.pool", "this project"),
        ({}, {"amount": yuan("20000000.01"), "small_or_farmer": False}, "limit.household", "Anhui 4-3-2-1"),
        ({"default_probability_ceiling": Decimal("0.0299")}, {}, "default_probability", "version 2"),
        ({}, {"default_probability": Decimal("0.0801")}, "default_probability", "this project"),
        ({}, {"default_probability": Decimal("1.5")}, "default_probability", "this project"),
        ({}, {"scheme": "9-1"}, "scheme.unknown", "9-1"),
        ({}, {"amount": yuan(0)}, "request.empty", "nothing to guarantee"),
        ({}, {"answer_by": clock.now() - timedelta(seconds=1)}, "deadline.passed", "time to answer"),
    ],
)
def test_a_refusal_names_the_rule_that_binds_and_where_it_stands(
    guarantee_db, sessions, sealed, profile, request_, code, citation
):
    ready(sessions, sealed, **profile)
    _, row = reserved(sessions, sealed, **request_)
    (event,) = published(guarantee_db)
    assert isinstance(event, GuaranteeRefused)
    assert event.reasons[0].code == code
    assert citation in event.reasons[0].en
    assert row.state == "refused"
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == {}


def test_a_limit_holds_at_its_number_and_not_a_fen_beyond(guarantee_db, sessions, sealed):
    ready(sessions, sealed, province_quota=yuan(300_000))
    _, row = reserved(sessions, sealed)
    _, next_ = reserved(sessions, sealed, amount=yuan("0.05"))
    assert (row.state, next_.state) == ("reserved", "refused")


def test_the_binding_rule_comes_first_among_several(guarantee_db, sessions, sealed):
    ready(sessions, sealed, province_quota=yuan(299_999), net_assets=yuan(2_000_000))
    reserved(sessions, sealed)
    (event,) = published(guarantee_db)
    assert [reason.code for reason in event.reasons] == ["limit.obligor", "limit.province"]


def test_the_flip_of_the_weight_lifts_older_loans_too_and_warns(guarantee_db, sessions, sealed):
    _, first = reserved(sessions, sealed, obligor="o", amount=yuan(6_000_000))
    _, second = reserved(sessions, sealed, obligor="o", amount=yuan(375_000))
    # 4.8 million and 0.3 million of cover: 3.6 million of liability become 5.1 million.
    with sealed(sessions, GUARANTOR) as session:
        assert used(session)["headroom", ""] == (0, 510_000_000)
    assert first.warnings == []
    assert "1,500,000.00 CNY of liability; up to 200,000.00 CNY" in second.warnings[0]["en"]
    do(sessions, sealed, guarantees.undo_guarantee, declined(first.loan_id))
    with sealed(sessions, GUARANTOR) as session:
        assert used(session)["headroom", ""] == (0, 22_500_000)


def test_the_same_request_again_changes_nothing(guarantee_db, sessions, sealed):
    request, _ = reserved(sessions, sealed)
    with sealed(sessions, GUARANTOR) as session:
        before = used(session)
    do(sessions, sealed, guarantees.reserve_guarantee, request)
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == before
    assert len(published(guarantee_db)) == 1


def test_other_terms_for_the_same_loan_are_refused(guarantee_db, sessions, sealed):
    request, row = reserved(sessions, sealed)
    do(sessions, sealed, guarantees.reserve_guarantee, asked(request.loan_id, amount=yuan(2_000_000)))
    assert [reason.code for reason in published(guarantee_db)[-1].reasons] == ["request.changed"]
    with sealed(sessions, GUARANTOR) as session:
        assert guarantee(session, request.loan_id).amount == row.amount


def test_an_accepted_loan_is_guaranteed_until_three_years_after_its_maturity(guarantee_db, sessions, sealed):
    request, _ = issued(sessions, sealed)
    (event,) = published(guarantee_db, GuaranteeIssued)
    assert event.issued_on == clock.today()
    assert event.claim_until == guarantees.months_after(clock.today(), 24 + 36)
    with sealed(sessions, GUARANTOR) as session:
        assert used(session)["headroom", ""] == (60_000_000, 0)
        assert used(session)["pool", COUNTY] == (10_000_000, 0)
    do(sessions, sealed, guarantees.remember_disbursement, disbursed(request.loan_id))
    with sealed(sessions, GUARANTOR) as session:
        assert guarantee(session, request.loan_id).claim_until == date(2043, 1, 31)


def test_what_was_reserved_can_be_issued_under_caps_lowered_since(guarantee_db, sessions, sealed):
    request, row = reserved(sessions, sealed)
    ready(sessions, sealed, net_assets=yuan(0), province_quota=yuan(0), counties=[])
    with sealed(sessions, GUARANTOR) as session:
        over = [b.kind for b in session.scalars(select(Bucket).order_by(Bucket.kind)) if b.over_limit]
        assert over == ["county", "headroom", "obligor", "pool", "province"]
    do(sessions, sealed, guarantees.issue_guarantee, accepted(request, row.id))
    assert isinstance(published(guarantee_db)[-1], GuaranteeIssued)
    _, small = reserved(sessions, sealed, amount=yuan("10.00"))
    assert small.state == "refused"
    do(sessions, sealed, guarantees.undo_guarantee, withdrawn(request.loan_id))
    with sealed(sessions, GUARANTOR) as session:
        assert not any(bucket.over_limit for bucket in session.scalars(select(Bucket)))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"amount": yuan("999999.99")}, "issue.other_terms"),
        ({"term_months": 25}, "issue.other_terms"),
        ({"guarantee_id": asked().loan_id}, "issue.other_guarantee"),
        ({"bind_by": clock.now() - timedelta(seconds=1)}, "issue.too_late"),
    ],
)
def test_what_differs_from_the_reservation_is_not_issued_and_frees_the_room(
    guarantee_db, sessions, sealed, changed, code
):
    request, row = reserved(sessions, sealed)
    do(sessions, sealed, guarantees.issue_guarantee, accepted(request, **{"guarantee_id": row.id} | changed))
    event = published(guarantee_db)[-1]
    assert (event.stage, event.reasons[0].code) == ("issue", code)
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == {}
    do(sessions, sealed, guarantees.undo_guarantee, declined(request.loan_id))
    assert published(guarantee_db, GuaranteeReleased) == []


def test_an_expired_reservation_frees_its_room_and_cannot_be_issued(guarantee_db, sessions, sealed):
    request, row = reserved(sessions, sealed)
    with clock.travelled(timedelta(days=31)):
        assert timers.run_due(guarantee_db.worker_sessions, {"reservation": guarantees.expire_reservation}) == 1
        do(sessions, sealed, guarantees.issue_guarantee, accepted(request, row.id))
    released, refused = published(guarantee_db)[1:]
    assert released.reason == "the reservation expired"
    assert (refused.stage, refused.reasons[0].code) == ("issue", "issue.expired")
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == {}
        assert session.get(Reservation, row.id).state == "expired"


def test_an_expired_reservation_holds_no_room_from_the_next_even_before_its_timer(guarantee_db, sessions, sealed):
    ready(sessions, sealed, province_quota=yuan(300_000))
    reserved(sessions, sealed)
    with clock.travelled(timedelta(days=31)):
        _, second = reserved(sessions, sealed)
    assert second.state == "reserved"
    assert [type(event) for event in published(guarantee_db)] == [
        GuaranteeReserved,
        GuaranteeReleased,
        GuaranteeReserved,
    ]


def test_a_reservation_past_its_time_is_not_issued_even_before_its_timer(guarantee_db, sessions, sealed):
    request, row = reserved(sessions, sealed)
    with clock.travelled(timedelta(days=31)):
        do(sessions, sealed, guarantees.issue_guarantee, accepted(request, row.id))
    assert published(guarantee_db)[-1].reasons[0].code == "issue.expired"
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == {}


@pytest.mark.parametrize("undoing", [declined, withdrawn, expired])
@pytest.mark.parametrize("start", [reserved, issued])
def test_what_is_held_for_a_loan_that_will_not_be_is_given_back_once(guarantee_db, sessions, sealed, start, undoing):
    request, row = start(sessions, sealed)
    for _ in range(2):
        do(sessions, sealed, guarantees.undo_guarantee, undoing(request.loan_id))
    (event,) = published(guarantee_db, GuaranteeReleased)
    assert event.guarantee_id == row.id
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == {}
        assert guarantee(session, request.loan_id).state == "released"


def test_drawing_less_than_was_guaranteed_gives_the_rest_back(guarantee_db, sessions, sealed):
    request, _ = issued(sessions, sealed)
    do(sessions, sealed, guarantees.remember_disbursement, disbursed(request.loan_id, yuan(250_000)))
    with sealed(sessions, GUARANTOR) as session:
        assert used(session)["headroom", ""] == (15_000_000, 0)


def test_a_loan_that_is_repaid_in_parts_costs_the_fee_of_what_is_left_and_is_held_against_its_plan(
    guarantee_db, sessions, sealed
):
    today = clock.today()
    parts = [(12, 400_000), (24, 600_000)]
    plan = tuple(
        PrincipalDue(month=month, due_on=guarantees.months_after(today, month), principal=yuan(part))
        for month, part in parts
    )
    request, row = issued(sessions, sealed, schedule=plan)
    # 1 % of the guaranteed 800,000 in the first year, of 480,000 in the second.
    assert row.fee == yuan(12_800)
    do(sessions, sealed, guarantees.remember_disbursement, replace(disbursed(request.loan_id), schedule=plan))
    for days, planned in ((0, 1_000_000), (366, 600_000), (740, 0)):
        with clock.travelled(timedelta(days=days)), sealed(sessions, GUARANTOR) as session:
            assert guarantee(session, request.loan_id).planned_balance == yuan(planned)


def test_use_falls_with_the_balance_and_never_rises(guarantee_db, sessions, sealed):
    request, _ = issued(sessions, sealed)
    seen = []
    for balance in ("500000.00", "750000.00", "333333.33", "0.01", "0.00"):
        do(sessions, sealed, guarantees.amortise_guarantee, repaid(request.loan_id, yuan(balance)))
        with sealed(sessions, GUARANTOR) as session:
            now = used(session)
        seen.append((now.get(("headroom", ""), (0, 0))[0], now.get(("province", ""), (0, 0))[0]))
    assert seen == [(30_000_000, 15_000_000), (30_000_000, 15_000_000), (20_000_001, 10_000_000), (1, 1), (0, 0)]


def test_a_closed_loan_releases_its_guarantee(guarantee_db, sessions, sealed):
    request, _ = issued(sessions, sealed)
    do(sessions, sealed, close_loan, closed(request.loan_id))
    (event,) = published(guarantee_db, GuaranteeReleased)
    assert event.reason == "the loan was closed: repaid"
    with sealed(sessions, GUARANTOR) as session:
        assert used(session) == {}


def test_after_the_claim_period_the_guarantor_is_free(guarantee_db, sessions, sealed):
    request, _ = issued(sessions, sealed)
    matures = clock.today() + timedelta(days=10)
    do(sessions, sealed, guarantees.remember_disbursement, disbursed(request.loan_id, matures_on=matures))
    last = guarantees.months_after(matures, 36)
    handlers = {"claim_period": guarantees.end_claim_period}
    with clock.travelled(timedelta(days=(last - clock.today()).days)):
        assert timers.run_due(guarantee_db.worker_sessions, handlers) == 0
    with clock.travelled(timedelta(days=(last - clock.today()).days + 1)):
        assert timers.run_due(guarantee_db.worker_sessions, handlers) == 1
    assert published(guarantee_db)[-1].reason == "the claim period ended"


def test_a_default_after_the_claim_period_calls_nothing(guarantee_db, sessions, sealed):
    request, _ = issued(sessions, sealed)
    late = guarantees.months_after(clock.today(), 61)
    do(sessions, sealed, open_call, defaulted(request.loan_id, on=late))
    assert isinstance(published(guarantee_db)[-1], GuaranteeReleased)


def test_events_of_a_loan_nobody_asked_to_guarantee_pass_quietly(guarantee_db, sessions, sealed):
    request = asked()
    for action, event in (
        (guarantees.issue_guarantee, accepted(request, request.loan_id)),
        (guarantees.undo_guarantee, declined(request.loan_id)),
        (guarantees.remember_disbursement, disbursed(request.loan_id)),
        (guarantees.amortise_guarantee, repaid(request.loan_id, yuan(1))),
        (open_call, defaulted(request.loan_id)),
        (close_loan, closed(request.loan_id)),
    ):
        do(sessions, sealed, action, event)
    assert published(guarantee_db) == []


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2027, 12, 1), 1, date(2028, 1, 1)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 5, 15), 0, date(2026, 5, 15)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_the_month(day, months, expected):
    assert guarantees.months_after(day, months) == expected
