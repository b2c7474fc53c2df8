"""Which agent each waiting job goes to. Pure.

Jobs that ask for the same are a group, so that a round costs what is placed and not what waits:
the agents that fit are looked for once a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from nowcast_cli.config.requirements import NO_REQUIREMENTS, Requirements
from nowcast_cli.config.resources import Resources
from nowcast_cli.config.sizes import size_words


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job asks of the agent that it is to be placed on.

    ``memory`` in bytes. Agents of ``avoid``, where it failed before, come last. ``only`` names
    the agent that an operator has chosen; it is not asked for its tags then.
    """

    priority: int = 0
    requirements: Requirements = NO_REQUIREMENTS
    cpus: int = 1
    memory: int = 0
    gpus: int = 0
    avoid: frozenset[str] = frozenset()
    only: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What an agent has left for jobs.

    Parameters
    ----------
    name, tags
        The agent, and what it says is there.
    cpus, memory, gpus, slots
        What is not taken; ``memory`` in bytes, ``slots`` None where their number is not limited.
    all_cpus
        What it may have taken in all, by which its load is measured.
    load
        The load average, or the CPUs that are taken where those are more.
    max_load
        The load from which on nothing is placed, None for none.
    """

    name: str
    cpus: int
    memory: int
    all_cpus: int
    tags: frozenset[str] = frozenset()
    gpus: int = 0
    slots: int | None = None
    load: float = 0.0
    max_load: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is room for any job at all."""
        loaded = self.max_load is not None and self.load >= self.max_load
        return self.cpus > 0 and self.slots != 0 and not loaded

    def fits(self, wanted: Wanted) -> bool:
        """Say whether there is room for a job."""
        return (
            self.is_open
            and self.suits(wanted)
            and wanted.cpus <= self.cpus
            and wanted.memory <= self.memory
            and wanted.gpus <= self.gpus
        )

    def suits(self, wanted: Wanted) -> bool:
        """Say whether the agent is one for the job, with room or without."""
        if wanted.only is not None:
            return self.name == wanted.only
        return wanted.requirements.met_by(self.tags)

    def less(self, wanted: Wanted) -> Room:
        """Give what is left once a job is placed."""
        return replace(
            self,
            cpus=self.cpus - wanted.cpus,
            memory=self.memory - wanted.memory,
            gpus=self.gpus - wanted.gpus,
            slots=None if self.slots is None else self.slots - 1,
            load=self.load + wanted.cpus,
        )

    def rank(self, wanted: Wanted) -> tuple[bool, float, str]:
        """Order agents for a job, the best one first."""
        return self.name in wanted.avoid, self.load / max(1, self.all_cpus), self.name


def wanted_of(
    resources: Resources,
    requirements: Requirements,
    priority: int,
    avoid: frozenset[str] = frozenset(),
    only: str | None = None,
) -> Wanted:
    """Say what a job asks for; one that does not say takes one CPU."""
    return Wanted(
        priority,
        requirements,
        1 if resources.cpus is None else resources.cpus,
        resources.memory or 0,
        resources.gpus or 0,
        avoid,
        only,
    )


def place(
    queues: Mapping[Wanted, Iterable[str]], rooms: Iterable[Room], most: int | None = None
) -> tuple[list[tuple[str, str]], dict[str, Room]]:
    """Place jobs on agents: the highest priority first, then the oldest, each where load is least.

    A job that fits nowhere is passed over; smaller ones behind it are placed.

    Parameters
    ----------
    queues
        The ids of the jobs that ask for the same, the oldest first. Ids order by age.
    rooms
        The agents that take jobs.
    most
        How many jobs are placed at most.

    Returns
    -------
    tuple
        Pairs of a job and its agent; and what each agent has left that has any room.
    """
    left = {room.name: room for room in rooms if room.is_open}
    ids = {wanted: iter(queue) for wanted, queue in queues.items()}
    front: list[tuple[int, str, int]] = []
    groups: list[tuple[Wanted, list[tuple[bool, float, str]]]] = []
    for wanted in ids if left else ():
        job = next(ids[wanted], None)
        best = [room.rank(wanted) for room in left.values() if room.fits(wanted)]
        if job is not None and best:
            heapify(best)
            groups.append((wanted, best))
            front.append((-wanted.priority, job, len(groups) - 1))
    heapify(front)
    placed: list[tuple[str, str]] = []
    while front and len(placed) != most:
        priority, job, number = heappop(front)
        wanted, best = groups[number]
        agent = _best(wanted, best, left)
        if agent is None:
            continue
        placed.append((job, agent))
        following = next(ids[wanted], None)
        if following is not None:
            heappush(front, (priority, following, number))
    return placed, left


def _best(wanted: Wanted, best: list[tuple[bool, float, str]], left: dict[str, Room]) -> str | None:
    """Take the best agent's room for a job; ``best`` may rank agents as they were before."""
    while best:
        before = best[0]
        room = left[before[2]]
        if not room.fits(wanted):
            heappop(best)
            continue
        now = room.rank(wanted)
        if now > before:
            heappop(best)
            heappush(best, now)
            continue
        left[room.name] = room.less(wanted)
        return room.name
    return None


def why_not(wanted: Wanted, whole: Iterable[Room]) -> str | None:
    """Say why a job could not be placed even if nothing else ran; None where it could be.

    ``whole`` are the agents that take jobs, as if nothing of theirs were taken.
    """
    rooms = list(whole)
    if not rooms:
        return "no agent takes jobs"
    suited = [room for room in rooms if room.suits(wanted)]
    if not suited:
        if wanted.only is not None:
            return f"the agent {wanted.only} takes no jobs"
        return f"no agent that takes jobs has {wanted.requirements.words}"
    for name, much, asked in (
        ("cpus", "as many cpus", str(wanted.cpus)),
        ("memory", "as much memory", size_words(wanted.memory)),
        ("gpus", "as many gpus", str(wanted.gpus)),
    ):
        if all(getattr(room, name) < getattr(wanted, name) for room in suited):
            return f"no agent that it may run on has {much} ({asked})"
    if not any(room.fits(wanted) for room in suited):
        return "no agent that it may run on has all of its cpus, memory and gpus"
    return None
