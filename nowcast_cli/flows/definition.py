"""What a flow is, whichever file declares it: steps, what each comes after, parameters. Values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from nowcast_cli.config.job_settings import Retry
from nowcast_cli.flows.action_key import ActionKey

ParameterType = Literal["text", "whole", "number", "switch", "date", "path", "list"]
TriggerKind = Literal["schedule", "message", "product", "flow", "file"]
OnTimeout = Literal["fail", "retry"]

BEGINNING = ""  # what a step comes after that names no other
FAIL = "fail"
GO_ON = "continue"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is declared; ``column`` is None where the line as a whole is meant."""

    file: Path
    line: int
    column: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")


@dataclass(frozen=True, slots=True)
class Action:
    """A step that asks a component, with the values that it gets."""

    key: ActionKey
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """A step that is a job of a worker, with its command line's arguments."""

    worker: str
    arguments: tuple[str, ...] = ()
    executor: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubFlow:
    """A step that is a run of another flow, with its parameters."""

    flow: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A step that may not run at the same time, of the flow that is named."""

    flow: str
    step: str

    def __str__(self) -> str:
        return f"{self.flow}.{self.step}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a flow.

    It begins when all of ``after`` have ended well, once for each value of ``for_each``, at most
    ``concurrency`` at once, and not at all where ``when`` is false. ``timeout`` is in seconds.
    ``on_failure`` is ``fail``, ``continue``, or the step that is run then.
    """

    name: str
    does: Action | Work | SubFlow
    after: tuple[str, ...] = ()
    for_each: Any | None = None
    when: str | None = None
    concurrency: int | None = None
    conflicts: tuple[Conflict, ...] = ()
    retry: Retry | None = None
    timeout: float | None = None
    on_timeout: OnTimeout = "fail"
    on_failure: str = FAIL
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a run is given; ``default`` counts where ``required`` is false."""

    name: str
    type: ParameterType = "text"
    default: Any | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Trigger:
    """What begins a run besides a request; ``words`` say it to people."""

    kind: TriggerKind
    settings: Mapping[str, Any]
    words: str


@dataclass(frozen=True)
class Flow:
    """A flow; its steps are in the order of the file. What follows from them is found out once."""

    name: str
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    description: str = ""
    place: Place | None = field(default=None, compare=False)

    def step(self, name: str) -> Step:
        """Give the step of that name. Raises KeyError."""
        return self._by_name[name]

    def followers(self, name: str) -> tuple[str, ...]:
        """Give the names of the steps that come right after a step, or the beginning."""
        return self._followers.get(name, ())

    @cached_property
    def stand_ins(self) -> frozenset[str]:
        """The names of the steps that run only where another one fails."""
        named = {step.on_failure for step in self.steps} - {FAIL, GO_ON}
        return frozenset(named)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the flow says, in hexadecimal digits: a run keeps it."""
        text = json.dumps(_plain(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _by_name(self) -> Mapping[str, Step]:
        return {step.name: step for step in reversed(self.steps)}  # of one name, the first

    @cached_property
    def _followers(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for step in self.steps:
            for name in dict.fromkeys(step.after or (BEGINNING,)):
                found[name] = (*found.get(name, ()), step.name)
        return found


def ancestors(flow: Flow, name: str) -> frozenset[str]:
    """Give the names of all steps that have ended before a step begins; cycles do no harm."""
    known = {step.name: step for step in flow.steps}
    found: set[str] = set()
    to_visit = list(known[name].after)
    while to_visit:
        step = to_visit.pop()
        if step in known and step not in found:
            found.add(step)
            to_visit += known[step].after
    return frozenset(found)


def _plain(value: Any) -> Any:
    """Make JSON of a definition, without the places: to move a flow does not change it."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in _compared(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _compared(value: Any) -> Iterator[Any]:
    return (each for each in fields(value) if each.compare)
