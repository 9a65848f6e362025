"""Structured logs on standard output: JSON lines for machines, readable lines on a terminal. Never personal data."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

#: Values under these names never reach a log, whoever puts them there.
SECRET = frozenset({"authorization", "token", "password", "secret", "cursor_key", "name", "borrower_reference", "body"})


def set_up(kind: str, **bound: str) -> None:
    """Configure logging for a process: `json` or `console`."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    last: list[Any] = (
        # Plain tracebacks: the pretty ones print local variables, and bodies are among them.
        [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if kind == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(processors=[*shared, *last], logger_factory=structlog.PrintLoggerFactory())
    structlog.contextvars.bind_contextvars(**bound)
    # Libraries write through the standard library: warnings and worse only, on the same stream.
    logging.basicConfig(
        stream=sys.stdout, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )
    # waitress warns once for each waiting request; the depth of its queue is a metric, not a thousand lines.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in SECRET & set(event):
        event[name] = "…"
    return event
