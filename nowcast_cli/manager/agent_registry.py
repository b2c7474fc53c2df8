"""The agents that are known: what they are, what they use, and when they were heard of. Pure.

Times are in seconds of the caller's clock, which stands while the machine sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nowcast_cli.manager.agent_placement import Room, Wanted
from nowcast_cli.messages.agent_messages import (
    AgentMessageError,
    Limits,
    Register,
    Report,
    from_json,
    to_json,
)
from nowcast_cli.messages.plain import NotPlain, from_plain, to_plain
from nowcast_cli.store.records import AgentRecord

_MOST_ERRORS = 20  # kept of each agent
_DEAF = 5.0  # s in which nothing was listened to: what nobody heard was not silence


@dataclass(frozen=True, slots=True)
class _Known:
    """What a description and the limits of operators come to."""

    set_limits: Mapping[str, Any]
    register: Register | None
    limits: Limits
    tags: frozenset[str]


@dataclass
class Agent:
    """One agent.

    ``heard`` is when it was last heard of, by this manager or, where it was not as yet, when
    this manager began. ``speaks`` tells whether it was, ``is_back`` that nobody has taken note yet
    that it is heard of again. ``offset`` is how far its clock is ahead, in seconds.
    """

    record: AgentRecord
    heard: float
    register: Register | None = None
    report: Report | None = None
    speaks: bool = False
    offline: bool = False
    is_back: bool = False
    offset: float | None = None
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_ERRORS))
    since_report: set[str] = field(default_factory=set)  # jobs that were placed after it
    _known: _Known | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def state(self) -> str:
        """``online``, ``draining``, ``disabled`` or ``offline``."""
        return "offline" if self.offline else self.record.standing

    @property
    def limits(self) -> Limits:
        """What holds: what operators have set, and for the rest what it was started with."""
        return self._derived().limits

    @property
    def tags(self) -> frozenset[str]:
        """What it says is there."""
        return self._derived().tags

    def _derived(self) -> _Known:
        """Give what follows from record and description, made anew only where these are others."""
        known = self._known
        if (
            known is None
            or known.set_limits is not self.record.limits
            or known.register is not self.register
        ):
            host = self.register
            own = Limits() if host is None else host.limits
            limits = _over(limits_of(self.record.limits), own)
            tags = frozenset(() if host is None else host.tags)
            known = self._known = _Known(self.record.limits, host, limits, tags)
        return known

    def is_at(self, register: Register) -> bool:
        """Say whether the agent's jobs, as it registered before, are where this one looks."""
        known = self.register
        return known is None or (known.machine, known.state_directory) == (
            register.machine,
            register.state_directory,
        )


class AgentRegistry:
    """All agents, by name.

    Parameters
    ----------
    lease
        Seconds without a word after which an agent is offline.
    known
        Those of the store; one lease passes before any of them is doubted.
    now
        The time.
    """

    def __init__(self, lease: float, known: Iterable[AgentRecord], now: float) -> None:
        self.lease = lease
        self._listened = now
        self.agents = {
            record.name: Agent(record, now, _register_of(record.described)) for record in known
        }

    def listened(self, now: float) -> None:
        """Take note that all that has come was heard; where that is long ago, nobody was silent."""
        gap = now - self._listened
        if gap > _DEAF:
            for agent in self.agents.values():
                agent.heard = min(now, agent.heard + gap)
        self._listened = now

    def refusal(self, register: Register, with_jobs: Collection[str], now: float) -> str | None:
        """Say why an agent may not register; None where it may.

        ``with_jobs`` are the agents that have jobs. Were another host of the same name taken for
        such a one, its jobs would be begun a second time.
        """
        agent = self.agents.get(register.agent)
        if agent is None or agent.register is None or agent.register.instance == register.instance:
            return None
        if agent.is_at(register):
            return None
        there = f"{agent.register.hostname} ({agent.register.state_directory})"
        if agent.speaks and not agent.offline and now - agent.heard < self.lease:
            return f"an agent {register.agent} is at work on {there}: give this one another name"
        if register.agent in with_jobs:
            return (
                f"the agent {register.agent} has jobs on {there}: give this one another name, or "
                f"give those jobs up: nowcast agent forget {register.agent} --lost"
            )
        return None

    def registered(self, register: Register, now: float, wall: float, at: str) -> Agent:
        """Take in who an agent is; gives it, with the record that is to be kept."""
        agent = self.agents.get(register.agent)
        if agent is None:
            agent = self.agents[register.agent] = Agent(AgentRecord(register.agent), now)
        agent.register, agent.report = register, None
        agent.offset = register.clock - wall
        agent.record = replace(agent.record, described=to_json(register), seen=at)
        self._heard(agent, now)
        return agent

    def reported(self, report: Report, now: float, wall: float) -> Agent | None:
        """Take in what a host uses; None where the agent has to register first."""
        agent = self.speaking(report.agent, report.instance, now)
        if agent is not None:
            agent.report = report
            agent.offset = report.clock - wall
            agent.errors.extend(report.errors)
            agent.since_report.clear()
        return agent

    def speaking(self, name: str, instance: str, now: float) -> Agent | None:
        """Give the agent that says something; None where this instance has not registered."""
        agent = self.agents.get(name)
        if agent is None or agent.register is None or agent.register.instance != instance:
            return None
        self._heard(agent, now)
        return agent

    def _heard(self, agent: Agent, now: float) -> None:
        agent.is_back = agent.is_back or agent.offline or not agent.speaks
        agent.heard, agent.speaks, agent.offline = now, True, False

    def is_replaced(self, name: str, instance: str) -> bool:
        """Say whether an instance has been replaced by one that began later (ids are in order)."""
        agent = self.agents.get(name)
        if agent is None or agent.register is None or not agent.speaks:
            return False
        return agent.register.instance > instance

    def expired(self, now: float) -> Iterator[Agent]:
        """Give the agents whose lease is over, each once: they are offline from now on."""
        for agent in self.agents.values():
            if not agent.offline and now - agent.heard >= self.lease:
                agent.offline = True
                yield agent

    def due_in(self, now: float) -> float | None:
        """Give the seconds until leases are to be looked at again; None where none is to end.

        A manager that has nothing else to do listens all the same, and says so often enough.
        """
        heard = min((a.heard for a in self.agents.values() if not a.offline), default=None)
        return None if heard is None else min(_DEAF / 2, max(0.0, heard + self.lease - now))

    def rooms(self, taken: Mapping[str, Mapping[str, Wanted]]) -> list[Room]:
        """Give what each agent that takes jobs has left; ``taken`` is by agent and job."""
        return [
            room_of(agent, taken.get(agent.name, {}))
            for agent in self.agents.values()
            if agent.speaks and agent.state == "online" and agent.register is not None
        ]


def room_of(agent: Agent, taken: Mapping[str, Wanted]) -> Room:
    """Give what an agent has left beside the jobs that are there."""
    assert agent.register is not None
    host, report, limits = agent.register, agent.report, agent.limits
    used = gpus = taken_memory = fresh_cpus = fresh_memory = 0
    for job, wanted in taken.items():
        used += wanted.cpus
        gpus += wanted.gpus
        taken_memory += wanted.memory
        if job in agent.since_report:
            fresh_cpus += wanted.cpus
            fresh_memory += wanted.memory
    cpus = _least(host.cpus, limits.cpus)
    memory = _least(host.memory, limits.memory) - taken_memory
    load = 0.0
    if report is not None:  # what others use is not there for jobs
        memory = min(memory, report.memory_free - fresh_memory)
        load = report.load + fresh_cpus
    return Room(
        name=agent.name,
        cpus=cpus - used,
        memory=memory,
        all_cpus=cpus,
        tags=agent.tags,
        gpus=len(host.gpus) - gpus,
        slots=None if limits.slots is None else max(0, limits.slots - len(taken)),
        load=max(load, float(used)),
        max_load=limits.max_load,
    )


def whole_room(agent: Agent) -> Room:
    """Give what an agent has where nothing of it is taken."""
    empty = replace(agent, report=None, since_report=set())
    return replace(room_of(empty, {}), max_load=None)


def limits_of(value: Mapping[str, object]) -> Limits:
    """Read limits as they are kept."""
    return from_plain(Limits, value)


def limits_kept(limits: Limits) -> dict[str, float]:
    """Give limits as they are kept: only those that are set."""
    plain: dict[str, float | None] = to_plain(limits)
    return {key: value for key, value in plain.items() if value is not None}


def _over(set_by_operators: Limits, own: Limits) -> Limits:
    chosen = {
        each.name: getattr(own if getattr(set_by_operators, each.name) is None else
                           set_by_operators, each.name)
        for each in fields(Limits)
    }  # fmt: skip
    return Limits(**chosen)


def _least(there: int, limit: int | None) -> int:
    return there if limit is None else min(there, limit)


def _register_of(described: Mapping[str, object] | None) -> Register | None:
    try:
        message = from_json(described)
    except (AgentMessageError, NotPlain):
        return None
    return message if isinstance(message, Register) else None
