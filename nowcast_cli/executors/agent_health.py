"""How the agents are, as the manager tells it, or with the manager away, as the store does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nowcast_cli.daemon.health import ask_health
from nowcast_cli.errors import NotFound
from nowcast_cli.executors.health import Health
from nowcast_cli.executors.remote_executor import Surroundings, Target
from nowcast_cli.store.reader import Reader

_BEGIN_ONE = "on a host: nowcast agent run; here: nowcast agent list"


def of_agents(_: Target, around: Surroundings, deadline: float) -> Health:
    """Say how many agents there are, and whether any takes jobs."""
    answer = ask_health(around.paths.run / "manager.sock", deadline / 2)
    if answer is None:
        return Health(f"{_known(around)}; the manager does not run")
    return health_in(answer.get("agents") or {})


def health_in(agents: Mapping[str, int]) -> Health:
    """Say it of the counts by state that the manager gives. Pure."""
    words = ", ".join(f"{count} {state}" for state, count in agents.items() if count)
    if agents.get("online"):
        return Health(f"agents: {words}")
    return Health(words, f"no agent takes jobs ({words or 'none is known'})", _BEGIN_ONE)


def _known(around: Surroundings) -> str:
    try:
        with Reader(around.paths.database) as reader:
            counted = Counter(agent.standing for agent in reader.agents())
    except NotFound:
        return "no agent is known"
    if not counted:
        return "no agent is known"
    words = ", ".join(f"{count} {state}" for state, count in sorted(counted.items()))
    return f"agents known: {words}"
