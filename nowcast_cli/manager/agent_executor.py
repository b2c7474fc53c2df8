"""An executor of the kind ``agents``: what the watch over jobs sees of the agents."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nowcast_cli.executors.job_folder import JobRequest, encoded
from nowcast_cli.executors.native import Native, Verdict
from nowcast_cli.executors.remote_executor import Target

if TYPE_CHECKING:
    from nowcast_cli.manager.agent_floor import AgentFloor


class AgentExecutor:
    """Obeys ``executors.remote_executor.RemoteExecutor``; every agent is for every such executor.

    All is done in the manager's own turns, so there is no thread; ``wakes`` is a descriptor that is
    readable when a turn is due.
    """

    def __init__(self, floor: AgentFloor, wakes: int) -> None:
        self._floor = floor
        self._hints: dict[str, None] = {}
        self._wake = os.dup(wakes)  # for each executor has one of its own

    def fileno(self) -> int:
        """Give a descriptor that is readable when something may have happened."""
        return self._wake

    def use(self, target: Target) -> None:
        """Nothing of its configuration matters to it; that of workers is read for each job."""

    def submit(self, job: JobRequest) -> None:
        """Have a job placed, or begun where it was. Raises NowcastError if it is too long."""
        encoded(job)
        self._floor.submit(job, self)

    def follow(self, job: JobRequest) -> None:
        """Look at a job that was begun before."""
        self._floor.follow(job, self)

    def cancel(self, job: JobRequest) -> None:
        """Keep a job from beginning, or end it."""
        self._floor.cancel(job, self)

    def forget(self, job_id: str) -> None:
        """Look at a job no more."""
        self._hints.pop(job_id, None)
        self._floor.forget(job_id)

    def verdict(self, job_id: str) -> Verdict | None:
        """Say that a job is lost: by its agent's word, or by an operator's."""
        return self._floor.verdict(job_id)

    def asks(self, job_id: str) -> bool:  # noqa: ARG002
        """Never: the agent's host itself is who knows how a job ended."""
        return False

    def native(self, job_id: str) -> Native | None:
        """Say which agent a job is on; None while it waits for one."""
        return self._floor.native(job_id)

    def age(self, job_id: str) -> float | None:
        """Give the seconds since a job's process began; None while that is not known."""
        return self._floor.age(job_id)

    def trouble(self) -> str | None:
        """Say which agents with jobs are silent, and what no agent can take."""
        return self._floor.trouble()

    def hint(self, job_id: str) -> None:
        """Take note that there is news of a job."""
        self._hints[job_id] = None

    def hints(self) -> list[str]:
        """Give the ids of jobs of which there is news."""
        hints, self._hints = list(self._hints), {}
        return hints

    def close(self) -> None:
        """Let go; the jobs go on."""
        os.close(self._wake)
