"""Faults that others cause, told in the log without letting them fill it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class FaultLog:
    """Logs at most one warning a second; the next one says how many were left out.

    Parameters
    ----------
    logger
        Where the warnings go.
    clock
        Seconds that only grow.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._quiet_until = clock()
        self._left_out = 0

    def report(self, fault: str) -> None:
        """Log ``fault``, or only count it when one was logged less than a second ago."""
        now = self._clock()
        if now < self._quiet_until:
            self._left_out += 1
            return
        more = f" ({self._left_out} more faults before it were not logged)"
        self._logger.warning("%s%s", fault, more if self._left_out else "")
        self._quiet_until = now + 1.0
        self._left_out = 0
