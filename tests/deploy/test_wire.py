"""Bytes that no honest client sends, on the two servers that stand before the apps: nothing is taken for a request that
a proxy before them would not have taken for the same one.
"""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask, request

from deploy.serve import waitress
from tests.stack.conftest import ROOT, eventually

HOST = "127.0.0.1"
#: What would be answered if the tail of a body were taken for a request.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def make() -> Flask:
    """An app that says what it took for a request."""
    app = Flask("wire")

    @app.route("/<path:path>", methods=["GET", "POST"])
    def saw(path: str) -> str:
        return f"saw {request.method} /{path} {len(request.get_data())}"

    return app


def ask(port: int, sent: bytes) -> bytes:
    """All that comes back, to the end of the connection."""
    with socket.create_connection((HOST, port), timeout=120) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while piece := client.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got


@pytest.fixture(scope="module", params=["waitress", "gunicorn"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "waitress":
        server = waitress(make(), HOST, 0)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield server.effective_port
        server.close()
        server.task_dispatcher.shutdown()
        thread.join(10)
        return
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        free = probe.getsockname()[1]
    program = (
        f"from deploy.serve import gunicorn; from tests.deploy.test_wire import make; gunicorn(make, {HOST!r}, {free})"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        assert eventually(lambda: _listens(free) or child.poll() is not None, 120)
        assert child.poll() is None
        yield free
    finally:
        child.terminate()
        assert child.wait(60) == 0


def _listens(port: int) -> bool:
    try:
        return b"saw GET /ready" in ask(port, b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n")
    except OSError:
        return False


def post(*headers: str, body: bytes = b"", version: str = "1.1") -> bytes:
    lines = [f"POST /seen HTTP/{version}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


CHUNKED = "Transfer-Encoding: chunked"
REFUSED = {
    "length and chunks": post("Host: a", "Content-Length: 4", CHUNKED, body=b"0\r\n\r\n" + HIDDEN),
    "chunks and length": post("Host: a", CHUNKED, f"Content-Length: {5 + len(HIDDEN)}", body=b"0\r\n\r\n" + HIDDEN),
    "two lengths": post("Host: a", "Content-Length: 0", f"Content-Length: {len(HIDDEN)}", body=HIDDEN),
    "a list of lengths": post("Host: a", f"Content-Length: 0, {len(HIDDEN)}", body=HIDDEN),
    "a length with a sign": post("Host: a", "Content-Length: +0", body=HIDDEN),
    "a length with an underscore": post("Host: a", "Content-Length: 0_0", body=HIDDEN),
    "a length in other digits": post("Host: a", "Content-Length: \xb2", body=HIDDEN),
    "a negative length": post("Host: a", "Content-Length: -1", body=HIDDEN),
    "a space before the colon": post("Host: a", "Content-Length : 0", body=HIDDEN),
    "another coding": post("Host: a", "Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + HIDDEN),
    "a coding after chunks": post("Host: a", "Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + HIDDEN),
    "chunks twice": post("Host: a", CHUNKED, CHUNKED, body=b"0\r\n\r\n" + HIDDEN),
    "a size that is none": post("Host: a", CHUNKED, body=b"0x0\r\n\r\n" + HIDDEN),
    "a size with a sign": post("Host: a", CHUNKED, body=b"-1\r\n\r\n" + HIDDEN),
    "a chunk longer than its size": post("Host: a", CHUNKED, body=b"1\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a header without a name": post("Host: a", ": b", body=HIDDEN),
    "NUL in a header": post("Host: a", "X-A: b\0c", body=HIDDEN),
    "a header that goes on in the next line": post("Host: a", "X-A: b", " Content-Length: 40", body=HIDDEN),
    "a carriage return alone": post("Host: a", "X-A: b\rContent-Length: 40", body=HIDDEN),
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "no protocol": b"GET /seen\r\n" + HIDDEN,
    "a head without end": b"GET /seen HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 300_000 + b"\r\n\r\n" + HIDDEN,
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_no_second_request_hides_in_the_first(port: int, sent: bytes) -> None:
    got = ask(port, sent)
    assert b"/hidden" not in got
    assert not got or 400 <= int(got.split(b" ", 2)[1]) < 600


def test_a_body_that_is_cut_short_is_no_request(port: int) -> None:
    for cut in (post("Host: a", "Content-Length: 10", body=b"abc"), post("Host: a", CHUNKED, body=b"5\r\nab")):
        assert b"saw POST /seen 10" not in ask(port, cut)
        assert b"saw POST /seen 5" not in ask(port, cut)


def test_honest_requests_on_one_connection_are_all_answered(port: int) -> None:
    first = post("Host: a", "Content-Length: 3", body=b"abc")
    second = post("Host: a", CHUNKED, body=b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
    got = ask(port, first + second + HIDDEN.replace(b"Host: a", b"Host: a\r\nConnection: close"))
    assert [got.count(b"saw POST /seen 3"), got.count(b"saw POST /seen 5"), got.count(b"saw GET /hidden 0")] == [
        1,
        1,
        1,
    ]


def test_slow_clients_keep_nobody_waiting_on_a_workstation() -> None:
    """In production this is the ingress's part: it hands on what it has got whole."""
    server = waitress(make(), HOST, 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with ExitStack() as opened:
        for part in (b"POST /seen HTTP/1.1\r\nHost: a\r\nX-", post("Host: a", "Content-Length: 10", body=b"abc")) * 30:
            slow = opened.enter_context(socket.create_connection((HOST, server.effective_port), timeout=120))
            slow.sendall(part)
        assert b"saw GET /hidden 0" in ask(server.effective_port, HIDDEN)
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(10)
