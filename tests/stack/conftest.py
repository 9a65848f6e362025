"""The whole stack in real processes: one for all stories, and short-lived ones that are started and ended by tests."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import LOOPBACK
from deploy.stack import Stack, running

ROOT = Path(__file__).parents[2]


def eventually(condition: Callable[[], Any], seconds: float = 180.0) -> Any:
    """Wait until something holds; its last value."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def free_base() -> int:
    """A base port with room for four services and four workers, below the ports that systems give to clients."""
    while True:
        base = random.randrange(12_000, 30_000, 10)
        if all(_is_free(base + offset) for offset in (0, 1, 2, 3, 9, 100, 101, 102, 103)):
            return base


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_alive(pid: int) -> bool:
    """Whether a process still does anything; one that ended and was not buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Command:
    """A `heartwood` command in a process of its own; what it prints is kept."""

    def __init__(self, *arguments: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
        self.output = tempfile.TemporaryFile(prefix="hw-command-")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy", *map(str, arguments)],
            cwd=cwd,
            env={**(os.environ if env is None else env), "COLUMNS": "160"},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        with open(f"/proc/self/fd/{self.output.fileno()}", "rb") as reader:
            return reader.read().decode(errors="replace")

    def says(self, what: str, seconds: float = 180.0) -> None:
        """Wait until it has said something; fail, with what it said instead, if it ends or goes on without."""
        eventually(lambda: what in self.said() or self.process.poll() is not None, seconds)
        assert what in self.said(), self.said()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 180.0) -> int:
        """Its exit code."""
        return self.process.wait(seconds)

    def end(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()
        self.process.wait()
        self.output.close()


def heartwood(*arguments: str | Path, **more: Any) -> tuple[int, str]:
    """Run a command to its end: exit code and what it printed."""
    command = Command(*arguments, **more)
    try:
        return command.wait(180), command.said()
    finally:
        command.end()


@pytest.fixture
def start() -> Iterator[Callable[..., Command]]:
    """Start commands that end with the test."""
    started: list[Command] = []

    def make(*arguments: str | Path, **more: Any) -> Command:
        started.append(Command(*arguments, **more))
        return started[-1]

    yield make
    for command in started:
        command.end()


def noted(state: Path) -> dict[str, int]:
    """The processes that a running stack has written down, its own first."""
    note = json.loads((state / "stack.json").read_text())
    return {"up": note["pid"], **note["parts"]}


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, so that a socket fits; pytest's own temporary folders are closed to PostgreSQL's account."""
    folder = Path(tempfile.mkdtemp(prefix="hw-"))
    yield folder
    # After a test that failed, a PostgreSQL may be about to end there.
    eventually(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists(), 20)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One durable stack for a file of stories; it ends with them, for even an idle one keeps a core half busy."""
    folder = Path(tempfile.mkdtemp(prefix="hw-"))
    with running(Stack(folder, free_base(), durable=True)) as made:
        yield made
    if "HEARTWOOD_KEEP_LOGS" not in os.environ:
        shutil.rmtree(folder)
