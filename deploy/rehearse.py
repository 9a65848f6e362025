"""Back up, restore to a moment, and look whether what was restored is what was there: `heartwood rehearse-restore`.

A copy of the running cluster is taken (`pg_basebackup`) while its write-ahead log is received (`pg_receivewal`). Then a
moment is named in the log, and another cluster is made from the copy and the log up to that moment, beside the first.
Nothing is stopped and nothing is written to the first one but the moment's name.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, func, make_url, select, text
from sqlalchemy import table as sql_table

from deploy.embedded import (
    Child,
    ChildError,
    EmbeddedPostgres,
    _account,
    _let_through,
    _private_folder,
    postgres_programs,
)
from shared import audit, db, schema

#: The moment's name in the log.
MOMENT = "heartwood rehearsal"


@dataclass
class Backup:
    """A copy of a cluster and the log since, in one folder."""

    folder: Path

    @property
    def base(self) -> Path:
        """The copy of the files."""
        return self.folder / "base"

    @property
    def log(self) -> Path:
        """The write-ahead log since before the copy was begun."""
        return self.folder / "wal"


@dataclass(frozen=True)
class Seen:
    """What a service's database holds: rows by table, and the end of each institution's chain of deeds."""

    rows: Mapping[str, int]
    ends: Mapping[str, tuple[int, bytes]]


@dataclass
class Outcome:
    """What a rehearsal came to."""

    seconds: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    tables: int = 0
    moving: int = 0
    chains: int = 0
    deeds: int = 0
    events: int = 0
    faults: list[str] = field(default_factory=list)


@contextmanager
def backed_up(url: str, folder: Path, patience: float = 600.0) -> Iterator[Backup]:
    """Copy a cluster, given the superuser's address, and receive its log until the block ends."""
    made, account = Backup(folder), _account()
    if account is not None:
        _let_through(folder.parent)
    for place in (folder, made.base, made.log):
        _private_folder(place, account)
    source = "--dbname=" + make_url(url).set(drivername="postgresql", database="postgres").render_as_string(False)
    programs = postgres_programs()
    receiving = Child(
        [programs / "pg_receivewal", source, "--directory", made.log],
        folder / "receive.log",
        account=account,
    )
    try:
        _until(lambda: any(made.log.iterdir()) or not receiving.is_running(), patience)
        if not receiving.is_running():
            raise ChildError(f"the write-ahead log cannot be received:\n{receiving.tail()}")
        options: list[str | Path] = ["--pgdata", made.base, "--wal-method=stream", "--checkpoint=fast", "--no-sync"]
        _run([programs / "pg_basebackup", source, *options], folder, account, patience)
        yield made
    finally:
        receiving.stop(signal.SIGINT, signal.SIGTERM)


def name_moment(url: str, backup: Backup, name: str = MOMENT, patience: float = 60.0) -> None:
    """Name this moment in the log, and wait until the backup has all of it."""
    with _superuser(url) as connection:
        connection.execute(text("SELECT pg_create_restore_point(:n)"), {"n": name})
        segment = connection.scalar(text("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))
        connection.execute(text("SELECT pg_switch_wal()"))
    if not _until(lambda: (backup.log / str(segment)).exists(), patience):
        raise ChildError(f"the write-ahead log did not arrive: {segment} is not in {backup.log}")


def restore(backup: Backup, into: Path, name: str = MOMENT) -> EmbeddedPostgres:
    """Make a cluster of a backup as it was at a named moment, and serve it; to be stopped by the caller."""
    account = _account()
    into.mkdir(parents=True, exist_ok=True)
    # Nobody reads before the moment is reached, so it may have fewer connections than the one that was copied.
    made = EmbeddedPostgres(into, settings={"hot_standby": "off"})
    shutil.copytree(backup.base, made.data, copy_function=shutil.copy2)
    recovery = {
        "restore_command": f"cp '{backup.log}/%f' '%p'",
        "recovery_target_name": name,
        "recovery_target_action": "promote",
    }
    quoted = "".join(f"{key} = '{value.replace(chr(39), chr(39) * 2)}'\n" for key, value in recovery.items())
    # What the site configured is about other paths.
    (made.data / "postgresql.conf").write_text(quoted)
    (made.data / "postgresql.auto.conf").write_text("")
    (made.data / "recovery.signal").touch()
    if account is not None:
        for path in (made.data, *made.data.rglob("*")):
            shutil.chown(path, account.pw_uid, account.pw_gid)
    return made.start(patience=600)


def rehearse(url: str, folder: Path, databases: Mapping[str, str], say: Callable[[str], None]) -> Outcome:
    """Back up, restore to now and compare; `databases` names each service's database in the cluster."""
    outcome = Outcome()
    clock = time.monotonic()

    def passed(what: str) -> None:
        nonlocal clock
        outcome.seconds[what], clock = round(time.monotonic() - clock, 1), time.monotonic()

    say("copying the cluster and receiving its log")
    with backed_up(url, folder / "backup") as backup:
        passed("backup")
        before = {service: look(url, name) for service, name in databases.items()}
        name_moment(url, backup)
        after = {service: look(url, name) for service, name in databases.items()}
        passed("look")
    say("restoring to the moment that was named")
    restored = restore(backup, folder / "restored")
    try:
        passed("restore")
        say("comparing")
        for service, name in databases.items():
            _compare(service, name, before[service], after[service], restored, url, outcome)
        passed("comparison")
    finally:
        restored.stop()
    # Once it lies still: every page against its checksum.
    _run(
        [postgres_programs() / "pg_checksums", "--check", "--pgdata", restored.data],
        folder / "backup",
        _account(),
        600.0,
    )
    passed("checksums")
    return outcome


def look(url: str, database: str) -> Seen:
    """What a database holds, in one snapshot."""
    with _superuser(url, database, isolation_level="REPEATABLE READ") as connection:
        names = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        rows = {name: connection.scalar(select(func.count()).select_from(sql_table(name))) or 0 for name in names}
        heads = select(audit.AuditHead.institution, audit.AuditHead.number, audit.AuditHead.hash)
        return Seen(rows, {whose: (number, digest) for whose, number, digest in connection.execute(heads)})


#: What must be empty in every database, whatever is in it.
UNSOUND = {
    "aggregates whose events are not numbered without a gap up to their last":
        "SELECT s.topic, s.key FROM outbox_sequences s LEFT JOIN outbox o USING (topic, key)"
        " GROUP BY s.topic, s.key, s.last HAVING count(o.id) <> s.last OR max(o.sequence) <> s.last",
    "unsent events that are not there":
        "SELECT id FROM outbox_unsent u WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = u.id)",
    "events that had an effect under a number their aggregate has not reached":
        "SELECT i.event_id FROM inbox i JOIN inbox_sequences s USING (topic, key)"
        " WHERE i.sequence > s.last AND s.last > 0",
}  # fmt: skip
LEDGERS = {
    "sink": {
        "assets whose units are not the sum of their entries":
            "SELECT a.id FROM assets a LEFT JOIN unit_entries e ON e.asset_id = a.id GROUP BY a.id"
            " HAVING (a.retired_tonnes, a.cancelled_tonnes, a.transferred_tonnes) IS DISTINCT FROM"
            " (coalesce(sum(e.tonnes) FILTER (WHERE e.account = 'retired'), 0),"
            " coalesce(sum(e.tonnes) FILTER (WHERE e.account = 'cancelled'), 0),"
            " coalesce(sum(e.tonnes) FILTER (WHERE e.account = 'transferred'), 0))",
        "postings whose lines do not sum to zero":
            "SELECT posting_id FROM unit_entries GROUP BY posting_id HAVING sum(tonnes) <> 0",
    },
    "credit": {
        "loans whose principal is not what their payments say":
            "SELECT l.id FROM loans l LEFT JOIN loan_payments p ON p.loan_id = l.id GROUP BY l.id"
            " HAVING l.principal_repaid <> coalesce(sum(p.principal)"
            " FILTER (WHERE p.source IN ('borrower', 'insurance')), 0)",
        "loans whose debt does not add up":
            "SELECT id FROM loans WHERE disbursed <> principal_repaid + recovered + balance + unrecovered",
    },
}  # fmt: skip


def _compare(
    service: str,
    name: str,
    before: Seen,
    after: Seen,
    restored: EmbeddedPostgres,
    url: str,
    outcome: Outcome,
) -> None:
    """Compare a restored database with what was seen just before and just after the moment, and with itself."""
    address = restored.url("postgres", name)
    found = look(restored.url(), name)
    fault = outcome.faults.append
    for table in sorted({*before.rows, *after.rows, *found.rows}):
        least, most = sorted((before.rows.get(table, -1), after.rows.get(table, -1)))
        outcome.moving += least != most
        if not least <= found.rows.get(table, -1) <= most:
            fault(f"{service}: {table} has {found.rows.get(table)} rows, there were {least} to {most}")
    outcome.tables += len(found.rows)
    outcome.rows += sum(found.rows.values())
    outcome.events += found.rows["outbox"]
    with _superuser(address, name) as connection:
        for what, question in {**UNSOUND, **LEDGERS.get(service, {})}.items():
            if rows := connection.execute(text(question)).all():
                fault(f"{service}: {len(rows)} {what}: {rows[0][0]}")
    owner = db.engine(restored.url(f"{service}_owner", name))
    worker = db.engine(restored.url(f"{service}_worker", name))
    try:
        try:
            schema.demand_current(service, owner)
        except schema.SchemaError as error:
            fault(str(error))
        with db.sessions(worker)() as session:
            for institution in sorted({*found.ends, *before.ends}):
                if broken := audit.verify(session, institution):
                    fault(f"{service}: the chain of {institution} breaks at {broken.number}: {broken.what}")
                number, digest = found.ends.get(institution, (0, b""))
                outcome.chains += 1
                outcome.deeds += number
                if number < before.ends.get(institution, (0, b""))[0]:
                    fault(f"{service}: the last deeds of {institution} are missing: it ends at {number}")
                elif (there := _hash(url, name, institution, number)) != digest:
                    fault(f"{service}: deed {number} of {institution} is {digest.hex()}, it was {(there or b'').hex()}")
    finally:
        owner.dispose()
        worker.dispose()


def _hash(url: str, database: str, institution: str, number: int) -> bytes | None:
    with _superuser(url, database) as connection:
        found: bytes | None = connection.scalar(
            select(audit.AuditEntry.hash).where(
                audit.AuditEntry.institution == institution, audit.AuditEntry.number == number
            )
        )
        return found


@contextmanager
def _superuser(url: str, database: str = "postgres", isolation_level: Any = "AUTOCOMMIT") -> Iterator[Connection]:
    engine = create_engine(make_url(url).set(database=database), isolation_level=isolation_level)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _run(argv: Sequence[str | Path], folder: Path, account: Any, patience: float) -> None:
    child = Child(argv, folder / "programs.log", account=account)
    try:
        code = child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        raise ChildError(f"{argv[0]} did not end in {patience:.0f} s") from None
    if code != 0:
        raise ChildError(f"{argv[0]} failed:\n{child.tail()}")


def _until(condition: Callable[[], bool], patience: float) -> bool:
    end = time.monotonic() + patience
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return holds
