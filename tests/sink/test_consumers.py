"""What the sink does when credit tells of a loan, twice or late, and how its long work goes on."""

import threading
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from services.sink import consumers
from services.sink.actions import assets, imports
from services.sink.actions.pledges import months_later
from services.sink.actions.reversals import Loss, report_reversal
from services.sink.consumers import DOOR, HANDLERS
from services.sink.tables import Asset, Pledge
from shared import clock, inbox, jobs
from shared.events.credit import (
    EnforcementOrdered,
    LoanAccepted,
    LoanClosed,
    LoanDeclined,
    LoanDefaulted,
    LoanEvent,
    LoanExpired,
    LoanWithdrawn,
    PledgeReductionOrdered,
    TopUpOrdered,
)
from shared.events.parts import Reason
from shared.events.sink import (
    CarbonAssetValued,
    PledgeEnforced,
    PledgePlaced,
    PledgeReduced,
    PledgeRefused,
    PledgeReleased,
)
from shared.inbox import Consumer
from shared.jobs import Job
from tests.conftest import Database
from tests.harness import BANK, BUREAU, OTHER_BANK, deliver, published, record
from tests.sink.examples import accepted, asset_request, forests, read_asset, square, years_from_today

WHY = Reason(code="test", zh="测试", en="test")


def after(loan: LoanAccepted, kind: type[LoanEvent], **more: Any) -> LoanEvent:
    """What happens next to an accepted loan."""
    given = {name: getattr(loan, name) for name in ("loan_id", "bank", "insurer", "guarantor")}
    return kind(**given | more)


def undone(loan: LoanAccepted) -> list[LoanEvent]:
    """Every way a loan can end before money flows."""
    return [
        after(loan, LoanDeclined, blocked_by="insurance", reasons=(WHY,)),
        after(loan, LoanWithdrawn, reason="the borrower stepped back"),
        after(loan, LoanExpired, deadline="binding"),
    ]


def defaulted(loan: LoanAccepted) -> LoanEvent:
    return after(loan, LoanDefaulted, balance=Decimal("1.00"), defaulted_on=clock.today(), reason=WHY)


def states(database: Database, sealed: Any, bank: str = BANK) -> list[str]:
    with sealed(database.sessions, bank) as session:
        return list(session.scalars(select(Pledge.state).order_by(Pledge.rank)))


def test_the_pledges_of_an_accepted_loan_are_placed(sink_db: Database, sealed: Any) -> None:
    first, second = forests(sink_db, sealed, 2)
    loan = accepted([(first.id, "100"), (second.id, "50.5")])
    deliver("sink", sink_db, loan)
    told = published(sink_db, PledgePlaced)
    assert {one.asset_id: one.tonnes for one in told} == {first.id: 100, second.id: Decimal("50.5")}
    assert {(one.loan_id, one.bank, one.rank) for one in told} == {(loan.loan_id, BANK, 1)}
    assert read_asset(sink_db, first.id).free_tonnes == first.free_tonnes - 100
    assert states(sink_db, sealed) == ["placed", "placed"]
    assert states(sink_db, sealed, OTHER_BANK) == []


def test_a_second_bank_cannot_pledge_the_same_tonnes(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    most = str(asset.free_tonnes - 1)
    deliver("sink", sink_db, accepted([(asset.id, most)]))
    deliver("sink", sink_db, accepted([(asset.id, most)], bank=OTHER_BANK))
    (refused,) = published(sink_db, PledgeRefused)
    assert (refused.bank, refused.asset_id) == (OTHER_BANK, asset.id)
    assert [reason.code for reason in refused.reasons] == ["double_pledge"]
    assert "1.000 t free" in refused.reasons[0].en
    assert BANK not in refused.reasons[0].en + refused.reasons[0].zh
    deliver("sink", sink_db, accepted([(asset.id, "1")], bank=OTHER_BANK))
    assert [one.rank for one in published(sink_db, PledgePlaced)] == [1, 2]
    assert read_asset(sink_db, asset.id).free_tonnes == 0


def test_all_assets_of_a_loan_are_pledged_or_none(sink_db: Database, sealed: Any) -> None:
    first, second = forests(sink_db, sealed, 2)
    unknown = uuid4()
    loan = accepted([(first.id, "10"), (second.id, "99999999"), (unknown, "1")])
    deliver("sink", sink_db, loan)
    (refused,) = published(sink_db, PledgeRefused)
    assert sorted(reason.code for reason in refused.reasons) == ["asset_unknown", "tonnes_beyond_forecast"]
    assert refused.asset_id in (second.id, unknown)
    assert published(sink_db, PledgePlaced) == []
    assert states(sink_db, sealed) == []
    assert read_asset(sink_db, first.id).pledged_tonnes == 0


@pytest.mark.parametrize(
    ("asset_changes", "loan_changes", "code"),
    [
        ({"title_until": years_from_today(2)}, {}, "title_too_short"),
        ({"crediting_until": years_from_today(2)}, {}, "crediting_too_short"),
        ({}, {"term_months": 12 * 30}, "crediting_too_short"),
        ({}, {"bind_by": clock.now() - timedelta(seconds=1)}, "deadline_passed"),
    ],
)
def test_a_pledge_that_cannot_carry_the_loan_is_refused(
    sink_db: Database, sealed: Any, asset_changes: dict[str, Any], loan_changes: dict[str, Any], code: str
) -> None:
    (asset,) = forests(sink_db, sealed, **asset_changes)
    deliver("sink", sink_db, accepted([(asset.id, "1")], **loan_changes))
    (refused,) = published(sink_db, PledgeRefused)
    assert [reason.code for reason in refused.reasons] == [code]


def test_a_loan_without_assets_or_with_one_twice_is_refused(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    deliver("sink", sink_db, accepted([]))
    deliver("sink", sink_db, accepted([(asset.id, "1"), (asset.id, "2")]))
    codes = {reason.code for one in published(sink_db, PledgeRefused) for reason in one.reasons}
    assert codes == {"nothing_to_pledge", "asset_twice"}


def test_a_valuation_that_nobody_made_or_that_is_stale_is_no_ground_for_a_pledge(
    sink_db: Database, sealed: Any
) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "1")])
    unknown = accepted([(asset.id, "1")])
    (pledge,) = unknown.pledges
    unheard_of = type(pledge)(**{**pledge.__dict__, "valuation_version": 2})
    deliver("sink", sink_db, type(unknown)(**{**unknown.__dict__, "pledges": (unheard_of,)}))
    with clock.travelled(timedelta(days=181)):
        deliver("sink", sink_db, accepted([(asset.id, "1")]))
    assert [one.reasons[0].code for one in published(sink_db, PledgeRefused)] == [
        "valuation_unknown",
        "valuation_stale",
    ]
    deliver("sink", sink_db, loan)
    assert len(published(sink_db, PledgePlaced)) == 1


def test_a_valuation_from_before_a_fire_is_superseded(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        report_reversal(session, "fire", clock.today(), None, [Loss(asset.id, Decimal("0.1"))])
    deliver("sink", sink_db, accepted([(asset.id, "1")]))
    (refused,) = published(sink_db, PledgeRefused)
    assert [reason.code for reason in refused.reasons] == ["valuation_superseded"]


def test_a_loss_can_leave_more_pledged_than_there_is_and_nothing_new_is_pledged(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, str(asset.free_tonnes))])
    deliver("sink", sink_db, loan)
    with sealed(sink_db.sessions, BUREAU) as session:
        report_reversal(session, "fire", clock.today(), None, [Loss(asset.id, Decimal("0.6"))])
    burned = read_asset(sink_db, asset.id)
    assert burned.over_pledged
    assert (burned.free_tonnes, burned.pledged_tonnes) == (0, asset.free_tonnes)
    told = published(sink_db, CarbonAssetValued)[-1]
    assert (told.units.free, told.units.pledged) == (0, asset.free_tonnes)
    late = accepted([(asset.id, "1")], bank=OTHER_BANK)
    (pledge,) = late.pledges
    newest = type(pledge)(**{**pledge.__dict__, "valuation_version": 2})
    deliver("sink", sink_db, type(late)(**{**late.__dict__, "pledges": (newest,)}))
    assert [reason.code for reason in published(sink_db, PledgeRefused)[0].reasons] == ["over_pledged"]
    deliver("sink", sink_db, after(loan, LoanClosed, outcome="repaid", written_off=Decimal("0.00")), first=2)
    assert not read_asset(sink_db, asset.id).over_pledged


@pytest.mark.parametrize("way", [0, 1, 2])
def test_a_loan_that_comes_to_nothing_gives_its_pledges_back(sink_db: Database, sealed: Any, way: int) -> None:
    first, second = forests(sink_db, sealed, 2)
    loan = accepted([(first.id, "10"), (second.id, "20")])
    deliver("sink", sink_db, loan, undone(loan)[way])
    told = published(sink_db, PledgeReleased)
    assert {one.asset_id: one.tonnes for one in told} == {first.id: 10, second.id: 20}
    assert {one.reason for one in told} == {("declined", "withdrawn", "expired")[way]}
    assert read_asset(sink_db, first.id).free_tonnes == first.free_tonnes
    assert states(sink_db, sealed) == ["released", "released"]


def test_the_end_of_a_loan_that_was_never_pledged_is_no_news(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "1")])
    dead = DOOR.consumer.counts["dead"]
    for number, event in enumerate([*undone(loan), defaulted(loan)], 1):
        deliver("sink", sink_db, event, first=number)
    assert published(sink_db, PledgeReleased) == []
    assert DOOR.consumer.counts["dead"] == dead


def test_a_default_freezes_and_the_banks_order_enforces(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "10")])
    ordered = after(loan, EnforcementOrdered, balance=Decimal("1.00"))
    closed = after(loan, LoanClosed, outcome="written_off", written_off=Decimal("1.00"))
    deliver("sink", sink_db, loan, defaulted(loan))
    assert states(sink_db, sealed) == ["frozen"]
    assert read_asset(sink_db, asset.id).pledged_tonnes == 10
    deliver("sink", sink_db, ordered, closed, first=3)
    (told,) = published(sink_db, PledgeEnforced)
    assert (told.tonnes, told.asset_id, told.bank) == (10, asset.id, BANK)
    taken = read_asset(sink_db, asset.id)
    assert (taken.pledged_tonnes, taken.enforced_tonnes) == (0, 10)
    assert taken.free_tonnes == asset.free_tonnes - 10
    assert states(sink_db, sealed) == ["enforced"]
    assert published(sink_db, PledgeReleased) == []


def test_a_loan_closed_after_its_default_frees_what_was_frozen(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "10")])
    closed = after(loan, LoanClosed, outcome="recovered", written_off=Decimal("0.00"))
    deliver("sink", sink_db, loan, defaulted(loan), closed)
    assert states(sink_db, sealed) == ["released"]
    assert read_asset(sink_db, asset.id).free_tonnes == asset.free_tonnes


def test_every_event_twice_has_its_effect_once(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "10")])
    story = [loan, defaulted(loan), after(loan, EnforcementOrdered, balance=Decimal("1.00"))]
    records = [record(event, number) for number, event in enumerate(story, 1)]
    for one in [*records, *records, records[0]]:
        inbox.receive(sink_db.worker_sessions, DOOR.consumer, [one, one], "test")
    assert len(published(sink_db, PledgePlaced, PledgeEnforced)) == 2
    assert read_asset(sink_db, asset.id).enforced_tonnes == 10


def test_a_loan_accepted_again_under_a_new_number_places_nothing_more(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "10")])
    deliver("sink", sink_db, loan, loan)
    assert len(published(sink_db, PledgePlaced)) == 1
    assert read_asset(sink_db, asset.id).pledged_tonnes == 10


def test_of_two_banks_that_race_for_the_same_tonnes_exactly_one_wins(sink_db: Database, sealed: Any) -> None:
    contested = sorted(forests(sink_db, sealed, 4), key=lambda asset: asset.id)
    for round_ in range(4):
        asset = contested[round_]
        most = str(read_asset(sink_db, asset.id).free_tonnes)
        start = threading.Barrier(2)
        failures: list[BaseException] = []

        def race(
            bank: str, pledges: list[tuple[UUID, str]], start: threading.Barrier, failures: list[BaseException]
        ) -> None:
            one = record(accepted(pledges, bank=bank))
            consumer = Consumer("sink", HANDLERS, consumers.tenant_of)
            start.wait(10)
            try:
                inbox.receive(sink_db.worker_sessions, consumer, [one], f"race-{bank}")
            except BaseException as error:
                failures.append(error)

        # The two loans share a second asset and name the two in opposite order, as a deadlock would like it.
        pledges = [(asset.id, most), *((other.id, "1") for other in contested[round_ + 1 : round_ + 2])]
        threads = [
            threading.Thread(target=race, args=(bank, given, start, failures))
            for bank, given in ((BANK, pledges), (OTHER_BANK, pledges[::-1]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert failures == []
        placed = [one for one in published(sink_db, PledgePlaced) if one.asset_id == asset.id and one.tonnes > 1]
        assert len(placed) == 1
        won = read_asset(sink_db, asset.id)
        assert (won.free_tonnes, won.over_pledged) == (0, False)
    assert len(published(sink_db, PledgeRefused)) == 4


def test_a_loan_ends_on_the_same_day_of_the_month() -> None:
    assert months_later(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert months_later(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert months_later(date(2026, 11, 15), 14) == date(2028, 1, 15)
    assert months_later(date(2026, 1, 1), 10**6) == date.max


# -- imports ----------------------------------------------------------------------------------------------------------


def start_import(database: Database, sealed: Any, rows: list[Any]) -> UUID:
    with sealed(database.sessions, BUREAU) as session:
        return imports.start_rows(session, rows).id


def read_job(database: Database, sealed: Any, job_id: UUID) -> Job:
    with sealed(database.sessions, BUREAU) as session:
        return session.get_one(Job, job_id)


def run_jobs(database: Database) -> int:
    steps = 0
    while jobs.run_step(database.worker_sessions, DOOR.jobs):
        steps += 1
    return steps


def test_an_import_registers_and_values_what_is_right_and_names_what_is_wrong(sink_db: Database, sealed: Any) -> None:
    swapped = [[[lat, lon] for lon, lat in ring] for ring in square(9)["coordinates"]]
    rows = [
        asset_request(0),
        asset_request(1, survival="1.5", county="atlantis"),
        asset_request(2, geometry={"type": "Polygon", "coordinates": swapped}),
        asset_request(0, name="the same ground"),
        asset_request(3, kind="wetland", species=[]),
        {"name": 7},
    ]
    job_id = start_import(sink_db, sealed, rows)
    run_jobs(sink_db)
    job = read_job(sink_db, sealed, job_id)
    assert (job.state, job.done, job.total) == ("finished", 6, 6)
    wrong = {(line["row"], line["field"]) for line in job.log}
    assert {(2, "/survival"), (2, "/county"), (3, "/geometry/coordinates/0/0"), (4, "/geometry")} <= wrong
    assert {row for row, _ in wrong} == {2, 3, 4, 5, 6}
    assert ["could not be valued" in line["detail"] for line in job.log if line["row"] == 5] == [True]
    with sealed(sink_db.sessions, BUREAU) as session:
        entered = {asset.name: asset.valuation_version for asset in session.scalars(select(Asset))}
    assert entered == {"Parcel 0": 1, "Parcel 3": 0}


def test_an_import_is_cancelled_and_goes_on_where_it_stopped(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "IMPORTED_AT_ONCE", 2)
    job_id = start_import(sink_db, sealed, [asset_request(place) for place in range(5)])
    jobs.run_step(sink_db.worker_sessions, DOOR.jobs)
    with sealed(sink_db.sessions, BUREAU) as session:
        jobs.cancel(session, job_id)
    assert run_jobs(sink_db) == 0
    with sealed(sink_db.sessions, BUREAU) as session:
        assert len(session.scalars(select(Asset.id)).all()) == 2
        jobs.resume(session, job_id)
    assert run_jobs(sink_db) == 2
    assert read_job(sink_db, sealed, job_id).done == 5
    assert len(published(sink_db, CarbonAssetValued)) == 5


def test_a_chunk_that_fails_leaves_nothing_half_written(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = start_import(sink_db, sealed, [asset_request(place) for place in range(3)])
    honest = assets.import_assets

    def stumbling(session: Any, many: Any) -> Any:
        honest(session, many)
        raise RuntimeError("the machine went away")

    monkeypatch.setattr(assets, "import_assets", stumbling)
    run_jobs(sink_db)
    assert published(sink_db) == []
    failed = read_job(sink_db, sealed, job_id)
    assert (failed.state, failed.done) == ("failed", 0)
    with sealed(sink_db.sessions, BUREAU) as session:
        jobs.resume(session, job_id)
    monkeypatch.setattr(assets, "import_assets", honest)
    run_jobs(sink_db)
    assert read_job(sink_db, sealed, job_id).state == "finished"
    assert len(published(sink_db, CarbonAssetValued)) == 3


# -- of a loan that is paid out ---------------------------------------------------------------------------------------


def test_a_loan_that_is_paid_out_gets_a_further_pledge_once(sink_db: Database, sealed: Any) -> None:
    first, second = forests(sink_db, sealed, 2)
    loan = accepted([(first.id, "10")])
    more = {"term_months": 12, "place_by": clock.now() + timedelta(hours=1)}
    pledges = accepted([(second.id, "20.5")]).pledges
    deliver("sink", sink_db, loan, *(after(loan, TopUpOrdered, pledges=pledges, **more) for _ in range(2)))
    told = published(sink_db, PledgePlaced)
    assert [(one.asset_id, one.tonnes) for one in told] == [(first.id, 10), (second.id, Decimal("20.5"))]
    (refused,) = published(sink_db, PledgeRefused)
    assert [reason.code for reason in refused.reasons] == ["asset_twice"]
    assert states(sink_db, sealed) == ["placed", "placed"]


def test_a_further_pledge_that_is_not_to_be_had_leaves_the_first_as_it_is(sink_db: Database, sealed: Any) -> None:
    first, second = forests(sink_db, sealed, 2)
    loan = accepted([(first.id, "10")])
    pledges = accepted([(second.id, "99999999")]).pledges
    more = after(loan, TopUpOrdered, pledges=pledges, term_months=12, place_by=clock.now() + timedelta(hours=1))
    deliver("sink", sink_db, loan, more)
    assert [one.asset_id for one in published(sink_db, PledgeRefused)] == [second.id]
    assert states(sink_db, sealed) == ["placed"]
    assert read_asset(sink_db, second.id).pledged_tonnes == 0


def test_a_part_of_a_lien_is_let_go_of_as_ordered_and_never_all_of_it(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    loan = accepted([(asset.id, "10")])
    parts = [
        after(loan, PledgeReductionOrdered, asset_id=asset.id, tonnes=Decimal(tonnes), reason="no longer needed")
        for tonnes in ("4", "6", "1")
    ]
    deliver("sink", sink_db, loan, *parts)
    assert [(one.tonnes, one.left) for one in published(sink_db, PledgeReduced)] == [(4, 6), (1, 5)]
    assert read_asset(sink_db, asset.id).pledged_tonnes == 5
