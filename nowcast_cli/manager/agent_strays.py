"""Jobs that run on an agent and are not known to: those given up are ended, others found again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.ssh import Followed
from nowcast_cli.manager.agent_jobs import AgentJobs
from nowcast_cli.manager.agent_lines import Lines
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import JobRecord


class Strays:
    """Looks at what agents say runs on their hosts.

    A job that was given up, whose agent has come back with it, may have been tried again
    elsewhere: so it is ended. A job of which nobody knew where it runs is followed from then on.
    """

    def __init__(
        self, store: Store, lines: Lines, request_of: Callable[[JobRecord], JobRequest]
    ) -> None:
        self._store = store
        self._lines = lines
        self._request_of = request_of
        self._seen: dict[str, set[str]] = {}  # by agent, what was looked at

    def look(self, agent: str, running: Iterable[str], jobs: AgentJobs) -> None:
        """Take in what runs on an agent."""
        there = set(running)
        new = there - self._seen.get(agent, set())
        self._seen[agent] = there
        for job_id in sorted(new):
            job = jobs.get(job_id)
            if job is None:
                self._end(agent, job_id)
            elif job.agent is None and job.handed and not job.over:
                jobs.put_placed(job, agent)
                self._lines.stir(agent)

    def _end(self, agent: str, job_id: str) -> None:
        assigned = self._store.assignment(job_id)
        record = self._store.job(job_id)
        if assigned is None or record is None or record.unfinished or record.exit is None:
            return  # another system's, or one that is about to be followed
        if assigned.agent == agent:
            stray = Followed(self._request_of(record), begin=False, cancel=True)
            self._lines.to(agent).strays[job_id] = stray
            self._lines.stir(agent)
