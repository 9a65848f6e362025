"""What a valuation tells, that it comes out again anywhere, and that a register is valued once whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, func, select, text

from deploy.embedded import EmbeddedPostgres
from services.sink.actions import valuations
from services.sink.actions.prices import decide_curve, propose_curve
from services.sink.actions.units import issue_credits, retire_credits
from services.sink.actions.valuations import derive, reproduce, request_valuation
from services.sink.consumers import DOOR
from services.sink.formulas import valuation as engine
from services.sink.formulas.price import issued_value
from services.sink.tables import Asset, Valuation
from shared import clock, jobs
from shared.events.sink import CarbonAssetValued
from shared.jobs import Job
from shared.strict_json import canonical
from tests.conftest import Database
from tests.harness import BUREAU, body, client, published
from tests.sink.examples import forests, read_asset, years_from_today
from tests.sink.formulas.test_valuation import CERTAIN, risks, terms_and_forest, value
from tests.sink.test_actions import CURVE, run_jobs

# -- the distribution -------------------------------------------------------------------------------------------------


@given(risks)
@settings(max_examples=25, deadline=None)
def test_quartiles_lie_in_order_and_the_shortfall_below_the_fifth_percentile(changes: dict[str, Any]) -> None:
    result = value(**changes, draws=100)
    ordered = [getattr(result, f"pv_p{q}") for q in ("05", "10", "25", "50", "75", "90", "95")]
    assert ordered == sorted(ordered)
    assert result.pv_expected_shortfall <= result.pv_p05
    for date in range(len(result.years)):
        tonnes = [getattr(result, f"tonnes_p{q}")[date] for q in ("05", "10", "25", "50", "75", "90", "95")]
        assert tonnes == sorted(tonnes)


@given(risks, st.floats(0, 50_000))
@settings(max_examples=25, deadline=None)
def test_sensitivities_point_the_way_they_must(changes: dict[str, Any], issued: float) -> None:
    result = value(**changes, draws=80, issued_t=issued, rate_band=(0.05, 0.12), costs=[0.0] * 4)
    moved = result.sensitivities
    assert moved.price_down <= result.pv_mean <= moved.price_up
    assert moved.pv_rate_high <= result.pv_mean <= moved.pv_rate_low
    assert moved.survival_down <= result.pv_mean <= moved.survival_up


def test_a_sensitivity_is_the_value_with_that_one_thing_moved() -> None:
    base = value(rate_band=(0.05, 0.12), price_bump=0.2, issued_t=1000.0)
    moved = base.sensitivities
    assert moved.pv_rate_low == value(discount_rate=0.05, issued_t=1000.0).pv_mean
    assert moved.pv_rate_high == value(discount_rate=0.12, issued_t=1000.0).pv_mean
    dearer = value(price=70.76 * 1.2, long_run_price=62.36 * 1.2, issued_t=1000.0)
    assert moved.price_up == pytest.approx(dearer.pv_mean, abs=0.02)
    # Growth to come is all that stands above today's stock, so a tenth more of it is a tenth more of each step.
    stocks = np.array([100.0, 400.0, 1000.0, 1700.0, 2400.0])
    denser = value(project_stocks=100.0 + 1.1 * (stocks - 100.0))
    # The haircut is that of the block expected, which the sensitivity leaves where it is.
    assert value().sensitivities.survival_up == pytest.approx(denser.pv_mean, rel=1e-3)


def test_numpy_finds_the_same_quantiles() -> None:
    draws = np.sort(np.random.default_rng(1).standard_normal((3, 101)), axis=1)
    expected = np.quantile(draws, engine.QUANTILES, axis=1)
    assert engine.quantiles(draws, engine.QUANTILES) == pytest.approx(expected, abs=1e-12)


def test_the_shortfall_is_the_mean_of_the_worst_draws() -> None:
    draws = np.arange(1.0, 1001.0)
    assert engine.expected_shortfall(draws, 0.05) == 25.5
    assert engine.expected_shortfall(draws[:7], 0.05) == 1.0


def test_without_risk_the_expectation_is_the_mean() -> None:
    certain = value(**CERTAIN, price_reversion=0.0, issued_t=500.0)
    assert certain.pv_at_expectation == pytest.approx(certain.pv_mean, abs=0.02)


def test_many_parcels_are_worth_what_each_is_alone() -> None:
    generator = np.random.default_rng(2)
    stocks = np.cumsum(generator.uniform(0, 500, (5, 40)), axis=0)
    market = (8_844_100.0, 0.16, 0.1, 0.5, 0.5)
    given_ = ([[0.99], [0.98], [0.97], [0.96]], [[1.0], [2.0], [3.0], [4.0]], 0.85, [70.0, 65.0, 63.0, 62.0])
    years, rest = [5.0, 10.0, 15.0, 20.0], (0.03, [[100.0]] * 4, 0.08)
    together = engine.expected_values(stocks, *given_, years, *market, *rest)
    alone = [float(engine.expected_values(stocks[:, k : k + 1], *given_, years, *market, *rest)[0]) for k in range(40)]
    assert together.tolist() == alone


def test_issued_units_shift_the_value_and_widen_nothing() -> None:
    without, with_ = value(), value(issued_t=10_000.0)
    worth = float(issued_value(10_000.0, 70.76, 8_844_100.0, 0.16, 0.10, 0.5, 0.5, 0.03))
    assert with_.pv_issued == pytest.approx(worth, abs=0.01)
    for name in ("mean", "p05", "p50", "p95", "expected_shortfall", "at_expectation"):
        assert getattr(with_, f"pv_{name}") - getattr(without, f"pv_{name}") == pytest.approx(worth, abs=0.02)
    assert with_.variance_shares == without.variance_shares
    assert with_.pv_standard_error == pytest.approx(without.pv_standard_error, abs=0.01)


def test_a_block_of_issued_units_is_worth_less_by_the_tonne_than_a_few() -> None:
    few, many = (float(issued_value(t, 70.0, 1e6, 0.16, 0.1, 0.5, 0.5, 0.03)) / t for t in (100.0, 100_000.0))
    assert many < few < 70.0


# -- issued units in the register -------------------------------------------------------------------------------------


def test_the_market_takes_no_more_than_the_obliged_may_surrender(sink_db: Database, sealed: Any) -> None:
    """(S179): where q·E is below what was traded it is the depth, and the block is worth less."""
    (asset,) = forests(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        given_ = json.loads(request_valuation(session, asset.id).inputs)
    p = given_["parameters"]

    def priced(**changes: Any) -> tuple[float, ...]:
        found = derive({**given_, "parameters": {**p, **changes}})
        return tuple(found[name] for name in ("pv_p05", "pv_mean", "pv_p95"))

    least = 0.01 * p["market.turnover"]
    capped = priced(**{"market.obliged_emissions": least / p["programme.quota"]})
    assert capped == priced(**{"market.turnover": least})
    assert all(fewer < more for fewer, more in zip(capped, priced(), strict=True))


def issued(database: Database, sealed: Any, tonnes: str = "100", **changes: Any) -> Asset:
    (asset,) = forests(database, sealed, crediting_from=years_from_today(-3), **changes)
    with sealed(database.sessions, BUREAU) as session:
        yesterday = clock.today() - timedelta(days=1)
        issue_credits(session, asset.id, "ccer:1", asset.crediting_from, yesterday, Decimal(tonnes))
    return read_asset(database, asset.id)


def test_issued_units_count_until_they_are_retired(sink_db: Database, sealed: Any) -> None:
    asset = issued(sink_db, sealed)
    with sealed(sink_db.sessions, BUREAU) as session:
        held = request_valuation(session, asset.id)
        retire_credits(session, asset.id, Decimal(60), "winter sports meeting")
        fewer = request_valuation(session, asset.id)
    assert held.issued_value is not None
    assert fewer.issued_value is not None
    assert Decimal(0) < fewer.issued_value < held.issued_value < 100 * held.spot_price
    assert held.pv_mean - fewer.pv_mean == pytest.approx(held.issued_value - fewer.issued_value, abs=Decimal("0.02"))
    assert json.loads(fewer.inputs)["asset"]["issued_t"] == "40"


def test_after_the_last_verification_the_issued_units_are_all_there_is(sink_db: Database, sealed: Any) -> None:
    asset = issued(sink_db, sealed, crediting_until=years_from_today(2))
    with clock.travelled(timedelta(days=3 * 365)), sealed(sink_db.sessions, BUREAU) as session:
        row = request_valuation(session, asset.id)
        assert reproduce(session, row.id).reproduced
    assert row.forecast_tonnes == 0
    assert 0 < row.pv_p05 == row.pv_p95 == row.issued_value == row.present_value["expected_shortfall"]


def test_everybody_reads_the_whole_distribution_and_what_moves_it(sink_db: Database, sealed: Any) -> None:
    (asset,) = forests(sink_db, sealed)
    bureau = client("sink", sink_db, "bureau", BUREAU)
    (shown,) = body(bureau.get(f"/v1/assets/{asset.id}/valuations"))["items"]
    names = ("expected_shortfall", "p05", "p10", "p25", "p50", "p75", "p90", "p95")
    told = [float(shown["present_value"][name]["amount"]) for name in names]
    assert told == sorted(told)
    (event_,) = published(sink_db, CarbonAssetValued)
    assert [getattr(event_.present_value, name) for name in names] == [Decimal(str(amount)) for amount in told]
    moved = {(one["of"], one["to"]): float(one["mean"]["amount"]) for one in shown["sensitivities"]}
    mean = float(shown["present_value"]["mean"]["amount"])
    assert moved["price", "-0.1000"] < mean < moved["price", "0.1000"]
    assert moved["discount_rate", "0.1200"] < mean < moved["discount_rate", "0.0500"]
    assert moved["survival", "-0.1000"] < mean < moved["survival", "0.1000"]
    assert shown["issued_value"]["amount"] == "0.00"


# -- again, anywhere --------------------------------------------------------------------------------------------------

_AGAIN = """
import json, sys
from services.sink.actions.valuations import derive
from shared.strict_json import canonical
sys.stdout.buffer.write(canonical(derive(json.load(sys.stdin))))
"""


#: Vector units that numpy may use or not; without them its exponentials end in other bits.
_VECTORS = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "NPY_DISABLE_CPU_FEATURES": _VECTORS}],
    ids=["another process", "a lesser processor"],
)
def test_another_process_derives_the_same_bytes(sink_db: Database, sealed: Any, environment: dict[str, str]) -> None:
    forests(sink_db, sealed)
    with sink_db.sessions() as session:
        row = session.scalars(select(Valuation)).one()
    again = subprocess.run(
        [sys.executable, "-c", _AGAIN],
        input=row.inputs.encode(),
        capture_output=True,
        check=True,
        timeout=60,
        env=os.environ | environment,
    )
    assert again.stdout == row.outputs.encode()


def test_what_other_forests_were_valued_before_changes_no_byte(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed, 5)
    with sink_db.sessions() as session:
        rows = session.scalars(select(Valuation)).all()
    for row in reversed(rows):
        assert canonical(derive(json.loads(row.inputs))) == row.outputs.encode()


@pytest.mark.parametrize(
    ("engine_version", "code", "derived"),
    [("1/numpy-2.4.6", "other_engine", False), ("2/numpy-0.0.1", "same_bytes", True)],
)
def test_a_reproduction_says_what_another_engine_means(
    sink_db: Database,
    sealed: Any,
    monkeypatch: pytest.MonkeyPatch,
    engine_version: str,
    code: str,
    derived: bool,
) -> None:
    monkeypatch.setattr(valuations, "ENGINE_VERSION", engine_version)
    forests(sink_db, sealed)
    monkeypatch.undo()
    bureau = client("sink", sink_db, "bureau", BUREAU)
    with sink_db.sessions() as session:
        row = session.scalars(select(Valuation)).one()
    again = body(bureau.post(f"/v1/valuations/{row.id}/reproduction"))
    assert (again["engine_version"], again["reason"]["code"]) == (engine_version, code)
    assert again["reproduced"] == (again["outputs_hash_now"] is not None) == derived
    assert again["reason"]["zh"]
    assert again["reason"]["en"]


@pytest.mark.parametrize(
    ("engine_version", "code"), [("2/numpy-0.0.1", "other_library"), (valuations.ENGINE_VERSION, "other_bytes")]
)
def test_other_bytes_from_the_same_engine_are_told_apart(
    sink_db: Database, sealed: Any, monkeypatch: pytest.MonkeyPatch, engine_version: str, code: str
) -> None:
    derive_all = valuations.derive_all
    with monkeypatch.context() as patch:
        patch.setattr(valuations, "ENGINE_VERSION", engine_version)
        patch.setattr(valuations, "derive_all", lambda given: [{**one, "stock": 0.0} for one in derive_all(given)])
        forests(sink_db, sealed)
    with sink_db.sessions() as session:
        again = reproduce(session, session.scalars(select(Valuation)).one().id)
    assert (again.reproduced, again.reason.code) == (False, code)


def test_inputs_that_were_tampered_with_are_not_derived_from(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    admin = create_engine(sink_db.admin_url)
    with admin.begin() as connection:
        connection.execute(text("UPDATE valuations SET inputs = replace(inputs, '\"seed\":', '\"Seed\":')"))
    admin.dispose()
    with sink_db.sessions() as session:
        again = reproduce(session, session.scalars(select(Valuation)).one().id)
    assert (again.reproduced, again.reason.code, again.outputs_hash_now) == (False, "inputs_changed", None)


_ENGINE_2 = json.loads(Path(__file__).with_name("valued_by_engine_2.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", _ENGINE_2, ids=range(len(_ENGINE_2)))
def test_what_this_engine_once_gave_it_gives_again(case: dict[str, Any]) -> None:
    assert canonical(derive(case["inputs"])) == canonical(case["outputs"])


# -- many at once -----------------------------------------------------------------------------------------------------

_SHAPES = st.tuples(
    st.lists(st.floats(0.1, 6), min_size=1, max_size=5),
    st.floats(0, 900),
    st.floats(0, 0.5),
    st.floats(0, 0.2),
    st.sampled_from([0.0, 1250.5]),
    st.integers(0, 2**53 - 1),
)
_TERMS, _ = terms_and_forest(draws=96, price_seed=7, rate_band=(0.05, 0.12))


def _forest(shape: tuple[Any, ...]) -> engine.Forest:
    steps, growth, sigma, frequency, issued_t, seed = shape
    count = len(steps)
    return engine.Forest(
        years=np.cumsum(steps).tolist(),
        project_stocks=[100.0 + growth * k for k in range(count + 1)],
        baseline_stocks=[2.0 * k for k in range(count + 1)],
        emissions=[5.0] * count,
        leakage=[0.0] * count,
        costs=[200.0] * count,
        growth_sigma=sigma,
        sampling_width=sigma,
        model_sigma=sigma / 2,
        event_frequency=frequency,
        buffer_share=0.1,
        seed=seed,
        issued_t=issued_t,
    )


@given(st.lists(_SHAPES, min_size=1, max_size=12), st.sampled_from([1, 200, 8192]), st.randoms())
@settings(max_examples=25, deadline=None)
def test_a_forest_is_worth_the_same_alone_and_in_any_block(
    shapes: list[tuple[Any, ...]], block: int, chance: Random
) -> None:
    found = [_forest(shape) for shape in shapes]
    alone = [repr(engine.valuations(_TERMS, [one])) for one in found]
    order = list(range(len(found)))
    chance.shuffle(order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "BLOCK", block)
        together = engine.valuations(_TERMS, [found[place] for place in order])
    assert [f"[{one!r}]" for one in together] == [alone[place] for place in order]


def test_one_that_cannot_be_valued_spoils_no_other() -> None:
    good, other = (case["inputs"] for case in _ENGINE_2[:2])
    bad = {**good, "verifications": [good["verifications"][0]] * 2}
    first, refused, last = valuations.derive_all([good, bad, other])
    assert isinstance(refused, ValueError)
    assert (first, last) == (derive(good), derive(other))


@given(st.lists(st.floats(-1e12, 1e12) | st.integers(-(10**9), 10**9).map(lambda n: n / 1000), max_size=40))
def test_numbers_are_rounded_in_bulk_as_python_rounds_each(values: list[float]) -> None:
    for decimals in (engine.MONEY_DECIMALS, engine.TONNE_DECIMALS, engine.SHARE_DECIMALS):
        rounded = engine._rounded(np.array(values), decimals).tolist()
        assert rounded == [round(one, decimals) for one in values]


# -- the whole register -----------------------------------------------------------------------------------------------


def approve(database: Database, sealed: Any, **changes: Any) -> UUID:
    """Approve a curve; returns the job that values the register."""
    with sealed(database.sessions, BUREAU) as session:
        curve = propose_curve(session, CURVE | changes, "maker")
    with sealed(database.sessions, BUREAU) as session:
        job_id = decide_curve(session, curve.id, curve.payload_hash, "checker", True).job_id
    assert job_id is not None
    return job_id


def test_a_register_is_valued_in_as_many_statements_as_one_forest(sink_db: Database, sealed: Any) -> None:
    counts = []
    for count in (1, 12):
        with sealed(sink_db.sessions, BUREAU) as session:
            known = session.scalar(select(func.count()).select_from(Asset)) or 0
        register(sink_db, sealed, known, count)
        approve(sink_db, sealed)
        statements: list[str] = []

        def note(*given_: Any, told: list[str] = statements) -> None:
            told.append(given_[2])

        event.listen(sink_db.worker, "before_cursor_execute", note)
        jobs.run_step(sink_db.worker_sessions, DOOR.jobs)
        event.remove(sink_db.worker, "before_cursor_execute", note)
        counts.append(len(statements))
    assert counts[0] == counts[1]


def register(database: Database, sealed: Any, first: int, count: int) -> None:
    from services.sink.actions.assets import import_assets
    from tests.sink.examples import facts

    with sealed(database.sessions, BUREAU) as session:
        import_assets(session, [facts(first + k) for k in range(count)])


def test_bulk_and_single_valuations_are_the_same_bytes(sink_db: Database, sealed: Any) -> None:
    register_ = forests(sink_db, sealed, 4)
    approve(sink_db, sealed)
    run_jobs(sink_db)
    for asset in register_:
        with sealed(sink_db.sessions, BUREAU) as session:
            request_valuation(session, asset.id)
        with sink_db.sessions() as session:
            rows = session.scalars(
                select(Valuation).where(Valuation.asset_id == asset.id).order_by(Valuation.version)
            ).all()
        assert [row.cause for row in rows] == ["registration", "price", "request"]
        assert (rows[1].inputs, rows[1].outputs) == (rows[2].inputs, rows[2].outputs)


def test_a_forest_that_cannot_be_valued_holds_up_no_other(sink_db: Database, sealed: Any) -> None:
    from services.sink.actions.assets import register_asset
    from tests.sink.examples import facts

    forests(sink_db, sealed, 2)
    with sealed(sink_db.sessions, BUREAU) as session:
        meadow = register_asset(session, facts(5, kind="grassland", species=[]))
    job_id = approve(sink_db, sealed)
    run_jobs(sink_db)
    with sealed(sink_db.sessions, BUREAU) as session:
        job = session.get_one(Job, job_id)
    assert (job.state, job.done) == ("finished", 3)
    assert [note["asset"] for note in job.log] == [str(meadow.id)]
    assert len(published(sink_db, CarbonAssetValued)) == 4


def test_an_older_curves_job_gives_way_to_the_newer_one(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed, 3)
    older, newer = approve(sink_db, sealed), approve(sink_db, sealed, name="winter", spot_price=Decimal("48.00"))
    run_jobs(sink_db)
    with sealed(sink_db.sessions, BUREAU) as session:
        assert session.get_one(Job, older).done == 0
        assert session.get_one(Job, newer).done == 3
        assert {session.get_one(Job, one).state for one in (older, newer)} == {"finished"}
    assert {one.price_curve for one in published(sink_db, CarbonAssetValued)} == {"default", "winter"}
    assert len(published(sink_db, CarbonAssetValued)) == 6


_WORK = """
import sys
from services.sink.actions import valuations
from services.sink.consumers import DOOR
from shared import db, jobs
valuations.REVALUED_AT_ONCE = 3
engine = db.engine(sys.argv[1])
while jobs.run_step(db.sessions(engine), DOOR.jobs):
    print("step", flush=True)
"""


def test_a_worker_killed_amid_the_register_leaves_nobody_out_and_values_nobody_twice(
    sink_db: Database, sealed: Any, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 30
    forests(sink_db, sealed, count)
    job_id = approve(sink_db, sealed)
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORK, sink_db.url(postgres, "worker")], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    # After two steps it is somewhere within the third or the fourth.
    assert [worker.stdout.readline() for _ in range(2)] == ["step\n"] * 2
    worker.send_signal(signal.SIGKILL)
    assert worker.wait(timeout=30) == -signal.SIGKILL
    worker.stdout.close()
    with sealed(sink_db.sessions, BUREAU) as session:
        job = session.get_one(Job, job_id)
    assert (job.state, 6 <= job.done < count) == ("running", True)
    _until_alone(sink_db)
    run_jobs(sink_db)
    with sealed(sink_db.sessions, BUREAU) as session:
        assert session.get_one(Job, job_id).done == count
        repriced = select(func.count(), func.count(Valuation.asset_id.distinct())).where(Valuation.cause == "price")
        assert session.execute(repriced).one() == (count, count)
        assert set(session.scalars(select(Asset.valuation_version))) == {2}
    assert len(published(sink_db, CarbonAssetValued)) == 2 * count


def _until_alone(database: Database) -> None:
    """Wait until the server has seen that the killed worker is gone: until then it holds the job's row."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE usename = 'sink_worker' AND state <> 'idle'")
    admin = create_engine(database.admin_url)
    for _ in range(200):
        with admin.connect() as connection:
            if not connection.scalar(query):
                break
        time.sleep(0.05)
    admin.dispose()
