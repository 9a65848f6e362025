"""Kill -9 of any one process of the running stack during the story changes nothing in its outcome."""

import os
import signal
import threading
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from deploy.demo.player import Account
from deploy.demo.story import Story, short_plan
from deploy.stack import Stack
from shared.schema import SERVICES

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]

PARTS = ["postgres", "broker", *(f"{role} {service}" for role in ("serve", "work") for service in SERVICES)]


def moments(number: int) -> list[tuple[int, int]]:
    """When to kill the so-manieth part: at so many steps of the account, and so many requests and readings later.

    Once while parcels are registered or limits set, once while the banks lend, once in each third of what follows.
    """
    first = (0, 3 + 2 * number) if number % 3 else (3, 2 + number)
    return [first, (4, 4 + 4 * number), (5 + number, 2), (15 + number, 2 + number % 3)]


@dataclass
class Reaper:
    """Keeps the stack up, and kills one part of it at set moments of a story."""

    stack: Stack
    account: Account
    part: str = ""
    moments: list[tuple[int, int]] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    _step: int = 0
    _calls: int = 0
    _timers: list[threading.Timer] = field(default_factory=list)

    def __call__(self) -> None:
        self.stack.supervise()
        if (step := len(self.account.steps)) != self._step:
            self._step, self._calls = step, 0
        self._calls += 1
        if self.moments and (self._step, self._calls) >= self.moments[0]:
            self.moments.pop(0)
            # In the midst of what this request sets going: at once, or up to 45 ms after this.
            pid = self.stack.pid(self.part)
            self._timers.append(threading.Timer(0.015 * len(self._timers), self._kill, [pid]))
            self._timers[-1].start()

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.killed.append(pid)

    def rest(self) -> None:
        """Wait for what was set going."""
        for timer in self._timers:
            timer.join()


def play(stack: Stack, turn: int, part: str = "") -> tuple[Account, list[int]]:
    """Play the short story; the account, and which processes were killed meanwhile."""
    account = Account(Console(quiet="HEARTWOOD_TELL" not in os.environ, width=160))
    reaper = Reaper(stack, account, part, moments(turn - 1) if part else [])
    try:
        Story(stack, account, short_plan(turn), reaper).play()
    finally:
        reaper.rest()
    return account, reaper.killed


@pytest.fixture(scope="module")
def undisturbed(stack: Stack) -> list[str]:
    """The steps of a story that nobody disturbs."""
    account, _ = play(stack, 0)
    assert account.passed, [step for step in account.steps if not step.passed]
    return [step.step for step in account.steps]


@pytest.mark.parametrize("part", PARTS)
def test_the_story_comes_out_the_same_whatever_is_killed(stack: Stack, undisturbed: list[str], part: str) -> None:
    turn = PARTS.index(part) + 1
    planned = len(moments(turn - 1))
    before = {one.name: one.starts for one in stack.parts}
    account, killed = play(stack, turn, part)
    assert [step for step in account.steps if not step.passed] == []
    assert [step.step for step in account.steps] == undisturbed
    assert len(set(killed)) == planned, "each time it was another process"
    again = {one.name: one.starts - before[one.name] for one in stack.parts if one.starts > before[one.name]}
    assert again == {part: planned}, "nobody else had to be started again"
