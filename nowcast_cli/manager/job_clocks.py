"""How long jobs have run: which pass their timeout, and which take far longer than any before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nowcast_cli.config.registry import Registry
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.happenings import Overran, Slow
from nowcast_cli.manager.job_request import place_of
from nowcast_cli.manager.slowness import History
from nowcast_cli.manager.timeouts import Timeouts
from nowcast_cli.store.records import JobRecord


class JobClocks:
    """Times the jobs that run.

    Parameters
    ----------
    registry
        Says what their timeouts are.
    history_of
        Gives how long the jobs of a worker ran before.
    """

    def __init__(self, registry: Registry, history_of: Callable[[str], History]) -> None:
        self._registry = registry
        self._history_of = history_of
        self._running: dict[str, JobRecord] = {}
        self._timeouts = Timeouts(self._timeout_of, lambda: uptime().seconds)
        self._slow = Timeouts(self._slow_after, lambda: uptime().seconds)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._running

    def use(self, registry: Registry) -> None:
        """Go on with a registry that was reloaded, also for what runs already."""
        self._registry = registry
        self._timeouts.reload()

    def begin(self, job: JobRecord, age: float) -> None:
        """Take in that the process of a job began ``age`` seconds ago."""
        self._running[job.id] = job
        self._timeouts.begin(job.id, job, age)
        self._slow.begin(job.id, job, age)

    def forget(self, job_id: str) -> None:
        """Time a job no more."""
        self._running.pop(job_id, None)
        self._timeouts.forget(job_id)
        self._slow.forget(job_id)

    def due_in(self) -> float | None:
        """Give the seconds until there may be something to tell; None for never."""
        limits = (self._timeouts.due_in(), self._slow.due_in())
        return min((limit for limit in limits if limit is not None), default=None)

    def passed(self) -> Iterator[Overran | Slow]:
        """Give what there is to tell by now, of each job once."""
        for job_id, timeout in self._timeouts.passed():
            yield Overran(job_id, timeout)
        for job_id, seconds in self._slow.passed():
            history = self._history_of(self._running[job_id].worker)
            yield Slow(job_id, seconds, history.runs, history.slowest)

    def _timeout_of(self, job: JobRecord) -> float | None:
        return self._registry.timeout_of(job.worker, place_of(job))

    def _slow_after(self, job: JobRecord) -> float | None:
        return self._history_of(job.worker).slow_after() if job.slow is None else None
