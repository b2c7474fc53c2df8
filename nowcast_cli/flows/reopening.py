"""A run that has ended is opened again: which of its steps are done once more. Pure."""

from __future__ import annotations

from dataclasses import replace

from nowcast_cli.flows.definition import Flow
from nowcast_cli.store.flow_records import ENDED_WELL, FlowRunRecord, StepRecord


def reopened(flow: Flow, run: FlowRunRecord, first: str | None) -> FlowRunRecord:
    """Give the run as one that goes on, with later attempts of the steps to be done again.

    Those are the steps that ended badly, or with ``first`` that step, which begin at once; and all
    that come after them, whatever stood in for them too: the run comes to these when it is their
    turn, however they had ended. No attempt has a number that was there before.
    """
    badly = {record.step for record in run.steps.values() if record.state not in ENDED_WELL}
    anew = badly if first is None else {first}
    later = _followers(flow, anew)
    steps = {}
    for key, record in run.steps.items():
        if record.step in later:
            continue
        is_kept = record.step not in anew or (first is None and record.state in ENDED_WELL)
        steps[key] = record if is_kept else _once_more(record)
    attempts = [record.attempt for record in run.steps.values()]
    return replace(
        run,
        state="running",
        ended=None,
        reason=None,
        first_attempt=1 + max([run.first_attempt, *attempts]),
        steps=steps,
    )


def dropped(before: FlowRunRecord, after: FlowRunRecord) -> list[StepRecord]:
    """Give the steps that are no more, until the run comes to them again."""
    return [record for key, record in before.steps.items() if key not in after.steps]


def _followers(flow: Flow, names: set[str]) -> set[str]:
    found: set[str] = set()
    for _ in flow.steps:  # however deep
        reached = names | found
        found |= {step.name for step in flow.steps if reached & set(step.after)}
        found |= {step.on_failure for step in flow.steps if step.name in reached}
    return found


def _once_more(record: StepRecord) -> StepRecord:
    return StepRecord(
        record.step, record.item, "waiting", record.attempt + 1, record.value, job=record.job
    )
