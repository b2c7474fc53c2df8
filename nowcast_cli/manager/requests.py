"""Requests of the command line and of programs, which name what is to be done. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.manager.job_transitions import cancel, is_module_name, new_job
from nowcast_cli.manager.state import Reply, State, Step, refused, with_jobs
from nowcast_cli.manager.transitions import Incoming
from nowcast_cli.store.records import JobRecord, MessageReceived, MessageRecord

SOURCE = "nowcast"


class RequestError(Exception):
    """A request cannot be met: why, and what to do instead."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def journalled(state: State, incoming: Incoming, chain: str, reply_text: str | None) -> Step:
    """Put a request into the journal, with its answer, so that a repeat has no effect."""
    record = MessageRecord(
        number=state.last_message + 1,
        id=incoming.id,
        received=incoming.received,
        source=incoming.message.source,
        type=incoming.message.type,
        body=incoming.body,
        job=None,
        chain=chain,
        outcome=None,
        state="answered",
        reply_text=reply_text,
    )
    return Step(
        replace(state, last_message=record.number), (MessageReceived(record),), journalled=record
    )


def launch(
    state: State,
    payload: Any,
    *,
    now: str,
    new_id: Callable[[], str],
    worker_names: Mapping[str, str],
) -> tuple[Step, JobRecord]:
    """Launch a worker by hand: ``{module, arguments, host}``; a chain of its own begins."""
    if not isinstance(payload, dict) or not isinstance(payload.get("module"), str):
        raise RequestError("a launch names a module", "nowcast run-worker WORKER")
    if not is_module_name(payload["module"]):
        raise RequestError(
            f"{payload['module']!r} is not the dotted name of a module",
            "nowcast run-worker WORKER",
        )
    arguments = payload.get("arguments") or []
    if not isinstance(arguments, list):
        raise RequestError("the arguments of a launch are a list", "nowcast run-worker WORKER")
    module, job_id = payload["module"], new_id()
    job = new_job(
        job_id,
        module,
        tuple(str(argument) for argument in arguments),
        str(payload.get("host") or "localhost"),
        cause=None,
        chain=job_id,
        now=now,
        worker=worker_names.get(module),
    )
    new_state, changes = with_jobs(state, job)
    return Step(new_state, changes, reply=Reply("ack", {"job": job.id})), job


def rerun(
    state: State, old: JobRecord | None, *, now: str, new_id: Callable[[], str]
) -> tuple[Step, JobRecord]:
    """Run a job that has ended again, with the same arguments; the chain goes on from it."""
    if old is None:
        raise RequestError("there is no such job", "nowcast job list")
    if old.unfinished:
        raise RequestError(
            f"job {old.id} ({old.worker}) has not ended: it is {old.state}",
            f"nowcast job cancel {old.id}",
        )
    job_id = new_id()
    job = new_job(
        job_id,
        old.module,
        old.arguments,
        old.host,
        cause=None,
        chain=job_id,
        now=now,
        attempt=old.attempt + 1,
        predecessor=old.id,
        worker=old.worker,
    )
    new_state, changes = with_jobs(state, job)
    return Step(new_state, changes, reply=Reply("ack", {"job": job.id})), job


def cancel_job(state: State, job: JobRecord | None, *, now: str) -> tuple[Step, JobRecord]:
    """Cancel a job that has not ended."""
    if job is None:
        raise RequestError("there is no such job", "nowcast job list")
    if not job.unfinished:
        raise RequestError(f"job {job.id} ({job.worker}) has ended already: it is {job.state}")
    step = cancel(state, job, "cancelled by hand", now)
    return replace(step, reply=Reply("ack", {"job": job.id, "state": "cancelled"})), job


def refusal(error: RequestError) -> Reply:
    """Give the answer to a request that cannot be met."""
    return refused(error.what, error.hint)
