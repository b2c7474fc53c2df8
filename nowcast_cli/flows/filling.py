"""Fills the values of a run's parameters into the steps of its flow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.flows.definition import Action, Flow, Step, SubFlow, Work
from nowcast_cli.flows.placeholders import filled_in


def filled_in_flow(flow: Flow, values: Mapping[str, Any]) -> Flow:
    """Give the flow with its parameters filled in; what refers to steps stays as it is."""

    def find(reference: str) -> Any:
        return values.get(reference, "{" + reference + "}")

    return replace(flow, steps=tuple(_step(step, find) for step in flow.steps))


def _step(step: Step, find: Any) -> Step:
    does: Action | Work | SubFlow
    match step.does:
        case Action(key=key, values=given):
            does = Action(key, filled_in(given, find))
        case Work() as work:
            does = replace(
                work,
                arguments=tuple(str(each) for each in filled_in(work.arguments, find)),
                environment={
                    name: str(value) for name, value in filled_in(work.environment, find).items()
                },
            )
        case SubFlow(flow=flow, parameters=given):
            does = SubFlow(flow, filled_in(given, find))
    return replace(step, does=does, for_each=filled_in(step.for_each, find))
