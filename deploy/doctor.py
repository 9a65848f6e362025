"""What keeps Heartwood from running on a machine, each finding with its fix."""

import fcntl
import importlib.util
import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.stack import HOST, PAGES
from shared.schema import SERVICES


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    found: str
    fix: str = ""


def examine(state: Path, port: int) -> list[Finding]:
    """Look at everything the stack needs; a check that fails itself is a finding too."""
    checks: list[Callable[[], Iterator[Finding]]] = [_python, _libraries, _binaries, lambda: _disk(state), _clock]
    running = state / "stack.json"
    checks.append((lambda: _stack(running)) if running.exists() else (lambda: _ports(port)))
    findings = []
    for check in checks:
        try:
            findings += list(check())
        except Exception as error:
            findings.append(Finding("check", False, f"{type(error).__name__}: {error}", "report this with its text"))
    return findings


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or later, then `make setup`")


def _libraries() -> Iterator[Finding]:
    fast = importlib.util.find_spec("crc32c") is not None
    yield Finding("crc32c", fast, "compiled" if fast else "pure Python, 7 times slower", "run `make setup`")
    import psycopg

    kind = psycopg.pq.__impl__
    yield Finding("psycopg", kind in ("binary", "c"), kind, "run `make setup`: psycopg[binary] is missing")


def _binaries() -> Iterator[Finding]:
    from deploy.embedded import postgres_programs

    try:
        folder = postgres_programs()
        yield Finding("PostgreSQL", True, str(folder.name))
    except Exception as error:
        yield Finding("PostgreSQL", False, str(error), "run `make setup`, or use a PostgreSQL of your own")


def _disk(state: Path) -> Iterator[Finding]:
    place = state
    while not place.exists():
        place = place.parent if place.parent != place else Path()
    free = shutil.disk_usage(place).free / 1e9
    yield Finding("disk", free > 2, f"{free:.1f} GB free", "free at least 2 GB, or choose another --state")
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    yield Finding("state folder", writable, str(state), "choose a --state that you may write to")


def _clock() -> Iterator[Finding]:
    year = time.gmtime().tm_year
    yield Finding("clock", 2025 < year < 2100, f"{year}", "set the clock: deadlines and tokens depend on it")


def _ports(port: int) -> Iterator[Finding]:
    wanted = {port + offset: service for offset, service in enumerate(SERVICES)}
    wanted[port + PAGES] = "the workbench"
    wanted |= {port + 100 + offset: f"{service}'s worker" for offset, service in enumerate(SERVICES)}
    for number, user in wanted.items():
        with socket.socket() as probe:
            probe.settimeout(0.3)
            taken = probe.connect_ex((HOST, number)) == 0
        found = "taken" if taken else "free"
        yield Finding(f"port {number} ({user})", not taken, found, "stop what listens there, or use --port")


def _stack(note: Path) -> Iterator[Finding]:
    running = json.loads(note.read_text(encoding="utf-8"))
    fix = "it was killed: run `heartwood up` again with the same --state, nothing is lost"
    if not _is_held(note.with_name("lock")):
        yield Finding("stack", False, f"process {running['pid']} has ended and left its note behind", fix)
        return
    yield Finding("stack", True, f"process {running['pid']}")
    for service, address in running["services"].items():
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=3) as answer:  # noqa: S310 - our own address
                state = json.load(answer)
        except OSError as error:
            state = {"ready": False, "service": f"no good answer ({error})"}
        wrong = "; ".join(f"{part}: {text}" for part, text in state.items() if isinstance(text, str) and text != "ok")
        yield Finding(service, bool(state["ready"]), wrong or "ready", f"look into the log of serve-{service}")


def _is_held(lock: Path) -> bool:
    """Whether a running stack holds its lock: a process id may be somebody else's by now."""
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
