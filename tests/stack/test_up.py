"""`heartwood up`: ended, killed, started again, started twice; and what `heartwood doctor` says of each."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from deploy.demo.player import Account, until
from deploy.demo.story import Story, _pages, short_plan
from deploy.embedded import LOOPBACK, EmbeddedPostgres
from deploy.issuer import DevelopmentIssuer
from deploy.stack import Stack
from shared.schema import SERVICES
from shared.settings import settings
from tests.stack.conftest import Command, _is_free, eventually, free_base, heartwood, is_alive, noted

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]
Start = Callable[..., Command]
READY = "Ctrl-C stops everything"
OFFSETS = (0, 1, 2, 3, 9, 100, 101, 102, 103)


def from_outside(state: Path, base: int) -> Stack:
    """A stack that somebody else runs, as far as a story needs one."""
    stack = Stack(state, base)
    stack.issuer = DevelopmentIssuer(state / "issuer", settings({}))
    postgres = EmbeddedPostgres(state / "postgres")
    for service in SERVICES:
        stack.environment[service] = {"HEARTWOOD_WORKER_DATABASE_URL": postgres.url(f"{service}_worker", service)}
    return stack


def sessions_of(postmaster: int) -> set[int]:
    """The processes of a PostgreSQL."""
    found = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return {postmaster, *map(int, found)}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_a_story_survives_that_everything_is_killed_and_started_again(place: Path, start: Start) -> None:
    """Kill -9 of `up` in the middle of lending and in the middle of what the price fall sets going."""
    base = free_base()
    ups = [start("up", "--state", place, "--port", str(base))]
    ups[0].says(READY)
    stack, account = from_outside(place, base), Account(Console(quiet=True))
    steps, calls, before = [4, 15], 0, 0

    def meanwhile() -> None:
        nonlocal calls, before
        calls = calls + 1 if len(account.steps) == before else 1
        before = len(account.steps)
        if not steps or (before, calls) < (steps[0], 9):
            return
        steps.pop(0)
        processes = set(noted(place).values())
        processes |= sessions_of(noted(place)["postgres"])
        ups[-1].send(signal.SIGKILL)
        assert ups[-1].wait() == -signal.SIGKILL
        assert eventually(lambda: not any(is_alive(pid) for pid in processes)), "everything is gone with it"
        code, told = heartwood("doctor", "--state", place, "--port", str(base))
        assert code == 1
        assert "it was killed: run" in told
        ups.append(start("up", "--state", place, "--port", str(base)))
        ups[-1].says(READY)

    story = Story(stack, account, short_plan(0), meanwhile)
    story.play()
    assert steps == [], "it was killed twice"
    assert [step for step in account.steps if not step.passed] == []

    def versions() -> tuple[dict[str, int], dict[str, int]]:
        register = _pages(story.bureau(), "/v1/assets")
        copies = _pages(story.officer("bank-yanmen"), "/v1/valuations")
        return {a["id"]: a["valuation_version"] for a in register}, {c["asset_id"]: c["version"] for c in copies}

    ours, copies = until(versions, lambda both: both[0] == both[1])
    assert len(ours) == 12
    assert ours == copies, "credit's copies are complete and the latest"
    ups[-1].send(signal.SIGTERM)
    assert ups[-1].wait() == 0


def test_a_stack_ends_in_good_order_and_is_refused_beside_itself(place: Path, start: Start) -> None:
    base, state = free_base(), place / "one"
    up = start("up", "--state", state, "--port", str(base))
    up.says(READY)
    processes = set(noted(state).values()) | sessions_of(noted(state)["postgres"])
    assert len(processes) > 11
    assert all(is_alive(pid) for pid in processes)

    code, told = heartwood("doctor", "--state", state, "--port", str(base))
    assert code == 0, told
    for service in SERVICES:
        assert f"{service}: ready" in told

    code, told = heartwood("up", "--state", state, "--port", str(free_base()))
    assert (code, told) == (1, f"a stack runs already in {state}: stop it, or choose another --state\n")
    assert noted(state)["up"] == up.pid, "the refused one leaves the note of the other"

    code, told = heartwood("up", "--state", place / "two", "--port", str(base))
    assert (code, told) == (1, f"port {base} is taken: choose another with --port, or stop what listens there\n")
    code, told = heartwood("doctor", "--state", place / "two", "--port", str(base))
    assert code == 1
    assert f"port {base} (sink): taken" in told
    assert "→ stop what listens there, or use --port" in told

    up.send(signal.SIGINT)
    assert up.wait() == 0
    assert "stopped; start again with the same command, nothing is lost" in up.said()
    assert not any(is_alive(pid) for pid in processes)
    assert all(_is_free(base + offset) for offset in OFFSETS)
    assert not (state / "stack.json").exists()

    code, told = heartwood("doctor", "--state", state, "--port", str(base))
    assert code == 0, told


def test_an_order_to_stop_is_heard_while_it_starts(place: Path, start: Start) -> None:
    base = free_base()
    up = start("up", "--state", place, "--port", str(base))
    up.says("starting four services, four workers and the workbench")
    assert eventually(lambda: (place / "stack.json").exists())
    processes = set(noted(place).values())
    up.send(signal.SIGTERM)
    assert up.wait() == 0
    assert READY not in up.said()
    assert not any(is_alive(pid) for pid in processes)
    assert all(_is_free(base + offset) for offset in OFFSETS)


@pytest.mark.parametrize(("offset", "option"), [(101, "--port"), (None, "--broker-port")])
def test_a_taken_port_is_told_with_what_to_do(place: Path, offset: int | None, option: str) -> None:
    base = free_base()
    with socket.socket() as taken:
        taken.bind((LOOPBACK, base + offset if offset else 0))
        taken.listen()
        port = taken.getsockname()[1]
        more = ["--broker-port", str(port)] if offset is None else []
        code, told = heartwood("up", "--state", place, "--port", str(base), *more)
    assert (code, told) == (1, f"port {port} is taken: choose another with {option}, or stop what listens there\n")


def test_the_doctor_finds_no_fault_with_a_good_machine(place: Path) -> None:
    code, told = heartwood("doctor", "--state", place / "none" / "yet", "--port", str(free_base()))
    assert code == 0, told
    assert told.count("ok") >= 10
    assert not (place / "none").exists(), "it looks and touches nothing"


def test_the_doctor_finds_a_metrics_port_that_is_taken(place: Path) -> None:
    base = free_base()
    with socket.socket() as taken:
        taken.bind((LOOPBACK, base + 102))
        taken.listen()
        code, told = heartwood("doctor", "--state", place, "--port", str(base))
    assert code == 1
    assert f"port {base + 102} (insurance's worker): taken" in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_told(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o500)
    code, told = heartwood("doctor", "--state", closed / "stack", "--port", str(free_base()))
    assert code == 1
    assert "choose a --state that you may write to" in told
    code, told = heartwood("up", "--state", closed / "stack", "--port", str(free_base()))
    assert code == 1
    assert len(told.splitlines()) == 1
    assert "choose another --state" in told


def test_a_state_that_is_no_folder_is_told(place: Path) -> None:
    (place / "file").write_text("")
    code, told = heartwood("up", "--state", place / "file", "--port", str(free_base()))
    assert code == 1
    assert len(told.splitlines()) == 1
    assert "choose another --state" in told
    code, told = heartwood("doctor", "--state", place / "file", "--port", str(free_base()))
    assert code == 1
    assert "choose a --state that you may write to" in told
