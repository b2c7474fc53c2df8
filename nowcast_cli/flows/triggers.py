"""``on:`` of a flow: what begins a run of it besides a request. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.positions import KeyPath
from nowcast_cli.config.timing import WrongTiming, read_timing
from nowcast_cli.config.zones import local_zone
from nowcast_cli.flows.definition import Flow, Trigger, TriggerKind
from nowcast_cli.flows.placeholders import filled_in
from nowcast_cli.flows.section_reading import SectionReading, items_of

_KEYS: Mapping[TriggerKind, tuple[str, ...]] = {
    "schedule": ("schedule",),
    "message": ("message", "type", "parameters"),
    "product": ("product", "complete", "cycle"),
    "flow": ("flow", "ended", "parameters"),
    "file": ("file",),
}
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
    times = reading.mapping("schedule")
    try:
        return read_timing(times, local_zone())[1]
    except WrongTiming as error:
        key = "schedule" if error.key is None else f"schedule.{error.key}"
        reading.wrong("schedule", f"{key}: {error.message}", error.hint)
        return ""


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
    ended = reading.word("ended", _ENDS, "done")
    return f"flow {reading.text('flow') or ''} {ended}"


def _file(reading: SectionReading) -> str:
    return f"a file that appears as {reading.text('file') or ''}"


_WORDS: Mapping[TriggerKind, Callable[[SectionReading], str]] = {
    "schedule": _schedule,
    "message": _message,
    "product": _product,
    "flow": _flow,
    "file": _file,
}


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
