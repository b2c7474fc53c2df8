"""The manager's room for agents: it hears them, places jobs on them, and gives them orders.

All of it happens in the manager's turns. What agents report is kept in memory alone; what has to
outlast a restart goes into the turn's commit, and an order leaves only after that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nowcast_cli.config.agents import AgentSettings
from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.config.registry import Registry
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.mirror import News
from nowcast_cli.executors.native import Native, Verdict
from nowcast_cli.executors.remote_executor import RemoteExecutor, Surroundings, Target
from nowcast_cli.manager import agent_words
from nowcast_cli.manager.agent_executor import AgentExecutor
from nowcast_cli.manager.agent_jobs import AgentJob, AgentJobs
from nowcast_cli.manager.agent_lines import Asked, Lines, reply_bytes
from nowcast_cli.manager.agent_placement import Wanted, place, wanted_of
from nowcast_cli.manager.agent_registry import Agent, AgentRegistry
from nowcast_cli.manager.agent_scribe import Scribe, Task, Written
from nowcast_cli.manager.agent_strays import Strays
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.clock import as_stored, now
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.manager.job_request import place_of, request_of
from nowcast_cli.manager.state import Note, State, Step, info, warning
from nowcast_cli.messages.agent_messages import (
    Acknowledge,
    AgentMessageError,
    Answer,
    Look,
    Pull,
    Register,
    Report,
    Talkback,
    from_text,
    to_text,
)
from nowcast_cli.messages.message import Message
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import (
    AgentPut,
    AssignmentDropped,
    AssignmentPut,
    AssignmentRecord,
    Change,
    JobRecord,
)

TICK = 0.25  # s between two rounds of placing
MOST_A_TICK = 500  # jobs that a round places: their rows are written in one commit
SEEN_INTERVAL = 600.0  # s after which it is written when agents were heard of
_ENDED_BADLY = frozenset({"failed", "crashed", "timed out", "lost"})
_GONE = Verdict("lost", "its process and its runner have gone without a word")
_NEVER_PLACED = Verdict("lost", "it was ended before an agent was given it")

_logger = logging.getLogger("manager")


class AgentDesk:
    """Agents and their jobs.

    Parameters
    ----------
    store
        Read from alone; what is to be written goes into the steps.
    registry, settings
        As configured; see :meth:`use`.
    paths
        Where the files of the system are.
    keys
        The folder of keys, None for a system without.
    answer
        Sends an answer to who has asked.
    monotonic
        The clock, in seconds, which stands while the machine sleeps.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        settings: AgentSettings,
        paths: SystemPaths,
        keys: Path | None,
        answer: Callable[[Arrived, bytes], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._registry = registry
        self._settings = settings
        self._monotonic = monotonic
        self._send_now = answer
        self._replies: list[tuple[Arrived, bytes]] = []
        self.agents = AgentRegistry(settings.lease, store.agents(), monotonic())
        self.jobs = AgentJobs()
        self.lines = Lines(keys, self._send, monotonic)
        self._strays = Strays(store, self.lines, lambda job: request_of(job, paths, self._registry))
        self._assigned = {each.job: each for each in store.open_assignments()}
        self._executors: dict[str, AgentExecutor] = {}  # by job
        self._scribe = Scribe()
        self._changes: list[Change] = []
        self._notes: list[Note] = []
        self._may_place = True
        self._next_tick = self._next_seen = monotonic()
        self._trouble: str | None = None

    # --- for the manager's turns

    def fileno(self) -> int:
        """Give the descriptor to poll."""
        return self._scribe.fileno()

    def use(self, registry: Registry, settings: AgentSettings) -> None:
        """Go on with a configuration that was reloaded."""
        self._registry, self._settings = registry, settings
        self.agents.lease = settings.lease
        self.jobs.ask_anew(self._wanted)
        self.stir()

    def executor(self, target: Target, around: Surroundings) -> RemoteExecutor:  # noqa: ARG002
        """Make an executor of the kind ``agents``."""
        return AgentExecutor(self)

    def wait_at_most(self) -> float | None:
        """Give the seconds until something is to be done unasked; None where nothing is."""
        now_ = self._monotonic()
        due = [self.lines.due_in(), self.agents.due_in(now_)]
        if self._may_place and self.jobs.waiting:
            due.append(max(0.0, self._next_tick - now_))
        if self._changes or self._notes:
            due.append(0.0)
        return min((each for each in due if each is not None), default=None)

    def hear(self, arrived: Arrived, message: Message) -> None:
        """Take in what an agent says; it is answered at the end of the turn."""
        try:
            said = from_text(message.payload)
        except AgentMessageError as error:
            self._refuse(arrived, message, str(error))
            return
        match said:
            case Register():
                self._register(said, arrived, message.id)
            case Report():
                agent = self.agents.reported(said, self._monotonic(), time.time())
                if agent is not None:
                    self._reported(agent, said)
                self._answer(agent, said.agent, said.instance, arrived, message.id)
            case Pull():
                agent = self._speaking(said)
                if agent is None:
                    self._answer(None, said.agent, said.instance, arrived, message.id)
                    return
                until = self.lines.until(said.wait)
                self.lines.ask(agent.name, Asked(arrived, message.id, said.order, until))
            case Answer():
                self._answered(said, arrived, message.id)
            case Look():
                self._send(arrived, reply_bytes(to_text(agent_words.picture(self)), message.id))
            case _:
                self._refuse(arrived, message, "that is for agents, and not of them")

    def step(self, state: State) -> Step:
        """Give what a turn has to commit: who was heard of, and which jobs were placed."""
        now_ = self._monotonic()
        for written in self._scribe.written():
            self._take_in(written)
        self.agents.listened(now_)
        for agent in self.agents.expired(now_):
            self._went_offline(agent)
        if self._may_place and self.jobs.waiting and now_ >= self._next_tick:
            self._place(now_)
        if now_ >= self._next_seen:
            self._next_seen = now_ + SEEN_INTERVAL
            self._keep_seen(now_)
        changes, self._changes = tuple(self._changes), []
        notes, self._notes = tuple(self._notes), []
        return Step(state, changes, notes)

    def _send(self, arrived: Arrived, reply: bytes) -> None:
        """Have an answer sent at the end of the turn: what it follows from is committed first."""
        self._replies.append((arrived, reply))

    def since(self, then: float) -> float:
        """Give the seconds that have passed."""
        return self._monotonic() - then

    def act(self) -> None:
        """Answer who is to be answered, now that the turn is committed."""
        self.lines.answer(self.jobs.on, self.agents.agents, self.talkback)
        replies, self._replies = self._replies, []
        for arrived, reply in replies:
            self._send_now(arrived, reply)

    def close(self) -> list[Change]:
        """Let go; gives what is to be committed of when agents were heard of."""
        self._scribe.close()
        self._changes.clear()
        self._keep_seen(self._monotonic())
        return self._changes

    # --- what agents say

    def talkback(self, agent: Agent) -> Talkback:
        """Give how the manager sees an agent."""
        return Talkback(
            state=agent.record.standing,
            limits=agent.limits,
            report_every=self._settings.report,
            lease=self._settings.lease,
            clock_offset=agent.offset,
        )

    def _speaking(self, said: Pull | Answer) -> Agent | None:
        agent = self.agents.speaking(said.agent, said.instance, self._monotonic())
        if agent is not None:
            self._greet(agent)
        return agent

    def _answer(
        self, agent: Agent | None, name: str, instance: str, arrived: Arrived, id_: str | None
    ) -> None:
        if agent is not None:
            talkback = self.talkback(agent)
        elif self.agents.is_replaced(name, instance):
            talkback = Talkback(refused=f"another agent {name} was started after this one")
        else:
            talkback = Talkback(register=True)
        self._send(arrived, reply_bytes(Acknowledge(talkback), id_))

    def _refuse(self, arrived: Arrived, message: Message, why: str) -> None:
        _logger.error("refused: %s", why)
        body = Message("manager", "refused", {"what": why, "hint": None}, id=message.id)
        self._send(arrived, body.encode())

    def _register(self, register: Register, arrived: Arrived, id_: str | None) -> None:
        now_ = self._monotonic()
        why = self.agents.refusal(register, self.jobs.taken, now_)
        if self.agents.is_replaced(register.agent, register.instance):
            why = f"another agent {register.agent} was started after this one"
        if why is not None:
            self._notes.append(warning(f"refused to register an agent: {why}"))
            self._send(arrived, reply_bytes(Acknowledge(Talkback(refused=why)), id_))
            return
        agent = self.agents.registered(register, now_, time.time(), now())
        self._changes.append(AgentPut(agent.record))
        self._notes.append(info(agent_words.registered(agent)))
        self._strays.look(agent.name, register.running, self.jobs)
        self._is_back(agent)
        self._send(arrived, reply_bytes(Acknowledge(self.talkback(agent)), id_))

    def _greet(self, agent: Agent) -> None:
        """Take note of one that was not heard of, by whatever it says first."""
        if agent.is_back:
            self._notes.append(info(f"agent {agent.name} is heard of again"))
            self._is_back(agent)

    def _is_back(self, agent: Agent) -> None:
        """Go on with an agent that was not heard of, or has begun anew."""
        agent.is_back = False
        self.stir()
        self.lines.stir(agent.name)
        for job in self.jobs.on(agent.name):
            self.hint(job.request.id)

    def _reported(self, agent: Agent, report: Report) -> None:
        self._greet(agent)
        self._strays.look(agent.name, report.running, self.jobs)
        for error in report.errors:
            self._notes.append(warning(f"agent {agent.name} tells of a mistake: {error}"))
        self.stir()

    def _answered(self, answer: Answer, arrived: Arrived, id_: str | None) -> None:
        agent = self._speaking(answer)
        if agent is None:
            self._answer(None, answer.agent, answer.instance, arrived, id_)
            return
        told = answer.exchange.get("jobs")
        cleared = answer.exchange.get("cleared")
        strays = self.lines.to(agent.name).strays
        known: list[tuple[JobRequest, Mapping[str, Any]]] = []
        for job_id, news in told.items() if isinstance(told, Mapping) else ():
            job = self.jobs.get(job_id)
            if job_id in strays:
                known.append((strays[job_id].job, news))
            elif job is not None and job.agent == agent.name:
                known.append((job.request, news))
        self._scribe.add(
            Task(
                agent.name,
                Asked(arrived, id_, answer.order),
                known,
                [each for each in cleared if isinstance(each, str)]
                if isinstance(cleared, list)
                else [],
                _first_trouble(agent.name, answer.exchange.get("trouble")),
            )
        )

    def _take_in(self, written: Written) -> None:
        """Go on once what an agent told of its jobs is in their folders here."""
        name = written.task.agent
        line = self.lines.to(name)
        self._complain(written.trouble or written.task.trouble)
        told = {job.id: news for job, news in written.task.jobs}
        for job_id, found in written.news.items():
            self._note(name, job_id, told[job_id], found, written.have.get(job_id))
        line.clearing.cleared(written.task.cleared)
        if (
            any(found is not News.NOTHING for found in written.news.values())
            or written.task.cleared
        ):
            self.lines.stir(name)
        self.lines.ask(name, written.task.asked)

    def _note(
        self,
        agent: str,
        job_id: str,
        news: Mapping[str, Any],
        found: News,
        have: Mapping[str, Any] | None,
    ) -> None:
        line, job = self.lines.to(agent), self.jobs.get(job_id)
        is_over = news["exit"] is not None or news["gone"]
        if is_over and job_id in line.strays:
            line.clearing.add(line.strays.pop(job_id).job)
        if job is None or job.agent != agent or job.over:
            return
        job.have = have or job.have
        if news["age"] is not None and job.began is None:
            job.began = uptime().seconds - news["age"]
        is_step = found is News.STEP or (not job.claimed and news["pid"] is not None)
        job.claimed = job.claimed or news["pid"] is not None
        if is_over:
            job.over = True
            job.verdict = _GONE if news["exit"] is None else None
            if news["exit"] is not None:
                line.clearing.add(job.request)
            self._free(job)
        if is_step:
            self.hint(job_id)

    def _complain(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            self._notes.append(warning(trouble))
        self._trouble = trouble

    # --- placing

    def stir(self) -> None:
        """Have jobs placed in the next round: there may be room for them now."""
        self._may_place = True

    def _place(self, now_: float) -> None:
        self._next_tick = now_ + TICK
        placed, _ = place(self.jobs.queues, self.agents.rooms(self.jobs.taken), MOST_A_TICK)
        self._may_place = len(placed) == MOST_A_TICK
        at = now()
        for job_id, agent in placed:
            job = self.jobs.place(job_id, agent)
            self.agents.agents[agent].since_report.add(job_id)
            self._changes.append(AssignmentPut(AssignmentRecord(job_id, agent, at, job.failed_on)))
            self.lines.stir(agent)
            self.hint(job_id)

    def _went_offline(self, agent: Agent) -> None:
        seen = as_stored(time.time() - (self._monotonic() - agent.heard))
        if agent.speaks:
            agent.record = replace(agent.record, seen=seen)
            self._changes.append(AgentPut(agent.record))
        there = list(self.jobs.on(agent.name))
        self._notes.append(warning(agent_words.silent(agent, len(there), self._settings.lease)))
        self.take_back(job for job in there if not job.handed)
        for job in there:
            self.hint(job.request.id)

    def take_back(self, jobs: Iterable[AgentJob]) -> None:
        """Have jobs placed anew of which their agents have never heard."""
        for job in list(jobs):
            self.jobs.unplace(job)
            self._changes.append(AssignmentDropped(job.request.id))
            self.stir()

    def give_up(self, agent: Agent, verdict: Verdict) -> None:
        """Forget an agent; its jobs have ended so."""
        there = list(self.jobs.on(agent.name))
        self.take_back(job for job in there if not job.handed)
        for job in there:
            if job.handed:
                job.over, job.verdict = True, verdict
                self._free(job)
                self.hint(job.request.id)
        del self.agents.agents[agent.name]
        self.lines.drop(agent.name)

    def _free(self, job: AgentJob) -> None:
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
        self._changes.append(AgentPut(agent.record))
        self._notes.append(info(f"agent {name} is drained: it is disabled"))

    def _keep_seen(self, now_: float) -> None:
        for agent in self.agents.agents.values():
            if agent.speaks and not agent.offline:
                seen = as_stored(time.time() - (now_ - agent.heard))
                agent.record = replace(agent.record, seen=seen)
                self._changes.append(AgentPut(agent.record))

    # --- for executors

    def submit(self, request: JobRequest, executor: AgentExecutor) -> None:
        """Have a job placed, or begun where it was placed already."""
        self._know(request, executor, begin=True)

    def follow(self, request: JobRequest, executor: AgentExecutor) -> None:
        """Look at a job that was begun before."""
        self._know(request, executor, begin=False)

    def cancel(self, request: JobRequest, executor: AgentExecutor) -> None:
        """End a job, where an agent may have it; else it ends here."""
        job = self._know(request, executor, begin=False)
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
        self._changes.append(AssignmentPut(record))

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


def _first_trouble(agent: str, trouble: Any) -> str | None:
    if isinstance(trouble, list) and trouble:
        return f"agent {agent}: {str(trouble[0])[:1000]}"
    return None
