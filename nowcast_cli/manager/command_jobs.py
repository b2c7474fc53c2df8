"""Jobs of workers that are commands: what they are asked to run, and by which message they end.

Pure, but for what a command has left in its job's folder.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any

from nowcast_cli.command_end import outcome_of, told_in
from nowcast_cli.config.command_step import CommandStep
from nowcast_cli.config.registry import Registry, WorkerEntry
from nowcast_cli.config.step_filling import RUN_DATE, StepError, day_of, filled, given, with_date
from nowcast_cli.config.zones import local_zone
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import Exit, JobRequest
from nowcast_cli.manager.happenings import Told
from nowcast_cli.messages.message import Message
from nowcast_cli.store.records import JobRecord

_logger = logging.getLogger("manager")


def step_of(registry: Registry, worker: str) -> CommandStep | None:
    """Give the command that a worker is; None for one that is a module."""
    entry = registry.workers.get(worker)
    return None if entry is None else entry.step


def dated(job: JobRecord, registry: Registry) -> JobRecord:
    """Give a job with its date among its arguments, where it is a command that has one."""
    step = step_of(registry, job.worker)
    if step is None or not step.has_date:
        return job
    return replace(job, arguments=with_date(step, job.arguments, _day(job)))


def with_command(request: JobRequest, job: JobRecord, registry: Registry) -> JobRequest:
    """Give the request with the command that is to be run, where the worker is one.

    Raises NowcastError where the arguments of the job make none of it.
    """
    step = step_of(registry, job.worker)
    if step is None:
        return request
    facts = {"job_id": job.id, "attempt": str(job.attempt)}
    if request.ensemble is not None:
        facts["member"] = str(request.ensemble.member)
    try:
        arguments = _with_values(step, job)
        if step.has_date and RUN_DATE not in given(step, job.worker, arguments):
            facts[RUN_DATE] = _day(job)
        command = filled(step, arguments, facts, job.worker)
    except StepError as error:
        raise NowcastError(error.what, hint=error.hint) from None
    if job.environment is not None:  # what is said of this very job counts before its worker's
        command |= {"environment": {**command["environment"], **job.environment}}
    return replace(request, command=command)


def _with_values(step: CommandStep, job: JobRecord) -> tuple[str, ...]:
    """Give the arguments of a job, with those parameters of its member that they do not give."""
    values = None if job.member is None else job.member.values
    if not values:
        return job.arguments
    read = given(step, job.worker, job.arguments)
    more = (
        f"--{name.replace('_', '-')}={value}"
        for name, value in values.items()
        if name in step.parameters and name not in read
    )
    return (*job.arguments, *more)


def told_by_exit(
    registry: Registry, job: JobRecord, ending: Exit, reason: str, folder: Path
) -> Iterator[Told]:
    """Give the final message of a job that is a command; nothing for any other job.

    ``reason`` says why it ended when it did not succeed.
    """
    message = final_message(registry.workers.get(job.worker), job, ending, reason, folder)
    if message is not None:
        yield Told(message, None)


def final_message(
    entry: WorkerEntry | None, job: JobRecord, ending: Exit, reason: str, folder: Path
) -> Message | None:
    """Give the message by which the command of a job has ended; None where that is a crash.

    A failure by the exit code wins over whatever the command has told.
    """
    if entry is None or entry.step is None or ending.code is None or job.state == "cancelled":
        return None
    try:
        told = told_in(str(folder))
    except (OSError, ValueError) as error:
        _logger.error("what %s has told is lost: %s", folder.name, error)
        told = None
    succeeded = ending.code in entry.step.success_codes and ending.reason is None
    if told is None or not (succeeded or outcome_of(told["type"]) != "success"):
        told = {"type": "success" if succeeded else "failure", "payload": None}
    elif outcome_of(told["type"]) != "success" and succeeded:
        reason = _told_words(told)
    outcome = outcome_of(told["type"])
    return Message(
        job.worker,
        told["type"],
        told["payload"],
        id=f"end-{job.id}",
        job=job.id,
        outcome=outcome,  # type: ignore[arg-type]
        reason=None if outcome == "success" else reason,
    )


def _told_words(told: Mapping[str, Any]) -> str:
    """Say what a command has told that says by itself that it did not succeed."""
    payload = told["payload"]
    if isinstance(payload, dict):
        payload = ", ".join(f"{key}: {value}" for key, value in payload.items())
    words = "" if payload is None else shorten(f": {payload}", 200, placeholder=" …")
    return f"it has told {told['type']}{words}"


def _day(job: JobRecord) -> str:
    return day_of(job.created, local_zone())
