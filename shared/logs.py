"""Structured logs on standard output: JSON lines for machines, readable lines on a terminal. Never personal data."""

import json
import logging
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from shared import trace

#: Values under these names never reach a log, whoever puts them there.
SECRET = frozenset({"authorization", "token", "password", "secret", "cursor_key", "name", "borrower_reference", "body"})


def set_up(kind: str, **bound: str) -> None:
    """Configure logging for a process: `json` or `console`."""
    # Plain tracebacks: the pretty ones print local variables, and bodies are among them.
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )

    def write(logger: Any, level: str, event: MutableMapping[str, Any]) -> str:
        """Say when and how bad it was, which process says it and which request it goes back to."""
        if parent := trace.traceparent():
            event["request_id"], event["trace_id"] = trace.request_id(), parent[3:35]
        event.update(bound)
        event["level"] = level
        event["timestamp"] = f"{datetime.now(UTC).replace(tzinfo=None).isoformat()}Z"
        if not SECRET.isdisjoint(event):
            event.update(dict.fromkeys(SECRET & set(event), "…"))
        if kind == "console":
            return console(logger, level, event)
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, level, event)
        try:
            return orjson.dumps(event, default=repr, option=_AS_THEY_ARE).decode()
        except TypeError:
            # A number or a character that no other reader of JSON could take.
            return json.dumps(event, default=repr)

    # One processor: a line is written for each request, and each further step of its way costs as much as all of this.
    structlog.configure(processors=[write], logger_factory=lambda *_: _Lines(), cache_logger_on_first_use=True)
    # Libraries write through the standard library: warnings and worse only, in the same form on the same stream.
    logging.basicConfig(handlers=[_Borrowed()], level=logging.WARNING, force=True)
    # waitress warns once for each waiting request; the depth of its queue is a metric, not a thousand lines.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # The Kafka client warns of each step of its loop that took a tenth of a second. On a busy machine every one does,
    # and the one of ours that asks the database where to go on may; the limits of the group are many times that.
    logging.getLogger("kafka.net.selector").addFilter(lambda record: "threshold" not in str(record.msg))


class _Borrowed(logging.Handler):
    """Writes what libraries say as if it were ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, with the library's name for where it comes from."""
        more = {"exc_info": record.exc_info} if record.exc_info else {}
        level = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(structlog.get_logger(), level)(record.getMessage(), logger=record.name, **more)


class _Lines:
    """Writes each line at once and whole, to what is the standard output by then."""

    lock = threading.Lock()

    def msg(self, line: str) -> None:
        """Write a line."""
        with self.lock:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = msg


_AS_THEY_ARE = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
