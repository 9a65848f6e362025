"""How a story is played: people who speak HTTP to the services, steps that compare, an account that is kept."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from shared.ids import uuid7

T = TypeVar("T")


class RefusedError(RuntimeError):
    """A service answered with a problem where the story needs it to go on."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status, self.problem = status, problem


@dataclass(frozen=True)
class Person:
    """Somebody at an institution, by role, with a token; speaks to one service's API."""

    address: str
    token: str
    #: A connection that fails is tried again with the same key for so long: services may be restarted meanwhile. [s]
    patience: float = 60.0
    #: What to do before each try: keep the stack up, say.
    meanwhile: Callable[[], None] = lambda: None

    def get(self, path: str) -> Any:
        """Read; a RefusedError carries any problem."""
        return self._speak("GET", path, None, {})[1]

    def post(self, path: str, body: Any = None, *, etag: str | None = None) -> Any:
        """Write once, however often the connection fails; a RefusedError carries any problem."""
        return self.send(path, body, etag=etag)[1]

    def send(self, path: str, body: Any = None, *, etag: str | None = None, key: str | None = None) -> tuple[int, Any]:
        """Write and say the status too."""
        headers = {"Idempotency-Key": key or str(uuid7())}
        if etag:
            headers["If-Match"] = etag
        return self._speak("POST", path, {} if body is None else body, headers)

    def on(self, path: str, command: str, body: Any = None) -> Any:
        """Read a resource and send a command to it, with the version that was read; again if it changed meanwhile."""
        for _ in range(5):
            version = self.get(path)["version"]
            try:
                return self.post(f"{path}/{command}", body, etag=f'"v{version}"')
            except RefusedError as refusal:
                if refusal.status != 412:
                    raise
        raise TimeoutError(f"{path} kept changing")

    def _speak(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        deadline, pause = time.monotonic() + self.patience, 0.05
        while True:
            self.meanwhile()
            request = urllib.request.Request(  # noqa: S310 - the address is the stack's own
                self.address + path,
                None if body is None else json.dumps(body).encode(),
                {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers},
                method=method,
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                problem = _problem(error)
                if error.code not in (503, 429) and problem.get("type", "").rpartition("/")[2] != "in-progress":
                    raise RefusedError(error.code, problem) from None
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{method} {path}: {error}") from None
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: no answer that holds")
            time.sleep(pause)
            pause = min(pause * 2, 0.5)


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.load(error)
    except ValueError:
        found = {"title": error.reason}
    return found


@dataclass(frozen=True)
class Step:
    """One comparison of the story."""

    step: str
    service: str
    expected: Any
    observed: Any
    passed: bool


@dataclass
class Account:
    """What happened, in order; each step passes if what was observed is what was expected."""

    console: Console
    began: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print(f"\n[bold]{title}[/bold]")

    def tell(self, text: str) -> None:
        """Say something that needs no comparison."""
        self.console.print(f"  [dim]{text}[/dim]", highlight=False)

    def check(self, step: str, service: str, expected: Any, observed: Any, figures: str = "") -> bool:
        """Compare and write down; say it in one line."""
        passed = bool(expected == observed)
        self.steps.append(Step(step, service, expected, observed, passed))
        mark = "[green]✓[/green]" if passed else "[red]✗[/red]"
        found = "" if passed else f" [red]expected {expected}, observed {observed}[/red]"
        self.console.print(f"  {mark} {step}{f' — {figures}' if figures else ''}{found}", highlight=False)
        return passed

    @property
    def passed(self) -> bool:
        """Whether every step came out as expected."""
        return bool(self.steps) and all(step.passed for step in self.steps)

    def write(self, path: Path) -> float:
        """Write the account as JSON; returns the seconds it took."""
        seconds = round(time.monotonic() - self.began, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        steps = [asdict(step) for step in self.steps]
        path.write_text(
            json.dumps({"seconds": seconds, "steps": steps}, indent=2, ensure_ascii=False, default=str) + "\n",
            encoding="utf-8",
        )
        return seconds


def until(
    read: Callable[[], T],
    good: Callable[[T], bool],
    meanwhile: Callable[[], None] = lambda: None,
    patience: float = 60.0,
) -> T:
    """Read again and again until it is good, or patience ends; returns what was read last. Events take their time."""
    deadline = time.monotonic() + patience
    while True:
        found = read()
        if good(found) or time.monotonic() > deadline:
            return found
        meanwhile()
        time.sleep(0.1)
