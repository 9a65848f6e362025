"""A storm: the whole stack in real processes, clients that go on working, and one fault after another.

Between every two parts stands a proxy. When the storm is over, all is mended, the events come to rest, and the books
and the history of the clients are compared: tests/flows/invariants.py, tests/faults/history.py.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import create_engine, text

from deploy.demo.borrowers import organisation_code
from deploy.embedded import SOCKET_NAME
from deploy.stack import Stack, running
from shared import db
from shared.schema import SERVICES
from tests.conftest import Database
from tests.faults.history import Command, History
from tests.faults.proxy import LOOPBACK, Mode, Proxy
from tests.flows.invariants import ALWAYS, SETTLED, Books, audit_chains_hold
from tests.flows.people import People, money
from tests.harness import BANK, GUARANTOR, OTHER_BANK, body
from tests.stack.conftest import free_base

#: Long enough for anything to recover. [s]
PATIENCE = 120.0
#: The state of the stack with its write-ahead log, where a disk of its own can be given to it. [MB]
DISK = 700


class Exposed(Stack):
    """The stack with a proxy between every two of its parts, and a clock for each service that can be set."""

    clock: Path | None = None

    def _environment(self, service: str) -> dict[str, str]:
        made = super()._environment(service)
        if not hasattr(self, "between"):
            self.between = {
                "broker": Proxy(self.broker.port),
                "database": Proxy(self.postgres.socket_dir / SOCKET_NAME),
                **{f"door of {name}": Proxy(self.port(name)) for name in SERVICES},
            }
        made["HEARTWOOD_KAFKA_BOOTSTRAP"] = self.between["broker"].bootstrap
        for name, role in (("HEARTWOOD_DATABASE_URL", "app"), ("HEARTWOOD_WORKER_DATABASE_URL", "worker")):
            made[name] = f"postgresql+psycopg://{service}_{role}@{self.between['database'].bootstrap}/{service}"
        if self.clock is not None:
            step = self.state / f"clock-{service}"
            step.write_bytes(struct.pack("q", 0))
            made |= {"LD_PRELOAD": str(self.clock), "STEPPED_CLOCK": str(step)}
        return made

    def set_clock(self, service: str, seconds: int) -> None:
        """Let this service's processes live so many seconds from now."""
        with (self.state / f"clock-{service}").open("r+b") as file:
            file.write(struct.pack("q", seconds))

    def databases(self) -> dict[str, Database]:
        """The ways into the databases, past the proxy."""
        url = self.postgres.url
        return {
            service: Database(
                service,
                service,
                *(db.engine(url(f"{service}_{role}", service)) for role in ("owner", "app", "worker")),
                url("postgres", service),
            )
            for service in SERVICES
        }


# -- clients ----------------------------------------------------------------------------------------------------------


class UnknownError(Exception):
    """The client gave up: it does not know what became of its command."""


@dataclass(frozen=True)
class Answer:
    """What a client was told, as the tests' other clients give it."""

    status_code: int
    content: str

    def get_json(self, silent: bool = False) -> Any:
        return json.loads(self.content)

    def get_data(self, as_text: bool = True) -> str:
        return self.content


@dataclass
class Caller:
    """Somebody who speaks to a service through its proxy, sends again what was not answered, and writes all down."""

    storm: "Storm"
    service: str
    token: str
    institution: str
    subject: str

    def get(self, path: str, **query: Any) -> Answer:
        answer = self._insist("GET", path, None, {}, PATIENCE)
        if answer is None:
            raise UnknownError(path)
        return answer

    def post(self, path: str, body: Any = None, mark: Any = None, **headers: str) -> Answer:
        key, request_id = str(uuid4()), uuid4().hex
        command = Command(self.service, self.institution, self.subject, path, key, request_id, mark)
        self.storm.history.add(command)
        sent = {"Idempotency-Key": key, "X-Request-Id": request_id}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        # Some people do not ask again.
        patience = 0.0 if int(key[:2], 16) < 64 else PATIENCE
        answer = self._insist("POST", path, json.dumps(body or {}), sent, patience, command)
        if answer is None:
            raise UnknownError(path)
        command.status, command.answer = answer.status_code, answer.get_json()
        return answer

    def _insist(
        self,
        method: str,
        path: str,
        content: str | None,
        headers: dict[str, str],
        patience: float,
        command: Command | None = None,
    ) -> Answer | None:
        end = time.monotonic() + patience
        while True:
            if command is not None:
                command.sent += 1
            answer = self._ask(method, path, content, headers)
            if answer is not None:
                if answer.status_code == 503 or "/in-progress" in answer.content:
                    self.storm.seen["not now (503)" if answer.status_code == 503 else "in progress (409)"] += 1
                else:
                    return answer
            if time.monotonic() >= end:
                return None
            time.sleep(0.1)

    def _ask(self, method: str, path: str, content: str | None, headers: dict[str, str]) -> Answer | None:
        door = self.storm.stack.between[f"door of {self.service}"]
        connection = http.client.HTTPConnection(LOOPBACK, door.port, timeout=5)
        fixed = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, content, fixed | headers)
            answer = connection.getresponse()
            found = Answer(answer.status, answer.read().decode())
        except (OSError, http.client.HTTPException):
            self.storm.seen["no answer"] += 1
            return None
        finally:
            connection.close()
        if found.status_code >= 500 and found.status_code != 503:
            self.storm.failures.append(f"{self.service} {method} {path}: {found.status_code} {found.content[:300]}")
        return found


@dataclass
class Remote:
    """The town as clients of the running stack see it."""

    storm: "Storm"

    def client(self, service: str, role: str, institution: str, subject: str | None = None) -> Caller:
        who = subject or f"{role}@{institution}"
        return Caller(self.storm, service, self.storm.token(role, institution, who), institution, who)

    def pump(self) -> None:
        """Events move by themselves."""


# -- faults -----------------------------------------------------------------------------------------------------------

Harm = Callable[["Storm"], contextlib.AbstractContextManager[str]]


@contextmanager
def killed(storm: "Storm") -> Iterator[str]:
    """kill -9 of any one process; its supervisor starts it again."""
    part = storm.random.choice(storm.parts)
    os.kill(storm.stack.pid(part), signal.SIGKILL)
    yield part


@contextmanager
def asleep(storm: "Storm") -> Iterator[str]:
    """SIGSTOP, and SIGCONT later: whoever took over meanwhile meets it then."""
    part = storm.random.choice(storm.parts)
    pid = storm.stack.pid(part)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield part
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def spoilt(mode: Mode) -> Harm:
    """The connections between two parts do this."""

    @contextmanager
    def harm(storm: "Storm") -> Iterator[str]:
        name = storm.random.choice([*storm.stack.between, "broker", "database"])
        proxy = storm.stack.between[name]
        proxy.spoil(mode)
        try:
            yield name
        finally:
            if mode is not Mode.DELAY:
                proxy.spoil(Mode.RESET)
            proxy.spoil(Mode.PASS)

    return harm


@contextmanager
def database_restarted(storm: "Storm") -> Iterator[str]:
    """PostgreSQL is stopped in good order, sessions cut off, and started again."""
    storm.stack.postgres.stop()
    yield "postgres"


@contextmanager
def read_only(storm: "Storm") -> Iterator[str]:
    """Every transaction of the cluster may only read, as on a standby."""
    storm.administer("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        yield "postgres"
    finally:
        storm.administer("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@contextmanager
def disk_full(storm: "Storm") -> Iterator[str]:
    """Nothing more can be written: no row, no log, no write-ahead log."""
    filler = storm.stack.state / "filler"
    try:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(64 * 1024))
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(512))
        yield "everything"
    finally:
        filler.unlink()


@contextmanager
def clock_set(storm: "Storm") -> Iterator[str]:
    """The clock of one service leaps, and comes back later. Backwards by less than tokens are allowed to differ."""
    service, seconds = storm.random.choice(SERVICES), storm.random.choice((-50, 50, 7200))
    storm.stack.set_clock(service, seconds)
    try:
        yield f"{service} {seconds:+} s"
    finally:
        storm.stack.set_clock(service, 0)


FAULTS: dict[str, Harm] = {
    "kill -9": killed,
    "stopped and continued": asleep,
    "slow connections": spoilt(Mode.DELAY),
    "connections that swallow": spoilt(Mode.BLACK_HOLE),
    "connections cut": spoilt(Mode.RESET),
    "answers lost": spoilt(Mode.DROP),
    "connections half closed": spoilt(Mode.HALF_CLOSE),
    "database restarted": database_restarted,
    "database read-only": read_only,
    "disk full": disk_full,
    "clock set": clock_set,
}


# -- the storm --------------------------------------------------------------------------------------------------------


@dataclass
class Storm:
    """One run: what was done, what was seen, and what is wrong."""

    stack: Exposed
    random: random.Random
    history: History = field(default_factory=History)
    harms: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    say: Callable[[str], None] = lambda line: None
    #: Kinds of faults that cannot be had here, and why.
    missing: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    places: Iterator[int] = field(default_factory=itertools.count)
    borrowers: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(1, 10_000)))
    fen: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _tokens: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def parts(self) -> list[str]:
        """Every process but the pages."""
        return [part.name for part in self.stack.parts if not part.name.endswith("workbench")]

    def token(self, role: str, institution: str, subject: str) -> str:
        """A token, the same one for the same person."""
        who = (role, institution, subject)
        if who not in self._tokens:
            self._tokens[who] = self.stack.token(*who)
        return self._tokens[who]

    def administer(self, *statements: str) -> None:
        """Tell the cluster something, as its superuser; again until it listens."""
        end = time.monotonic() + PATIENCE
        engine = create_engine(self.stack.postgres.url(), isolation_level="AUTOCOMMIT")
        try:
            while True:
                try:
                    with engine.connect() as connection:
                        for statement in statements:
                            connection.execute(text(statement))
                    return
                except Exception:
                    if time.monotonic() > end:
                        raise
                    self.stack.supervise()
                    time.sleep(0.1)
        finally:
            engine.dispose()

    def rage(self, seconds: float, clients: int, pause: float) -> None:
        """One fault after another while clients work: every kind once before any comes again, and once at least."""
        people = People(Remote(self))  # type: ignore[arg-type]
        people.set_profile(GUARANTOR)
        threads = [
            threading.Thread(target=self._live, args=(bank,), name=f"client {n}")
            for n, bank in zip(range(clients), itertools.cycle((BANK, OTHER_BANK)), strict=False)
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        kinds = [kind for kind in FAULTS if kind not in self.missing]
        left = self.random.sample(kinds, len(kinds))
        try:
            while time.monotonic() < end or len(self.harms) < len(kinds):
                left = left or self.random.sample(kinds, len(kinds))
                kind = left.pop()
                with FAULTS[kind](self) as where:
                    self.say(f"{kind}: {where}")
                    self.harms[kind] += 1
                    self._supervised(self.random.uniform(0.5, 1.0) * pause)
                self._supervised(self.random.uniform(0.3, 0.6) * pause)
        finally:
            self.over.set()
            while any(thread.is_alive() for thread in threads):
                self._supervised(0.1)

    def _supervised(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):  # its notes and logs have no room either on a full disk
                self.stack.supervise()
            if time.monotonic() >= end:
                return
            time.sleep(0.1)

    def settle(self, books: Books) -> list[str]:
        """Wait until all services have heard everything; then every fault in the books and in the history."""
        end = time.monotonic() + PATIENCE
        while True:
            self._supervised(0.2)
            try:
                # Twice in a row: between two readings nothing may have moved either.
                if not books.faults(*SETTLED) and not books.faults(*SETTLED):
                    break
            except Exception as error:
                self.say(f"the databases are not back yet: {type(error).__name__}")
                books.close()
                books.open()
            if time.monotonic() > end:
                break
        found = books.faults(*ALWAYS, *SETTLED, audit_chains_hold)
        return [*self.failures, *found, *self.history.faults(books)]

    # -- what clients do -------------------------------------------------------------------------------------------

    def _live(self, bank: str) -> None:
        people = People(Remote(self))  # type: ignore[arg-type]
        while not self.over.is_set():
            try:
                self._lend(people, bank)
            except UnknownError:
                self.seen["given up"] += 1
            except AssertionError as refusal:
                self.seen["refused"] += 1
                self.say(f"refused: {str(refusal)[:200]}")

    def _lend(self, people: People, bank: str) -> None:
        """A forest, a loan on it, its money and some of it back: until something stands in the way."""
        people.assets = [""] * next(self.places)  # the next forest is beside all others
        (forest,) = people.register_forests()
        # No two sums are alike, so that a row tells which command it comes from.
        amount = Decimal(12_000) + Decimal(next(self.fen)) / 100
        # Nor do two borrowers share a limit.
        borrower = organisation_code("cooperative", next(self.borrowers))
        application = people.application(forest) | {"amount": money(amount), "borrower_reference": borrower}
        officer = people.officer(bank)
        answer = officer.post("/v1/loans", application, mark=("loans", "amount", amount))  # type: ignore[call-arg]
        loan = str(body(answer, 201)["id"])
        if self._comes_to(people, loan, bank, "proposed"):
            people.approve(loan, bank)
            people.on(loan, "acceptance", bank=bank)
        if self._comes_to(people, loan, bank, "ready"):
            people.on(loan, "disbursement", bank=bank)
            for _ in range(3):
                paid = Decimal(100) + Decimal(next(self.fen)) / 100
                version = f'"v{people.loan(loan, bank)["version"]}"'
                mark = ("loan_payments", "amount", paid)
                path = f"/v1/loans/{loan}/repayments"
                given = {"amount": money(paid)}
                body(officer.post(path, given, mark=mark, If_Match=version), 201)  # type: ignore[call-arg]
            self.seen["loans paid out"] += 1

    def _comes_to(self, people: People, loan: str, bank: str, state: str) -> bool:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not self.over.is_set():
            found = people.state(loan, bank)
            if found in (state, "declined", "withdrawn", "expired", "referred"):
                return found == state
            time.sleep(0.1)
        return False


@dataclass(frozen=True)
class Told:
    """What a storm came to."""

    storm: Storm
    events: int
    loans: Counter[str]
    faults: list[str]


def play(
    seconds: float,
    seed: int = 1,
    clients: int = 3,
    pause: float = 3.0,
    say: Callable[[str], None] = lambda line: None,
    afterwards: Callable[[Storm, Books], None] = lambda storm, books: None,
) -> Told:
    """A stack, a storm of so many seconds, and the reckoning. `afterwards` may look, and do harm, before the end."""
    with _place() as (folder, no_disk), _clock() as (clock, no_clock):
        made = Exposed(folder, free_base(), say=say)
        made.clock = clock
        missing = {"disk full": no_disk, "clock set": no_clock}
        with running(made) as stack:
            storm = Storm(made, random.Random(seed), say=say, missing={k: why for k, why in missing.items() if why})
            try:
                storm.rage(seconds, clients, pause)
                for proxy in stack.between.values():
                    proxy.spoil(Mode.PASS)
                databases = stack.databases()
                books = Books(databases)
                try:
                    books.open()
                    faults = storm.settle(books)
                    events = sum(len(books.rows(service, "outbox")) for service in SERVICES)
                    loans = Counter(loan.state for loan in books.rows("credit", "loans"))
                    afterwards(storm, books)
                finally:
                    books.close()
                    for database in databases.values():
                        database.dispose()
            finally:
                for proxy in stack.between.values():
                    proxy.__exit__(None, None, None)
    return Told(storm, events, loans, faults)


@contextmanager
def _place() -> Iterator[tuple[Path, str]]:
    """A folder, on a small disk of its own if that can be had; or else why not."""
    folder = Path(tempfile.mkdtemp(prefix="hw-"))
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        asked = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=755", "heartwood", str(folder)]
        mounted = subprocess.run(asked, capture_output=True).returncode == 0
    try:
        yield folder, "" if mounted else "a small file system can be mounted by root only"
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _clock() -> Iterator[tuple[Path | None, str]]:
    """A library that sets the clock of the processes that load it; or else why not."""
    compiler = shutil.which("cc")
    with tempfile.TemporaryDirectory(prefix="hw-") as folder:
        made = Path(folder) / "clock.so"
        source = Path(__file__).with_name("clock.c")
        asked = [compiler or "cc", "-shared", "-fPIC", "-O2", "-o", str(made), str(source), "-ldl"]
        if compiler is None or subprocess.run(asked, capture_output=True).returncode:
            yield None, "the clock of a process is set by a library that needs a C compiler"
        else:
            yield made, ""
