"""What the sink's actions promise: the register, the one valuation, prices by four eyes, reversals, units."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from services.sink.actions import valuations
from services.sink.actions.assets import OverlapError, import_assets, register_asset
from services.sink.actions.pledges import place_pledges
from services.sink.actions.prices import decide_curve, propose_curve
from services.sink.actions.reversals import Loss, report_county_reversal, report_reversal
from services.sink.actions.units import (
    OriginError,
    cancel_credits,
    issue_credits,
    retire_credits,
    transfer_credits,
)
from services.sink.actions.valuations import Newcomer, NoMethodError, reproduce, request_valuation
from services.sink.consumers import DOOR
from services.sink.tables import Asset, Valuation
from shared import audit, clock, jobs
from shared.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from shared.events.sink import (
    AssetRegistered,
    CarbonAssetValued,
    CreditsIssued,
    CreditsRetired,
    PledgeReleased,
    ReversalReported,
)
from shared.jobs import Job
from tests.conftest import Database
from tests.harness import BANK, BUREAU, published
from tests.sink.examples import accepted, facts, forests, imported, read_asset, square, story, years_from_today

CURVE = {
    "name": "autumn",
    "spot_price": Decimal("55.00"),
    "long_run_price": Decimal("60.00"),
    "reversion": Decimal("0.25"),
    "volatility": Decimal("0.35"),
    "drift": Decimal(0),
    "source": "weekly bulletin",
}


def run_jobs(database: Database) -> None:
    while jobs.run_step(database.worker_sessions, DOOR.jobs):
        pass


# -- the register -----------------------------------------------------------------------------------------------------


def test_a_registered_forest_is_published_with_its_measured_area(sink_db: Database, sealed: Any) -> None:
    with sealed(sink_db.sessions, BUREAU) as session:
        asset = register_asset(session, facts())
    (told,) = published(sink_db)
    assert isinstance(told, AssetRegistered)
    assert told.asset_id == asset.id
    # 0.01° by 0.01° at 39.2° N: 863 m by 1,110 m.
    assert told.area_ha == pytest.approx(Decimal("95.9"), abs=Decimal("0.3"))
    assert (asset.registrar, asset.valuation_version, asset.free_tonnes) == (BUREAU, 0, 0)


def test_the_same_ground_cannot_be_registered_twice_and_nobody_learns_whose_it_is(
    sink_db: Database, sealed: Any
) -> None:
    forests(sink_db, sealed)
    shifted = square()
    shifted["coordinates"] = [[[lon + 0.005, lat] for lon, lat in ring] for ring in shifted["coordinates"]]
    with sealed(sink_db.sessions, "bureau-elsewhere") as session, pytest.raises(OverlapError) as refused:
        register_asset(session, facts(geometry=shifted))
    assert BUREAU not in refused.value.detail
    assert "Parcel" not in refused.value.detail


def test_parcels_that_share_a_border_are_neighbours(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    beside = square()
    # A sliver of a metre, as two surveys of one border leave it.
    beside["coordinates"] = [[[lon + 0.00999, lat] for lon, lat in ring] for ring in beside["coordinates"]]
    with sealed(sink_db.sessions, BUREAU) as session:
        register_asset(session, facts(geometry=beside))


def test_of_two_overlapping_parcels_in_one_import_the_first_goes_in(sink_db: Database, sealed: Any) -> None:
    with sealed(sink_db.sessions, BUREAU) as session:
        first, second, third = import_assets(session, [facts(0), facts(0, name="again"), facts(1)])
    assert isinstance(first, Newcomer)
    assert isinstance(second, OverlapError)
    assert isinstance(third, Newcomer)


def test_a_reference_stands_once_in_a_register(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed, reference="YY-001")
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ConflictError, match="YY-001"):
        register_asset(session, facts(1, reference="YY-001"))
    with sealed(sink_db.sessions, "bureau-elsewhere") as session:
        register_asset(session, facts(1, reference="YY-001"))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"species": [{"species": "larix_principis", "share": Decimal("0.9")}]}, "/species"),
        ({"species": [{"species": "larix_principis", "share": Decimal("0.5")}] * 2}, "/species"),
        ({"species": []}, "/species"),
        ({"species": [{"species": "hippophae", "share": Decimal(1)}]}, "/crown_cover"),
        ({"geometry": square(side=0.0001)}, "/geometry"),
        ({"geometry": square(side=1.0)}, "/geometry"),
        ({"planted_year": 2199}, "/planted_year"),
        ({"survival": Decimal(0)}, "/survival"),
        ({"title_until": years_from_today(-1)}, "/title_until"),
        ({"crediting_until": years_from_today(-1)}, "/crediting_until"),
        ({"crediting_from": years_from_today(-30)}, "/crediting_from"),
        ({"measured_on": years_from_today(1)}, "/measured_on"),
        ({"measured_on": years_from_today(-30)}, "/measured_on"),
        ({"project_area_ha": Decimal(5)}, "/project_area_ha"),
    ],
)
def test_facts_that_cannot_be_true_are_refused_by_field(
    sink_db: Database, sealed: Any, changes: dict[str, Any], pointer: str
) -> None:
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(InvalidError) as refused:
        register_asset(session, facts(**changes))
    assert [error["pointer"] for error in refused.value.errors] == [pointer]


def test_what_a_person_should_look_at_is_flagged_and_decides_nothing(sink_db: Database, sealed: Any) -> None:
    mix = [{"species": "hippophae", "share": Decimal("0.5")}, {"species": "ulmus_pumila", "share": Decimal("0.5")}]
    (asset,) = forests(
        sink_db,
        sealed,
        species=mix,
        crown_cover=Decimal("0.4"),
        volume_m3_ha=Decimal(130),
        survival=Decimal("0.5"),
        title_until=years_from_today(10),
    )
    assert asset.flags == [
        "volume_above_plausible",
        "possibly_economic_forest",
        "survival_below_threshold",
        "title_ends_before_crediting",
    ]


# -- the valuation ----------------------------------------------------------------------------------------------------


def test_a_valuation_carries_everything_an_underwriter_needs(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    (told,) = published(sink_db, CarbonAssetValued)
    assert (told.version, told.price_curve, told.county) == (1, "default", "youyu")
    assert told.valid_until == clock.today() + timedelta(days=180)
    value = told.present_value
    assert 0 < value.p05 <= value.p10 <= value.p50 <= value.p90 <= value.p95
    assert [removal.verified_on for removal in told.removals] == sorted(r.verified_on for r in told.removals)
    assert all(removal.p10 <= removal.p50 <= removal.p90 for removal in told.removals)
    assert told.units.free == sum(removal.mean for removal in told.removals) > 0
    shares = told.variance_shares
    assert sum((shares.growth, shares.sampling, shares.model, shares.reversal, shares.price)) == 1
    assert told.uncertainty_deduction == Decimal("0.0375")
    assert told.buffer == Decimal("0.1")
    assert told.hazards == {"fire": Decimal("0.4"), "drought": Decimal("0.5")}
    assert "buffer.ccer" in told.unverified_parameters
    assert "wood_density.larix_principis" not in told.unverified_parameters
    assert read_asset(sink_db, asset.id).forecast_tonnes == told.units.free


def test_a_forest_ahead_of_its_curve_brings_no_fewer_tonnes_than_one_behind_it(sink_db: Database, sealed: Any) -> None:
    with sealed(sink_db.sessions, BUREAU) as session:
        poor, good = imported(session, [facts(0, volume_m3_ha=Decimal(5)), facts(1, volume_m3_ha=Decimal(25))])
    assert 0 < poor.forecast_tonnes < good.forecast_tonnes


def test_shrubs_claim_no_growth_beyond_their_measured_cover(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(
        sink_db, sealed, species=[{"species": "caragana", "share": Decimal(1)}], crown_cover=Decimal("0.6")
    )
    assert asset.forecast_tonnes == 0
    (told,) = published(sink_db, CarbonAssetValued)
    assert told.present_value.p95 == 0


def test_versions_rise_by_one_and_the_same_day_gives_the_same_value(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        second = request_valuation(session, asset.id)
    _, first, told = story(sink_db, asset.id)
    assert (first.version, told.version, second.version) == (1, 2, 2)
    assert (first.inputs_hash, first.present_value) == (told.inputs_hash, told.present_value)


def test_a_valuation_comes_out_again_byte_for_byte(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    with sink_db.sessions() as session:
        row = session.scalars(select(Valuation)).one()
        again = reproduce(session, row.id)
    assert again.reproduced
    assert again.parameters_unchanged
    assert again.outputs_hash == again.outputs_hash_now
    assert json.loads(row.inputs)["asset"]["volume_m3_ha"] == "20"


def test_a_valuation_under_another_engine_does_not_come_out_again(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forests(sink_db, sealed)
    derive = valuations.derive
    monkeypatch.setattr(valuations, "derive", lambda inputs: derive({**inputs, "seed": 1}))
    with sink_db.sessions() as session:
        assert not reproduce(session, session.scalars(select(Valuation)).one().id).reproduced


def test_a_valuation_can_neither_be_changed_nor_deleted(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    for statement in ("UPDATE valuations SET pv_mean = 1", "DELETE FROM valuations"):
        with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text(statement))


def test_only_the_registrar_values_its_assets(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    with sealed(sink_db.sessions, "bureau-elsewhere") as session, pytest.raises(ForbiddenError):
        request_valuation(session, asset.id)


def test_grassland_is_registered_but_not_valued_for_want_of_a_method(sink_db: Database, sealed: Any) -> None:
    with sealed(sink_db.sessions, BUREAU) as session:
        asset = register_asset(session, facts(kind="grassland", species=[]))
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(NoMethodError):
        request_valuation(session, asset.id)


def test_a_forest_whose_crediting_ended_is_worth_nothing(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed, crediting_until=years_from_today(2))
    assert asset.forecast_tonnes > 0
    with clock.travelled(timedelta(days=3 * 365)), sealed(sink_db.sessions, BUREAU) as session:
        row = request_valuation(session, asset.id)
    assert (row.forecast_tonnes, row.pv_p95, row.removals) == (0, 0, [])


def test_growth_since_the_last_verification_is_not_forgotten_as_time_passes(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    with clock.travelled(timedelta(days=4 * 365)), sealed(sink_db.sessions, BUREAU) as session:
        later = request_valuation(session, asset.id)
    _, first, second = story(sink_db, asset.id)
    assert second.removals[0].verified_on == first.removals[0].verified_on
    assert later.removals[0]["mean"] == pytest.approx(first.removals[0].mean, rel=Decimal("0.1"))


# -- prices -----------------------------------------------------------------------------------------------------------


def test_an_approved_price_curve_values_the_whole_register_anew(sink_db: Database, sealed: Any) -> None:
    register = forests(sink_db, sealed, 3)
    with sealed(sink_db.sessions, BUREAU) as session:
        curve = propose_curve(session, CURVE, "maker")
    with sealed(sink_db.sessions, BUREAU) as session:
        decided = decide_curve(session, curve.id, curve.payload_hash, "checker", True)
    run_jobs(sink_db)
    with sealed(sink_db.sessions, BUREAU) as session:
        job = session.get_one(Job, decided.job_id)
    assert (job.state, job.done, job.total) == ("finished", 3, 3)
    before, after = zip(*(story(sink_db, asset.id)[1:] for asset in register), strict=True)
    assert [one.version for one in after] == [2, 2, 2]
    assert {one.price_curve for one in after} == {"autumn"}
    for earlier, one in zip(before, after, strict=True):
        assert one.present_value.mean < earlier.present_value.mean
        assert one.removals == earlier.removals
        assert not {name for name in one.unverified_parameters if name.startswith("price.")}


def test_a_revaluation_goes_on_where_it_stopped(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valuations, "REVALUED_AT_ONCE", 2)
    forests(sink_db, sealed, 5)
    with sealed(sink_db.sessions, BUREAU) as session:
        curve = propose_curve(session, CURVE, "maker")
    with sealed(sink_db.sessions, BUREAU) as session:
        job_id = decide_curve(session, curve.id, curve.payload_hash, "checker", True).job_id
    jobs.run_step(sink_db.worker_sessions, DOOR.jobs)
    with sealed(sink_db.sessions, BUREAU) as session:
        assert jobs.cancel(session, job_id).done == 2
    run_jobs(sink_db)
    assert len(published(sink_db, CarbonAssetValued)) == 7
    with sealed(sink_db.sessions, BUREAU) as session:
        jobs.resume(session, job_id)
    run_jobs(sink_db)
    with sealed(sink_db.sessions, BUREAU) as session:
        assert session.get_one(Job, job_id).done == 5
        assert set(session.scalars(select(Asset.valuation_version))) == {2}


def test_the_maker_of_a_price_curve_does_not_approve_it(sink_db: Database, sealed: Any) -> None:
    with sealed(sink_db.sessions, BUREAU) as session:
        curve = propose_curve(session, CURVE, "maker")
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ForbiddenError):
        decide_curve(session, curve.id, curve.payload_hash, "maker", True)
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ConflictError, match="not what you saw"):
        decide_curve(session, curve.id, "0" * 64, "checker", True)
    with sealed(sink_db.sessions, "bureau-elsewhere") as session, pytest.raises(NotFoundError):
        decide_curve(session, curve.id, curve.payload_hash, "checker", True)


def test_a_rejected_price_curve_changes_nothing(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        curve = propose_curve(session, CURVE, "maker")
    with sealed(sink_db.sessions, BUREAU) as session:
        assert decide_curve(session, curve.id, curve.payload_hash, "checker", False).state == "rejected"
    with sealed(sink_db.sessions, BUREAU) as session:
        assert request_valuation(session, asset.id).price_curve == "default"


# -- reversals --------------------------------------------------------------------------------------------------------


def test_a_fire_is_told_with_its_loss_before_the_new_value(sink_db: Database, sealed: Any) -> None:
    first, second = forests(sink_db, sealed, 2)
    with sealed(sink_db.sessions, BUREAU) as session:
        report_reversal(
            session,
            "fire",
            clock.today(),
            Decimal(300),
            [Loss(second.id, Decimal("0.5")), Loss(first.id, Decimal("0.8"), Decimal(20))],
        )
    stories = [story(sink_db, asset.id) for asset in (first, second)]
    for told in stories:
        assert [type(one).__name__ for one in told] == [
            "AssetRegistered", "CarbonAssetValued", "ReversalReported", "CarbonAssetValued",
        ]  # fmt: skip
        loss, valued = told[2:]
        assert loss.value_before.mean > loss.value_after.mean
        assert loss.value_after == valued.present_value
        assert Decimal(0) < loss.carbon_emitted < loss.live_carbon_lost
        assert loss.event_area_ha == 300
    assert [told[2].damaged_ha for told in stories] == [20, second.area_ha]
    assert read_asset(sink_db, second.id).live_share == Decimal("0.5")


def test_the_value_before_a_fire_is_the_valuation_in_force(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        report_reversal(session, "fire", clock.today(), None, [Loss(asset.id, Decimal("0.5"))])
    _, first, loss, _ = story(sink_db, asset.id)
    assert loss.value_before == first.present_value


def test_a_county_is_hit_as_a_whole_and_in_order(sink_db: Database, sealed: Any) -> None:
    hit = forests(sink_db, sealed, 3)
    with sealed(sink_db.sessions, BUREAU) as session:
        register_asset(session, facts(10, county="pinglu"))
        rows = report_county_reversal(session, "drought", clock.today(), None, "youyu", Decimal("0.2"))
    assert [row.asset_id for row in rows] == sorted(asset.id for asset in hit)
    assert len({row.event_id for row in rows}) == 1
    assert {row.event_area_ha for row in rows} == {sum(asset.area_ha for asset in hit)}
    assert {row.carbon_emitted for row in rows} == {0}


def test_of_a_reversal_either_all_assets_are_reported_or_none(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    missing = Loss(uuid4(), Decimal("0.5"))
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(NotFoundError):
        report_reversal(session, "fire", clock.today(), None, [Loss(asset.id, Decimal("0.5")), missing])
    assert published(sink_db, ReversalReported) == []
    assert read_asset(sink_db, asset.id).live_share == 1


def test_a_reversal_that_cannot_have_happened_is_refused(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    today, half = clock.today(), Decimal("0.5")
    with sealed(sink_db.sessions, BUREAU) as session:
        with pytest.raises(InvalidError, match="future"):
            report_reversal(session, "fire", today + timedelta(days=1), None, [Loss(asset.id, half)])
        with pytest.raises(InvalidError, match="measured after"):
            report_reversal(session, "fire", today - timedelta(days=1), None, [Loss(asset.id, half)])
        with pytest.raises(InvalidError, match="cannot be damaged"):
            report_reversal(session, "fire", today, None, [Loss(asset.id, half, Decimal(5000))])
        with pytest.raises(InvalidError, match="smaller than the damage"):
            report_reversal(session, "fire", today, Decimal(1), [Loss(asset.id, half)])
        with pytest.raises(InvalidError, match="twice"):
            report_reversal(session, "fire", today, None, [Loss(asset.id, half)] * 2)
        with pytest.raises(ConflictError, match="no forest"):
            report_county_reversal(session, "fire", today, None, "huairen", half)
    with sealed(sink_db.sessions, BANK) as session, pytest.raises(ForbiddenError):
        report_reversal(session, "fire", today, None, [Loss(asset.id, half)])


def test_a_forest_that_burned_down_is_worth_nothing_and_emits_no_more_than_it_held(
    sink_db: Database, sealed: Any
) -> None:
    (asset,) = forests(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        (row,) = report_reversal(session, "fire", clock.today(), None, [Loss(asset.id, Decimal(1))])
    assert row.live_carbon_lost > 0
    assert (row.after["p95"], read_asset(sink_db, asset.id).forecast_tonnes) == (0, 0)


# -- units ------------------------------------------------------------------------------------------------------------


def issued(database: Database, sealed: Any, tonnes: str = "100") -> Asset:
    (asset,) = forests(database, sealed, crediting_from=years_from_today(-3))
    with sealed(database.sessions, BUREAU) as session:
        issue_credits(
            session, asset.id, "ccer:1", asset.crediting_from, clock.today() - timedelta(days=1), Decimal(tonnes)
        )
    return read_asset(database, asset.id)


def test_issuing_moves_units_out_of_the_forecast_and_values_what_is_left(sink_db: Database, sealed: Any) -> None:
    asset = issued(sink_db, sealed)
    _, before, told, after = story(sink_db, asset.id)
    assert isinstance(told, CreditsIssued)
    assert told.tonnes == asset.issued_tonnes == 100
    assert (after.version, after.units.free) == (before.version + 1, asset.free_tonnes)
    assert asset.free_tonnes == asset.forecast_tonnes + 100
    # What was issued is not forecast a second time; the buffer's twelfth unit is the rounding's.
    assert before.removals[0].mean - after.removals[0].mean == pytest.approx(Decimal(100), abs=1)
    later = [sum(one.mean for one in told.removals[1:]) for told in (before, after)]
    assert later[0] == pytest.approx(later[1], rel=Decimal("0.001"))


def test_one_valuation_follows_what_moves_the_value_and_none_what_does_not(sink_db: Database, sealed: Any) -> None:
    asset = issued(sink_db, sealed)
    ten, told = Decimal(10), len(story(sink_db, asset.id))

    def then(*names: str) -> None:
        nonlocal told
        happened = story(sink_db, asset.id)
        assert [type(one).__name__ for one in happened[told:]] == list(names)
        if names[-1:] == ("CarbonAssetValued",):
            held = read_asset(sink_db, asset.id)
            assert (happened[-1].version, happened[-1].units.free) == (held.valuation_version, held.free_tonnes)
        told = len(happened)

    with sealed(sink_db.sessions, BUREAU) as session:
        retire_credits(session, asset.id, ten, "a meeting")
    then("CreditsRetired", "CarbonAssetValued")
    with sealed(sink_db.sessions, BUREAU) as session:
        cancel_credits(session, asset.id, ten, "error of entry")
    then("CreditsCancelled", "CarbonAssetValued")
    with sealed(sink_db.sessions, BUREAU) as session:
        transfer_credits(session, asset.id, ten, "Trader")
    then("CreditsTransferred", "CarbonAssetValued")
    # What others hold is no part of the forest's value.
    with sealed(sink_db.sessions, BUREAU) as session:
        transfer_credits(session, asset.id, ten, "Steelworks", "Trader")
    then("CreditsTransferred")
    with sealed(sink_db.sessions, BUREAU) as session:
        retire_credits(session, asset.id, ten, "own emissions", "Steelworks")
    then("CreditsRetired")
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ConflictError):
        retire_credits(session, asset.id, Decimal(1000), "a meeting")
    then()


def test_units_are_used_even_where_the_forest_cannot_be_valued(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = issued(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        # A kind that no method values without a measurement: what a change of the methods can make of a forest.
        session.get_one(Asset, asset.id).kind = "grassland"
    with sealed(sink_db.sessions, BUREAU) as session:
        retire_credits(session, asset.id, Decimal(10), "a meeting")
    assert isinstance(story(sink_db, asset.id)[-1], CreditsRetired)
    assert read_asset(sink_db, asset.id).valuation_version == 2
    today = clock.today()
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(NoMethodError):
        issue_credits(session, asset.id, "ccer:2", today, today, Decimal(1))
    with sealed(sink_db.sessions, BUREAU) as session:
        deeds = list(session.scalars(select(audit.AuditEntry.action).order_by(audit.AuditEntry.number)))
    assert "leave_valuation" in deeds


def test_an_origin_issues_once_and_a_vintage_once(sink_db: Database, sealed: Any) -> None:
    asset = issued(sink_db, sealed)
    start, ten = asset.crediting_from, Decimal(10)
    with sealed(sink_db.sessions, BUREAU) as session:
        with pytest.raises(OriginError):
            issue_credits(session, asset.id, "ccer:1", clock.today(), clock.today(), ten)
        with pytest.raises(ConflictError, match="vintage"):
            issue_credits(session, asset.id, "ccer:2", start, start, ten)
        with pytest.raises(ConflictError, match="have grown"):
            issue_credits(session, asset.id, "ccer:2", clock.today(), clock.today(), Decimal(10**9))
        with pytest.raises(InvalidError, match="vintage"):
            issue_credits(session, asset.id, "ccer:2", clock.today(), clock.today() + timedelta(days=1), ten)


def test_only_issued_and_free_units_are_retired(sink_db: Database, sealed: Any) -> None:
    asset = issued(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        with pytest.raises(ConflictError, match="forecast cannot be retired"):
            retire_credits(session, asset.id, Decimal(101), "winter sports meeting")
        retire_credits(session, asset.id, Decimal(40), "winter sports meeting")
    (told,) = published(sink_db, CreditsRetired)
    assert (told.tonnes, told.reason) == (40, "winter sports meeting")
    asset = read_asset(sink_db, asset.id)
    with sealed(sink_db.sessions, BANK) as session:
        place_pledges(session, accepted([(asset.id, str(asset.free_tonnes - 10))]))
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(ConflictError, match=r"10\.000 t are free"):
        retire_credits(session, asset.id, Decimal(11), "winter sports meeting")


# -- what the database holds by itself --------------------------------------------------------------------------------


def test_a_bank_can_touch_nothing_of_an_asset_but_its_pledge_columns(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    with sealed(sink_db.sessions, BANK) as session:
        session.execute(text("UPDATE assets SET last_rank = 1"))
    with sealed(sink_db.sessions, BANK) as session, pytest.raises(ProgrammingError, match="only the registrar"):
        session.execute(text("UPDATE assets SET forecast_tonnes = forecast_tonnes + 1"))


def test_the_database_refuses_a_pledge_beyond_the_free_units(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    for flag in ("false", "true"):
        statement = f"UPDATE assets SET pledged_tonnes = forecast_tonnes + 1, over_pledged = {flag}"
        with sealed(sink_db.sessions, BANK) as session, pytest.raises(IntegrityError):
            session.execute(text(statement))


def test_an_institution_enters_nothing_in_anothers_name(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    copied = (
        "INSERT INTO retirements (id, asset_id, registrar, tonnes, reason, retired_at)"
        f" SELECT gen_random_uuid(), id, '{BUREAU}', 1, 'x', now() FROM assets"
    )
    with sealed(sink_db.sessions, BANK) as session, pytest.raises(DBAPIError, match="row-level security"):
        session.execute(text(copied))


def test_the_audit_chain_of_a_busy_day_holds(sink_db: Database, sealed: Any) -> None:
    asset = issued(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        report_reversal(session, "pest", clock.today(), None, [Loss(asset.id, Decimal("0.9"))])
    with sink_db.sessions() as session:
        assert audit.verify(session, BUREAU) is None
        deeds = list(session.scalars(select(audit.AuditEntry.action).order_by(audit.AuditEntry.number)))
    assert [deed for deed in deeds if "project" not in deed] == [
        "register_asset", "value_asset", "issue_credits", "value_asset", "value_asset", "report_reversal",
        "cover_reversal",
    ]  # fmt: skip
    assert published(sink_db, PledgeReleased) == []
