"""What operators ask of agents: limits, draining, disabling, forgetting, a job for one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.executors.native import Verdict
from nowcast_cli.manager.agent_registry import Agent, limits_kept, limits_of
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Note, Reply, Step, warning
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.agent_messages import Standing
from nowcast_cli.messages.plain import NotPlain
from nowcast_cli.store.records import AgentDropped, AgentPut, Change, short_id

if TYPE_CHECKING:
    from nowcast_cli.manager.agent_floor import AgentFloor

_LIST = "nowcast agent list"
_DOING = {
    "online": "takes jobs",
    "draining": "takes no more jobs, and is disabled once it has none",
    "disabled": "takes no more jobs",
}


class AgentRequests:
    """Carries them out; what a request changes goes into the step, or the next one."""

    def __init__(self, floor: AgentFloor) -> None:
        self._floor = floor

    def orders(self) -> Mapping[str, Callable[[Turn, Any], Step]]:
        """Give who carries out which request."""
        return {
            "agent limit": self._limit,
            "agent standing": self._standing,
            "agent forget": self._forget,
            "assign": self._assign,
        }

    def _limit(self, turn: Turn, payload: Any) -> Step:
        agent = self._agent(payload)
        asked = payload.get("limits")
        if not isinstance(asked, Mapping) or not asked:
            raise RequestError("the request names no limit", "nowcast agent limit --help")
        try:
            limits = limits_of({**agent.record.limits, **asked})
            if any(value < 0 for value in limits_kept(limits).values()):
                raise NotPlain("none can be below 0")
        except NotPlain as error:
            raise RequestError(f"a wrong limit: {error}", "nowcast agent limit --help") from None
        agent.record = replace(agent.record, limits=limits_kept(limits))
        return self._changed(turn, agent, warning(f"agent {agent.name} has new limits"))

    def _standing(self, turn: Turn, payload: Any) -> Step:
        agent, standing = self._agent(payload), payload.get("standing")
        if standing not in get_args(Standing):
            raise RequestError(f"an agent cannot be {standing!r}", "nowcast agent --help")
        agent.record = replace(agent.record, standing=standing)
        if standing != "online":
            on_their_way = [job for job in self._floor.jobs.on(agent.name) if not job.handed]
            self._floor.take_back(on_their_way)
        note = warning(f"agent {agent.name} is {standing}: it {_DOING[standing]}")
        step = self._changed(turn, agent, note)
        self._floor.end_of_draining(agent.name)
        return replace(step, reply=self._reply(agent))

    def _changed(self, turn: Turn, agent: Agent, note: Note) -> Step:
        self._floor.stir()
        self._floor.lines.stir(agent.name)
        return Step(turn.state, (AgentPut(agent.record),), (note,), self._reply(agent))

    def _reply(self, agent: Agent) -> Reply:
        return Reply(
            "ack",
            {
                "agent": agent.name,
                "standing": agent.record.standing,
                "limits": limits_kept(agent.limits),
                "jobs": len(self._floor.jobs.taken.get(agent.name, ())),
            },
        )

    def _forget(self, turn: Turn, payload: Any) -> Step:
        agent = self._agent(payload)
        there = list(self._floor.jobs.on(agent.name))
        if agent.speaks and not agent.offline:
            raise RequestError(
                f"agent {agent.name} is heard of: nothing of it is to be forgotten",
                f"end it on its host first, or nowcast agent disable {agent.name}",
            )
        if there and payload.get("lost") is not True:
            raise RequestError(
                f"agent {agent.name} has jobs, which may run still: {len(there)}",
                f"where its host will not come back: nowcast agent forget {agent.name} --lost",
            )
        why = f"agent {agent.name}, which it was on, was given up by hand"
        self._floor.give_up(agent, Verdict("lost", why))
        note = warning(f"agent {agent.name} is forgotten; jobs given up: {len(there)}")
        changes: tuple[Change, ...] = (AgentDropped(agent.name),)
        reply = Reply("ack", {"agent": agent.name, "jobs": [job.request.id for job in there]})
        return Step(turn.state, changes, (note,), reply)

    def _assign(self, turn: Turn, payload: Any) -> Step:
        agent = self._agent(payload)
        job_id = payload.get("job")
        record = self._floor.record(turn.state, job_id) if isinstance(job_id, str) else None
        if record is None:
            raise RequestError("there is no such job", "nowcast job list")
        words = f"job {short_id(record.id)} ({record.worker})"
        if not record.unfinished:
            raise RequestError(f"{words} has ended already: it is {record.state}")
        if not self._floor.is_for_agents(record):
            raise RequestError(
                f"{words} is not for agents, but for the executor {record.executor}",
                "its worker needs `executor: agents`",
            )
        job = self._floor.jobs.get(record.id)
        if job is not None and job.handed:
            raise RequestError(
                f"{words} is on agent {job.agent or 'that nobody knows'} already",
                f"nowcast job cancel {short_id(record.id)} ends it there, then nowcast job rerun",
            )
        self._floor.choose(record.id, agent.name)
        reply = Reply("ack", {"job": record.id, "agent": agent.name, "state": agent.state})
        return Step(turn.state, (), (), reply)

    def _agent(self, payload: Any) -> Agent:
        name = payload.get("agent") if isinstance(payload, dict) else None
        known = self._floor.agents.agents
        if not isinstance(name, str) or name not in known:
            words = f"there is no agent {name}" + did_you_mean(str(name), known)
            raise RequestError(words, _LIST)
        return known[name]
