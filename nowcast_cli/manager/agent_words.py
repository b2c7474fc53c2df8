"""What is said of agents: to the log, to `nowcast status`, and as a picture of all of them."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from nowcast_cli.config.durations import duration_words
from nowcast_cli.config.sizes import size_words
from nowcast_cli.manager.agent_placement import why_not
from nowcast_cli.manager.agent_registry import Agent, whole_room
from nowcast_cli.manager.clock import as_stored
from nowcast_cli.messages.agent_messages import AgentPicture, Picture

if TYPE_CHECKING:
    from nowcast_cli.manager.agent_floor import AgentFloor


def registered(agent: Agent) -> str:
    """Say that an agent has registered, and what it is."""
    host = agent.register
    assert host is not None
    gpus = f", {len(host.gpus)} GPUs" if host.gpus else ""
    return (
        f"agent {agent.name} on {host.hostname} has registered: {host.cpus} CPUs, "
        f"{size_words(host.memory)} of memory{gpus}, tags: {', '.join(host.tags) or 'none'}"
    )


def silent(agent: Agent, jobs: int, lease: float) -> str:
    """Say that the lease of an agent is over."""
    words = f"agent {agent.name} was not heard of for {duration_words(lease)}: it is offline"
    return words if not jobs else f"{words}, and its {_jobs(jobs)} may be running still"


def trouble(floor: AgentFloor) -> str | None:
    """Say which agents with jobs are silent, and what no agent can take; None for nothing."""
    said = [
        f"agent {name} is not heard of: what became of its {_jobs(len(there))} is not known"
        for name, there in floor.jobs.taken.items()
        if (agent := floor.agents.agents.get(name)) is None or agent.offline
    ]
    said += stuck(floor)
    if floor.lines.trouble is not None:
        said.append(floor.lines.trouble)
    return "; ".join(said) or None


def stuck(floor: AgentFloor) -> list[str]:
    """Say why jobs wait that no agent can take, whatever ends."""
    if not floor.jobs.waiting:
        return []
    whole = [
        whole_room(agent)
        for agent in floor.agents.agents.values()
        if agent.register is not None and agent.state == "online" and agent.speaks
    ]
    counted: Counter[str] = Counter()
    for wanted, queue in floor.jobs.queues.items():
        why = why_not(wanted, whole)
        if why is not None:
            counted[why] += len(queue)
    return [f"{_jobs(count)} wait{'s' * (count == 1)}: {why}" for why, count in counted.items()]


def picture(floor: AgentFloor) -> Picture:
    """Give all that is known of all agents."""
    return Picture(
        agents=tuple(
            _picture(floor, agent) for _, agent in sorted(floor.agents.agents.items())
        ),
        waiting=floor.jobs.waiting,
        stuck=tuple(stuck(floor)),
    )  # fmt: skip


def _picture(floor: AgentFloor, agent: Agent) -> AgentPicture:
    heard = (
        as_stored(time.time() - (floor.monotonic() - agent.heard))
        if agent.speaks
        else agent.record.seen
    )
    return AgentPicture(
        name=agent.name,
        state=agent.state,
        standing=agent.record.standing,
        limits=agent.limits,
        register=agent.register,
        report=agent.report,
        heard=heard,
        offset=agent.offset,
        errors=tuple(agent.errors),
        jobs=tuple(floor.jobs.taken.get(agent.name, ())),
    )


def _jobs(count: int) -> str:
    return f"{count:,} job{'s' * (count != 1)}"
