"""A TCP proxy on the loopback interface that spoils connections when told to.

It stands before a broker, a service or a database (whose socket is a file). Kafka clients learn the broker's own
address from its answers and would go round the proxy; so the address is replaced in them: host and port are as long
before as after, and nothing else has to move.
"""

import contextlib
import socket
import struct
import threading
import time
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"


class Mode(Enum):
    """What becomes of the bytes."""

    PASS = auto()
    DELAY = auto()
    """Every piece waits `delay` seconds."""
    DROP = auto()
    """The next piece of an answer is lost, and the connection goes on: it never makes sense again."""
    HALF_CLOSE = auto()
    """The broker's side is said to have ended; what the client sends is still taken."""
    BLACK_HOLE = auto()
    """Connections are accepted, bytes are taken, nothing ever comes back."""
    RESET = auto()
    """Connections are torn down with an RST."""


class Proxy:
    """Forward to 127.0.0.1:`target`, or to a socket file, from a port of its own, in the present `mode`."""

    def __init__(self, target: int | Path, *, delay: float = 0.2) -> None:
        self.target, self.delay, self.mode = target, delay, Mode.PASS
        self.dropped = 0
        self.listener = socket.create_server((LOOPBACK, 0), backlog=100)
        self.port: int = self.listener.getsockname()[1]
        self.open: list[tuple[socket.socket, socket.socket]] = []
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A listener that is merely closed leaves its thread in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.spoil(Mode.RESET)

    def spoil(self, mode: Mode) -> None:
        """Change the mode, for connections that exist as well as for new ones."""
        self.mode = mode
        with self.lock:
            for client, server in self.open:
                if mode is Mode.RESET:
                    _reset(client)
                    _reset(server)
                elif mode is Mode.HALF_CLOSE:
                    _half_close(client)
            if mode is Mode.RESET:
                self.open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = _connect(self.target)
            except OSError:
                _reset(client)
                continue
            if self.mode is Mode.RESET:
                _reset(client)
                _reset(server)
                continue
            server.settimeout(None)
            with self.lock:
                self.open.append((client, server))
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, answers), name="proxy", daemon=True).start()
            if self.mode is Mode.HALF_CLOSE:
                _half_close(client)

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        told = answers and isinstance(self.target, int)
        here, there = (struct.pack("!9sI", LOOPBACK.encode(), port if told else 0) for port in (self.port, self.target))
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if self.mode is Mode.BLACK_HOLE:
                    continue
                if self.mode is Mode.DROP and answers:
                    self.dropped += 1
                    self.mode = Mode.PASS
                    continue
                if self.mode is Mode.DELAY:
                    time.sleep(self.delay)
                sink.sendall(piece.replace(there, here) if told else piece)
        if self.mode is not Mode.BLACK_HOLE:
            for one in (source, sink):
                # A socket that is merely closed says nothing while another thread reads it.
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()


def _connect(target: int | Path) -> socket.socket:
    if isinstance(target, int):
        return socket.create_connection((LOOPBACK, target), timeout=2)
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(2)
    try:
        made.connect(str(target))
    except OSError:
        made.close()
        raise
    return made


def _reset(one: socket.socket) -> None:
    """Close without saying good-bye: lingering for no time makes it an RST."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)  # wakes the thread that reads
    one.close()


def _half_close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_WR)
