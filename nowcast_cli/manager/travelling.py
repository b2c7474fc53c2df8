"""The message that travels through a run: its parameters, overlaid by what its steps gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nowcast_cli.flows.definition import Flow, ancestors
from nowcast_cli.flows.run_steps import counted
from nowcast_cli.manager.flow_moves import plain
from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord

_MOST = 10_000  # runs whose last message is remembered, and steps of definitions


class _Made(NamedTuple):
    first_attempt: int
    steps: tuple[str, ...]
    message: Mapping[str, Any]


class Travelling:
    """Puts messages together, each from the one before of its run where that is a part of it."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[str, ...]] = {}
        self._made: dict[str, _Made] = {}  # by run

    def message(self, flow: Flow, run: FlowRunRecord, name: str) -> Mapping[str, Any]:
        """Give what a step gets that names no values, in the types of JSON.

        All that comes before the step has ended, and gives nothing else until the run is opened
        again.
        """
        steps = self._steps_before(flow, run.digest, name)
        made = self._made.get(run.id)
        if made is not None and (made.first_attempt, made.steps) == (run.first_attempt, steps):
            return made.message
        if (
            made is None
            or made.first_attempt != run.first_attempt
            or not _begins(steps, made.steps)
        ):
            made = _Made(run.first_attempt, (), _plain(run.parameters))
        message, known = made.message, len(made.steps)
        for before in steps[known:]:
            for each in _in_order(run, before):
                if isinstance(each.gave, Mapping):
                    message = {**message, **_plain(each.gave)}
        self._remember(run, _Made(run.first_attempt, steps, message))
        return message

    def _remember(self, run: FlowRunRecord, made: _Made) -> None:
        self._made[run.id] = made
        if len(self._made) > _MOST:
            del self._made[next(iter(self._made))]

    def _steps_before(self, flow: Flow, digest: str, name: str) -> tuple[str, ...]:
        """Give the steps that have ended before one begins, each after those that it came after."""
        if (digest, name) not in self._before:
            places = {step.name: place for place, step in enumerate(flow.steps)}
            depth = {each: len(ancestors(flow, each)) for each in ancestors(flow, name)}
            order = sorted(depth, key=lambda each: (depth[each], places[each]))
            if len(self._before) >= _MOST:
                self._before.clear()
            self._before[(digest, name)] = tuple(order)
        return self._before[(digest, name)]


def _begins(steps: tuple[str, ...], first: tuple[str, ...]) -> bool:
    return steps[: len(first)] == first


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): plain(value) for key, value in given.items()}


def _in_order(run: FlowRunRecord, step: str) -> list[StepRecord]:
    records = counted(run.steps).of(step)
    return [*records] if len(records) < 2 else sorted(records, key=lambda each: each.item or 0)
