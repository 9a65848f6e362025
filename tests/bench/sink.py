"""The sink: valuing parcels and a whole register, against the least that could be done.

HEARTWOOD_BENCH_REGISTER says how many forests the revaluation walks (20,000 if not said), HEARTWOOD_BENCH_PARCELS how
many are valued over the paths (1,000), HEARTWOOD_BENCH_IMPORT how many rows a file of parcels has (5,000) and
HEARTWOOD_BENCH_BAD how many a file has of which none can go in (20,000).
"""

import csv
import hashlib
import importlib
import io
import math
import os
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from deploy.embedded import EmbeddedPostgres
from services.sink.actions import imports
from services.sink.actions.assets import register_asset
from services.sink.actions.files import MAX_FILE
from services.sink.actions.prices import decide_curve, propose_curve
from services.sink.actions.valuations import DAYS_PER_YEAR
from services.sink.consumers import DOOR
from services.sink.formulas.growth import projected_stock
from services.sink.formulas.valuation import Forest, Terms, expected_values, valuations
from services.sink.tables import AssetImport
from shared import audit, clock, db, jobs
from tests.bench.harness import Row, Spent, compare, progress
from tests.conftest import Database, make_database
from tests.harness import BUREAU
from tests.sink.examples import facts

Array = NDArray[np.float64]

PARCELS, YEARS, BLOCK = 1_000_000, 40, 2048
DRAWN, DRAWS = int(os.environ.get("HEARTWOOD_BENCH_PARCELS", "1000")), 1000
STANDS = 2000
IMPORTED = int(os.environ.get("HEARTWOOD_BENCH_IMPORT", "5000"))
BAD = int(os.environ.get("HEARTWOOD_BENCH_BAD", "20000"))
REGISTER = int(os.environ.get("HEARTWOOD_BENCH_REGISTER", "20000"))
CURVE = {
    "name": "bench",
    "spot_price": Decimal("55.00"),
    "long_run_price": Decimal("60.00"),
    "reversion": Decimal("0.25"),
    "volatility": Decimal("0.35"),
    "drift": Decimal(0),
    "source": "bench",
}
#: Larch: asymptote, rate and shape of the curve, ceiling and age of the locality; density, expansion, roots, carbon.
RICHARDS = (286.44, 0.05275, 2.41)
LOCALITY = (117.4, 50.0)
CHAIN = (0.478, 1.416, 0.212, 0.5097)
#: Turnover, then reference discount and share, exponent and cap of the haircut, and the fee.
MARKET = (8_844_100.0, 0.16, 0.10, 0.5, 0.5, 0.03)
COST, RATE, KEPT = 300.0, 0.08, 0.87


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure the deterministic value, the growth of stands, the draws, the files of parcels and the register."""
    return [_deterministic(), *_growth(), _drawn(), *_imports(postgres), _register(postgres)]


# -- without a draw ---------------------------------------------------------------------------------------------------


def _parcels(count: int) -> tuple[Array, Array, Array]:
    """Ages, areas and survival of so many parcels."""
    generator = np.random.default_rng(1)
    return generator.uniform(0, 30, count), generator.uniform(0.5, 100, count), generator.uniform(0.5, 1, count)


def _market() -> tuple[Array, Array, Array]:
    years = np.arange(1.0, YEARS + 1)
    return years, 62.36 + 8.4 * np.exp(-0.25 * years), 0.997**years


def _value(ages: Array, areas: Array, survival: Array) -> Array:
    """The service's own formulas, block by block, so that what lies between stays in the cache."""
    years, prices, live = _market()
    steps = np.arange(YEARS + 1.0)[:, None]
    worth = np.empty(len(ages))
    for start in range(0, len(ages), BLOCK):
        here = slice(start, start + BLOCK)
        stocks = projected_stock(ages[here] + steps, areas[here], *RICHARDS, *LOCALITY, survival[here], *CHAIN)
        worth[here] = expected_values(
            np.asarray(stocks), live, np.zeros(YEARS), KEPT, prices, years, *MARKET, np.full(YEARS, COST), RATE
        )
    return worth


def _bare_value(ages: Array, areas: Array, survival: Array) -> Array:
    """The arithmetic alone, in place, year by year over blocks; nothing is checked and nothing is named."""
    years, prices, live = _market()
    asymptote, rate, shape = RICHARDS
    ceiling, reference_age = LOCALITY
    turnover, discount, share, exponent, cap, fee = MARKET
    full = asymptote * (1 - np.exp(-rate * reference_age)) ** shape
    scale = min(1.0, ceiling / full) * asymptote
    density, expansion, roots, carbon = CHAIN
    per_volume = 44 / 12 * density * expansion * (1 + roots) * carbon
    decay = np.exp(-rate)
    factors = (1 + RATE) ** -years
    weights = (1 - fee) * prices * factors
    fixed = COST * float(factors.sum())
    size = 4096
    left, stock, before, tonnes, haircut = (np.empty(size) for _ in range(5))
    worth = np.empty(len(ages))
    for start in range(0, len(ages), size):
        here = slice(start, min(start + size, len(ages)))
        count = here.stop - start
        d, c, m, t, h = (scratch[:count] for scratch in (left, stock, before, tonnes, haircut))
        total = worth[here]
        per_tonne = per_volume * areas[here] * survival[here]
        np.multiply(ages[here], -rate, out=d)
        np.exp(d, out=d)
        today = np.minimum(scale * (1 - d) ** shape, ceiling) * per_tonne
        total[:] = -fixed
        m[:] = 0
        for year in range(YEARS):
            d *= decay
            np.subtract(1, d, out=c)
            np.power(c, shape, out=c)
            c *= scale
            np.minimum(c, ceiling, out=c)
            c *= per_tonne
            c *= live[year]
            c -= today
            np.maximum(c, m, out=c)
            np.subtract(c, m, out=t)
            t *= KEPT
            m[:] = c
            np.multiply(t, 1 / (turnover * share), out=h)
            np.power(h, exponent, out=h)
            h *= discount
            np.minimum(h, cap, out=h)
            np.subtract(1, h, out=h)
            t *= h
            t *= weights[year]
            total += t
    return worth


def _deterministic() -> Row:
    parcels = _parcels(PARCELS)
    some = tuple(part[:20_000] for part in parcels)
    assert np.allclose(_value(*some), _bare_value(*some), rtol=1e-9, atol=1e-6)
    tracemalloc.start()
    _value(*parcels)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert peak < 1000
    note = (
        f"{PARCELS:,} parcels over {YEARS} yearly verifications by the service's own formulas (S27) and (S172), blocks"
        f" of {BLOCK}; {peak:.0f} MB at most beside the parcels. The reference does the same arithmetic in place, and"
        " checks nothing; both agree to 1e-9"
    )
    return compare(
        "sink",
        "value without a draw vs bare blocked NumPy",
        lambda: _cpu(lambda: _value(*parcels), PARCELS * YEARS) * 1e3,
        lambda: _cpu(lambda: _bare_value(*parcels), PARCELS * YEARS) * 1e3,
        unit="ns CPU per parcel-year",
        goal=0.33,
        rounds=4,
        note=note,
    )


# -- growth against libcbm --------------------------------------------------------------------------------------------


def _growth() -> Iterator[Row]:
    """Stands stepped over forty years, ours against libcbm's C++; no row where libcbm is not installed."""
    try:
        with warnings.catch_warnings():
            # It warns of each Linux it was not tested on, and then works.
            warnings.simplefilter("ignore")
            parts = {
                name: importlib.import_module(f"libcbm.{where}")
                for name, where in (
                    ("resources", "resources"),
                    ("config", "model.cbm.cbm_config"),
                    ("defaults", "model.cbm.cbm_defaults"),
                    ("factory", "model.cbm.cbm_factory"),
                    ("variables", "model.cbm.cbm_variables"),
                    ("frame", "storage.dataframe"),
                    ("backends", "storage.backends"),
                )
            }
            pandas = importlib.import_module("pandas")
            database = parts["resources"].get_cbm_defaults_path()
            library = parts["resources"].get_libcbm_bin_path()
    except ImportError:
        progress("sink: libcbm is not installed, so stands are not compared with it")
        yield Row("sink", "stands grown vs libcbm", 0, 0, "-", 0, None, None, None, 0, 0, "libcbm is not installed")
        return
    ages = np.arange(STANDS) % 20.0
    asymptote, rate, shape = RICHARDS
    volumes = asymptote * (1 - np.exp(-rate * np.arange(201))) ** shape
    config, frame, backends = parts["config"], parts["frame"], parts["backends"]
    # Red pine: only the conversion of volume to biomass is its own, the yield curve is the same as ours.
    curve = {"species_id": 20, "age_volume_pairs": [[age, float(volume)] for age, volume in enumerate(volumes)]}
    with parts["factory"].create(
        dll_path=library,
        dll_config_factory=parts["defaults"].get_libcbm_configuration_factory(database),
        cbm_parameters_factory=parts["defaults"].get_cbm_parameters_factory(database),
        merch_volume_to_biomass_factory=lambda: config.merch_volume_to_biomass_config(
            db_path=database, merch_volume_curves=[config.merch_volume_curve(["larch"], [curve])]
        ),
        classifiers_factory=lambda: config.classifier_config(
            [config.classifier("stand", values=[config.classifier_value("larch")])]
        ),
    ) as model:
        constants = {"area": 1.0, "spatial_unit": 17, "afforestation_pre_type_id": -1, "land_class": 0, "delay": 0}
        constants |= {"historical_disturbance_type": 1, "last_pass_disturbance_type": 1}
        inventory = pandas.DataFrame({"inventory_id": np.arange(STANDS), "age": ages.astype(int), **constants})
        classes = pandas.DataFrame({"stand": np.ones(STANDS, dtype=int)})

        def theirs() -> float:
            state = parts["variables"].initialize_simulation_variables(
                frame.from_pandas(classes),
                frame.from_pandas(inventory),
                model.pool_codes,
                model.flux_indicator_codes,
                backends.BackendType.numpy,
            )
            state = model.init(state)

            def step() -> None:
                nonlocal state
                for _ in range(YEARS):
                    state = model.step(state)

            spent = _cpu(step, STANDS)
            assert state.state["age"].to_numpy().tolist() == (ages + YEARS).tolist()
            return spent

        steps = np.arange(YEARS + 1.0)[:, None]
        areas, whole = np.ones(STANDS), np.ones(STANDS)

        def ours() -> float:
            def grow() -> None:
                for start in range(0, STANDS, BLOCK):
                    here = slice(start, start + BLOCK)
                    projected_stock(ages[here] + steps, areas[here], *RICHARDS, *LOCALITY, whole[here], *CHAIN)

            return _cpu(grow, STANDS)

        yield compare(
            "sink",
            "stands grown over 40 years vs libcbm",
            ours,
            theirs,
            unit="µs CPU per stand",
            goal=100,
            rounds=5,
            note=f"{STANDS} stands on one yield curve. Not like for like in what comes out: (S27) gives the living"
            " stock, libcbm also moves dead wood and soil between its pools; its spin-up is left out",
        )


# -- with draws -------------------------------------------------------------------------------------------------------


_TERMS = Terms(
    growth_persistence=0.5,
    confidence=0.9,
    mean_severity=0.3,
    discount_bounds=(0.10, 0.15, 0.20, 0.30),
    discount_shares=(0, 0.25, 0.5, 0.75, 1),
    price=70.76,
    price_drift=0.0,
    price_sigma=0.35,
    price_reversion=0.25,
    long_run_price=62.36,
    turnover_t=MARKET[0],
    haircut_reference_discount=MARKET[1],
    haircut_reference_share=MARKET[2],
    haircut_exponent=MARKET[3],
    haircut_cap=MARKET[4],
    fee_share=MARKET[5],
    discount_rate=RATE,
    draws=DRAWS,
    price_seed=1,
)


def _forests(count: int) -> list[Forest]:
    """Forests of 28 calendars, each with four verifications to come."""
    return [
        Forest(
            years=[start, start + 5, start + 10, start + 15],
            project_stocks=[3190.7, 5135.0, 7025.0, 8695.0, 10104.0],
            baseline_stocks=[0.0] * 5,
            emissions=[0.0] * 4,
            leakage=[0.0] * 4,
            costs=[2877.0] * 4,
            growth_sigma=0.25,
            sampling_width=0.15,
            model_sigma=0.15,
            event_frequency=0.01,
            buffer_share=0.1,
            seed=seed,
        )
        for seed in range(count)
        for start in [3.1 + seed % 28 / DAYS_PER_YEAR]
    ]


def _bare_draws() -> None:
    """The random numbers of an asset, their exponentials and the arithmetic once: no attribution, no quantile."""
    stream = np.random.Generator(np.random.PCG64(1))
    prices = np.exp(0.3 * stream.standard_normal((4, DRAWS)))
    for seed in range(DRAWN):
        own = np.random.Generator(np.random.PCG64(seed))
        site, sampling, model = own.standard_normal((3, DRAWS))
        weather, fires = own.standard_normal((4, DRAWS)), own.random((4, DRAWS))
        growth = np.exp(0.25 * (0.7 * site + 0.7 * weather) - 0.03125)
        error = np.exp(0.09 * sampling + 0.15 * model - 0.015)
        live = np.cumprod(1 - 0.3 * (fires < 0.05), axis=0)
        stock = error * (np.cumsum(1800.0 * growth, axis=0) * live)
        reached = np.maximum.accumulate(stock, axis=0)
        float(np.sum(np.diff(reached, axis=0) * prices[1:], axis=0).mean())


def _drawn() -> Row:
    forests = _forests(DRAWN)

    def ours() -> float:
        return _cpu(lambda: valuations(_TERMS, forests), DRAWN)

    return compare(
        "sink",
        f"{DRAWN:,} forests valued over {DRAWS:,} paths vs drawing the numbers",
        ours,
        lambda: _cpu(_bare_draws, DRAWN),
        unit="µs CPU per parcel",
        goal=0.2,
        target=0.4,
        rounds=5,
        note="Valued in blocks, each to the byte as it is alone. Ours lets each of five sources loose and"
        " freezes it on the same draws, twelve valuations beside the whole one, and gives quantiles, shortfall and"
        " sensitivities; the reference draws the same numbers and does one valuation's arithmetic",
    )


# -- files of parcels -------------------------------------------------------------------------------------------------


def bad_file(count: int) -> bytes:
    """A CSV file of which no row can go in; a million of them fill the door."""
    year = clock.today().year
    facts = f"larix_principis:1,2005,85 %,20,{year + 40}-12-01,{year + 20}-12-01"
    ground = "POLYGON ((112.1 39.2, 112.2 39.2, 112.2 39.3, 112.1 39.2))"
    head = "reference,name,county,geometry,species,planted_year,survival,volume_m3_ha,title_until,crediting_until"
    content = "\r\n".join([head, *(f'{n},P,youyu,"{ground}",{facts}' for n in range(count))]).encode()
    assert len(content) <= MAX_FILE or count > 1_000_000
    return content


def parcels_file(count: int) -> bytes:
    """A CSV file of parcels of twelve corners that cover the ground without a gap: each has eight neighbours."""
    lines = [
        "reference,name,county,geometry,species,planted_year,survival,volume_m3_ha,sampling_uncertainty,hazard_fire,"
        "hazard_drought,title_until,crediting_until"
    ]
    corners = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3), (2, 3), (1, 3), (0, 3), (0, 2), (0, 1), (0, 0)]
    columns = max(1, math.ceil(math.sqrt(count)))
    side = 1.2 / columns / 3
    year = clock.today().year
    for n in range(count):
        west, south = 112 + 3 * side * (n % columns), 39 + 3 * side * (n // columns)
        ring = ", ".join(f"{west + side * x:.7f} {south + side * y:.7f}" for x, y in corners)
        lines.append(
            f'P-{n},Parcel {n},youyu,"POLYGON (({ring}))",larix_principis:0.6;pinus_tabuliformis:0.4,{2000 + n % 20},'
            f"0.85,{5 + n % 40},0.15,0.4,0.5,{year + 40}-12-01,{year + 20 + n % 5}-12-01"
        )
    return "\r\n".join(lines).encode()


def _imports(postgres: EmbeddedPostgres) -> Iterator[Row]:
    database = make_database(postgres, "sink", "bench_imports")
    try:
        progress(f"sink: a file of {IMPORTED:,} parcels")
        spent, memory, counts = _imported(database, parcels_file(IMPORTED))
        assert counts == (IMPORTED, 0), counts
        bare = copied(database, ("assets", "valuations", "outbox", "audit_entries"))
        yield Row.of(
            "sink",
            f"file of {IMPORTED:,} parcels registered and valued vs COPY of the same rows",
            [(spent[1], bare / IMPORTED * 1e6)] * 2,
            unit="µs wall per parcel",
            goal=None,
            note=f"{1e6 / spent[1]:.0f} parcels a second, {spent[0]:.0f} µs of each this process's CPU, {memory:.0f} MB"
            " more at most than before: read from CSV, judged, measured, held against the register and each other,"
            " valued over 1,000 paths, told, audited, in batches that each commit. Each touches its eight neighbours."
            " The reference copies the rows of the register, the valuations, the events and the audit. One round",
        )
        progress(f"sink: a file of {BAD:,} rows that cannot go in")
        content = bad_file(BAD)
        spent, memory, counts = _imported(database, content)
        assert counts == (0, BAD), counts
        started = time.perf_counter()
        assert sum(1 for _ in csv.reader(io.StringIO(content.decode(), newline=""), strict=True)) == BAD + 1
        read = (time.perf_counter() - started) / BAD * 1e6
        yield Row.of(
            "sink",
            f"file of {BAD:,} rows none of which can go in vs reading it as CSV",
            [(spent[1], read)] * 2,
            unit="µs wall per row",
            goal=None,
            note=f"{1e6 / spent[1]:.0f} rows a second, {memory:.0f} MB more at most than before: each row judged field"
            " by field, the first 10,000 errors kept, all counted. One round",
        )
    finally:
        database.dispose()


def _imported(database: Database, content: bytes) -> tuple[tuple[float, float], float, tuple[int, int]]:
    """CPU and wall time for a row of a file that is taken in, the most memory meanwhile [MB], and what became of it."""
    rows = content.count(b"\r\n")
    before = memory("VmRSS")
    # From here on, the most that is resident counts anew.
    Path("/proc/self/clear_refs").write_text("5")
    spent = Spent()
    with database.sessions.begin() as session:
        db.act_for(session, BUREAU)
        digest = hashlib.sha256(content).hexdigest()
        one = imports.start_file(
            session,
            io.BytesIO(content),
            size=len(content),
            sha256=digest,
            format_="csv",
            charset="utf-8",
            dry_run=False,
        )
        audit.seal(session)
    while jobs.run_step(database.worker_sessions, DOOR.jobs):
        pass
    per_row, most = spent.per(rows), memory("VmHWM") - before
    with database.sessions.begin() as session:
        db.act_for(session, BUREAU)
        made = session.get_one(AssetImport, one.id)
        return per_row, most, (made.registered, made.refused)


def memory(what: str, process: int | str = "self") -> float:
    """What the system says of a process's memory. [MB]"""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith(what)]
    return int(line.split()[1]) / 1e3


# -- the register -----------------------------------------------------------------------------------------------------


def seed_register(database: Database, count: int) -> None:
    """Fill a register with so many forests, no two alike."""
    with database.sessions.begin() as session:
        db.act_for(session, BUREAU)
        register_asset(session, facts())
        audit.seal(session)
    other = {
        "id": "gen_random_uuid()",
        "name": "'Parcel ' || n",
        "planted_year": "2000 + n % 20",
        "volume_m3_ha": "5 + n % 40",
        "live_share": "1 - (n % 10) * 0.02",
        "crediting_from": "crediting_from - n % 28",
        "verified_on": "verified_on - n % 28",
    }
    with _admin(database) as connection:
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'assets'::regclass AND attnum > 0"
        )
        names = [name for (name,) in columns]
        chosen = ", ".join(other.get(name, name) for name in names)
        connection.execute(
            f"INSERT INTO assets ({', '.join(names)})"  # type: ignore[arg-type]
            f" SELECT {chosen} FROM assets, generate_series(2, {count}) AS n"
        )
        connection.execute("VACUUM ANALYZE assets")


def _register(postgres: EmbeddedPostgres) -> Row:
    database = make_database(postgres, "sink", "bench_sink")
    try:
        progress(f"sink: revaluing {REGISTER:,} forests")
        seed_register(database, REGISTER)
        with database.sessions.begin() as session:
            db.act_for(session, BUREAU)
            curve = propose_curve(session, CURVE, "maker")
            audit.seal(session)
        with database.sessions.begin() as session:
            db.act_for(session, BUREAU)
            decide_curve(session, curve.id, curve.payload_hash, "checker", True)
            audit.seal(session)
        started, cpu = time.perf_counter(), time.process_time()
        while jobs.run_step(database.worker_sessions, DOOR.jobs):
            pass
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        assert _count(database, "valuations") == REGISTER
        bare = copied(database, ("valuations", "outbox"))
        note = (
            f"{REGISTER:,} forests to the last committed valuation and event, {REGISTER / took:.0f} a second,"
            f" {cpu / REGISTER * 1e6:.0f} µs of them this process's CPU: read, valued over {DRAWS:,} paths, stored with"
            " inputs and outputs, told, audited. The reference copies the same rows of valuations and events from"
            " memory into tables without a trigger, a key or a rule, so it is the disk's share and no goal. One round"
        )
        # One round: the register is valued once, and what goes before has warmed up the rest.
        return Row.of(
            "sink",
            "register revalued vs COPY of the same rows",
            [(took / REGISTER * 1e6, bare / REGISTER * 1e6)] * 2,
            unit="µs wall per forest",
            goal=None,
            note=note,
        )
    finally:
        database.dispose()


def copied(database: Database, tables: Sequence[str]) -> float:
    """Wall time of a bare COPY of the rows of these tables. [s]"""
    with _admin(database) as connection:
        kept = {}
        for table in tables:
            buffer = io.BytesIO()
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT") as copy:
                for part in copy:
                    buffer.write(part)
            kept[table] = buffer.getvalue()
            connection.execute(f"CREATE TABLE bare_{table} AS SELECT * FROM {table} WITH NO DATA")
        started = time.perf_counter()
        with connection.transaction():
            for table in tables:
                with connection.cursor() as cursor, cursor.copy(f"COPY bare_{table} FROM STDIN") as copy:
                    copy.write(kept[table])
        return time.perf_counter() - started


def _count(database: Database, table: str) -> int:
    with _admin(database) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
        assert found
        return int(found[0])


def _admin(database: Database) -> "psycopg.Connection[Any]":
    return psycopg.connect(database.admin_url.replace("postgresql+psycopg", "postgresql"), autocommit=True)


def _cpu(work: Callable[[], object], items: int) -> float:
    """CPU of this process for one of so many items. [µs]"""
    before = time.process_time()
    work()
    return (time.process_time() - before) / items * 1e6
