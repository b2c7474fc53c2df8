"""What the store keeps of flows: runs, the steps of a run, the definitions that they follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from nowcast_cli.store.delay import Delay

RunState = Literal["running", "done", "failed", "timed out", "cancelled"]
StepState = Literal["waiting", "running", "done", "skipped", "failed", "timed out", "cancelled"]

ENDED_WELL: frozenset[StepState] = frozenset({"done", "skipped"})
OPEN: frozenset[StepState] = frozenset({"waiting", "running"})


class StepRecord(NamedTuple):
    """A step of a run, or one of the several that ``for each`` made of it, as it is now.

    A tuple, as each move of a step makes another one of it: that takes a quarter of the time.

    ``item`` counts from 0, None for a step that is one. ``value`` is what it is run for, ``gave``
    what came of it. ``job`` is the job that does it, or the run of its flow. ``delay`` is waited
    for before the next attempt; ``deadline`` is for one that runs. ``tried`` counts the
    attempts since the step came to be, or was done again by order. ``performer`` is who carries
    out an attempt of an action that runs: empty while that is not known, None where only a word
    from outside ends it. ``traceback`` is that of the last attempt that raised.
    """

    step: str
    item: int | None
    state: StepState
    attempt: int = 1
    value: Any = None
    gave: Any = None
    begun: str | None = None
    ended: str | None = None
    reason: str | None = None
    job: str | None = None
    delay: Delay | None = None
    deadline: Delay | None = None
    tried: int = 1
    performer: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class FlowRunRecord:
    """A run of a flow.

    ``digest`` names the definition that it began with. ``parent`` is the token of the step of
    another run that it does. ``steps`` are by name and item, those that have come to be; one that
    comes to be now begins with ``first_attempt``.
    """

    id: str
    flow: str
    digest: str
    parameters: Mapping[str, Any]
    state: RunState
    origin: str
    created: str
    parent: str | None = None
    ended: str | None = None
    reason: str | None = None
    first_attempt: int = 1
    steps: Mapping[tuple[str, int | None], StepRecord] = field(default_factory=dict)

    @property
    def at(self) -> tuple[str, ...]:
        """The names of the steps that run now, or wait for a word from outside."""
        return tuple(sorted({each.step for each in self.steps.values() if each.state == "running"}))


@dataclass(frozen=True, slots=True)
class DefinitionPut:
    """What a flow says, kept once for all runs that follow it."""

    digest: str
    flow: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FlowRunPut:
    """A run is new, or has changed; its steps are put by themselves."""

    run: FlowRunRecord


class FlowStepPut(NamedTuple):
    """A step of a run is new, or has changed."""

    run: str
    step: StepRecord


@dataclass(frozen=True, slots=True)
class FlowStepDropped:
    """A step of a run is no more, until the run comes to it again."""

    run: str
    step: str
    item: int | None


FlowChange = DefinitionPut | FlowRunPut | FlowStepPut | FlowStepDropped
