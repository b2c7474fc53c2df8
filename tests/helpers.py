"""What several tests use: waiting on conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, timeout: float = 30.0, what: str = "") -> T:
    """Poll ``condition`` until it gives a true value, and return that value.

    Raises AssertionError, with ``what`` was waited for, after ``timeout`` seconds.
    """
    give_up = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up:
            raise AssertionError(f"waited {timeout} s in vain for {what or condition}")
        time.sleep(0.005)
