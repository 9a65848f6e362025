"""The whole stack in real processes: one for all stories, and short-lived ones that are started and ended by tests."""

import os
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import LOOPBACK
from deploy.stack import Stack, running

ROOT = Path(__file__).parents[2]


def eventually(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until something holds; its last value."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def free_base() -> int:
    """A base port with room for four services and four workers, below the ports that systems give to clients."""
    while True:
        base = random.randrange(12_000, 30_000, 10)
        if all(_is_free(base + offset) for offset in (0, 1, 2, 3, 100, 101, 102, 103)):
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


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, so that a socket fits; pytest's own temporary folders are closed to PostgreSQL's account."""
    folder = Path(tempfile.mkdtemp(prefix="hw-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One durable stack for all stories."""
    folder = Path(tempfile.mkdtemp(prefix="hw-"))
    with running(Stack(folder, free_base(), durable=True)) as made:
        yield made
    if "HEARTWOOD_KEEP_LOGS" not in os.environ:
        shutil.rmtree(folder)
