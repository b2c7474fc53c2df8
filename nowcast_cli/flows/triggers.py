"""``on:`` of a flow: what begins a run of it besides a request. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.positions import KeyPath
from nowcast_cli.config.schedule import Item, times_of_flow
from nowcast_cli.flows.definition import Flow, Trigger, TriggerKind
from nowcast_cli.flows.placeholders import filled_in, references
from nowcast_cli.flows.section_reading import SectionReading, items_of

_KEYS: Mapping[TriggerKind, tuple[str, ...]] = {
    "schedule": ("schedule", "parameters"),
    "message": ("message", "type", "parameters"),
    "product": ("product", "complete", "cycle"),
    "flow": ("flow", "ended", "parameters"),
    "file": ("file", "match", "settled", "parameters"),
}
# What the parameters of a run may name, by what begins it; what the others give is not known here.
_GIVES: Mapping[TriggerKind, tuple[str, ...]] = {
    "schedule": ("schedule.time", "schedule.date"),
    "file": ("file.path", "file.name", "file.stem", "file.folder"),
}
_FIRST: Mapping[TriggerKind, tuple[str, ...]] = {
    "message": ("payload",),
    "flow": ("steps", "parameters"),
}
SETTLED = 2.0  # s without a change, after which a file that was written in place is complete
_ENDS = ("done", "failed", "timed out", "cancelled")


def read_triggers(value: Any, path: KeyPath, findings: list[Finding]) -> tuple[Trigger, ...]:
    """Read ``on``: one trigger, or a list of them; ``request``, which always does, may be named."""
    triggers = []
    for here, item in items_of(value, path):
        if item == "request":
            continue
        kinds = [kind for kind in _KEYS if isinstance(item, Mapping) and kind in item]
        if len(kinds) != 1:
            words = f"must be one of {', '.join(_KEYS)} with what it waits for, or request"
            findings.append(Finding(here, words, hint="on: {message: download_weather}"))
            continue
        reading = SectionReading(item, here, findings, _KEYS[kinds[0]])
        words = _WORDS[kinds[0]](reading)
        reading.mapping("parameters")
        reading.check_placeholders("parameters")
        triggers.append(Trigger(kinds[0], dict(reading.entry), words))
    return tuple(triggers)


def _schedule(reading: SectionReading) -> str:
    item, wrong = times_of_flow(reading.mapping("schedule"), (*reading.path, "schedule"))
    reading.findings += wrong
    return "" if item is None else item.words


def _message(reading: SectionReading) -> str:
    kind = reading.text("type") or "success"
    return f"message {kind} of {reading.text('message') or ''}"


def _product(reading: SectionReading) -> str:
    cycle = reading.entry.get("cycle")
    complete = reading.entry.get("complete", False)
    if not isinstance(complete, bool):
        reading.wrong("complete", f"must be true or false, not {complete!r}")
    if cycle is not None and not isinstance(cycle, str):
        reading.wrong("cycle", f"must be text, not {cycle!r}", 'put it in quotes: "00"')
    words = f"product {reading.text('product') or ''}"
    words += f", cycle {cycle}" if cycle is not None else ""
    return words + (", complete" if complete else "")


def _flow(reading: SectionReading) -> str:
    ended = reading.one_of("ended", _ENDS, "done")
    return f"flow {reading.text('flow') or ''} {ended}"


def _file(reading: SectionReading) -> str:
    pattern = reading.text("file") or ""
    if pattern.endswith("/") or pattern.rpartition("/")[2] == "**":
        reading.wrong("file", f"{pattern!r} names folders", f"{pattern.rstrip('/')}/*")
    if reading.entry.get("settled") != 0:
        reading.duration("settled")
    if (expression := reading.text("match")) is not None:
        try:
            re.compile(expression)
        except re.error as error:
            reading.wrong("match", f"{expression!r} is no regular expression: {error}")
    return f"a file that appears as {pattern}"


_WORDS: Mapping[TriggerKind, Callable[[SectionReading], str]] = {
    "schedule": _schedule,
    "message": _message,
    "product": _product,
    "flow": _flow,
    "file": _file,
}


def known_references(trigger: Trigger) -> tuple[str, ...]:
    """Give what the parameters of a trigger may name; of a text that goes on, how it begins."""
    groups = re.compile(trigger.settings.get("match") or "").groupindex
    return (
        *_GIVES.get(trigger.kind, ()),
        *(f"match.{name}" for name in groups),
        *_FIRST.get(trigger.kind, ()),
    )


def unknown_references(trigger: Trigger) -> Iterator[str]:
    """Give what the parameters of a trigger name that it does not give."""
    known, firsts = known_references(trigger), _FIRST.get(trigger.kind, ())
    for name in references(trigger.settings.get("parameters")):
        first, dot, _ = name.partition(".")
        if name not in known and not (dot and first in firsts):
            yield name


def scheduled(flows: Iterable[Flow]) -> Iterator[Item]:
    """Give the items by which flows begin; they get their names beside the other items."""
    for flow in flows:
        for trigger in flow.triggers:
            if trigger.kind == "schedule":
                path = ("flows", flow.name, True)
                item, _ = times_of_flow(trigger.settings["schedule"], path)
                assert item is not None, "a flow with a wrong schedule cannot be used"
                given = trigger.settings.get("parameters") or {}
                yield replace(item, flow=flow.name, parameters=given)


def by_message(flows: Iterable[Flow], worker: str, kind: str) -> Iterator[tuple[Flow, Trigger]]:
    """Give the flows that begin with a message of that type of a worker."""
    for flow in flows:
        for trigger in flow.triggers:
            told = (trigger.settings.get("message"), trigger.settings.get("type", "success"))
            if trigger.kind == "message" and told == (worker, kind):
                yield flow, trigger


def by_end(flows: Iterable[Flow], name: str, state: str) -> Iterator[tuple[Flow, Trigger]]:
    """Give the flows that begin with that end of another one."""
    for flow in flows:
        for trigger in flow.triggers:
            ended = (trigger.settings.get("flow"), trigger.settings.get("ended", "done"))
            if trigger.kind == "flow" and ended == (name, state):
                yield flow, trigger


def parameters_of(trigger: Trigger, find: Callable[[str], Any]) -> dict[str, Any]:
    """Give the parameters that a trigger hands on; raises KeyError for a value that is not there.

    ``find`` gives what a reference stands for: ``payload.date``, or ``steps.crop.rows``.
    """
    given = trigger.settings.get("parameters") or {}
    return {str(name): filled_in(value, find) for name, value in given.items()}
