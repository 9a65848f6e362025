"""One request id and one W3C trace, carried through HTTP, the outbox, Kafka and the handlers behind it."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$", re.ASCII)
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$", re.ASCII)
_current: ContextVar[tuple[str, str]] = ContextVar("trace", default=("", ""))

Begun = Token[tuple[str, str]]


def begin(traceparent: str | None = None, request_id: str | None = None) -> Begun:
    """Continue the trace and request id given, or begin new ones; what does not conform is not believed.

    What it returns is for `end`, in the same thread.
    """
    known = traceparent and _TRACEPARENT.fullmatch(traceparent)
    # To be told apart, not kept secret; and the system would have to be asked for secrets at each request.
    fresh = f"{random.getrandbits(288):072x}"
    trace_id = traceparent[3:35] if traceparent and known else fresh[:32]
    believed = request_id and _REQUEST_ID.fullmatch(request_id)
    return _current.set((f"00-{trace_id}-{fresh[32:48]}-01", request_id if request_id and believed else fresh[48:]))


def end(begun: Begun) -> None:
    """Go back to the trace before."""
    _current.reset(begun)


@contextmanager
def tracing(traceparent: str | None = None, request_id: str | None = None) -> Iterator[None]:
    """Run a block within a trace."""
    begun = begin(traceparent, request_id)
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
