"""One request id and one W3C trace, carried through HTTP, the outbox, Kafka and the handlers behind it.

Pieces of work are spans for a recorder, where there is one (shared.spans).
"""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$", re.ASCII)
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$", re.ASCII)
#: Traceparent, request id and span of this piece of work.
_current: ContextVar[tuple[str, str, Any]] = ContextVar("trace", default=("", "", None))

Begun = Token[tuple[str, str, Any]]
#: Begins a span, given its name and the traceparent it follows from, if any; gives its own traceparent, and the span.
Recorder = Callable[[str, str], tuple[str, Any]]
recorder: Recorder | None = None


def begin(traceparent: str | None = None, request_id: str | None = None, name: str = "work") -> Begun:
    """Continue the trace and request id given, or begin new ones; what does not conform is not believed.

    What it returns is for `end`, in the same thread.
    """
    known = traceparent and _TRACEPARENT.fullmatch(traceparent)
    # To be told apart, not kept secret; and the system would have to be asked for secrets at each request.
    fresh = f"{random.getrandbits(288):072x}"
    believed = request_id and _REQUEST_ID.fullmatch(request_id)
    name_of_request = request_id if request_id and believed else fresh[48:]
    if recorder is not None:
        made, span = recorder(name, traceparent if traceparent and known else "")
        return _current.set((made, name_of_request, span))
    trace_id = traceparent[3:35] if traceparent and known else fresh[:32]
    return _current.set((f"00-{trace_id}-{fresh[32:48]}-01", name_of_request, None))


def end(begun: Begun) -> None:
    """Go back to the trace before."""
    span = _current.get()[2]
    _current.reset(begun)
    if span is not None:
        span.end()


def describe(name: str, **attributes: str | int) -> None:
    """Say more of this piece of work, to whoever records it."""
    span = _current.get()[2]
    if span is not None:
        span.update_name(name)
        span.set_attributes(attributes)


@contextmanager
def tracing(traceparent: str | None = None, request_id: str | None = None, name: str = "work") -> Iterator[None]:
    """Run a block within a trace."""
    begun = begin(traceparent, request_id, name)
    try:
        yield
    finally:
        end(begun)


def traceparent() -> str:
    """The W3C traceparent of this piece of work, or empty."""
    return _current.get()[0]


def request_id() -> str:
    """The request id this piece of work goes back to, or empty."""
    return _current.get()[1]
