"""Both embedded children through every way of ending: asked, killed, and left behind by a killed parent."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.embedded import AlreadyRunningError, ChildError, EmbeddedPostgres, TansuBroker, answers

pytestmark = pytest.mark.stack
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent and lists its places")


@pytest.fixture
def postgres(place: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(place / "postgres", durable=False)
    yield server
    server.stop()


@pytest.fixture
def broker(place: Path) -> Iterator[TansuBroker]:
    server = TansuBroker(place / "broker")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def durable() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="heartwood-"))
    with EmbeddedPostgres(folder / "postgres", settings={"log_statement": "ddl"}) as server:
        yield server
    shutil.rmtree(folder)


def connect(server: EmbeddedPostgres, user: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(server.url(user, "postgres").replace("+psycopg", ""), autocommit=True)


def value(server: EmbeddedPostgres, question: str) -> object:
    with connect(server) as session:
        row = session.execute(question.encode()).fetchone()
        assert row is not None
        return row[0]


def eventually(condition: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def gone(pid: int) -> bool:
    """Ended, or ended and not yet collected by whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def speaks_kafka(port: int) -> bool:
    """Whether the port answers the protocol's first question, which versions it knows, without an error."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        question = struct.pack(">hhih", 18, 0, 7, 4) + b"test"
        wire.sendall(struct.pack(">i", len(question)) + question)
        _, correlation, error = struct.unpack(">iih", wire.recv(10, socket.MSG_WAITALL))
        return (correlation, error) == (7, 0)


class TestPostgres:
    def test_serves_on_a_private_socket_and_on_no_port(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        assert postgres.is_running()
        assert str(value(postgres, "SHOW server_version")).startswith("18.")
        assert value(postgres, "SHOW listen_addresses") == ""
        assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700
        assert postgres.data.stat().st_mode & 0o777 == 0o700
        assert postgres.log.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("max_connections", "200"),
            ("idle_in_transaction_session_timeout", "1min"),
            ("statement_timeout", "0"),
            ("fsync", "on"),
            ("TimeZone", "UTC"),
            ("server_encoding", "UTF8"),
            ("log_statement", "ddl"),
        ],
    )
    def test_settings_of_the_stack(self, durable: EmbeddedPostgres, setting: str, expected: str) -> None:
        assert value(durable, f"SHOW {setting}") == expected

    def test_settings_of_tests(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert value(postgres, f"SHOW {setting}") == "off"

    def test_a_role_may_connect_and_its_password_is_not_looked_at(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        with connect(postgres) as session:
            session.execute("CREATE ROLE credit_app LOGIN")
        url = postgres.url("credit_app", "postgres", "p@ss/word").replace("+psycopg", "")
        with psycopg.connect(url) as session:
            assert session.execute("SELECT current_user").fetchone() == ("credit_app",)

    def test_starts_and_stops_again_and_keeps_its_rows(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        assert postgres.start() is postgres
        with connect(postgres) as session:
            session.execute("CREATE TABLE trees AS SELECT 1 AS n")
        postgres.stop()
        assert not postgres.is_running()
        assert postgres.pid is None
        postgres.start()
        assert value(postgres, "SELECT count(*) FROM trees") == 1

    def test_starts_at_once_after_being_killed_with_a_session_open(self, place: Path) -> None:
        postgres = EmbeddedPostgres(place / "postgres", durable=False, settings={"synchronous_commit": "on"}).start()
        session = connect(postgres)
        session.execute("CREATE TABLE trees AS SELECT 1 AS n")
        postgres.kill()
        assert (postgres.data / "postmaster.pid").exists()
        postgres.start()
        session.close()
        assert value(postgres, "SELECT count(*) FROM trees") == 1
        postgres.stop()

    @linux
    def test_starts_although_the_noted_process_id_is_somebody_elses_now(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        noted = (postgres.data / "postmaster.pid").read_text()
        pid = postgres.pid
        postgres.kill()
        (postgres.data / "postmaster.pid").write_text(noted.replace(str(pid), str(os.getppid()), 1))
        postgres.start()
        assert postgres.is_running()

    def test_a_second_start_is_refused(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        second = EmbeddedPostgres(postgres.state, durable=False)
        with pytest.raises(AlreadyRunningError, match=f"already runs on .* as process {postgres.pid}"):
            second.start()
        assert not second.is_running()
        second.stop()
        assert postgres.is_running()

    def test_a_second_start_may_adopt(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        second = EmbeddedPostgres(postgres.state, durable=False).start(adopt=True)
        assert second.pid == postgres.pid
        second.stop()
        assert not postgres.is_running()

    def test_an_interrupted_creation_is_swept_away(self, postgres: EmbeddedPostgres) -> None:
        half = postgres.state / "data.cafe"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        postgres.start()
        assert not half.exists()

    def test_a_long_path_gets_a_short_private_socket(self, place: Path) -> None:
        with EmbeddedPostgres(place / ("deep" * 25), durable=False) as server:
            assert server.socket_dir.parent == Path("/tmp")
            assert server.socket_dir.stat().st_mode & 0o777 == 0o700
            assert value(server, "SELECT 1") == 1
        server.socket_dir.rmdir()

    def test_somebody_elses_socket_folder_is_refused(self, postgres: EmbeddedPostgres, place: Path) -> None:
        postgres.state.mkdir()
        postgres.socket_dir.symlink_to(place)
        with pytest.raises(ChildError, match="remove it first"):
            postgres.start()

    def test_a_wrong_setting_is_told_from_the_log(self, place: Path) -> None:
        server = EmbeddedPostgres(place / "postgres", durable=False, settings={"max_connections": "many"})
        with pytest.raises(ChildError, match='invalid value for parameter "max_connections"'):
            server.start()
        assert not server.is_running()

    def test_the_address_is_quoted(self) -> None:
        server = EmbeddedPostgres(Path("/srv/hw"))
        assert server.url("credit_app", "credit") == "postgresql+psycopg://credit_app@/credit?host=/srv/hw/socket"
        assert server.url("a b", "c", "p@/:").startswith("postgresql+psycopg://a%20b:p%40%2F%3A@/c?host=")


@pytest.mark.broker
class TestBroker:
    def test_serves_and_stops(self, broker: TansuBroker) -> None:
        assert broker.start() is broker
        assert broker.is_running()
        assert speaks_kafka(broker.port)
        broker.stop()
        assert broker.pid is None
        assert not answers(broker.port)

    def test_each_start_is_a_new_cluster_at_the_same_address(self, broker: TansuBroker) -> None:
        broker.start()
        first, address = broker.cluster_id, broker.bootstrap
        broker.kill()
        assert not broker.is_running()
        broker.start()
        assert broker.cluster_id != first
        assert broker.bootstrap == address
        assert speaks_kafka(broker.port)

    def test_a_taken_port_is_an_error_with_its_reason(self, broker: TansuBroker, place: Path) -> None:
        broker.start()
        second = TansuBroker(place / "second", broker.port)
        with pytest.raises(ChildError, match="Address in use"):
            second.start()
        assert not second.is_running()
        assert broker.is_running()

    @linux
    def test_listens_to_this_machine_only(self, broker: TansuBroker) -> None:
        broker.start()
        lines = [
            line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()
        ]
        listening = {line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{broker.port:04X}")}
        assert listening == {f"0100007F:{broker.port:04X}"}

    def test_no_stray_file_or_variable_configures_it(
        self, broker: TansuBroker, monkeypatch: pytest.MonkeyPatch, place: Path
    ) -> None:
        (place / ".env").write_text("SCHEMA_REGISTRY=file:///nowhere\n")
        monkeypatch.chdir(place)
        monkeypatch.setenv("STORAGE_ENGINE", "s3://nowhere/")
        broker.start()
        assert "schema" not in broker.log.read_text().lower()
        assert "memory://" in broker.log.read_text()


@linux
def test_both_end_with_a_parent_that_is_killed(place: Path) -> None:
    script = (
        "import os, signal, sys, pathlib, deploy.embedded as e\n"
        "place = pathlib.Path(sys.argv[1])\n"
        "children = e.EmbeddedPostgres(place / 'p', durable=False).start(), e.TansuBroker(place / 'b').start()\n"
        "print(*[child.pid for child in children], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, place], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    assert eventually(lambda: all(gone(pid) for pid in pids))
    with EmbeddedPostgres(place / "p", durable=False) as server:  # it had time for an orderly end
        assert value(server, "SELECT 1") == 1
