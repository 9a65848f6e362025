"""One request id and one W3C trace, carried through HTTP, the outbox, Kafka and the handlers behind it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$", re.ASCII)
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$", re.ASCII)
_current: ContextVar[tuple[str, str]] = ContextVar("trace", default=("", ""))


@contextmanager
def tracing(traceparent: str | None = None, request_id: str | None = None) -> Iterator[None]:
    """Continue the trace and request id given, or begin new ones; what does not conform is not believed."""
    parent = traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None
    trace_id = parent.split("-")[1] if parent else os.urandom(16).hex()
    here = f"00-{trace_id}-{os.urandom(8).hex()}-01"
    rid = request_id if request_id and _REQUEST_ID.fullmatch(request_id) else os.urandom(12).hex()
    token = _current.set((here, rid))
    with structlog.contextvars.bound_contextvars(request_id=rid, trace_id=trace_id):
        try:
            yield
        finally:
            _current.reset(token)


def traceparent() -> str:
    """The W3C traceparent of this piece of work, or empty."""
    return _current.get()[0]


def request_id() -> str:
    """The request id this piece of work goes back to, or empty."""
    return _current.get()[1]
