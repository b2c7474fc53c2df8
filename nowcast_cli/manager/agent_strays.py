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
        self._others: dict[str, set[str]] = {}  # by agent, what runs there and is not ours

    def look(self, agent: str, running: Iterable[str], jobs: AgentJobs) -> None:
        """Take in what runs on an agent."""
        there = set(running)
        others = self._others.pop(agent, set()) & there
        for job_id in sorted(there - others - self._lines.to(agent).strays.keys()):
            job = jobs.get(job_id)
            if job is None:
                if not self._is_ours(agent, job_id):
                    others.add(job_id)
            elif job.agent is None and job.handed and not job.over:
                jobs.put_placed(job, agent)
                self._lines.stir(agent)
        if others:
            self._others[agent] = others

    def _is_ours(self, agent: str, job_id: str) -> bool:
        """Have a job ended that is over for us; False for one that was never on this agent."""
        assigned, record = self._store.assignment(job_id), self._store.job(job_id)
        if assigned is None or record is None or assigned.agent != agent:
            return False
        if not record.unfinished and record.exit is not None:  # else it is yet to be closed
            stray = Followed(self._request_of(record), begin=False, cancel=True)
            self._lines.to(agent).strays[job_id] = stray
            self._lines.stir(agent)
        return True
