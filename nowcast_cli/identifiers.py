"""Ids of messages and jobs: UUID version 7, so that sorting by id is sorting by time."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta

_TICKS_IN_A_MILLISECOND = 4096  # the 12 bits that RFC 9562 leaves for a finer clock
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Clock:
    """Hands out each tick once, in rising order, also when the system's clock steps back."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def tick(self) -> int:
        now = time.time_ns() * _TICKS_IN_A_MILLISECOND // 1_000_000
        with self._lock:
            self._last = max(now, self._last + 1)
            return self._last


_clock = _Clock()


def new_id() -> str:
    """Give a UUID version 7, 36 characters, greater than all given before by this process.

    Forked children draw different ids, since 62 bits come from the kernel each time.
    """
    milliseconds, fraction = divmod(_clock.tick(), _TICKS_IN_A_MILLISECOND)
    chance = int.from_bytes(os.urandom(8)) >> 2
    number = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | chance
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def time_of(identifier: str) -> datetime:
    """Tell when an id was made, in UTC, to the millisecond.

    Raises ValueError when ``identifier`` is not a UUID version 7.
    """
    digits = identifier.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        raise ValueError(f"{identifier!r} is not an id of this system (a UUID version 7)")
    return _EPOCH + timedelta(milliseconds=int(digits[:12], 16))
