"""How often another host is asked: soon after news, slowly when nothing changes or it is away."""

from __future__ import annotations

from dataclasses import dataclass, field

from nowcast_cli.executors.mirror import News


@dataclass
class Pace:
    """Gives the ``pause`` before the next call, in seconds."""

    soonest: float = 0.25
    slowest: float = 10.0
    usual: float = 2.0
    slowest_when_away: float = 30.0
    pause: float = field(default=0.0, init=False)

    def went_well(self, news: News) -> None:
        """Take note of an answer.

        A step is followed by others soon. A job that prints all the time is asked as often as is
        usual, and one of which nothing is heard less and less often.
        """
        if news is News.STEP:
            self.pause = self.soonest
            return
        factor = 2.0 if self.pause < self.usual else 1.1
        longest = self.usual if news is News.OUTPUT else self.slowest
        self.pause = min(longest, max(self.soonest, self.pause * factor))

    def failed(self) -> None:
        """Take note that there was none."""
        self.pause = min(self.slowest_when_away, max(1.0, 1.5 * self.pause))
