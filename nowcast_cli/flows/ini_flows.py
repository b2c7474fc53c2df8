"""``flows.ini``: a flow is a section, its lines are action keys in the order of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nowcast_cli.config.problem import Problem
from nowcast_cli.flows.action_key import END, ActionKey, BadActionKey
from nowcast_cli.flows.definition import Action, Flow, Place, Step
from nowcast_cli.flows.ini_lines import Line, Section, read_sections
from nowcast_cli.flows.names import flow_name_trouble


def read_flows(file: Path) -> tuple[list[Flow], list[Problem]]:
    """Read the flows of a file, and what is wrong in it; a flow with mistakes is left out."""
    sections, problems = read_sections(file)
    flows: list[Flow] = []
    for section in sections:
        reading = _Reading(file, section)
        flow = reading.flow()
        problems += reading.problems
        if not reading.problems and flow.name not in (each.name for each in flows):
            flows.append(flow)
    return flows, problems


class _Reading:
    def __init__(self, file: Path, section: Section) -> None:
        self._file = file
        self._section = section
        self.problems: list[Problem] = []

    def flow(self) -> Flow:
        section = self._section
        if (words := flow_name_trouble(section.name)) is not None:
            self._wrong(section.number, words)
        steps: list[Step] = []
        for line, key in self._keys():
            after = (steps[-1].name,) if steps else ()
            place = Place(self._file, line.number)
            if line.text in (step.name for step in steps):
                self._wrong(line.number, f"the step {line.text} stands twice")
            steps.append(Step(line.text, Action(key), after, place=place))
        if not steps and not self.problems:
            self._wrong(section.number, "has no steps")
        return Flow(section.name, tuple(steps), place=Place(self._file, section.number))

    def _keys(self) -> Iterator[tuple[Line, ActionKey]]:
        ended: Line | None = None
        for line in self._section.lines:
            try:
                key = ActionKey.parse(line.text)
            except BadActionKey as error:
                self._wrong(line.number, f"the action key {line.text!r} {error}")
                continue
            if ended is not None:
                self._wrong(line.number, f"{line.text} comes after {END} on line {ended.number}")
            elif key == END:
                ended = line
            elif key == ActionKey():
                self._wrong(line.number, f"the action key {line.text!r} names nothing")
            else:
                yield line, key
        if ended is None and not self.problems:
            last = self._section.lines[-1].number if self._section.lines else self._section.number
            self._wrong(last, f"does not end with {END}", f"add the line {END}")

    def _wrong(self, line: int, words: str, hint: str | None = None) -> None:
        name = f"[{self._section.name}]"
        self.problems.append(Problem(self._file, line, None, name, words, hint=hint))
