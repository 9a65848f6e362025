"""The one clock: moments in UTC, business dates in Asia/Shanghai. Tests travel; nothing else does."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

BUSINESS = ZoneInfo("Asia/Shanghai")
_offset = timedelta(0)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC) + _offset


def today() -> date:
    """The business date in Asia/Shanghai."""
    return now().astimezone(BUSINESS).date()


@contextmanager
def travelled(by: timedelta) -> Iterator[None]:
    """Let time have passed, inside a test."""
    global _offset
    before, _offset = _offset, _offset + by
    try:
        yield
    finally:
        _offset = before
