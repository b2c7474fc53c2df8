"""When jobs have run for too long: by how long their processes are there, not by the wall clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush


class Timeouts:
    """Knows when each job that runs passes the timeout of its worker.

    Parameters
    ----------
    timeout_of
        The timeout of a worker, in seconds; None where it has none.
    seconds
        The clock, CLOCK_BOOTTIME: it goes on while the machine sleeps, and nobody sets it.
    """

    def __init__(
        self, timeout_of: Callable[[str], float | None], seconds: Callable[[], float]
    ) -> None:
        self._timeout_of = timeout_of
        self._seconds = seconds
        self._running: dict[str, tuple[str, float]] = {}  # worker and begin by job
        self._limits: list[tuple[float, str]] = []  # a heap

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._running

    def begin(self, job_id: str, worker: str, age: float) -> None:
        """Take in that the process of a job began ``age`` seconds ago."""
        began = self._seconds() - age
        self._running[job_id] = worker, began
        timeout = self._timeout_of(worker)
        if timeout is not None:
            heappush(self._limits, (began + timeout, job_id))

    def forget(self, job_id: str) -> None:
        """Time a job no more."""
        self._running.pop(job_id, None)

    def reload(self) -> None:
        """Go on with timeouts that may have changed, also for what runs already."""
        limits = [
            (began + timeout, job_id)
            for job_id, (worker, began) in self._running.items()
            if (timeout := self._timeout_of(worker)) is not None
        ]
        heapify(limits)
        self._limits = limits

    def due_in(self) -> float | None:
        """Give the seconds until the next job may have passed its timeout; None for never."""
        return max(0.0, self._limits[0][0] - self._seconds()) if self._limits else None

    def passed(self) -> Iterator[tuple[str, float]]:
        """Give the jobs that have passed their timeout, each once, with its seconds."""
        while self._limits and self._limits[0][0] <= self._seconds():
            _, job_id = heappop(self._limits)
            worker, _ = self._running.get(job_id, (None, 0.0))
            timeout = None if worker is None else self._timeout_of(worker)
            if timeout is not None:
                yield job_id, timeout
