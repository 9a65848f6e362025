"""Structured logs on standard output: JSON lines for machines, readable lines on a terminal. Never personal data."""

import json
import logging
import sys
import threading
from collections.abc import MutableMapping
from typing import Any

import structlog

from shared import trace

#: Values under these names never reach a log, whoever puts them there.
SECRET = frozenset({"authorization", "token", "password", "secret", "cursor_key", "name", "borrower_reference", "body"})


def set_up(kind: str, **bound: str) -> None:
    """Configure logging for a process: `json` or `console`."""

    def whence(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Say which process it is and which request it goes back to, in whatever thread."""
        parent = trace.traceparent()
        if parent:
            event["request_id"], event["trace_id"] = trace.request_id(), parent[3:35]
        event.update(bound)
        return event

    shared: list[Any] = [
        whence,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    last: list[Any] = (
        # Plain tracebacks: the pretty ones print local variables, and bodies are among them.
        [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if kind == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    )
    structlog.configure(
        processors=[*shared, *last], logger_factory=lambda *_: _Lines(), cache_logger_on_first_use=True
    )
    # Libraries write through the standard library: warnings and worse only, on the same stream.
    logging.basicConfig(
        stream=sys.stdout, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )
    # waitress warns once for each waiting request; the depth of its queue is a metric, not a thousand lines.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class _Lines:
    """Writes each line at once and whole, to what is the standard output by then."""

    lock = threading.Lock()

    def msg(self, line: str) -> None:
        """Write a line."""
        with self.lock:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = msg


def _json(event: Any, **more: Any) -> str:
    # One encoder for all lines, unless something in the line needs the way round that structlog offers.
    try:
        return _ENCODER.encode(event)
    except TypeError:
        return json.dumps(event, ensure_ascii=False, **more)


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if not SECRET.isdisjoint(event):
        event.update(dict.fromkeys(SECRET & set(event), "…"))
    return event
