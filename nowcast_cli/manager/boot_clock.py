"""The clock that nobody sets: seconds since the boot, with the time that the machine slept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nowcast_cli.process_identity import boot_id
from nowcast_cli.store.records import Delay


@dataclass(frozen=True, slots=True)
class Uptime:
    """An instant: ``seconds`` of CLOCK_BOOTTIME in the boot with the id ``boot``."""

    boot: str
    seconds: float

    def after(self, seconds: float) -> Delay:
        """Give the delay that begins now and takes so long."""
        return Delay(seconds, self.boot, round(self.seconds + seconds, 3))

    def left(self, delay: Delay | None) -> float:
        """Give the seconds of a delay that are left; of one of another boot, all of them."""
        if delay is None:
            return 0.0
        if delay.boot != self.boot:
            return delay.seconds
        return min(delay.seconds, max(0.0, delay.due - self.seconds))


def uptime() -> Uptime:
    """Give this instant."""
    return Uptime(boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))
