"""The items of a configuration as they are launched: with their modules, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nowcast_cli.config import Config
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.located import located
from nowcast_cli.config.problem import Problem
from nowcast_cli.config.schedule import Item, schedule_of
from nowcast_cli.config.settings import begins_flows
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
        """Give the item of that name, or the only one of the worker or flow of that name.

        Raises NotFound with the names that there are.
        """
        if name in self.items:
            return self.items[name]
        of_worker = [item for item in self.items.values() if name in (item.worker, item.flow)]
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
    schedule = schedule_of(config, items_of_flows(config))
    items, findings = {}, list(schedule.findings)
    for item in schedule.items:
        try:
            items[item.name] = item if item.flow else _with_module(config, item)
        except NowcastError as error:
            findings.append(Finding(item.path, error.what, hint=error.hint))
    problems = sorted(located(config.file, findings), key=lambda problem: problem.line or 0)
    return Plan(items, tuple(problems))


def items_of_flows(config: Config) -> list[Item]:
    """Give the items of the flows that begin by the clock; their mistakes are those of flows."""
    if not begins_flows(config, "schedule"):
        return []
    from nowcast_cli.flows.loading import declared
    from nowcast_cli.flows.triggers import scheduled

    return list(scheduled(declared(config).usable.values()))


def _with_module(config: Config, item: Item) -> Item:
    """Give an item with its module; a name without dots is that of a worker."""
    if "." in item.module:
        return item
    from nowcast_cli.config.workers import find_worker_module

    return replace(item, module=find_worker_module(config, item.module))
