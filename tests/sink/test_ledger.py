"""The ledger of units: it agrees with a small model whatever happens, with many at once, and against the grain."""

import importlib
import os
import re
import threading
from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

from services.sink.actions import ledger
from services.sink.actions.consents import agree_to_transfer
from services.sink.actions.pledges import (
    enforce_pledges,
    freeze_pledges,
    place_pledges,
    reduce_pledge,
    release_pledges,
)
from services.sink.actions.units import cancel_credits, issue_credits, retire_credits, transfer_credits
from services.sink.tables import MOVES, Asset, Block, Pledge, UnitEntry
from shared import clock
from shared.errors import RefusalError
from tests.conftest import Database
from tests.harness import BANK, BUREAU, OTHER_BANK
from tests.sink.examples import accepted, facts, forests, imported, in_a_project, read_asset, years_from_today

ZERO = Decimal(0)
_places = count(100)


def forest(database: Database, sealed: Any) -> Asset:
    """A forest on ground of its own whose growth of the last eight years can be issued: some 1,900 units."""
    with sealed(database.sessions, BUREAU) as session:
        (asset,) = imported(session, [facts(next(_places), crediting_from=years_from_today(-8))])
    in_a_project(database, sealed, [asset])
    return asset


def issue(database: Database, sealed: Any, asset: Asset, tonnes: int, *, day: int = 0) -> UUID:
    """Issue units for the vintage of a day so many days ago."""
    vintage = clock.today() - timedelta(days=day)
    with sealed(database.sessions, BUREAU) as session:
        return issue_credits(session, asset.id, f"origin-{uuid4()}", vintage, vintage, Decimal(tonnes)).id


def pledge(database: Database, sealed: Any, asset: Asset, tonnes: str, bank: str = BANK) -> Pledge:
    """Place a lien, which must succeed."""
    loan = accepted([(asset.id, tonnes)], bank=bank)
    with sealed(database.sessions, bank) as session:
        place_pledges(session, loan)
    return lien(database, sealed, loan.loan_id, bank)


def lien(database: Database, sealed: Any, loan_id: UUID, bank: str = BANK) -> Pledge:
    with sealed(database.sessions, bank) as session:
        return session.scalars(select(Pledge).where(Pledge.loan_id == loan_id)).one()


def blocks(database: Database, asset: Asset) -> list[Block]:
    with database.sessions() as session:
        return list(session.scalars(select(Block).where(Block.asset_id == asset.id).order_by(Block.first_serial)))


def by_account(database: Database, asset: Asset) -> list[tuple[str, int]]:
    """Account and size of each block, by serial."""
    return [(block.account, int(block.tonnes)) for block in blocks(database, asset)]


# -- a model ----------------------------------------------------------------------------------------------------------


class Model:
    """The ledger as a child would keep it: where each single tonne is."""

    def __init__(self, forecast: Decimal) -> None:
        self.forecast = forecast
        #: Account, holder and pledge of each serial number.
        self.units: dict[int, tuple[str, str | None, UUID | None]] = {}
        #: What of each pledge lies on the forecast: account and tonnes, by rank.
        self.liens: dict[UUID, tuple[str, Decimal]] = {}
        self.minted: set[int] = set()

    def of(self, account: str, holder: str | None = None, pledge: UUID | None = None) -> list[int]:
        return sorted(s for s, where in self.units.items() if where == (account, holder, pledge))

    def tonnes(self, *accounts: str) -> Decimal:
        issued = sum(where[0] in accounts for where in self.units.values())
        return issued + sum((t for account, t in self.liens.values() if account in accounts), ZERO)

    @property
    def free(self) -> Decimal:
        used = self.tonnes("pledged", "frozen", "enforced")
        standing = sum(where[0] in ("free", "pledged", "frozen", "enforced") for where in self.units.values())
        return self.forecast + standing - used

    def move(self, serials: list[int], account: str, holder: str | None = None, pledge: UUID | None = None) -> None:
        for serial in serials:
            self.units[serial] = (account, holder, pledge)

    def issue(self, first: int, tonnes: int, buffer: int) -> None:
        serials = list(range(first, first + tonnes + buffer))
        self.minted |= set(serials)
        self.move(serials[:buffer], "buffer")
        left = serials[buffer:]
        for key, (account, on_forecast) in self.liens.items():
            part = left[: int(on_forecast.to_integral_value(ROUND_FLOOR))]
            self.move(part, account, BANK if account == "enforced" else None, key)
            self.liens[key] = (account, on_forecast - len(part))
            left = left[len(part) :]
        self.move(left, "free")

    def pledge(self, key: UUID, tonnes: Decimal) -> None:
        open_ = max(ZERO, self.forecast - sum((t for _, t in self.liens.values()), ZERO))
        issued = int(max(ZERO, tonnes - open_).to_integral_value(ROUND_FLOOR))
        self.move(self.of("free")[:issued], "pledged", None, key)
        self.liens[key] = ("pledged", tonnes - issued)

    def lift(self, key: UUID, tonnes: Decimal) -> None:
        account, on_forecast = self.liens[key]
        part = min(tonnes, on_forecast)
        self.liens[key] = (account, on_forecast - part)
        self.move(self.of(account, None, key)[: int(tonnes - part)], "free")

    def relabel(self, key: UUID, account: str, holder: str | None = None) -> None:
        before, on_forecast = self.liens[key]
        self.move(self.of(before, None, key), account, holder, key)
        self.liens[key] = (account, on_forecast)


class Ledger(RuleBasedStateMachine):
    """Whatever the registrar and a bank do to one forest, the database and the model tell the same."""

    pledges = Bundle("pledges")
    small = st.integers(1, 60)

    def __init__(self, database: Database, sealed: Any) -> None:
        super().__init__()
        self.database, self.sealed = database, sealed
        self.asset = forest(database, sealed)
        self.model = Model(self.asset.forecast_tonnes)
        self.day = 0

    def as_bureau(self, act: Callable[..., Any], *args: Any) -> bool:
        try:
            with self.sealed(self.database.sessions, BUREAU) as session:
                act(session, self.asset.id, *args)
        except RefusalError:
            return False
        return True

    @rule(tonnes=small)
    def issue(self, tonnes: int) -> None:
        self.day += 1
        issue(self.database, self.sealed, self.asset, tonnes, day=self.day)
        with self.database.sessions() as session:
            first, buffer = session.execute(
                text("SELECT first_serial, buffer_tonnes FROM issuances ORDER BY last_serial DESC LIMIT 1")
            ).one()
        # A tenth of the whole is set aside: n + b = b / 0.1.
        assert buffer == -(-tonnes // 9)
        self.model.issue(first, tonnes, int(buffer))
        # The valuation that follows takes them out of the forecast, and no more than the buffer's rounding beside them.
        before, self.model.forecast = self.model.forecast, read_asset(self.database, self.asset.id).forecast_tonnes
        assert before - tonnes - 1 <= self.model.forecast < before

    @rule(target=pledges, share=st.sampled_from(("0.1", "0.5", "0.97", "1", "1.001")), fraction=st.booleans())
    def pledge(self, share: str, fraction: bool) -> Any:
        places = Decimal("0.001") if fraction else Decimal(1)
        tonnes = max((self.model.free * Decimal(share)).quantize(places, ROUND_FLOOR), places)
        loan = accepted([(self.asset.id, str(tonnes))])
        with self.sealed(self.database.sessions, BANK) as session:
            place_pledges(session, loan)
            placed = session.scalars(select(Pledge).where(Pledge.loan_id == loan.loan_id)).first()
        assert (placed is not None) == (tonnes <= self.model.free)
        if placed is None:
            return None
        self.model.pledge(placed.id, tonnes)
        return placed.id, loan.loan_id

    @rule(
        one=consumes(pledges), how=st.sampled_from(("release", "freeze and release", "enforce", "freeze and enforce"))
    )
    def end(self, one: Any, how: str) -> None:
        if one is None:
            return
        key, loan_id = one
        with self.sealed(self.database.sessions, BANK) as session:
            if "freeze" in how:
                freeze_pledges(session, loan_id)
                self.model.relabel(key, "frozen")
            if "enforce" in how:
                enforce_pledges(session, loan_id)
                self.model.relabel(key, "enforced", BANK)
            else:
                release_pledges(session, loan_id, "closed")
                self.model.lift(key, self.model.liens[key][1] + len(self.model.of(self.model.liens[key][0], None, key)))
                del self.model.liens[key]

    @rule(one=pledges, tonnes=st.decimals("0.001", "90", places=3))
    def reduce(self, one: Any, tonnes: Decimal) -> None:
        if one is None or one[0] not in self.model.liens or self.model.liens[one[0]][0] != "pledged":
            return
        on_forecast = self.model.liens[one[0]][1]
        has = on_forecast + len(self.model.of("pledged", None, one[0]))
        beyond = max(ZERO, tonnes - on_forecast)
        possible = tonnes < has and beyond == int(beyond)
        try:
            with self.sealed(self.database.sessions, BANK) as session:
                reduce_pledge(session, one[0], tonnes, "repaid in part")
        except RefusalError:
            assert not possible
        else:
            assert possible
            self.model.lift(one[0], tonnes)

    @rule(
        tonnes=small, how=st.sampled_from(("retired", "cancelled", "transferred")), of=st.sampled_from((None, "Trader"))
    )
    def use(self, tonnes: int, how: str, of: str | None) -> None:
        have = self.model.of("free" if of is None else "transferred", of)
        possible = tonnes <= len(have) and (of is not None or tonnes <= self.model.free)
        if how == "transferred":
            if of is not None:
                return
            done = self.as_bureau(transfer_credits, Decimal(tonnes), "Trader")
        else:
            act = retire_credits if how == "retired" else cancel_credits
            done = self.as_bureau(act, Decimal(tonnes), "a meeting", of)
        assert done == possible
        if done:
            self.model.move(have[:tonnes], how, "Trader" if how == "transferred" else of)

    @invariant()
    def the_database_agrees(self) -> None:
        seen: dict[int, tuple[str, str | None, UUID | None]] = {}
        for block in blocks(self.database, self.asset):
            for serial in range(block.first_serial, block.last_serial + 1):
                assert serial not in seen
                seen[serial] = (block.account, block.holder, block.pledge_id)
        assert seen == self.model.units
        assert set(seen) == self.model.minted
        asset = read_asset(self.database, self.asset.id)
        assert asset.pledged_tonnes == self.model.tonnes("pledged", "frozen")
        assert asset.enforced_tonnes == self.model.tonnes("enforced")
        for account in ("retired", "cancelled", "transferred", "buffer"):
            assert getattr(asset, f"{account}_tonnes") == self.model.tonnes(account)
        assert asset.issued_tonnes == len(seen) - self.model.tonnes("buffer")
        assert asset.free_tonnes == max(ZERO, self.model.free)
        assert asset.over_pledged == (self.model.free < 0)
        with self.sealed(self.database.sessions, BANK) as session:
            for key in self.model.liens:
                held = ledger.total(ledger.liens(session, asset, key))
                assert session.get_one(Pledge, key).tonnes == held


def test_the_ledger_agrees_with_a_model_that_counts_every_tonne(sink_db: Database, sealed: Any) -> None:
    asked = os.environ.get("HEARTWOOD_EXAMPLES")
    run_state_machine_as_test(
        lambda: Ledger(sink_db, sealed),
        settings=settings(
            max_examples=int(asked or 12),
            stateful_step_count=18,
            deadline=None,
            derandomize=asked is None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# -- liens follow what is issued --------------------------------------------------------------------------------------


def test_a_lien_on_the_forecast_becomes_one_on_issued_units_by_rank(sink_db: Database, sealed: Any) -> None:
    asset = forest(sink_db, sealed)
    first = pledge(sink_db, sealed, asset, "30.5")
    second = pledge(sink_db, sealed, asset, "40", OTHER_BANK)
    assert by_account(sink_db, asset) == []
    issue(sink_db, sealed, asset, 45)
    assert by_account(sink_db, asset) == [("buffer", 5), ("pledged", 30), ("pledged", 15)]
    mine, theirs = lien(sink_db, sealed, first.loan_id), lien(sink_db, sealed, second.loan_id, OTHER_BANK)
    assert (mine.tonnes, mine.forecast_tonnes) == (Decimal("30.5"), Decimal("0.5"))
    assert (theirs.tonnes, theirs.forecast_tonnes) == (40, 25)
    (range_,) = mine.serials
    assert range_.endswith(f":{mine.blocks[0].first_serial}-{mine.blocks[0].last_serial}")
    assert mine.blocks[0].rank < theirs.blocks[0].rank


def test_what_the_bank_took_over_on_the_forecast_is_the_banks_when_it_is_issued(sink_db: Database, sealed: Any) -> None:
    asset = forest(sink_db, sealed)
    taken = pledge(sink_db, sealed, asset, "20")
    with sealed(sink_db.sessions, BANK) as session:
        enforce_pledges(session, taken.loan_id)
    issue(sink_db, sealed, asset, 27)
    assert by_account(sink_db, asset) == [("buffer", 3), ("enforced", 20), ("free", 7)]
    assert [block.holder for block in blocks(sink_db, asset)] == [None, BANK, None]
    with sealed(sink_db.sessions, BANK) as session:
        agree_to_transfer(session, taken.id, "officer", Decimal(8), "Steelworks")
    with sealed(sink_db.sessions, BUREAU) as session:
        transfer_credits(session, asset.id, Decimal(8), "Steelworks", BANK)
        retire_credits(session, asset.id, Decimal(8), "own emissions", "Steelworks")
    assert ("retired", 8) in by_account(sink_db, asset)
    assert read_asset(sink_db, asset.id).enforced_tonnes == 12


def test_a_fraction_of_a_tonne_under_a_lien_keeps_a_whole_unit_from_being_used(sink_db: Database, sealed: Any) -> None:
    asset = forest(sink_db, sealed)
    issue(sink_db, sealed, asset, 9)
    pledge(sink_db, sealed, asset, str(read_asset(sink_db, asset.id).free_tonnes - Decimal("2.5")))
    free = Decimal("2.5")
    assert read_asset(sink_db, asset.id).free_tonnes == free
    assert ("free", 3) in by_account(sink_db, asset)
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(RefusalError, match=r"2\.500 t are free"):
        retire_credits(session, asset.id, Decimal(3), "a meeting")


@pytest.mark.parametrize("state", ["forecast", "placed", "frozen", "enforced"])
def test_units_under_a_lien_or_not_issued_yet_are_not_used_up(sink_db: Database, sealed: Any, state: str) -> None:
    asset = forest(sink_db, sealed)
    if state != "forecast":
        held = pledge(sink_db, sealed, asset, "9")
        issue(sink_db, sealed, asset, 9)
        with sealed(sink_db.sessions, BANK) as session:
            if state == "frozen":
                freeze_pledges(session, held.loan_id)
            elif state == "enforced":
                enforce_pledges(session, held.loan_id)
    before = by_account(sink_db, asset)
    for act in (retire_credits, cancel_credits, transfer_credits):
        with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(RefusalError):
            act(session, asset.id, Decimal(1), "a meeting")
    assert by_account(sink_db, asset) == before


# -- many at once -----------------------------------------------------------------------------------------------------


def test_clients_that_race_for_one_forest_never_use_a_tonne_twice(sink_db: Database, sealed: Any) -> None:
    asset = forest(sink_db, sealed)
    issue(sink_db, sealed, asset, 90)
    free = read_asset(sink_db, asset.id).free_tonnes
    start, done, failures = threading.Barrier(8), [], []  # type: ignore[var-annotated]

    def race(name: str, act: Callable[[], Any]) -> None:
        start.wait(20)
        for _ in range(4):
            try:
                act()
                done.append(name)
            except RefusalError:
                pass
            except BaseException as error:
                failures.append(error)

    def retire() -> None:
        with sealed(sink_db.sessions, BUREAU) as session:
            retire_credits(session, asset.id, Decimal(17), "a meeting")

    def lend(bank: str) -> Callable[[], None]:
        def act() -> None:
            with sealed(sink_db.sessions, bank) as session:
                place_pledges(session, accepted([(asset.id, str((free / 3).quantize(Decimal(1))))], bank=bank))

        return act

    days = count(1)

    def mint() -> None:
        issue(sink_db, sealed, asset, 10, day=next(days))

    acts = [("retire", retire)] * 3 + [("lend", lend(BANK)), ("lend", lend(OTHER_BANK))] + [("mint", mint)] * 3
    threads = [threading.Thread(target=race, args=one) for one in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert done.count("mint") == 12
    after = read_asset(sink_db, asset.id)
    assert not after.over_pledged
    assert after.issued_tonnes == 90 + 120
    assert after.retired_tonnes == 17 * done.count("retire") <= 210
    assert after.free_tonnes >= 0
    serials = [s for b in blocks(sink_db, asset) for s in range(b.first_serial, b.last_serial + 1)]
    assert len(serials) == len(set(serials)) == 210 + after.buffer_tonnes


# -- against the grain ------------------------------------------------------------------------------------------------

_POSTING = (
    "INSERT INTO unit_postings (id, asset_id, kind, subject_id, reason, tonnes, serials, posted_at)"
    " VALUES (:posting, :asset, :kind, :subject, 'because', 1, '[]', now());"
)
_LINE = (
    "INSERT INTO unit_entries (id, posting_id, asset_id, issuance_id, account, holder, pledge_id, rank, first_serial,"
    " last_serial, tonnes, spends) VALUES (gen_random_uuid(), :posting, :asset, :issuance, {account}, NULL, {lien},"
    " {first}, {last}, {tonnes}, {spends});"
)


def line(account: str, first: int, last: int, *, spends: str = "NULL", lien: str = "NULL, NULL") -> str:
    """SQL of a line that takes or brings serials, numbered from the first of the issuance."""
    tonnes = (last - first + 1) * (-1 if spends != "NULL" else 1)
    return _LINE.format(
        account=f"'{account}'",
        first=f"CAST(:first AS bigint) + {first}",
        last=f"CAST(:first AS bigint) + {last}",
        tonnes=tonnes,
        spends=spends,
        lien=lien,
    )


#: Ten buffer units, 0-9, thirty pledged ones, 10-39, and sixty free ones, 40-99.
OUT_OF_FREE = line("free", 40, 99, spends=":free")
CRIMES = {
    "units out of nothing": ("retire", line("retired", 40, 99), "sum to zero"),
    "units gone": ("retire", OUT_OF_FREE, "sum to zero"),
    "a part of a block taken": ("retire", line("free", 40, 49, spends=":free") + line("retired", 40, 49), "leaves its"),
    "a block that is another's": (
        "retire",
        line("free", 10, 39, spends=":free") + line("retired", 10, 39),
        "leaves its",
    ),
    "new blocks with a gap": ("retire", OUT_OF_FREE + line("free", 40, 60) + line("retired", 62, 100), "tile"),
    "new blocks that overlap": ("retire", OUT_OF_FREE + line("free", 40, 70) + line("retired", 61, 89), "tile"),
    "other serials than before": ("retire", OUT_OF_FREE + line("retired", 140, 199), "tile"),
    "a counter left behind": ("retire", OUT_OF_FREE + line("retired", 40, 99), "counters"),
    "a pledged unit retired": (
        "retire",
        line("pledged", 10, 39, spends=":pledged", lien=":pledge, :rank") + line("retired", 10, 39),
        "does not move units so",
    ),
    "a buffer unit retired": (
        "retire",
        line("buffer", 0, 9, spends=":buffer") + line("retired", 0, 9),
        "not move units",
    ),
    "a second issuance of the same": (
        "issue",
        line("programme", 0, 99).replace(", 100, NULL", ", -100, NULL"),
        "says|once",
    ),
    "a pledge laid by the registrar": (
        "pledge",
        OUT_OF_FREE + line("pledged", 40, 99, lien=":pledge, :rank"),
        "only the bank",
    ),
    "a pledge released by the registrar": (
        "release",
        line("pledged", 10, 39, spends=":pledged", lien=":pledge, :rank") + line("free", 10, 39),
        "only the bank",
    ),
}


@pytest.fixture
def scene(sink_db: Database, sealed: Any) -> dict[str, Any]:
    """A forest with ten units in the buffer, thirty under a lien and sixty free."""
    asset = forest(sink_db, sealed)
    held = pledge(sink_db, sealed, asset, "30")
    issuance = issue(sink_db, sealed, asset, 90)
    with sink_db.sessions() as session:
        lines = {one.account: one for one in session.scalars(select(UnitEntry).where(UnitEntry.tonnes > 1))}
        first = session.scalar(text("SELECT min(first_serial) FROM issuances"))
    return {
        "posting": uuid4(),
        "asset": asset.id,
        "issuance": issuance,
        "subject": held.id,
        "pledge": held.id,
        "rank": held.rank,
        "first": first,
        **{account: lines[account].id for account in ("free", "buffer")},
        "pledged": next(b.id for b in blocks(sink_db, asset) if b.account == "pledged"),
    }


def commit(database: Database, sealed: Any, institution: str, scene: dict[str, Any], statements: str) -> None:
    with sealed(database.sessions, institution) as session:
        for statement in statements.split(";"):
            if statement.strip():
                names = [name for name in scene if f":{name}" in statement]
                session.execute(text(statement), {name: scene[name] for name in names})


def test_the_database_refuses_by_itself(sink_db: Database, sealed: Any, scene: dict[str, Any]) -> None:
    taken = {}
    for crime, (kind, statements, refusal) in CRIMES.items():
        try:
            commit(sink_db, sealed, BUREAU, scene | {"kind": kind}, _POSTING + statements)
        except DBAPIError as error:
            if not re.search(refusal, str(error)):
                taken[crime] = str(error)
        else:
            taken[crime] = "done"
    assert taken == {}


def test_the_same_statements_done_rightly_are_taken(sink_db: Database, sealed: Any, scene: dict[str, Any]) -> None:
    right = OUT_OF_FREE + line("free", 42, 99) + line("retired", 40, 41)
    counter = "UPDATE assets SET retired_tonnes = retired_tonnes + 2;"
    commit(sink_db, sealed, BUREAU, scene | {"kind": "retire"}, _POSTING + right + counter)
    # The block is spent: it cannot be spent again, nor a unit used up twice.
    again = scene | {"kind": "retire", "posting": uuid4()}
    with pytest.raises(DBAPIError, match=r"ix_unit_entries_spends|used_up_once"):
        commit(sink_db, sealed, BUREAU, again, _POSTING + right + counter)


def test_a_bank_moves_nothing_but_what_is_under_its_own_lien(
    sink_db: Database, sealed: Any, scene: dict[str, Any]
) -> None:
    release = line("pledged", 10, 39, spends=":pledged", lien=":pledge, :rank") + line("free", 10, 39)
    retire = OUT_OF_FREE + line("retired", 40, 99)
    with pytest.raises(DBAPIError, match="only the bank"):
        commit(sink_db, sealed, OTHER_BANK, scene | {"kind": "release"}, _POSTING + release)
    with pytest.raises(DBAPIError, match="only the registrar"):
        commit(sink_db, sealed, BANK, scene | {"kind": "retire"}, _POSTING + retire)
    counter = "UPDATE assets SET pledged_tonnes = pledged_tonnes - 30;"
    commit(sink_db, sealed, BANK, scene | {"kind": "release"}, _POSTING + release + counter)


def test_nothing_in_the_ledger_is_ever_changed_or_deleted(
    sink_db: Database, sealed: Any, scene: dict[str, Any]
) -> None:
    with sealed(sink_db.sessions, BUREAU) as session:
        retire_credits(session, scene["asset"], Decimal(1), "a meeting")
    admin = create_engine(sink_db.admin_url)
    try:
        for statement in (
            "UPDATE unit_entries SET account = 'free'",
            "DELETE FROM unit_entries",
            "UPDATE unit_postings SET reason = 'another'",
            "DELETE FROM issuances",
            "UPDATE retirements SET tonnes = 1",
        ):
            with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(DBAPIError, match="permission denied"):
                session.execute(text(statement))
            # Not even by somebody whom no privilege stops.
            with admin.connect() as connection, pytest.raises(DBAPIError, match="only added to"):
                connection.execute(text(statement))
    finally:
        admin.dispose()


def test_serial_numbers_that_overlap_and_issuances_without_units_are_refused(
    sink_db: Database, sealed: Any, scene: dict[str, Any]
) -> None:
    copied = (
        "INSERT INTO issuances SELECT gen_random_uuid(), asset_id, registrar, 'other', vintage_from, vintage_to,"
        " tonnes, issued_at, buffer_tonnes, 'other', first_serial + {0}, last_serial + {0} FROM issuances"
    )
    with pytest.raises(DBAPIError, match="ex_issuances_serials"):
        commit(sink_db, sealed, BUREAU, scene, copied.format(99))
    with pytest.raises(DBAPIError, match="brings its units"):
        commit(sink_db, sealed, BUREAU, scene, copied.format(100))


def test_a_counter_that_is_no_sum_of_the_ledger_is_refused(sink_db: Database, sealed: Any) -> None:
    forests(sink_db, sealed)
    for counter in ("issued", "retired", "pledged", "enforced", "buffer", "transferred", "cancelled"):
        others = "" if counter == "issued" else ", issued_tonnes = 1"
        with pytest.raises(DBAPIError, match="counters of an asset"):
            commit(sink_db, sealed, BUREAU, {}, f"UPDATE assets SET {counter}_tonnes = 1{others}")


def test_the_database_lets_units_move_as_the_ledger_says_and_in_no_other_way() -> None:
    assert importlib.import_module("services.sink.migrations.sink_0004_ledger").MOVES == MOVES


def test_a_day_is_a_vintage_and_tomorrow_is_none(sink_db: Database, sealed: Any) -> None:
    asset = forest(sink_db, sealed)
    today: date = clock.today()
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(RefusalError, match="vintage"):
        issue_credits(session, asset.id, "o", today, today + timedelta(days=1), Decimal(1))
    with sealed(sink_db.sessions, BUREAU) as session, pytest.raises(RefusalError, match="whole"):
        issue_credits(session, asset.id, "o", today, today, Decimal("1.5"))
