"""The items of a configuration as they are launched: with their modules, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nowcast_cli.config import Config
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.located import located
from nowcast_cli.config.problem import Problem
from nowcast_cli.config.schedule import Item, schedule_of
from nowcast_cli.errors import NotFound, NowcastError


@dataclass(frozen=True)
class Plan:
    """The items that can be launched, by name, and the mistakes of the others."""

    items: Mapping[str, Item]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> list[str]:
        """The mistakes that keep an item from being launched, each with its line."""
        return [problem.text for problem in self.problems if problem.severity == "error"]

    def item(self, name: str) -> Item:
        """Give the item of that name, or the only one of the worker of that name.

        Raises NotFound with the names that there are.
        """
        if name in self.items:
            return self.items[name]
        of_worker = [item for item in self.items.values() if item.worker == name]
        if len(of_worker) == 1:
            return of_worker[0]
        names = ", ".join(item.name for item in of_worker) or ", ".join(self.items)
        if of_worker:
            raise NotFound(f"{name} has several items in the schedule", hint=f"name one: {names}")
        raise NotFound(
            f"there is no item {name!r} in the schedule",
            hint=f"its items are: {names}" if names else "nowcast schedule list",
        )


def plan_of(config: Config) -> Plan:
    """Read the schedule of a loaded configuration; one item that is wrong leaves out itself."""
    schedule = schedule_of(config)
    items, findings = {}, list(schedule.findings)
    for item in schedule.items:
        try:
            items[item.name] = replace(item, module=_module_of(config, item))
        except NowcastError as error:
            findings.append(Finding(item.path, error.what, hint=error.hint))
    problems = sorted(located(config.file, findings), key=lambda problem: problem.line or 0)
    return Plan(items, tuple(problems))


def _module_of(config: Config, item: Item) -> str:
    """Give the module of an item; a name without dots is that of a worker."""
    if "." in item.module:
        return item.module
    from nowcast_cli.config.workers import find_worker_module

    return find_worker_module(config, item.module)
