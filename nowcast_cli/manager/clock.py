"""The time as the store keeps it."""

from __future__ import annotations

import time


def now() -> str:
    """Give the time in UTC, ISO 8601 with milliseconds and ``Z``."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{nanoseconds // 1_000_000:03d}Z"
