"""Writes a flow in the other of its two forms. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from nowcast_cli.flows.action_key import END
from nowcast_cli.flows.definition import Action, Flow, Step
from nowcast_cli.flows.described import described, described_step


class NotInLines(Exception):
    """What a flow says cannot be written in the line format; the text says what."""


def as_lines(flow: Flow) -> str:
    """Write a flow as a section of ``flows.ini``. Raises NotInLines."""
    lines = [f"[{flow.name}]"]
    before: tuple[str, ...] = ()
    extra = [name for name in ("on", "parameters") if name in described(flow)]
    if extra:
        raise NotInLines(f"flow {flow.name} has `{extra[0]}`, for which its lines have no place")
    for step in flow.steps:
        if not isinstance(step.does, Action):
            raise NotInLines(f"step {step.name} is no action, and the lines are action keys")
        if step.after != before:
            raise NotInLines(f"step {step.name} does not come after the step above it alone")
        said = [key for key in described_step(step) if key not in ("action", "after")]
        if said:
            raise NotInLines(f"step {step.name} has `{said[0]}`, for which a line has no place")
        lines.append(str(step.does.key))
        before = (step.name,)
    return "\n".join([*lines, str(END), ""])


def as_yaml(flow: Flow) -> str:
    """Write a flow as it stands in ``nowcast.yaml``, below ``flows:``."""
    import yaml

    class Plain(yaml.CSafeDumper):
        def ignore_aliases(self, *_: Any) -> bool:
            return True

    section = {"flows": {flow.name: described(_with_plain_names(flow))}}
    return str(yaml.dump(section, Dumper=Plain, sort_keys=False, allow_unicode=True, width=100))


def _with_plain_names(flow: Flow) -> Flow:
    """Give the steps names that placeholders can have: lines are named by their action keys."""
    names: dict[str, str] = {}
    for step in flow.steps:
        names[step.name] = _plain_name(step, set(names.values()))
    return replace(flow, steps=tuple(_renamed(step, names) for step in flow.steps))


def _renamed(step: Step, names: dict[str, str]) -> Step:
    return replace(
        step,
        name=names[step.name],
        after=tuple(names.get(name, name) for name in step.after),
        on_failure=names.get(step.on_failure, step.on_failure),
    )


def _plain_name(step: Step, taken: set[str]) -> str:
    if not isinstance(step.does, Action) or "?" not in step.name:
        return step.name
    name = step.does.key.action or step.does.key.context or step.does.key.sender
    name = name if re.match(r"[A-Za-z_]", name) else f"step-{name}"
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in numbered if each not in taken)
