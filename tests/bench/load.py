"""A load generator: so many requests over so many kept connections, one thread, no faster than it is answered.

`python -m tests.bench.load` reads a plan from standard input and writes what came of it to standard output.
"""

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Line:
    """One connection with one request under way."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    #: Length of the whole answer, once its head is there.
    expected: int = 0

    def read(self) -> int | None:
        """Take what has come; the status when the answer is whole."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server hung up")
        self.received += part
        if not self.expected:
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return None
            lines = bytes(self.received[:head]).lower().split(b"\r\n")
            length = next(line for line in lines if line.startswith(b"content-length:"))
            self.expected = head + 4 + int(length.split(b":")[1])
        if len(self.received) < self.expected:
            return None
        status = int(self.received[9:12])
        self.received.clear()
        self.expected = 0
        return status


def drive(port: int, request: bytes, count: int, connections: int) -> dict[str, Any]:
    """Send a request `count` times; says how many answers had status 200, and how long it took."""
    lines = [_Line(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(connections)]
    started = time.perf_counter()
    sent, statuses = 0, []
    with selectors.DefaultSelector() as selector:
        for line in lines:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.socket.sendall(request)
            sent += 1
        while len(statuses) < count:
            ready = selector.select(30)
            if not ready:
                raise TimeoutError("no answer within 30 seconds")
            for key, _ in ready:
                status = key.data.read()
                if status is None:
                    continue
                statuses.append(status)
                if sent < count:
                    key.data.socket.sendall(request)
                    sent += 1
    seconds = time.perf_counter() - started
    for line in lines:
        line.socket.close()
    return {"good": statuses.count(200), "seconds": seconds}


if __name__ == "__main__":
    for plan in map(json.loads, sys.stdin):
        outcome = drive(plan["port"], plan["request"].encode(), plan["count"], plan["connections"])
        print(json.dumps(outcome), flush=True)
