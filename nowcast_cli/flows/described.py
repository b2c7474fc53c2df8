"""A flow as plain values: for JSON, and as it is written in ``nowcast.yaml``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nowcast_cli.config.durations import duration_words
from nowcast_cli.config.job_settings import Retry
from nowcast_cli.flows.definition import FAIL, Action, Flow, Parameter, Step, SubFlow, Trigger, Work


def described(flow: Flow) -> dict[str, Any]:
    """Give the value of a flow below ``flows:``; what is as usual is left out."""
    return _filled(
        {
            "description": flow.description,
            "on": [_trigger(trigger) for trigger in flow.triggers],
            "parameters": {each.name: _parameter(each) for each in flow.parameters},
            "steps": {step.name: described_step(step) for step in flow.steps},
        }
    )


def described_step(step: Step) -> dict[str, Any]:
    """Give the value of a step below ``steps:``."""
    return {
        **what_it_does(step),
        **({} if step.for_each is None else {"for each": step.for_each}),
        **_filled(
            {
                "after": list(step.after),
                "when": step.when,
                "concurrency": step.concurrency,
                "conflicts": [str(conflict) for conflict in step.conflicts],
                "retry": None if step.retry is None else _retry(step.retry),
                "timeout": None if step.timeout is None else _length(step.timeout),
                "on timeout": None if step.on_timeout == FAIL else step.on_timeout,
                "on failure": None if step.on_failure == FAIL else step.on_failure,
            }
        ),
    }


def what_it_does(step: Step) -> dict[str, Any]:
    """Give the keys that say what a step does: a worker, an action or a flow, and its values."""
    match step.does:
        case Action(key=key, values=values):
            return {"action": str(key), **_filled({"values": dict(values)})}
        case Work() as work:
            rest = {
                "args": list(work.arguments),
                "executor": work.executor,
                "environment": dict(work.environment),
            }
            return {"worker": work.worker, **_filled(rest)}
        case SubFlow(flow=flow, parameters=parameters):
            return {"flow": flow, **_filled({"parameters": dict(parameters)})}


def _trigger(trigger: Trigger) -> dict[str, Any]:
    return dict(trigger.settings)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    default = {} if parameter.required else {"default": parameter.default}
    return {"type": parameter.type, **default}


def _retry(retry: Retry) -> dict[str, Any]:
    delay = {"delay": _length(retry.delay)} if retry.delay else {}
    factor = {"factor": retry.factor} if retry.factor != 1 else {}
    return {"tries": retry.tries, **delay, **factor, "on": sorted(retry.on)}


def _length(seconds: float) -> str | float:
    """Write a length of time in words, where they say all of it."""
    from nowcast_cli.config.durations import seconds_of

    words = duration_words(seconds)
    return words if seconds >= 1 and seconds_of(words) == seconds else seconds


def _filled(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value not in (None, "", [], {})}
