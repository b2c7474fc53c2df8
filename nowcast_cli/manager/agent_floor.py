"""Where the jobs for agents are: placed in memory, round by round, and known until they are over.

What has to outlast a restart is gathered as changes for the turn's commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from nowcast_cli.config.registry import Registry
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Native, Verdict
from nowcast_cli.manager import agent_words
from nowcast_cli.manager.agent_executor import AgentExecutor
from nowcast_cli.manager.agent_jobs import AgentJob, AgentJobs
from nowcast_cli.manager.agent_lines import Lines
from nowcast_cli.manager.agent_placement import Wanted, place, wanted_of
from nowcast_cli.manager.agent_registry import Agent, AgentRegistry
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.clock import as_stored, now
from nowcast_cli.manager.job_request import place_of
from nowcast_cli.manager.state import Note, State, info, warning
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import (
    AgentPut,
    AssignmentDropped,
    AssignmentPut,
    AssignmentRecord,
    Change,
    JobRecord,
)

TICK = 0.5  # s between two rounds of placing
MOST_A_TICK = 400  # jobs that a round places: so messages find half a processor beside it
_ENDED_BADLY = frozenset({"failed", "crashed", "timed out", "lost"})
_NEVER_PLACED = Verdict("lost", "it was ended before an agent was given it")


class AgentFloor:
    """The jobs for agents, and which agent each is on.

    Parameters
    ----------
    store
        Read from alone.
    registry
        Says what workers ask for; see :meth:`use`.
    agents, lines
        The agents that are known, and the lines to them.
    monotonic
        The clock, in seconds, which stands while the machine sleeps.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        agents: AgentRegistry,
        lines: Lines,
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._registry = registry
        self.agents = agents
        self.lines = lines
        self.monotonic = monotonic
        self.jobs = AgentJobs()
        self.changes: list[Change] = []
        self.notes: list[Note] = []
        self._assigned = {each.job: each for each in store.open_assignments()}
        self._executors: dict[str, AgentExecutor] = {}  # by job
        self._may_place = True
        self._next_tick = monotonic()

    def use(self, registry: Registry) -> None:
        """Go on with a configuration that was reloaded."""
        self._registry = registry
        self.jobs.ask_anew(self._wanted)
        self.stir()

    def due_in(self) -> float | None:
        """Give the seconds until the next round; None where none is to be."""
        if not (self._may_place and self.jobs.waiting):
            return None
        return max(0.0, self._next_tick - self.monotonic())

    def stir(self) -> None:
        """Have jobs placed in the next round: there may be room for them now."""
        self._may_place = True

    def place(self) -> None:
        """Place jobs, where a round is due."""
        if self.due_in() != 0.0:
            return
        self._next_tick = self.monotonic() + TICK
        placed, _ = place(self.jobs.queues, self.agents.rooms(self.jobs.taken), MOST_A_TICK)
        self._may_place = len(placed) == MOST_A_TICK
        at = now()
        for job_id, agent in placed:
            job = self.jobs.place(job_id, agent)
            self.agents.agents[agent].since_report.add(job_id)
            self.changes.append(AssignmentPut(AssignmentRecord(job_id, agent, at, job.failed_on)))
            self.lines.stir(agent)
            self.hint(job_id)

    def went_offline(self, agent: Agent) -> None:
        """Take note that the lease of an agent is over: it keeps the jobs that it may know of."""
        self.keep_seen([agent])
        there = list(self.jobs.on(agent.name))
        self.notes.append(warning(agent_words.silent(agent, len(there), self.agents.lease)))
        self.take_back(job for job in there if not job.handed)
        for job in there:
            self.hint(job.request.id)

    def take_back(self, jobs: Iterable[AgentJob]) -> None:
        """Have jobs placed anew of which their agents have never heard."""
        for job in list(jobs):
            self.jobs.unplace(job)
            self.changes.append(AssignmentDropped(job.request.id))
            self.stir()

    def give_up(self, agent: Agent, verdict: Verdict) -> None:
        """Forget an agent; its jobs have ended so."""
        there = list(self.jobs.on(agent.name))
        self.take_back(job for job in there if not job.handed)
        for job in there:
            if job.handed:
                job.over, job.verdict = True, verdict
                self.free(job)
                self.hint(job.request.id)
        del self.agents.agents[agent.name]
        self.lines.drop(agent.name)

    def free(self, job: AgentJob) -> None:
        """Give a job's room to others."""
        agent = job.agent
        self.jobs.end(job)
        self.stir()
        if agent is not None:
            self.end_of_draining(agent)

    def end_of_draining(self, name: str) -> None:
        """Disable an agent that was to be drained, once it is empty."""
        agent = self.agents.agents.get(name)
        if agent is None or agent.record.standing != "draining" or self.jobs.taken.get(name):
            return
        agent.record = replace(agent.record, standing="disabled")
        self.changes.append(AgentPut(agent.record))
        self.notes.append(info(f"agent {name} is drained: it is disabled"))

    def keep_seen(self, agents: Iterable[Agent]) -> None:
        """Have it written when agents were heard of."""
        for agent in agents:
            if agent.speaks:
                seen = as_stored(time.time() - (self.monotonic() - agent.heard))
                agent.record = replace(agent.record, seen=seen)
                self.changes.append(AgentPut(agent.record))

    # --- for executors

    def submit(self, request: JobRequest, executor: AgentExecutor) -> None:
        """Have a job placed, or begun where it was placed already."""
        self._know(request, executor, begin=True)

    def follow(self, request: JobRequest, executor: AgentExecutor) -> None:
        """Look at a job that was begun before."""
        self._know(request, executor, begin=False)

    def cancel(self, request: JobRequest, executor: AgentExecutor) -> None:
        """End a job, where an agent may have it; else it ends here."""
        job = self._know(request, executor, begin=True)
        job.cancel, job.begin = True, False
        if not job.handed:
            if job.agent is not None:
                self.take_back([job])
            self.jobs.end(job)
            job.over, job.verdict = True, _NEVER_PLACED
            self.hint(request.id)
        elif job.agent is not None:
            self.lines.stir(job.agent)

    def forget(self, job_id: str) -> None:
        """Know nothing more of a job that is closed."""
        job = self.jobs.get(job_id)
        if job is not None and job.agent is not None and not job.over:
            self.lines.stir(job.agent)
        self.jobs.forget(job_id)
        self._assigned.pop(job_id, None)
        self._executors.pop(job_id, None)

    def verdict(self, job_id: str) -> Verdict | None:
        """Say how a job ended that left no exit."""
        job = self.jobs.get(job_id)
        return None if job is None else job.verdict

    def native(self, job_id: str) -> Native | None:
        """Say on which agent a job is; None while it waits for one."""
        job = self.jobs.get(job_id)
        if job is None or job.agent is None:
            return None
        agent = self.agents.agents.get(job.agent)
        state = "running" if job.claimed else "placed"
        return Native(job.agent, state, unknown=agent is None or agent.offline)

    def age(self, job_id: str) -> float | None:
        """Give the seconds since a job's process began; None while that is not known."""
        job = self.jobs.get(job_id)
        if job is None or job.began is None:
            return None
        return max(0.0, uptime().seconds - job.began)

    def trouble(self) -> str | None:
        """Say which agents with jobs are silent, and what no agent can take."""
        return agent_words.trouble(self)

    def hint(self, job_id: str) -> None:
        """Have the watch over jobs look at one."""
        executor = self._executors.get(job_id)
        if executor is not None:
            executor.hint(job_id)

    def _know(self, request: JobRequest, executor: AgentExecutor, *, begin: bool) -> AgentJob:
        known = self.jobs.get(request.id)
        if known is not None:
            return known
        self._executors[request.id] = executor
        assigned = self._assigned.get(request.id)
        failed_on = assigned.failed_on if assigned is not None else self._failed_on(request)
        job = AgentJob(request, Wanted(), failed_on, begin=begin)
        job.only = assigned.agent if assigned is not None and assigned.placed is None else None
        job.wanted = self._wanted(job)
        if assigned is not None and assigned.placed is not None:
            job.handed = True  # an earlier manager may have given the order
            job.claimed = not begin
            self.jobs.put_placed(job, assigned.agent)
            self.lines.stir(assigned.agent)
        elif begin:
            self.jobs.queue(job)
            self.stir()
        else:  # it runs, and the rows that said where are lost: its agent will tell
            job.handed = True
            self.jobs.jobs[request.id] = job
        return job

    def record(self, state: State, job_id: str) -> JobRecord | None:
        """Give a job, also one that has ended; None where there is none."""
        return state.jobs.get(job_id) or self._store.job(job_id)

    def is_for_agents(self, job: JobRecord) -> bool:
        """Say whether a job is one of an executor of the kind ``agents``."""
        settings = self._registry.executors.at(place_of(job))
        return settings is not None and settings.kind == "agents"

    def choose(self, job_id: str, agent: str) -> None:
        """Take note that an operator has chosen an agent for a job that waits."""
        job, before = self.jobs.get(job_id), self._assigned.get(job_id)
        if job is not None:
            failed_on = job.failed_on
            if job.agent is not None:
                self.take_back([job])
            job.only = agent
            self.jobs.ask_anew(self._wanted)
            self.stir()
        else:
            failed_on = () if before is None else before.failed_on
        record = AssignmentRecord(job_id, agent, None, failed_on)
        self._assigned[job_id] = record
        self.changes.append(AssignmentPut(record))

    def _wanted(self, job: AgentJob) -> Wanted:
        settings = self._registry.jobs_of(job.request.worker)
        return wanted_of(
            job.request.resources,
            settings.requires,
            settings.priority,
            frozenset(job.failed_on),
            job.only,
        )

    def _failed_on(self, request: JobRequest) -> tuple[str, ...]:
        """Give the agents on which earlier attempts have failed."""
        record = self._store.job(request.id) if request.attempt > 1 else None
        if record is None or record.predecessor is None:
            return ()
        before = self._store.job(record.predecessor)
        where = self._store.assignment(record.predecessor)
        if before is None or where is None:
            return ()
        failed = before.state in _ENDED_BADLY and where.placed is not None
        return tuple(dict.fromkeys((*where.failed_on, *((where.agent,) if failed else ()))))
