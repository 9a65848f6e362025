"""Health and metrics of a process that serves nothing else: /livez, /readyz and /metrics on a port of their own."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest


def serve_health(
    host: str, port: int, registry: CollectorRegistry, ready: Callable[[], dict[str, Any]]
) -> ThreadingHTTPServer:
    """Serve until the process ends; the answer of /readyz is 200 only if `ready` says so."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            """Answer one of the three."""
            if self.path == "/livez":
                self._answer(200, "application/json", b'{"status":"ok"}')
            elif self.path == "/readyz":
                state = ready()
                self._answer(200 if state.get("ready") else 503, "application/json", json.dumps(state).encode())
            elif self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4", generate_latest(registry))
            else:
                self._answer(404, "text/plain", b"livez, readyz or metrics\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: probes come every few seconds."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
