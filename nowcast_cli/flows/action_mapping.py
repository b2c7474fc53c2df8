"""``actions.ini``: which Python function answers which action key. Nothing is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nowcast_cli.config.problem import Problem
from nowcast_cli.flows.action_key import ActionKey, BadActionKey
from nowcast_cli.flows.definition import Place
from nowcast_cli.flows.ini_lines import Line, read_sections

SECTION = "actionmapping"


@dataclass(frozen=True, slots=True)
class Component:
    """What answers an action key: ``package.module.function`` or ``package.module.Class.method``.

    How much of the name is the module shows only where it is looked for.
    """

    name: str
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ActionMapping:
    """The components by their keys."""

    components: Mapping[ActionKey, Component]

    def find(self, key: ActionKey) -> tuple[ActionKey, Component] | None:
        """Give the nearest key that is mapped, and its component; None where none answers."""
        for each in key.lookups():
            if each in self.components:
                return each, self.components[each]
        return None


def read_mapping(file: Path) -> tuple[ActionMapping, list[Problem]]:
    """Read ``[actionmapping]`` of a file, and what is wrong in it."""
    sections, problems = read_sections(file)
    components: dict[ActionKey, Component] = {}
    for section in sections:
        if section.name != SECTION:
            words = f"is not a section of this file, which has one: [{SECTION}]"
            problems.append(Problem(file, section.number, 1, f"[{section.name}]", words))
            continue
        for line in section.lines:
            try:
                key, component = _entry(file, line)
            except BadActionKey as error:
                problems.append(Problem(file, line.number, None, f"[{SECTION}]", str(error)))
                continue
            if key in components:
                words = f"{key} is mapped twice (first on line {_line(components[key])})"
                problems.append(Problem(file, line.number, None, f"[{SECTION}]", words))
                continue
            components[key] = component
    return ActionMapping(components), problems


def _entry(file: Path, line: Line) -> tuple[ActionKey, Component]:
    text, sign, target = (part.strip() for part in line.text.partition("="))
    if not sign:
        words = "is no mapping; one reads: ?Context?Action = package.module.function"
        raise BadActionKey(f"{line.text!r} {words}")
    try:
        key = ActionKey.parse(text)
    except BadActionKey as error:
        raise BadActionKey(f"the action key {text!r} {error}") from None
    if key.undecorated == ActionKey():
        raise BadActionKey(f"the action key {text!r} would answer everything; name a field of it")
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        words = "is not the dotted name of a function or method: package.module.function"
        raise BadActionKey(f"{target!r} {words}")
    return key, Component(target, Place(file, line.number))


def _line(component: Component) -> int | None:
    return None if component.place is None else component.place.line
