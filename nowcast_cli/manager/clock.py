"""The time as the store keeps it."""

from __future__ import annotations

import time
from functools import lru_cache


def now() -> str:
    """Give the time in UTC, ISO 8601 with milliseconds and ``Z``."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_seconds(seconds)}.{nanoseconds // 1_000_000:03d}Z"


@lru_cache(maxsize=1)
def _seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def as_stored(seconds: float) -> str:
    """Give a time in seconds since 1970 in the same form."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.000Z"
