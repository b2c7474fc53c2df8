"""Ending the processes of jobs on this machine: SIGTERM, after a grace SIGKILL, and what stays."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from nowcast_cli.executors.job_folder import Claim
from nowcast_cli.executors.sessions import members, remaining

GRACE = 10.0
# From SIGKILL on; what the kernel has not ended by then hangs in it.
LAST_WAIT = 2.0


@dataclass
class _Ending:
    claim: Claim
    kill_at: float


class JobEnder:
    """Ends jobs with all processes of their sessions, and knows which could not be ended."""

    def __init__(self, send: Callable[[Claim, int], bool], monotonic: Callable[[], float]) -> None:
        self._send = send
        self._monotonic = monotonic
        self._endings: dict[str, _Ending] = {}

    def begin(self, job_id: str, claim: Claim) -> None:
        """Send SIGTERM to a job, once however often it is asked for."""
        if job_id not in self._endings:
            self._endings[job_id] = _Ending(claim, self._monotonic() + GRACE)
            self._send(claim, signal.SIGTERM)

    def forget(self, job_id: str) -> None:
        """End a job no more."""
        self._endings.pop(job_id, None)

    def tend(self) -> None:
        """Kill what has not ended within the grace; to be called now and then."""
        for ending in self._endings.values():
            if self._monotonic() >= ending.kill_at:
                self._send(ending.claim, signal.SIGKILL)

    def awaits(self, job_id: str) -> bool:
        """Say whether processes of a job, whose first one has gone, are still being ended."""
        ending = self._endings.get(job_id)
        if ending is None or self._monotonic() >= ending.kill_at + LAST_WAIT:
            return False
        return bool(members(ending.claim.process))

    def stayed(self, job_id: str) -> str | None:
        """Say which processes of a job that was ended are there still; None where none is."""
        ending = self._endings.get(job_id)
        return None if ending is None else remaining(job_id, ending.claim.process)
