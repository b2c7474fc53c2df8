"""Steps that are jobs: the job of an attempt, and what its end means for the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.config.executors import HERE
from nowcast_cli.config.registry import Registry
from nowcast_cli.flows.advance import BadEnding
from nowcast_cli.flows.definition import Work
from nowcast_cli.flows.placeholders import filled_in
from nowcast_cli.manager.flow_moves import as_argument, token_of
from nowcast_cli.manager.flow_outside import Outside
from nowcast_cli.manager.job_transitions import new_job
from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord, StepState
from nowcast_cli.store.records import JobRecord

# By the state of a job: that of its step, and how a bad end came.
BY_JOB: Mapping[str, tuple[StepState, BadEnding | None]] = {
    "succeeded": ("done", None),
    "failed": ("failed", "failure"),
    "crashed": ("failed", "crash"),
    "timed out": ("failed", "crash"),
    "lost": ("failed", "lost"),
    "cancelled": ("cancelled", None),
}


def job_of(
    run: FlowRunRecord,
    record: StepRecord,
    work: Work,
    find: Callable[[str], Any],
    registry: Registry,
    outside: Outside,
) -> JobRecord:
    """Give the job of a step; it waits for the process of the attempt before to be gone.

    Raises NowcastError, and KeyError for a placeholder without a value.
    """
    job = new_job(
        outside.new_id(),
        outside.module_of(work.worker),
        tuple(as_argument(each) for each in filled_in(work.arguments, find)),
        registry.place_of(work.worker, work.executor or HERE),
        cause=None,
        chain=run.id,
        now=outside.now(),
        attempt=record.attempt,
        predecessor=record.job,
        worker=work.worker,
    )
    said = {name: as_argument(filled_in(text, find)) for name, text in work.environment.items()}
    return replace(job, flow_step=str(token_of(run, record)), environment=said or None)
