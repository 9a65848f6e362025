"""The embedded stack: PostgreSQL, broker, four services and four workers, all on this machine, in one folder.

Everything is a child of this process and ends with it. A child that ends by itself is started again; a broker that
comes back is a new, empty cluster, so the relays send every event again and the inboxes drop what they know.
"""

import base64
import fcntl
import hashlib
import json
import os
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from deploy.embedded import Child, ChildError, EmbeddedPostgres, TansuBroker, free_port
from deploy.issuer import DevelopmentIssuer
from deploy.serve import WORKBENCH
from shared import database, schema
from shared.db import engine
from shared.schema import SERVICES
from shared.settings import settings

HOST = "127.0.0.1"
#: Ports of the services, counted from the base port in this order.
DEFAULT_PORT = 8101
#: How far from the base port the workbench is.
PAGES = 9
#: How long a child rests before it is started again: longer each time it ends soon. [s]
LONGEST_PAUSE = 10.0


class StackError(RuntimeError):
    """The stack cannot start; says which step failed and what to do."""


@dataclass
class Part:
    """One supervised process: how to start it, and how it has fared."""

    name: str
    start: Callable[[], Any]
    child: Any = None
    started: float = 0.0
    pause: float = 0.2
    starts: int = 0

    def keep_up(self) -> bool:
        """Start it if it does not run and has rested; says whether it was started."""
        if self.child is not None and self.child.is_running():
            return False
        now = time.monotonic()
        if self.starts and now - self.started < self.pause:
            return False
        self.pause = 0.2 if now - self.started > 30 else min(self.pause * 2, LONGEST_PAUSE)
        self.started, self.starts = now, self.starts + 1
        self.child = self.start()
        return True


@dataclass
class Stack:
    """The whole stack in one folder."""

    state: Path
    base_port: int = DEFAULT_PORT
    broker_port: int | None = None
    say: Callable[[str], None] = print
    durable: bool = True
    #: Asked while waiting for the services: whether to give up and end.
    stopping: Callable[[], bool] = lambda: False
    parts: list[Part] = field(default_factory=list)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    _lock: IO[str] | None = None

    def port(self, service: str) -> int:
        """The port of a service."""
        return self.base_port + SERVICES.index(service)

    @property
    def pages_port(self) -> int:
        """The port of the workbench."""
        return self.base_port + PAGES

    @property
    def pages(self) -> str:
        """The address of the workbench."""
        return f"http://{HOST}:{self.pages_port}"

    def metrics_port(self, service: str) -> int:
        """The port of a worker's health and metrics."""
        return self.base_port + 100 + SERVICES.index(service)

    def url(self, service: str) -> str:
        """The address of a service."""
        return f"http://{HOST}:{self.port(service)}"

    def start(self) -> None:
        """Start everything and return when every service is ready."""
        self.state = self.state.resolve()
        try:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take_lock()
        except OSError as error:
            raise StackError(f"cannot write to {self.state} ({error.strerror}): choose another --state") from None
        self._free_ports()
        self.say("starting PostgreSQL")
        self.postgres = EmbeddedPostgres(self.state / "postgres", durable=self.durable)
        self.postgres.start(adopt=True)
        self.say("creating and migrating four databases")
        for service in SERVICES:
            self._prepare(service)
        self.issuer = DevelopmentIssuer(self.state / "issuer", settings({}))
        self.say("starting the broker")
        self.broker = TansuBroker(self.state / "broker", self.broker_port or self._port_for_broker())
        self.broker.start()
        for service in SERVICES:
            self.environment[service] = self._environment(service)
        self.environment[WORKBENCH] = self._pages_environment()
        self.parts = [
            Part("postgres", self._restart_postgres, self.postgres, time.monotonic(), starts=1),
            Part("broker", self._restart_broker, self.broker, time.monotonic(), starts=1),
            *(
                Part(f"{role} {service}", self._starter(role, service))
                for role in ("serve", "work")
                for service in SERVICES
            ),
            Part(f"serve {WORKBENCH}", self._starter("serve", WORKBENCH)),
        ]
        self.say("starting four services, four workers and the workbench")
        self.supervise()
        self._await_ready(90.0)

    def supervise(self) -> None:
        """Start again whatever has ended; to be called every moment."""
        changed = False
        for part in self.parts:
            try:
                started = part.keep_up()
            except ChildError as error:
                # Its turn comes again, after a longer rest each time; the others go on meanwhile.
                self.say(f"{part.name} had ended and could not be started again: {error}")
                continue
            if started:
                changed = True
                if part.starts > 1:
                    self.say(f"{part.name} had ended and was started again")
        if changed:
            self._write_down()

    def stop(self) -> None:
        """Stop everything, services before their database and broker."""
        children = [part.child for part in self.parts[2:] if part.child is not None]
        for child in children:
            child.send(signal.SIGTERM)
        for child in children:
            child.stop(signal.SIGTERM, patience=15)
        for last in ("broker", "postgres"):
            part = getattr(self, last, None)
            if part is not None:
                part.stop()
        if self._lock is not None:  # or the note is somebody else's
            (self.state / "stack.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def token(self, role: str, institution: str, subject: str | None = None) -> str:
        """A development token."""
        return self.issuer.token(role, institution, subject)

    def pid(self, name: str) -> int:
        """Process id of a part."""
        found = next(part for part in self.parts if part.name == name)
        return int(found.child.pid)

    # -- how each part is started ---------------------------------------------------------------------------------

    def _prepare(self, service: str) -> None:
        database.create(self.postgres.url("postgres", "postgres"), service)
        owner = engine(self.postgres.url(f"{service}_owner", service))
        try:
            schema.migrate(service, owner)
        finally:
            owner.dispose()

    def _environment(self, service: str) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONUNBUFFERED": "1",
            # One thread for each process: numpy's own threads would fight over the same few cores.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
            "HEARTWOOD_MODE": "development",
            "HEARTWOOD_DATABASE_URL": self.postgres.url(f"{service}_app", service),
            "HEARTWOOD_WORKER_DATABASE_URL": self.postgres.url(f"{service}_worker", service),
            "HEARTWOOD_OWNER_DATABASE_URL": self.postgres.url(f"{service}_owner", service),
            "HEARTWOOD_KAFKA_BOOTSTRAP": self.broker.bootstrap,
            # This broker makes a topic of four partitions for whoever asks about one it has not got, whether asked to
            # or not. After its restart that may be anybody, so the number must be the same whoever is first.
            "HEARTWOOD_TOPIC_PARTITIONS": "4",
            # This broker lets every join of a group wait half the session timeout, and a fetch half its wait. A member
            # that was taken for dead too soon joins again, and the inbox drops what comes twice.
            "HEARTWOOD_KAFKA_SESSION_TIMEOUT_MS": "2000",
            "HEARTWOOD_KAFKA_FETCH_WAIT_MS": "120",
            "HEARTWOOD_JWKS": str(self.issuer.jwks),
            "HEARTWOOD_HOST": HOST,
            "HEARTWOOD_PORT": str(self.port(service)),
            "HEARTWOOD_METRICS_PORT": str(self.metrics_port(service)),
            "HEARTWOOD_CURSOR_KEY": self._secret("cursor-key"),
            "HEARTWOOD_DATA_KEYS": f"1:{self._key('data-key')} marks:{self._key('marks-key')}",
            "HEARTWOOD_LOG": "json",
        }

    def _pages_environment(self) -> dict[str, str]:
        """The workbench has neither database nor broker: it asks the services."""
        kept = {"PATH", "PYTHONUNBUFFERED", "HEARTWOOD_MODE", "HEARTWOOD_JWKS", "HEARTWOOD_HOST", "HEARTWOOD_LOG"}
        return {
            **{name: value for name, value in self.environment[SERVICES[0]].items() if name in kept},
            "HEARTWOOD_PORT": str(self.pages_port),
            "HEARTWOOD_SERVICES": " ".join(f"{service}={self.url(service)}" for service in SERVICES),
            "HEARTWOOD_STATE": str(self.state),
            "HEARTWOOD_CURSOR_KEY": self._secret("session-key"),
        }

    def _starter(self, role: str, service: str) -> Callable[[], Child]:
        log = self.state / "logs" / f"{role}-{service}.log"
        log.parent.mkdir(exist_ok=True, mode=0o700)

        def start() -> Child:
            command = [sys.executable, "-m", "deploy", role, service]
            return Child(
                command,
                log,
                death_signal=signal.SIGTERM if role == "serve" else signal.SIGKILL,
                cwd=Path(__file__).parent.parent,
                env=self.environment[service],
            )

        return start

    def _restart_postgres(self) -> EmbeddedPostgres:
        self.postgres.start(adopt=True)
        return self.postgres

    def _restart_broker(self) -> TansuBroker:
        self.broker.start()
        return self.broker

    # -- readiness and bookkeeping --------------------------------------------------------------------------------

    def _await_ready(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        waiting = {f"{self.url(service)}/readyz": service for service in SERVICES}
        waiting |= {f"http://{HOST}:{self.metrics_port(service)}/readyz": f"work {service}" for service in SERVICES}
        waiting[f"{self.pages}/alive"] = f"serve {WORKBENCH}"
        while waiting and not self.stopping():
            self.supervise()
            for address in list(waiting):
                if _ready(address):
                    del waiting[address]
            if waiting and time.monotonic() > deadline:
                raise StackError(self._what_is_wrong(list(waiting.values())))
            time.sleep(0.1)

    def _what_is_wrong(self, names: list[str]) -> str:
        lines = [f"not ready: {', '.join(names)}. The last lines of their logs:"]
        for part in self.parts[2:]:
            if any(part.name.endswith(name) for name in names) and part.child is not None:
                lines += [part.name, part.child.tail(6)]
        return "\n".join(lines)

    def _take_lock(self) -> None:
        lock = (self.state / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StackError(f"a stack runs already in {self.state}: stop it, or choose another --state") from None
        self._lock = lock

    def _free_ports(self) -> None:
        for service in SERVICES:
            for port in (self.port(service), self.metrics_port(service), self.pages_port):
                if _listening(port):
                    raise StackError(f"port {port} is taken: choose another with --port, or stop what listens there")
        if self.broker_port is not None and _listening(self.broker_port):
            raise StackError(
                f"port {self.broker_port} is taken: choose another with --broker-port, or stop what listens there"
            )

    def _port_for_broker(self) -> int:
        """Near the services' rather than any free one: those are given to clients too, and one that calls a broker
        which is just away may be given the broker's own port.
        """
        near = self.base_port + 50
        return free_port() if _listening(near) else near

    def _secret(self, name: str) -> str:
        path = self.state / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32), encoding="ascii")
        return path.read_text(encoding="ascii")

    def _key(self, name: str) -> str:
        """A key of 32 bytes that is made once, in base64."""
        return base64.b64encode(hashlib.sha256(self._secret(name).encode()).digest()).decode()

    def _write_down(self) -> None:
        """Leave a note of what runs where, for `heartwood doctor` and for people."""
        note = {
            "pid": os.getpid(),
            "broker": self.broker.bootstrap,
            "services": {service: self.url(service) for service in SERVICES},
            "workbench": self.pages,
            "parts": {part.name: getattr(part.child, "pid", None) for part in self.parts},
        }
        path = self.state / "stack.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(note, indent=2), encoding="utf-8")
        fresh.replace(path)


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Start a stack and stop it, whatever happens between."""
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.3)
        return probe.connect_ex((HOST, port)) == 0
