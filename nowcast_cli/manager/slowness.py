"""Which jobs take far longer than any of their worker before: told while they run.

The rule is pure. What it needs is the history of a worker: read once from the store, when the
first of its jobs begins, and from then on followed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nowcast_cli.store.job_figures import figures_of
from nowcast_cli.store.records import Change, JobPut

REMEMBERED = 200  # jobs of a worker, the last ones: what was years ago says little
ENOUGH = 5  # of them that succeeded; fewer may all have been quick by chance
FACTOR = 2.0
MARGIN = 30.0  # s; a busy machine makes three seconds of one


@dataclass(frozen=True, slots=True)
class History:
    """How many jobs of a worker succeeded lately, and how long the slowest ran, in seconds."""

    runs: int
    slowest: float

    def slow_after(self) -> float | None:
        """Give the seconds after which a job takes far longer; None while too little is known."""
        if self.runs < ENOUGH:
            return None
        return max(FACTOR * self.slowest, self.slowest + MARGIN)


class Slowness:
    """Knows the histories of workers whose jobs run.

    Parameters
    ----------
    run_times
        Gives how long the jobs of a worker ran that succeeded, of so many last ones; in seconds,
        the newest first.
    """

    def __init__(self, run_times: Callable[[str, int], Iterable[float]]) -> None:
        self._run_times = run_times
        self._known: dict[str, deque[float]] = {}

    def history_of(self, worker: str) -> History:
        """Give the history of a worker."""
        if worker not in self._known:
            newest_first = list(self._run_times(worker, REMEMBERED))
            self._known[worker] = deque(reversed(newest_first), REMEMBERED)
        known = self._known[worker]
        return History(len(known), max(known, default=0.0))

    def follow(self, changes: Iterable[Change]) -> None:
        """Take in the jobs that have ended by these changes."""
        for change in changes:
            if not isinstance(change, JobPut) or change.job.exit is None:
                continue
            known, seconds = self._known.get(change.job.worker), figures_of(change.job).run_time
            if known is not None and change.job.state == "succeeded" and seconds is not None:
                known.append(seconds)
