"""Mistakes of flows that show only when they are seen together, and with the registry. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.problem import Severity
from nowcast_cli.config.registry import Registry
from nowcast_cli.flows.action_mapping import ActionMapping
from nowcast_cli.flows.conditions import condition_references
from nowcast_cli.flows.definition import (
    FAIL,
    GO_ON,
    Action,
    Flow,
    Step,
    SubFlow,
    Trigger,
    Work,
    ancestors,
)
from nowcast_cli.flows.owners import Owners
from nowcast_cli.flows.placeholders import references
from nowcast_cli.flows.triggers import known_references, unknown_references

ITEM = "item"  # what a step with `for each` calls the value that it is run for
_BEGINS_RUNS = ("schedule", "message", "flow", "file")  # triggers
_ENTRY = "Push"  # the action of a first line that stands for the request itself
_ANSWERED_FROM_OUTSIDE = ("ASYNC", "PUBLISH")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, in which flow and step (None: the flow as a whole), at which key of it."""

    flow: str
    step: str | None
    key: str | None
    words: str
    severity: Severity = "error"
    hint: str | None = None


def mistakes(
    flows: Mapping[str, Flow], mapping: ActionMapping, registry: Registry, owners: Owners
) -> Iterator[Mistake]:
    """Check all flows of a system."""
    for flow in flows.values():
        yield from _order(flow)
        yield from _sub_flow_cycle(flow, flows)
        yield from _begins_itself(flow, flows)
        for trigger in flow.triggers:
            yield from _trigger(flow, trigger, flows, registry)
            yield from _trigger_parameters(flow, trigger)
        for step in flow.steps:
            yield from _targets(flow, step, flows, registry)
            yield from _executor(flow, step, registry)
            yield from _references(flow, step)
            yield from _conflicts(flow, step, flows)
            yield from _answered(flow, step, mapping, owners)


def is_entry(flow: Flow, step: Step) -> bool:
    """Say whether a step is a first line that stands for the request itself."""
    is_first = step.name == flow.steps[0].name
    return is_first and isinstance(step.does, Action) and step.does.key.action == _ENTRY


def _order(flow: Flow) -> Iterator[Mistake]:
    names = [step.name for step in flow.steps]
    for step in flow.steps:
        for name in step.after:
            if name not in names:
                words = f"there is no step {name}" + did_you_mean(name, names)
                yield Mistake(flow.name, step.name, "after", words)
        if step.on_failure not in (FAIL, GO_ON, *names):
            words = f"there is no step {step.on_failure}" + did_you_mean(
                step.on_failure, [FAIL, GO_ON, *names]
            )
            yield Mistake(flow.name, step.name, "on failure", words)
    if (circle := _circle({step.name: step.after for step in flow.steps})) is not None:
        words = f"no step of a circle can begin: {' after '.join(circle)}"
        yield Mistake(flow.name, circle[0], "after", words)


def _circle(after: Mapping[str, tuple[str, ...]]) -> list[str] | None:
    """Give a way through ``after`` that comes back to where it began; None where none does."""
    done: set[str] = set()
    for start in after:
        way: list[str] = []
        stack = [(start, 0)]
        while stack:
            name, depth = stack.pop()
            del way[depth:]
            if name in way:
                return [*way[way.index(name) :], name]
            if name in done or name not in after:
                continue
            way.append(name)
            stack += [(each, len(way)) for each in after[name]]
        done.update(_reached(after, start))
    return None


def _reached(after: Mapping[str, tuple[str, ...]], start: str) -> set[str]:
    found, to_visit = {start}, [start]
    while to_visit:
        fresh = set(after.get(to_visit.pop(), ())) - found
        found |= fresh
        to_visit += fresh
    return found


def _sub_flow_cycle(flow: Flow, flows: Mapping[str, Flow]) -> Iterator[Mistake]:
    below = {name: _flows_below(each) for name, each in flows.items()}
    if flow.name in set().union(*(_reached(below, name) for name in below[flow.name])):
        step = next(
            step.name
            for step in flow.steps
            if isinstance(step.does, SubFlow) and flow.name in _reached(below, step.does.flow)
        )
        yield Mistake(flow.name, step, "flow", "this flow would run itself without an end")


def _flows_below(flow: Flow) -> tuple[str, ...]:
    return tuple(step.does.flow for step in flow.steps if isinstance(step.does, SubFlow))


def _begins_itself(flow: Flow, flows: Mapping[str, Flow]) -> Iterator[Mistake]:
    ends = {name: _ends_that_begin(each) for name, each in flows.items()}
    jobs = {name: _jobs_that_begin(each, flows) for name, each in flows.items()}
    above = {
        name: tuple(other for other, each in flows.items() if name in _flows_below(each))
        for name in flows
    }
    for begun_by, words in (
        (ends, "the end of this flow would begin it again, without an end"),
        (
            {name: (*ends[name], *jobs[name]) for name in flows},
            "the message of a step's job would begin this flow again, without an end",
        ),
    ):
        all_ways = {name: (*begun_by[name], *above[name]) for name in flows}
        if flow.name in set().union(*(_reached(all_ways, name) for name in begun_by[flow.name])):
            yield Mistake(flow.name, None, "on", words)
            return


def _ends_that_begin(flow: Flow) -> tuple[str, ...]:
    """Give the flows whose end begins a flow."""
    return tuple(
        str(trigger.settings.get("flow")) for trigger in flow.triggers if trigger.kind == "flow"
    )


def _jobs_that_begin(flow: Flow, flows: Mapping[str, Flow]) -> tuple[str, ...]:
    """Give the flows with a step whose job begins a flow by its message, unless it ended badly."""
    workers = {
        trigger.settings.get("message")
        for trigger in flow.triggers
        if trigger.kind == "message"
        and not str(trigger.settings.get("type", "success")).startswith(("failure", "crash"))
    }
    return tuple(
        name
        for name, each in flows.items()
        if any(isinstance(step.does, Work) and step.does.worker in workers for step in each.steps)
    )


def _targets(
    flow: Flow, step: Step, flows: Mapping[str, Flow], registry: Registry
) -> Iterator[Mistake]:
    match step.does:
        case Work(worker=worker) if worker and worker not in registry.workers:
            words = f"the worker {worker} is not in the message registry"
            words += did_you_mean(worker, registry.workers)
            hint = f"add {worker} to message registry.workers"
            yield Mistake(flow.name, step.name, "worker", words, hint=hint)
        case Work(worker=worker) if worker and registry.jobs_of(worker).ensemble.members:
            words = f"the worker {worker} has members, and a step is one job of it"
            hint = "run the step `for each` of a list: a job for each of its values"
            yield Mistake(flow.name, step.name, "worker", words, severity="warning", hint=hint)
        case SubFlow(flow=name) if name and name not in flows:
            words = f"there is no flow {name}" + did_you_mean(name, flows)
            yield Mistake(flow.name, step.name, "flow", words)
        case SubFlow(flow=name, parameters=given) if name:
            yield from _parameters(flow, step, flows[name], given)


def _executor(flow: Flow, step: Step, registry: Registry) -> Iterator[Mistake]:
    named = step.does.executor if isinstance(step.does, Work) else None
    if named is not None and named not in (known := registry.executors.names()):
        words = f"there is no executor {named}" + did_you_mean(named, known)
        hint = f"there are: {', '.join(known)}"
        yield Mistake(flow.name, step.name, "executor", words, hint=hint)


def _parameters(flow: Flow, step: Step, other: Flow, given: Collection[str]) -> Iterator[Mistake]:
    known = [parameter.name for parameter in other.parameters]
    for name in given:
        if name not in known:
            words = f"flow {other.name} has no parameter {name}" + did_you_mean(name, known)
            yield Mistake(flow.name, step.name, "parameters", words)
    for parameter in other.parameters:
        if parameter.required and parameter.name not in given:
            words = f"flow {other.name} needs a value for {parameter.name}"
            yield Mistake(flow.name, step.name, "parameters", words)


def _references(flow: Flow, step: Step) -> Iterator[Mistake]:
    parameters = [parameter.name for parameter in flow.parameters]
    before = _before(flow, step)
    for key, names in _referred(step):
        for name in names:
            first, _, rest = name.partition(".")
            if first in parameters or (first == ITEM and step.for_each is not None):
                continue
            if first in before:
                if not rest:
                    words = f"{{{name}}} is a step; name a value of it: {{{name}.VALUE}}"
                    yield Mistake(flow.name, step.name, key, words)
                continue
            known = [*parameters, *before]
            if any(first == each.name for each in flow.steps):
                words = f"{{{name}}} is of a step that need not have ended before this one"
                hint: str | None = f"add {first} to `after`"
            else:
                words = f"{{{name}}} is no parameter of the flow, and no step before this one"
                words += did_you_mean(first, known)
                hint = f"known here: {', '.join(known)}" if known else None
            yield Mistake(flow.name, step.name, key, words, hint=hint)


def _before(flow: Flow, step: Step) -> frozenset[str]:
    """Give the steps whose values are there; of a stand-in, also those of what had failed."""
    names = {each.name for each in flow.steps}
    starts = {step.name} | {each.name for each in flow.steps if each.on_failure == step.name}
    found: set[str] = {name for name in starts if name != step.name}
    for name in starts:
        found |= ancestors(flow, name)
    return frozenset(found & names)


def _referred(step: Step) -> Iterator[tuple[str, list[str]]]:
    values: Mapping[str, Any]
    match step.does:
        case Action(values=given):
            values = {"values": given}
        case Work(arguments=arguments, environment=environment):
            values = {"args": arguments, "environment": environment}
        case SubFlow(parameters=given):
            values = {"parameters": given}
    for key, value in values.items():
        yield key, list(references(value))
    yield "for each", [name for name in references(step.for_each) if name != ITEM]
    if step.when is not None:
        yield "when", condition_references(step.when)


def _conflicts(flow: Flow, step: Step, flows: Mapping[str, Flow]) -> Iterator[Mistake]:
    for conflict in step.conflicts:
        other = flows.get(conflict.flow)
        if other is None:
            words = f"there is no flow {conflict.flow}" + did_you_mean(conflict.flow, flows)
            yield Mistake(flow.name, step.name, "conflicts", words)
        elif conflict.step not in (names := [each.name for each in other.steps]):
            words = f"flow {conflict.flow} has no step {conflict.step}"
            words += did_you_mean(conflict.step, names)
            yield Mistake(flow.name, step.name, "conflicts", words)


def _trigger(
    flow: Flow, trigger: Trigger, flows: Mapping[str, Flow], registry: Registry
) -> Iterator[Mistake]:
    if trigger.kind == "message":
        worker = str(trigger.settings.get("message"))
        kind = str(trigger.settings.get("type", "success"))
        if worker not in registry.workers:
            words = f"the worker {worker} is not in the message registry"
            words += did_you_mean(worker, registry.workers)
            yield Mistake(flow.name, None, "on", words)
        elif kind not in (known := registry.workers[worker].messages):
            words = f"worker {worker} sends no message {kind}" + did_you_mean(kind, known)
            yield Mistake(flow.name, None, "on", words)
    elif trigger.kind == "flow":
        name = str(trigger.settings.get("flow"))
        if name not in flows:
            words = f"there is no flow {name}" + did_you_mean(name, flows)
            yield Mistake(flow.name, None, "on", words)


def _trigger_parameters(flow: Flow, trigger: Trigger) -> Iterator[Mistake]:
    if trigger.kind not in _BEGINS_RUNS:
        words = f"no run begins by a {trigger.kind} in this version"
        hint = "the message of the worker that makes it begins one: on: {message: WORKER}"
        yield Mistake(flow.name, None, "on", words, severity="warning", hint=hint)
        return
    gives = known_references(trigger)
    for name in unknown_references(trigger):
        words = f"{{{name}}} is nothing that a {trigger.kind} gives" + did_you_mean(name, gives)
        hint = f"it gives: {', '.join(gives)}"
        yield Mistake(flow.name, None, "on", words, hint=hint)
    known = [parameter.name for parameter in flow.parameters]
    given = trigger.settings.get("parameters") or {}
    for name in given:
        if name not in known:
            words = f"flow {flow.name} has no parameter {name}" + did_you_mean(str(name), known)
            yield Mistake(flow.name, None, "on", words)
    for parameter in flow.parameters:
        if parameter.required and parameter.name not in given:
            words = f"a run that begins so needs a value for {parameter.name}"
            hint = f"give it a default, or on: {{…, parameters: {{{parameter.name}: …}}}}"
            yield Mistake(flow.name, None, "on", words, hint=hint)


def _answered(flow: Flow, step: Step, mapping: ActionMapping, owners: Owners) -> Iterator[Mistake]:
    if not isinstance(step.does, Action) or mapping.find(step.does.key) is not None:
        return
    key = step.does.key
    if owners.find(key, {}) is not None:
        return
    if is_entry(flow, step) or key.decorator in _ANSWERED_FROM_OUTSIDE:
        return
    yield Mistake(
        flow.name,
        step.name,
        "action",
        f"no action is mapped to {key}: a run fails at this step, unless a service says that it "
        "owns the key",
        severity="warning",
        hint=f"add to actions.ini, below [actionmapping]: {key} = package.module.function, or to "
        "the actions of a service",
    )
