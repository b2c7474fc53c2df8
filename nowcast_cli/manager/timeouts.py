"""When jobs have run for too long: by how long their processes are there, not by the wall clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeouts(Generic[T]):
    """Knows when each job that runs passes its timeout.

    Parameters
    ----------
    timeout_of
        The timeout of what a job is begun as, in seconds; None where it has none.
    seconds
        The clock, CLOCK_BOOTTIME: it goes on while the machine sleeps, and nobody sets it.
    """

    def __init__(
        self, timeout_of: Callable[[T], float | None], seconds: Callable[[], float]
    ) -> None:
        self._timeout_of = timeout_of
        self._seconds = seconds
        self._running: dict[str, tuple[T, float]] = {}  # and when it began, by job
        self._limits: list[tuple[float, str]] = []  # a heap

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._running

    def begin(self, job_id: str, job: T, age: float) -> None:
        """Take in that the process of a job began ``age`` seconds ago."""
        began = self._seconds() - age
        self._running[job_id] = job, began
        timeout = self._timeout_of(job)
        if timeout is not None:
            heappush(self._limits, (began + timeout, job_id))

    def forget(self, job_id: str) -> None:
        """Time a job no more."""
        self._running.pop(job_id, None)

    def reload(self) -> None:
        """Go on with timeouts that may have changed, also for what runs already."""
        limits = [
            (began + timeout, job_id)
            for job_id, (job, began) in self._running.items()
            if (timeout := self._timeout_of(job)) is not None
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
            running = self._running.get(job_id)
            timeout = None if running is None else self._timeout_of(running[0])
            if timeout is not None:
                yield job_id, timeout
