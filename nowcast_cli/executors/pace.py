"""How often another host is asked: soon after news, slowly when nothing changes or it is away."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Pace:
    """Gives the ``pause`` before the next call, in seconds."""

    soonest: float = 0.25
    slowest: float = 10.0
    usual: float = 2.0
    slowest_when_away: float = 30.0
    pause: float = field(default=0.0, init=False)

    def went_well(self, *, changed: bool) -> None:
        """Take note of an answer; up to the usual pause it grows fast, then slowly."""
        factor = 2.0 if self.pause < self.usual else 1.1
        self.pause = self.soonest if changed else min(self.slowest, self.pause * factor)
        self.pause = max(self.soonest, self.pause)

    def failed(self) -> None:
        """Take note that there was none."""
        self.pause = min(self.slowest_when_away, max(1.0, 1.5 * self.pause))
