"""The jobs that are for agents: which of them wait, which agent each is on, what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict
from nowcast_cli.manager.agent_placement import Wanted


@dataclass
class AgentJob:
    """A job that is for an agent.

    Parameters
    ----------
    request
        As it would be on this machine.
    wanted
        What it asks for.
    failed_on
        The agents on which attempts before it have failed.
    agent
        Where it was placed, None while it waits.
    begin, cancel
        Whether it is still to be begun, and whether it is to be ended.
    only
        The agent that an operator has chosen.
    handed
        Whether its agent may know of it: then it may run there.
    claimed, over
        Whether its process has begun, and whether that has gone or will never be.
    have
        What there is of it here, in the form of an order's ``look``; None where nobody has looked.
    began
        When its process began, on the clock of this machine since its boot.
    verdict
        How it ended, where it left no exit.
    """

    request: JobRequest
    wanted: Wanted
    failed_on: tuple[str, ...] = ()
    agent: str | None = None
    begin: bool = True
    cancel: bool = False
    only: str | None = None
    handed: bool = False
    claimed: bool = False
    over: bool = False
    have: Mapping[str, Any] | None = None
    began: float | None = None
    verdict: Verdict | None = None


@dataclass
class AgentJobs:
    """All of them. One that is not over is in one queue, or on one agent, or nobody knows where."""

    jobs: dict[str, AgentJob] = field(default_factory=dict)
    queues: dict[Wanted, dict[str, None]] = field(default_factory=dict)
    taken: dict[str, dict[str, Wanted]] = field(default_factory=dict)  # by agent and job
    waiting: int = 0

    def get(self, job_id: str) -> AgentJob | None:
        """Give the job of that id, None where it is not for agents."""
        return self.jobs.get(job_id)

    def on(self, agent: str) -> Iterator[AgentJob]:
        """Give the jobs that are on an agent, in the order of their coming."""
        for job_id in self.taken.get(agent, ()):
            yield self.jobs[job_id]

    def put_placed(self, job: AgentJob, agent: str) -> None:
        """Take in a job that is on an agent already."""
        job.agent = agent
        self.jobs[job.request.id] = job
        self.taken.setdefault(agent, {})[job.request.id] = job.wanted

    def queue(self, job: AgentJob) -> None:
        """Have a job wait for an agent, in order of age: ids are in that order."""
        job.agent = None
        self.jobs[job.request.id] = job
        queue = self.queues.setdefault(job.wanted, {})
        is_oldest_last = bool(queue) and next(reversed(queue)) > job.request.id
        queue[job.request.id] = None
        if is_oldest_last:
            self.queues[job.wanted] = dict.fromkeys(sorted(queue))
        self.waiting += 1

    def place(self, job_id: str, agent: str) -> AgentJob:
        """Put a waiting job on an agent."""
        job = self.jobs[job_id]
        self._leave_queue(job)
        self.put_placed(job, agent)
        return job

    def ask_anew(self, wanted_of: Callable[[AgentJob], Wanted]) -> None:
        """Let all jobs that wait ask for what they are to ask now; they stay in order of age."""
        waiting = sorted(job_id for queue in self.queues.values() for job_id in queue)
        self.queues.clear()
        self.waiting = 0
        for job_id in waiting:
            job = self.jobs[job_id]
            job.wanted = wanted_of(job)
            self.queue(job)

    def unplace(self, job: AgentJob) -> None:
        """Have a job wait again of which its agent never heard."""
        assert not job.handed, "its agent may run it"
        self._leave_agent(job)
        self.queue(job)

    def end(self, job: AgentJob) -> None:
        """Give its room to others: its process has gone, or it has none."""
        if job.agent is None:
            self._leave_queue(job)
        else:
            self._leave_agent(job)

    def forget(self, job_id: str) -> None:
        """Know nothing more of a job."""
        job = self.jobs.pop(job_id, None)
        if job is not None:
            self.end(job)

    def _leave_queue(self, job: AgentJob) -> None:
        queue = self.queues.get(job.wanted)
        if queue is not None and job.request.id in queue:
            del queue[job.request.id]
            self.waiting -= 1
            if not queue:
                del self.queues[job.wanted]

    def _leave_agent(self, job: AgentJob) -> None:
        if job.agent is None:
            return
        there = self.taken.get(job.agent)
        if there is not None and there.pop(job.request.id, None) is not None and not there:
            del self.taken[job.agent]
