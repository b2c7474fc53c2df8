"""Which jobs of another host have ended, and are to be looked at once more and cleared there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from nowcast_cli.executors.job_folder import JobRequest

AFTER = 32.0  # seconds; the host waits for half a minute of silence (`remote_cleaning.QUIET`)
_TRIES = 20  # a job whose processes go on printing for longer is left to `nowcast clean`


@dataclass(frozen=True)
class _Ended:
    job: JobRequest
    due: float
    tries: int = 0


class Clearing:
    """Jobs whose folders there are no longer needed. Not remembered: ``nowcast clean`` does it too.

    Times are those of ``clock``, in seconds.
    """

    def __init__(self, after: float = AFTER, clock: Callable[[], float] = time.monotonic) -> None:
        self._after = after
        self._clock = clock
        self._jobs: dict[str, _Ended] = {}

    def add(self, job: JobRequest) -> None:
        """Take note of a job that has ended; all that was known of it has been brought here."""
        self._jobs.setdefault(job.id, _Ended(job, self._clock() + self._after))

    def due(self) -> list[JobRequest]:
        """Give those whose time has come."""
        now = self._clock()
        return [ended.job for ended in self._jobs.values() if ended.due <= now]

    def wait(self) -> float | None:
        """Give the seconds until one is due; None where there is none."""
        first = min((ended.due for ended in self._jobs.values()), default=None)
        return None if first is None else max(0.0, first - self._clock())

    def asked(self, jobs: Iterable[JobRequest]) -> None:
        """Take note that the host is asked; what it does not clear is asked for later."""
        for job in jobs:
            ended = self._jobs.get(job.id)
            if ended is not None:
                again = replace(ended, due=self._clock() + self._after, tries=ended.tries + 1)
                self._jobs[job.id] = again
                if again.tries > _TRIES:
                    del self._jobs[job.id]

    def cleared(self, job_ids: Collection[str]) -> None:
        """Forget jobs that were cleared there."""
        for job_id in job_ids:
            self._jobs.pop(job_id, None)
