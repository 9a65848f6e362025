"""The pooled buffer: every issuance gives to it, any loss takes from it, and the database counts it."""

import importlib
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.errors import LockNotAvailable
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from services.sink.actions.reversals import Loss, report_reversal
from services.sink.actions.units import issue_credits
from services.sink.tables import Asset, BufferPool, ReplacementDuty, Reversal
from shared import clock, schema
from shared.errors import RefusalError
from shared.events.sink import CreditsCancelled
from tests.conftest import Database, make_database
from tests.harness import BUREAU, body, client, published
from tests.sink.examples import facts, imported, read_asset, years_from_today
from tests.sink.test_ledger import by_account, forest, issue
from tests.sink.test_register import insert, required, undoing

#: How often a client that waited too long for a lock tries again.
PATIENCE = 24


def issued(database: Database, sealed: Any, tonnes: int) -> Asset:
    """A forest of which so many tonnes were issued to the owner, nine to one of the buffer."""
    asset = forest(database, sealed)
    with sealed(database.sessions, BUREAU) as session:
        issue_credits(session, asset.id, str(asset.id), asset.crediting_from, clock.today(), Decimal(tonnes))
    return asset


def lose(
    database: Database, sealed: Any, asset: Asset, severity: str = "1", avoidable: bool | None = None, **said: Any
) -> ReplacementDuty:
    """A loss, and what covered it."""
    with sealed(database.sessions, BUREAU) as session:
        losses = [Loss(asset.id, Decimal(severity))]
        peril = said.get("peril", "fire")
        (row,) = report_reversal(session, peril, clock.today(), None, losses, avoidable=avoidable)
        reversal_id = row.id
    with database.sessions() as session:
        return session.scalars(select(ReplacementDuty).where(ReplacementDuty.reversal_id == reversal_id)).one()


def pool(database: Database) -> tuple[Decimal, Decimal]:
    """What stands in the pool, and what was taken from it."""
    with database.sessions() as session:
        row = session.scalars(select(BufferPool)).one()
        lines = text("SELECT coalesce(sum(tonnes), 0) FROM unit_entries WHERE account = :account")
        assert row.tonnes == session.scalar(lines, {"account": "buffer"})
        assert row.cancelled_tonnes == session.scalar(lines, {"account": "buffer_cancelled"})
        return row.tonnes, row.cancelled_tonnes


def test_a_misfortune_takes_from_what_all_forests_gave_its_own_first(sink_db: Database, sealed: Any) -> None:
    burning, spared, other = (issued(sink_db, sealed, 90) for _ in range(3))
    before = read_asset(sink_db, spared.id)
    assert pool(sink_db) == (30, 0)
    duty = lose(sink_db, sealed, burning, "1")
    assert (duty.reversed_tonnes, duty.buffer_tonnes, duty.duty_tonnes) == (100, 30, 70)
    assert pool(sink_db) == (0, 30)
    assert len(duty.serials) == 3
    for asset in (burning, spared, other):
        assert ("buffer_cancelled", 10) in by_account(sink_db, asset)
    # One posting and one event on each forest that gave; the first is that of the forest that burned.
    told = published(sink_db, CreditsCancelled)
    assert told[0].asset_id == burning.id
    assert {event.asset_id for event in told} == {burning.id, spared.id, other.id}
    assert [serial for event in told for serial in event.serials] == duty.serials
    # Nothing else about the others moved: not what was issued to them, nor what they gave.
    after = read_asset(sink_db, spared.id)
    assert (after.units, after.version) == (before.units, before.version)


def test_a_small_loss_is_covered_by_what_the_forest_gave_and_touches_nobody_else(
    sink_db: Database, sealed: Any
) -> None:
    burning, spared = issued(sink_db, sealed, 900), issued(sink_db, sealed, 90)
    duty = lose(sink_db, sealed, burning, undoing(sink_db, burning, 60))
    assert duty.buffer_tonnes == 61
    assert duty.duty_tonnes == 0
    assert by_account(sink_db, spared)[0] == ("buffer", 10)


def test_a_loss_that_care_would_have_prevented_takes_no_more_than_its_forest_gave(
    sink_db: Database, sealed: Any
) -> None:
    careless, spared = issued(sink_db, sealed, 90), issued(sink_db, sealed, 90)
    duty = lose(sink_db, sealed, careless, "1", avoidable=True)
    assert (duty.buffer_tonnes, duty.duty_tonnes) == (10, 90)
    assert by_account(sink_db, spared)[0] == ("buffer", 10)
    assert pool(sink_db) == (10, 10)


def test_what_a_forest_drew_from_the_pool_before_counts_against_it_when_it_is_careless(
    sink_db: Database, sealed: Any
) -> None:
    careless, _ = issued(sink_db, sealed, 900), issued(sink_db, sealed, 900)
    first = lose(sink_db, sealed, careless, undoing(sink_db, careless, 60))
    assert first.buffer_tonnes == 61
    second = lose(sink_db, sealed, careless, "1", avoidable=True)
    assert second.buffer_tonnes == 100 - first.buffer_tonnes
    assert pool(sink_db) == (100, 100)


@pytest.mark.parametrize(("peril", "avoidable"), [("harvest", True), ("fire", False)])
def test_a_harvest_is_avoidable_and_a_fire_is_not_unless_the_report_says_so(
    sink_db: Database, sealed: Any, peril: str, avoidable: bool
) -> None:
    asset = issued(sink_db, sealed, 90)
    bureau = client("sink", sink_db, "bureau", BUREAU)
    asked = {"peril": peril, "occurred_on": clock.today().isoformat()}
    asked |= {"assets": [{"asset_id": str(asset.id), "severity": "0.1"}]}
    (row,) = body(bureau.post("/v1/reversals", asked), 201)["items"]
    assert row["avoidable"] is avoidable
    (row,) = body(bureau.post("/v1/reversals", asked | {"avoidable": not avoidable}), 201)["items"]
    assert row["avoidable"] is not avoidable


def test_pools_of_programmes_and_registrars_are_apart(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, 90)
    with sealed(sink_db.sessions, BUREAU) as session:
        (gold,) = imported(session, [facts(700, programme="gold_standard", crediting_from=years_from_today(-8))])
        issue_credits(session, gold.id, "gold", gold.crediting_from, clock.today(), Decimal(80))
    duty = lose(sink_db, sealed, gold, "1")
    assert (duty.buffer_tonnes, duty.duty_tonnes) == (20, 80)
    bureau = client("sink", sink_db, "bureau", BUREAU)
    pools = {one["programme"]: one for one in body(bureau.get("/v1/buffer-pools"))["items"]}
    assert {name: one["tonnes"] for name, one in pools.items()} == {"ccer": "10.000", "gold_standard": "0.000"}
    assert pools["gold_standard"]["contributed_tonnes"] == "20.000"
    assert pools["gold_standard"]["cancelled_tonnes"] == "20.000"


def test_nobody_writes_the_pool_but_the_ledger(sink_db: Database, sealed: Any) -> None:
    issued(sink_db, sealed, 90)
    for statement in (
        "UPDATE buffer_pools SET tonnes = tonnes + 1",
        "DELETE FROM buffer_pools",
        "INSERT INTO buffer_pools VALUES (gen_random_uuid(), 'x', 'ccer', 1, 0)",
    ):
        with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(DBAPIError, match="permission denied"):
            session.execute(text(statement))
    assert pool(sink_db) == (10, 0)


def test_units_that_were_set_aside_before_make_the_pool(postgres: Any) -> None:
    database = make_database(postgres, "sink", "pooled")
    migration = importlib.import_module("services.sink.migrations.sink_0008_pool")
    admin = create_engine(database.admin_url)
    try:
        schema.undo("sink", database.owner)
        schema.migrate("sink", database.owner, migration.down_revision)
        with admin.begin() as connection:
            # The rows as they would stand after an issuance of which three units were taken for a loss.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            row = required(connection, "assets") | {"buffer_tonnes": "7", "registrar": f"'{BUREAU}'"}
            insert(connection, "assets", row | {"programme": "'ccer'"})
            for account, tonnes in (("buffer", 10), ("buffer", -3), ("buffer_cancelled", 3)):
                line = {"id": "gen_random_uuid()", "posting_id": "gen_random_uuid()", "account": f"'{account}'"}
                line |= {"asset_id": "(SELECT id FROM assets)", "tonnes": str(tonnes)}
                line |= {"issuance_id": "gen_random_uuid()", "first_serial": "1", "last_serial": str(abs(tonnes))}
                line |= {"spends": "gen_random_uuid()"} if tonnes < 0 else {}
                insert(connection, "unit_entries", line)
        schema.migrate("sink", database.owner)
        assert pool(database) == (7, 3)
        with database.sessions() as session:
            assert session.scalars(select(Asset.buffer_tonnes)).one() == 10
    finally:
        admin.dispose()
        database.dispose()


def test_losses_and_issuances_that_race_for_one_pool_take_nothing_twice_and_tie_no_knot(
    sink_db: Database, sealed: Any
) -> None:
    clients, rounds = 6, int(os.environ.get("HEARTWOOD_STORM_ROUNDS", "2"))
    assets = [forest(sink_db, sealed) for _ in range(clients)]
    for asset in assets:
        issue(sink_db, sealed, asset, 90)
    start, failures, refused = threading.Barrier(clients), [], []  # type: ignore[var-annotated]

    def storm(number: int) -> None:
        start.wait(120)
        for turn in range(rounds):
            mine, other = assets[number], assets[(number + turn + 1) % clients]
            try:
                patiently(mint if (number + turn) % 2 else burn, number, turn, mine, other)
            except RefusalError as refusal:
                refused.append(refusal)
            except BaseException as error:
                failures.append(error)

    def mint(number: int, turn: int, mine: Asset, other: Asset) -> None:
        with sealed(sink_db.sessions, BUREAU) as session:
            day = clock.today() - timedelta(days=1 + number + clients * turn)
            issue_credits(session, mine.id, f"{mine.id} {turn}", day, day, Decimal(1 + number))

    def burn(number: int, turn: int, mine: Asset, other: Asset) -> None:
        with sealed(sink_db.sessions, BUREAU) as session:
            hit = [Loss(one.id, Decimal("0.6")) for one in {mine.id: mine, other.id: other}.values()]
            report_reversal(session, "fire", clock.today(), None, hit, avoidable=bool(turn % 2))

    threads = [threading.Thread(target=storm, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    left, taken = pool(sink_db)
    with sink_db.sessions() as session:
        duties = list(session.scalars(select(ReplacementDuty)))
        minted = session.scalar(text("SELECT sum(buffer_tonnes) FROM issuances"))
        avoidable = {one.id: one.avoidable for one in session.scalars(select(Reversal))}
        given = {one.id: one.buffer_tonnes for one in session.scalars(select(Asset))}
    assert duties
    # What was given is in the pool or was taken, and each unit taken is named once.
    assert left + taken == minted
    assert taken == sum(duty.buffer_tonnes for duty in duties)
    named = [serial for duty in duties for serial in duty.serials]
    numbers = [n for one in named for n in range(*_range(one))]
    assert len(numbers) == len(set(numbers)) == taken
    for duty in duties:
        assert duty.buffer_tonnes + duty.duty_tonnes == duty.reversed_tonnes
        if avoidable[duty.reversal_id]:
            assert duty.buffer_tonnes <= given[duty.asset_id]


def patiently(act: Callable[..., None], *given: Any) -> None:
    """Try again where a queue was too long for the time that a statement waits, as the doors do; a knot is a fault."""
    for _ in range(PATIENCE):
        try:
            return act(*given)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
    raise TimeoutError("the queue did not move")


def _range(serials: str) -> tuple[int, int]:
    first, last = serials.rpartition(":")[2].split("-")
    return int(first), int(last) + 1
