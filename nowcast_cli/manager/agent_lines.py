"""The lines to the agents: what each is to be answered, and the newest order for it."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors import mirror
from nowcast_cli.executors.clearing import Clearing
from nowcast_cli.executors.host_key import key_for
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.ssh import Followed, order_of
from nowcast_cli.manager.agent_jobs import AgentJob
from nowcast_cli.manager.agent_registry import Agent
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.messages.agent_messages import (
    LONGEST_WAIT,
    TYPE,
    Acknowledge,
    Assignments,
    Talkback,
    to_text,
)
from nowcast_cli.security.key import KeyTrouble

_KEY_LOOK = 10.0  # s between two looks at the key of a host's jobs


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of an agent that is to be answered; ``has`` is the order that the agent has.

    One that ``waits`` is answered when there is another order, or at ``until``.
    """

    arrived: Arrived
    id: str | None
    has: str | None
    until: float | None = None


@dataclass
class Line:
    """The line to one agent.

    ``order`` is the newest one, None where it is to be made; ``strays`` are jobs that are over
    for us, and of which processes live there.
    """

    number: int = 0
    order: Assignments | None = None
    asked: list[Asked] = field(default_factory=list)
    clearing: Clearing = field(default_factory=Clearing)
    strays: dict[str, Followed] = field(default_factory=dict)
    key: Mapping[str, str] | None = None
    key_read: float | None = None


class Lines:
    """All lines.

    Parameters
    ----------
    keys
        The folder of keys, None for a system without.
    send
        Sends an answer.
    monotonic
        The clock, in seconds.
    """

    def __init__(
        self,
        keys: Path | None,
        send: Callable[[Arrived, bytes], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._send = send
        self._monotonic = monotonic
        # Orders of an earlier manager have other ids.
        self._run = os.urandom(4).hex()
        self._lines: dict[str, Line] = {}
        self._stirred: set[str] = set()
        self._due_at = math.inf  # not later than anything is due of itself
        self._waiting: set[bytes] = set()  # stamps of what waits
        self._troubles: dict[str, str] = {}  # by agent

    @property
    def trouble(self) -> str | None:
        """Say which agent can be given no order and why; None where all can."""
        return next(iter(self._troubles.values()), None)

    def to(self, agent: str) -> Line:
        """Give the line to an agent."""
        if agent not in self._lines:
            self._lines[agent] = Line()
        return self._lines[agent]

    def drop(self, agent: str) -> None:
        """Forget an agent; what it has asked is answered, since the broker keeps it until then."""
        line = self._lines.pop(agent, None)
        self._troubles.pop(agent, None)
        for asked in line.asked if line is not None else ():
            self._reply(asked, Acknowledge(Talkback(register=True)))

    def stir(self, agent: str) -> None:
        """Have a new order made for an agent: there is something new to do, or to know."""
        line = self.to(agent)
        line.order = None
        line.number += 1
        self._stirred.add(agent)

    def ask(self, agent: str, asked: Asked) -> None:
        """Take in what is to be answered with an order; an older one that waits is let go."""
        line = self.to(agent)
        if asked.until is not None:
            for each in [each for each in line.asked if each.until is not None]:
                line.asked.remove(each)
                self._reply(each, Acknowledge())
        line.asked.append(asked)
        self._stirred.add(agent)
        self._due_at = min(self._due_at, self._due_of(line))
        if asked.until is not None and asked.arrived.stamp is not None:
            self._waiting.add(asked.arrived.stamp)

    def waits(self, arrived: Arrived) -> bool:
        """Say whether this is a message that waits already: the broker has offered it again."""
        return arrived.stamp in self._waiting

    def until(self, wait: float) -> float:
        """Give when one that may wait so long is answered."""
        return self._monotonic() + max(0.0, min(wait, LONGEST_WAIT))

    def due_in(self) -> float | None:
        """Give the seconds until somebody is to be answered, or something to be cleared."""
        return None if self._due_at == math.inf else max(0.0, self._due_at - self._monotonic())

    def _due_of(self, line: Line) -> float:
        if not line.asked:
            return math.inf
        wait = line.clearing.wait()
        cleared_at = math.inf if wait is None else self._monotonic() + wait
        return min(cleared_at, *(each.until or math.inf for each in line.asked))

    def answer(
        self,
        jobs_on: Callable[[str], Iterable[AgentJob]],
        agents: Mapping[str, Agent],
        talkback: Callable[[Agent], Talkback],
    ) -> None:
        """Answer whoever is to be answered now: what is in the orders has been committed."""
        now = self._monotonic()
        is_due = now >= self._due_at
        stirred, self._stirred = self._stirred, set()
        for name in self._lines if is_due else stirred:
            line = self._lines.get(name)
            if line is None or not line.asked:
                continue
            if is_due and line.clearing.wait() == 0.0:
                line.order = None
                line.number += 1
            self._answer(name, line, jobs_on, agents.get(name), talkback, now)
        if is_due:
            self._due_at = min(
                (self._due_of(line) for line in self._lines.values()), default=math.inf
            )

    def _answer(
        self,
        name: str,
        line: Line,
        jobs_on: Callable[[str], Iterable[AgentJob]],
        agent: Agent | None,
        talkback: Callable[[Agent], Talkback],
        now: float,
    ) -> None:
        if agent is None or agent.register is None:
            for asked in line.asked:
                self._reply(asked, Acknowledge(Talkback(register=True)))
            line.asked.clear()
            return
        current = f"{self._run}-{line.number}"
        still = []
        for asked in line.asked:
            if asked.has == current:
                if asked.until is not None and asked.until > now:
                    still.append(asked)
                    continue
                said = Acknowledge(talkback(agent))
            else:
                if line.order is None:
                    line.order = self._made(current, line, agent, list(jobs_on(name)))
                said = Acknowledge(talkback(agent), line.order)
            self._reply(asked, said)
        line.asked = still

    def _reply(self, asked: Asked, said: Acknowledge) -> None:
        if asked.arrived.stamp is not None:
            self._waiting.discard(asked.arrived.stamp)
        self._send(asked.arrived, reply_bytes(said, asked.id))

    def _made(
        self, order_id: str, line: Line, agent: Agent, jobs: Sequence[AgentJob]
    ) -> Assignments | None:
        """Make an order; None where it cannot be, and :attr:`trouble` says why."""
        try:
            order = self._order(order_id, line, agent, jobs)
        except (KeyTrouble, OSError) as error:
            self._troubles[agent.name] = f"agent {agent.name} is given no order: {error}"
            return None
        self._troubles.pop(agent.name, None)
        return order

    def _order(
        self, order_id: str, line: Line, agent: Agent, jobs: Sequence[AgentJob]
    ) -> Assignments:
        assert agent.register is not None
        followed = [
            Followed(job.request, begin=job.begin and not job.claimed, cancel=job.cancel)
            for job in jobs
        ]
        due = self._due(line.clearing)
        haves = {job.request.id: _have(job) for job in jobs}
        host = _host_of(agent, jobs[0].request.config_file if jobs else "")
        order = order_of(
            host,
            [*followed, *line.strays.values()],
            [Followed(job, begin=False) for job in due],
            self._key(line, agent.name),
            lambda job: haves.get(job.id) or mirror.have(Path(job.folder)),
        )
        line.clearing.asked(due)
        for job in jobs:
            job.handed = True
        return Assignments(order_id, order)

    def _due(self, clearing: Clearing) -> list[JobRequest]:
        """Give jobs that are to be cleared there; what was removed here went there, too."""
        due = clearing.due()
        removed = [job.id for job in due if not Path(job.folder).exists()]
        clearing.cleared(removed)
        return [job for job in due if job.id not in removed]

    def _key(self, line: Line, agent: str) -> Mapping[str, str] | None:
        """Give the key of the agent's jobs. Raises KeyTrouble."""
        if self._keys is None:
            return None
        now = self._monotonic()
        if line.key_read is None or now - line.key_read > _KEY_LOOK:
            line.key, line.key_read = key_for(self._keys, agent), now
        return line.key


def reply_bytes(message: Acknowledge | str, message_id: str | None) -> bytes:
    """Give an answer as it goes over the wire: a message of agents, or its text."""
    text = message if isinstance(message, str) else to_text(message)
    body: dict[str, Any] = {"source": "manager", "type": TYPE, "payload": text}
    return json.dumps(body | ({"id": message_id} if message_id else {})).encode()


def _have(job: AgentJob) -> Mapping[str, Any]:
    if job.have is None:
        job.have = mirror.have(Path(job.request.folder))
    return job.have


def _host_of(agent: Agent, config_file: str) -> RemoteHost:
    assert agent.register is not None
    return RemoteHost(
        name=agent.name,
        envvars=None,
        python="",
        config_file=agent.register.config_file or config_file,
        state_directory=agent.register.state_directory,
        ssh_options=(),
    )
