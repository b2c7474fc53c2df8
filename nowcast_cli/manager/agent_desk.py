"""The manager's room for agents: it hears them, places jobs on them, and gives them orders.

All of it happens in the manager's turns. What agents report is kept in memory alone; what has to
outlast a restart goes into the turn's commit, and an order leaves only after that.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nowcast_cli.config.agents import AgentTimes
from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.config.registry import Registry
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.mirror import News
from nowcast_cli.executors.native import GONE
from nowcast_cli.executors.remote_executor import RemoteExecutor, Surroundings, Target
from nowcast_cli.manager import agent_words
from nowcast_cli.manager.agent_executor import AgentExecutor
from nowcast_cli.manager.agent_floor import AgentFloor
from nowcast_cli.manager.agent_lines import Asked, Lines, reply_bytes
from nowcast_cli.manager.agent_registry import Agent, AgentRegistry
from nowcast_cli.manager.agent_scribe import JobNews, Scribe, Task, Written
from nowcast_cli.manager.agent_strays import Strays
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.manager.job_request import request_of
from nowcast_cli.manager.state import State, Step, info, warning
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
    Change,
)

SEEN_INTERVAL = 600.0  # s after which it is written when agents were heard of

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
        settings: AgentTimes,
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
        self._agents = AgentRegistry(settings.lease, store.agents(), monotonic())
        self._lines = Lines(keys, self._send, monotonic)
        self.floor = AgentFloor(store, registry, self._agents, self._lines, monotonic)
        self._jobs = self.floor.jobs
        self._strays = Strays(
            store, self._lines, lambda job: request_of(job, paths, self._registry)
        )
        self._scribe = Scribe()
        self._next_seen = monotonic()
        self._troubles: dict[str, str] = {}  # by agent

    # --- for the manager's turns

    def fileno(self) -> int:
        """Give the descriptor to poll."""
        return self._scribe.fileno()

    def use(self, registry: Registry, settings: AgentTimes) -> None:
        """Go on with a configuration that was reloaded."""
        self._registry, self._settings = registry, settings
        self._agents.lease = settings.lease
        self.floor.use(registry)

    def executor(self, target: Target, around: Surroundings) -> RemoteExecutor:  # noqa: ARG002
        """Make an executor of the kind ``agents``."""
        return AgentExecutor(self.floor, self.fileno())

    def wait_at_most(self) -> float | None:
        """Give the seconds until something is to be done unasked; None where nothing is."""
        now_ = self._monotonic()
        due = [self._lines.due_in(), self._agents.due_in(now_), self.floor.due_in()]
        if self.floor.changes or self.floor.notes:
            due.append(0.0)
        return min((each for each in due if each is not None), default=None)

    def is_waiting(self, arrived: Arrived) -> bool:
        """Say whether this waits for an order already: the broker has offered it again."""
        return self._lines.waits(arrived)

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
                agent = self._agents.reported(said, self._monotonic(), time.time())
                if agent is None:
                    self._answer(None, said.agent, said.instance, arrived, message.id)
                    return
                self._reported(agent, said)
                self._lines.ask(agent.name, Asked(arrived, message.id, said.order))
            case Pull():
                agent = self._speaking(said)
                if agent is None:
                    self._answer(None, said.agent, said.instance, arrived, message.id)
                    return
                until = self._lines.until(said.wait)
                self._lines.ask(agent.name, Asked(arrived, message.id, said.order, until))
            case Answer():
                self._answered(said, arrived, message.id)
            case Look():
                self._send(
                    arrived, reply_bytes(to_text(agent_words.picture(self.floor)), message.id)
                )
            case _:
                self._refuse(arrived, message, "that is for agents, and not of them")

    def step(self, state: State) -> Step:
        """Give what a turn has to commit: who was heard of, and which jobs were placed."""
        now_ = self._monotonic()
        for written in self._scribe.written():
            self._take_in(written)
        self._agents.listened(now_)
        for agent in self._agents.expired(now_):
            self.floor.went_offline(agent)
        self.floor.place()
        if now_ >= self._next_seen:
            self._next_seen = now_ + SEEN_INTERVAL
            self._keep_seen()
        changes, self.floor.changes = tuple(self.floor.changes), []
        notes, self.floor.notes = tuple(self.floor.notes), []
        return Step(state, changes, notes)

    def _keep_seen(self) -> None:
        self.floor.keep_seen(each for each in self._agents.agents.values() if not each.offline)

    def _send(self, arrived: Arrived, reply: bytes) -> None:
        """Have an answer sent at the end of the turn: what it follows from is committed first."""
        self._replies.append((arrived, reply))

    def status(self) -> dict[str, int]:
        """Count the agents by state, for a health answer."""
        states = Counter(agent.state for agent in self._agents.agents.values())
        return dict(sorted(states.items()))

    def act(self) -> None:
        """Answer who is to be answered, now that the turn is committed."""
        self._lines.answer(self._jobs.on, self._agents.agents, self.talkback)
        replies, self._replies = self._replies, []
        for arrived, reply in replies:
            self._send_now(arrived, reply)

    def close(self) -> list[Change]:
        """Let go; gives what is to be committed of when agents were heard of."""
        self._scribe.close()
        self.floor.changes.clear()
        self._keep_seen()
        return self.floor.changes

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
        agent = self._agents.speaking(said.agent, said.instance, self._monotonic())
        if agent is not None:
            self._greet(agent)
        return agent

    def _answer(
        self, agent: Agent | None, name: str, instance: str, arrived: Arrived, id_: str | None
    ) -> None:
        if agent is not None:
            talkback = self.talkback(agent)
        elif self._agents.is_replaced(name, instance):
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
        why = self._agents.refusal(register, self._jobs.taken, now_)
        if self._agents.is_replaced(register.agent, register.instance):
            why = f"another agent {register.agent} was started after this one"
        if why is not None:
            self.floor.notes.append(warning(f"refused to register an agent: {why}"))
            self._send(arrived, reply_bytes(Acknowledge(Talkback(refused=why)), id_))
            return
        agent = self._agents.registered(register, now_, time.time(), now())
        self.floor.changes.append(AgentPut(agent.record))
        self.floor.notes.append(info(agent_words.registered(agent)))
        self._strays.look(agent.name, register.running, self._jobs)
        self._is_back(agent)
        self._send(arrived, reply_bytes(Acknowledge(self.talkback(agent)), id_))

    def _greet(self, agent: Agent) -> None:
        """Take note of one that was not heard of, by whatever it says first."""
        if agent.is_back:
            self.floor.notes.append(info(f"agent {agent.name} is heard of again"))
            self._is_back(agent)

    def _is_back(self, agent: Agent) -> None:
        """Go on with an agent that was not heard of, or has begun anew."""
        agent.is_back = False
        self.floor.stir()
        self._lines.stir(agent.name)
        for job in self._jobs.on(agent.name):
            self.floor.hint(job.request.id)

    def _reported(self, agent: Agent, report: Report) -> None:
        self._greet(agent)
        self._strays.look(agent.name, report.running, self._jobs)
        for error in report.errors:
            self.floor.notes.append(warning(f"agent {agent.name} tells of a mistake: {error}"))
        self.floor.stir()

    def _answered(self, answer: Answer, arrived: Arrived, id_: str | None) -> None:
        agent = self._speaking(answer)
        if agent is None:
            self._answer(None, answer.agent, answer.instance, arrived, id_)
            return
        told = answer.exchange.get("jobs")
        cleared = answer.exchange.get("cleared")
        strays = self._lines.to(agent.name).strays
        known: list[tuple[JobRequest, Mapping[str, Any]]] = []
        for job_id, news in told.items() if isinstance(told, Mapping) else ():
            job = self._jobs.get(job_id)
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
        line = self._lines.to(name)
        self._complain(name, written.trouble or written.task.trouble)
        for job_id, heard in written.jobs.items():
            self._note(name, job_id, heard)
        line.clearing.cleared(written.task.cleared)
        has_news = any(heard.new is not News.NOTHING for heard in written.jobs.values())
        if has_news or written.task.cleared:
            self._lines.stir(name)
        self._lines.ask(name, written.task.asked)

    def _note(self, agent: str, job_id: str, heard: JobNews) -> None:
        line, job = self._lines.to(agent), self._jobs.get(job_id)
        is_over = heard.exited or heard.gone
        if is_over and job_id in line.strays:
            line.clearing.add(line.strays.pop(job_id).job)
        if job is None or job.agent != agent or job.over:
            return
        job.have = heard.have or job.have
        if heard.age is not None and job.began is None:
            job.began = uptime().seconds - heard.age
        is_step = heard.new is News.STEP or (heard.claimed and not job.claimed)
        job.claimed = job.claimed or heard.claimed
        if is_over:
            job.over = True
            job.verdict = None if heard.exited else GONE
            if heard.exited:
                line.clearing.add(job.request)
            self.floor.free(job)
        if is_step:
            self.floor.hint(job_id)

    def _complain(self, agent: str, trouble: str | None) -> None:
        """Tell of what an agent could not do, once; it tells it with each answer."""
        before = self._troubles.pop(agent, None)
        if trouble is None:
            return
        self._troubles[agent] = trouble
        if trouble != before:
            self.floor.notes.append(warning(trouble))


def _first_trouble(agent: str, trouble: Any) -> str | None:
    if isinstance(trouble, list) and trouble:
        return f"agent {agent}: {str(trouble[0])[:1000]}"
    return None
