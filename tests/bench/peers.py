"""The score endpoint against the servers that models are usually put behind: MLflow's and BentoML's.

Both come into an environment of their own that is thrown away, so that neither is a dependency of ours. Where they
cannot be installed, there is one row less and a line that says so.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from deploy.embedded import EmbeddedPostgres, answers, free_port
from services.credit.training.loan_file import Loans, loans_of, read_mapping, read_rows
from tests.bench.harness import Row, measure, progress
from tests.bench.http import PINNED, SCORE, Load, Server, _environment, generator, request, server
from tests.bench.scoring import LOANS, _plain
from tests.conftest import make_database
from tests.harness import BANK, token

WANTED = ("mlflow==3.17.2", "bentoml==1.4.39", "scikit-learn==1.9.1", "pandas")
OURS, THEIRS, ROUNDS = 1_000, 200, 6
INSTALL, START, FIT = 300, 120, 300  # seconds at most


class _Tree(Server):
    """A server whose work is done by processes that it started."""

    def cpu(self) -> float:
        """User and system time of the process and of all that came of it. [s]"""
        parents, spent = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            parents[int(folder.name)] = int(fields[1])
            spent[int(folder.name)] = sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
        family, grown = {self.pid}, True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in family} - family
            family, grown = family | more, bool(more)
        return sum(spent.get(pid, 0.0) for pid in family)


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure each peer that can be had."""
    with tempfile.TemporaryDirectory(prefix="hw-peers-") as place:
        folder = Path(place)
        python = _install(folder)
        if python is None:
            return []
        row, expected = _fit(folder, python)
        database = make_database(postgres, "credit", "bench_peers")
        try:
            with ExitStack() as stack:
                load = stack.enter_context(generator())
                credit = stack.enter_context(server("credit", _environment(database)))
                return [
                    *_against("MLflow", 20, load, credit, folder, row, expected),
                    *_against("BentoML", 15, load, credit, folder, row, expected),
                ]
        finally:
            database.dispose()


def _against(
    name: str, goal: float, load: Load, credit: Server, folder: Path, row: dict[str, Any], expected: list[float]
) -> list[Row]:
    port, scripts = free_port(), folder / "env" / "bin"
    if name == "MLflow":
        command = [str(scripts / "mlflow"), "models", "serve", "-m", "model", "--env-manager", "local"]
        command += ["-h", "127.0.0.1", "-p", str(port), "--workers", "1"]
        path, body = "/invocations", {"dataframe_records": [row]}
    else:
        command = [str(scripts / "bentoml"), "serve", "service:Scores", "--host", "127.0.0.1", "--port", str(port)]
        path, body = "/predict", {"rows": [row]}
    content = json.dumps(body).encode()
    asked = request("/v1/score", json.dumps(SCORE).encode(), token("officer", BANK))
    theirs = request(path, content, "")
    with _started(name, command, folder, port) as peer:
        if peer is None:
            return []
        told = _ask(port, path, content)
        probabilities = told["predictions"] if isinstance(told, dict) else told
        assert all(abs(one - other) < 1e-9 for one, other in zip(probabilities[0], expected, strict=True)), told

        def cost(one: Server, what: bytes, count: int) -> float:
            before = one.cpu()
            load(one, what, count)
            return (one.cpu() - before) / count * 1e6

        costs = measure(f"peers: {name}", lambda: cost(credit, asked, OURS), lambda: cost(peer, theirs, THEIRS), ROUNDS)
    note = (
        "the other serves a scikit-learn pipeline fitted to the loans that the card was fitted to, one row a request,"
        " one worker; it checks no token, judges nothing and gives no reasons; CPU of all its processes together"
    )
    return [
        Row.of(
            "peers",
            f"POST /v1/score vs {name} serving a pipeline, CPU of the server",
            costs,
            unit="µs CPU per request",
            goal=goal,
            note=note,
        )
    ]


def _install(folder: Path) -> Path | None:
    """An environment with both; None where it cannot be had."""
    progress("peers: installing MLflow and BentoML")
    uv, python = str(Path(sys.executable).with_name("uv")), folder / "env" / "bin" / "python"
    try:
        for command in (
            [uv, "venv", "-q", "--python", sys.executable, str(folder / "env")],
            [uv, "pip", "install", "-q", "--python", str(python), *WANTED],
        ):
            subprocess.run(command, check=True, timeout=INSTALL, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        progress(f"peers: left out, since MLflow and BentoML cannot be installed here ({error})\n")
        return None
    return python


def _fit(folder: Path, python: Path) -> tuple[dict[str, Any], list[float]]:
    """Fit and save the model there; a row, and what the model says of it."""
    mapping = read_mapping(LOANS / "sba_served.json")
    loans: Loans = loans_of(read_rows(LOANS / "sba_agri_forestry_loans.csv"), mapping)[0]
    numbers = [one.name for one in loans.features if one.kind == "number"]
    codes = [one.name for one in loans.features if one.kind != "number"]
    columns = [[_plain(value) for value in loans.values[name]] for name in numbers]
    columns += [[str(value) for value in loans.values[name]] for name in codes]
    lines = [list(line) for line in zip(*columns, strict=True)]
    data = {"numbers": numbers, "codes": codes, "rows": lines, "outcomes": [int(one) for one in loans.outcomes]}
    (folder / "data.json").write_text(json.dumps(data))
    script = Path(__file__).with_name("peer_model.py")
    said = subprocess.run(
        [str(python), "-P", str(script), str(folder / "data.json"), str(folder)],
        check=True,
        timeout=FIT,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **PINNED},
    )
    return dict(zip([*numbers, *codes], lines[0], strict=True)), json.loads(said.stdout.splitlines()[-1])[0]


@contextmanager
def _started(name: str, command: list[str], folder: Path, port: int) -> Iterator[_Tree | None]:
    """A peer, until the block ends; None where it does not start."""
    environment = {**os.environ, **PINNED, "BENTOML_HOME": str(folder / "bento"), "BENTOML_DO_NOT_TRACK": "true"}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    environment["PATH"] = f"{folder / 'env' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with (folder / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            deadline = time.monotonic() + START
            while process.poll() is None and time.monotonic() < deadline and not answers(port):
                time.sleep(0.2)
            if not answers(port):
                progress(f"peers: {name} left out, since it does not start here\n")
                yield None
            else:
                yield _Tree(process.pid, port)
        finally:
            # The group is its own: whatever it started ends with it, and nothing else.
            os.killpg(process.pid, 15)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait(10)


def _ask(port: int, path: str, content: bytes) -> Any:
    deadline = time.monotonic() + START
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 200 or time.monotonic() > deadline:
                assert answer.status == 200, said
                return json.loads(said)
        except OSError:
            if time.monotonic() > deadline:
                raise
        finally:
            connection.close()
        time.sleep(0.5)
