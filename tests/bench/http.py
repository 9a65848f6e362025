"""The HTTP door: a scored application against the least Flask can do, on the same server, over loopback."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.embedded import EmbeddedPostgres, answers, free_port
from tests.bench.harness import Row, compare, measure
from tests.conftest import Database, make_database
from tests.credit.story import ASSET, OTHER_ASSET, valued
from tests.harness import BANK, deliver, issuer, token

REQUESTS = 2000
CONNECTIONS = 8
ROUNDS = 7
#: What both sides are told about threads.
PINNED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SCORE = {
    "borrower_kind": "cooperative",
    "industry": "022",
    "employees": 8,
    "new_business": False,
    "revolving": False,
    "low_doc": False,
    "amount": {"amount": "1000000.00", "currency": "CNY"},
    "term_months": 36,
    "guaranteed_share": "0.8",
    "assets": [],
}
PLEDGED = SCORE | {"assets": [{"asset_id": str(one), "tonnes": "20000.000"} for one in (ASSET, OTHER_ASSET)]}


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    pid: int
    port: int

    def cpu(self) -> float:
        """User and system time of the process so far. [s]"""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        # Fields 14 to 17 of proc(5): its own time and that of the children it has waited for.
        return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure score against echo, alone and with forests."""
    database = make_database(postgres, "credit", "bench_http")
    try:
        for asset in (ASSET, OTHER_ASSET):
            deliver("credit", database, valued(asset))
        with ExitStack() as stack:
            load = stack.enter_context(generator())
            echo = stack.enter_context(server("echo", {}))
            credit = stack.enter_context(server("credit", _environment(database)))
            return _rows(load, echo, credit)
    finally:
        database.dispose()


def _rows(load: "Load", echo: Server, credit: Server) -> list[Row]:
    asked, pledged = _request(SCORE, "officer"), _request(PLEDGED, "officer")
    bare = _request(SCORE, None)

    def cost(server: Server, request: bytes, count: int = REQUESTS) -> float:
        before, seconds = server.cpu(), load(server, request, count)
        walls.setdefault(request, []).append(seconds / count * 1e6)
        return (server.cpu() - before) / count * 1e6

    walls: dict[bytes, list[float]] = {}
    costs = measure("http: score against echo", lambda: cost(credit, asked), lambda: cost(echo, bare), ROUNDS)
    unforested = [
        Row.of(
            "http",
            "score without forests vs Flask echo, CPU of the server",
            costs,
            unit="µs CPU per request",
            goal=0.55,
            target=0.70,
            note=f"{REQUESTS} requests a round on {CONNECTIONS} kept connections, waitress with 8 threads; ours checks"
            " a token and the body, scores, gives reasons and logs; the echo reads and writes the same body",
        ),
        Row.of(
            "http",
            "score without forests vs Flask echo, wall",
            list(zip(walls[asked], walls[bare], strict=True)),
            unit="µs wall per request",
            goal=0.55,
            note="the inverse of requests per second, in the same rounds; the load generator shares the cores",
        ),
    ]
    forests = compare(
        "http",
        "score with two forests vs Flask echo, CPU of the server",
        lambda: cost(credit, pledged, REQUESTS // 2),
        lambda: cost(echo, bare, REQUESTS // 2),
        unit="µs CPU per request",
        goal=None,
        rounds=5,
        note="reads both valuations in one statement of one transaction; for information",
    )
    return [*unforested, forests]


def _request(body: dict[str, Any], role: str | None) -> bytes:
    return request("/v1/score", json.dumps(body).encode(), token(role, BANK) if role else "")


def request(path: str, content: bytes, bearer: str) -> bytes:
    """A POST of JSON as it goes over the wire."""
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    head += [f"Content-Length: {len(content)}"]
    head += [f"Authorization: Bearer {bearer}"] if bearer else []
    return "\r\n".join([*head, "", ""]).encode() + content


def cpu_of(work: Callable[[], object]) -> float:
    """CPU time of this process for a piece of work. [s]"""
    before = time.process_time()
    work()
    return time.process_time() - before


def _environment(database: Database) -> dict[str, str]:
    return {
        "HEARTWOOD_DATABASE_URL": database.app.url.render_as_string(hide_password=False),
        "HEARTWOOD_JWKS": str(issuer().jwks),
    }


@contextmanager
def server(kind: str, environment: dict[str, str]) -> Iterator[Server]:
    """A server in a process of its own: echo, or a service."""
    port = free_port()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.server", kind],
            env={**os.environ, **PINNED, **environment, "HEARTWOOD_PORT": str(port)},
            stdout=output,
        )
        try:
            _await_answer(port, process)
            yield Server(process.pid, port)
        finally:
            process.terminate()
            process.wait(10)


def _await_answer(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the server to measure does not start")
        time.sleep(0.05)


class Load:
    """The load generator, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def __call__(self, server: Server, request: bytes, count: int) -> float:
        """Send requests; the seconds it took. Every answer must be a 200."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        plan = {"port": server.port, "request": request.decode(), "count": count, "connections": CONNECTIONS}
        self.process.stdin.write(json.dumps(plan) + "\n")
        self.process.stdin.flush()
        outcome = json.loads(self.process.stdout.readline())
        assert outcome["good"] == count, f"{outcome['good']} of {count} requests succeeded"
        return float(outcome["seconds"])


@contextmanager
def generator() -> Iterator[Load]:
    """The load generator, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Load(process)
    finally:
        process.terminate()
        process.wait(10)
