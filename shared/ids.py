"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7)."""

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """Make a UUIDv7: 48 bits of Unix milliseconds, 12 of the time within the millisecond, 62 random bits.

    Those of one process rise strictly, also within a millisecond and when the clock steps back (method 3 of 6.2).
    """
    global _last
    now = time.time_ns()
    ticks = (now // 1_000_000) << 12 | (now % 1_000_000 << 12) // 1_000_000
    with _lock:
        _last = ticks = max(ticks, _last + 1)
    low = int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=(ticks >> 12 & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | low)
