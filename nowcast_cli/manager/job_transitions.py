"""What happens to jobs: they are made, claimed, end by their message, or without it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.config.registry import Registry
from nowcast_cli.config.remote_hosts import THIS_MACHINE
from nowcast_cli.manager.barriers import pass_barrier
from nowcast_cli.manager.state import Entry, State, Step, info, problem, with_jobs
from nowcast_cli.store.records import JobRecord, JobState, MessageReceived, MessageRecord, Outcome

_STATE_BY_OUTCOME: Mapping[Outcome, JobState] = {
    "success": "succeeded",
    "failure": "failed",
    "crash": "crashed",
}


def worker_name(module: str) -> str:
    """Give the name of a worker: the last part of its module's dotted name."""
    return module.rpartition(".")[2]


def is_module_name(text: str) -> bool:
    """Say whether ``text`` could be the dotted name of a module."""
    return all(part.isidentifier() for part in text.split("."))


def new_job(
    job_id: str,
    module: str,
    arguments: tuple[str, ...],
    host: str,
    *,
    cause: int | None,
    chain: str,
    now: str,
    barrier: int | None = None,
    attempt: int = 1,
    predecessor: str | None = None,
    worker: str | None = None,
) -> JobRecord:
    """Give a job that is to be launched at once, or held where there is a ``barrier``."""
    return JobRecord(
        id=job_id,
        worker=worker or worker_name(module),
        module=module,
        arguments=arguments,
        host=host,
        executor="local" if host in THIS_MACHINE else "ssh",
        state="submitting" if barrier is None else "held",
        attempt=attempt,
        predecessor=predecessor,
        cause=cause,
        chain=chain,
        barrier=barrier,
        created=now,
    )


def claimed(state: State, job: JobRecord, pid: int, started: str) -> Step:
    """Take in that the job's own process has claimed it; it may have ended by message already."""
    running = "running" if job.state == "submitting" else job.state
    new_state, changes = with_jobs(state, replace(job, state=running, pid=pid, started=started))
    return Step(new_state, changes)


def end_by_message(state: State, job: JobRecord, record: MessageRecord, outcome: Outcome) -> Step:
    """Take in the final message of a job: the first one decides how it ended."""
    ended = replace(
        job,
        state=_STATE_BY_OUTCOME[outcome],
        ended=record.received,
        final_message=record.number,
    )
    new_state, changes = with_jobs(state, ended)
    return Step(new_state, changes)


def process_ended(
    state: State,
    registry: Registry,
    job: JobRecord,
    exit_record: Mapping[str, Any],
    reason: str,
    now: str,
) -> Step:
    """Take in what the runner wrote when the job's process had ended.

    A job that ended without its final message becomes a ``crash`` message for ``reason``.
    """
    seen = replace(job, exit=exit_record)
    if not job.unfinished:
        new_state, changes = with_jobs(state, seen)
        return Step(new_state, changes)
    return _crash(state, registry, seen, "crashed", reason, now)


def closed(state: State, job: JobRecord) -> Step:
    """Take in that no process of a job that has ended is there any more, or ever was."""
    new_state, changes = with_jobs(state, replace(job, exit={}))
    return Step(new_state, changes)


def lost(state: State, registry: Registry, job: JobRecord, reason: str, now: str) -> Step:
    """Take in that nobody can tell any more how the job ended."""
    if not job.unfinished:
        return closed(state, job)
    return _crash(state, registry, replace(job, exit={}), "lost", reason, now)


def _crash(
    state: State, registry: Registry, job: JobRecord, job_state: JobState, reason: str, now: str
) -> Step:
    worker = registry.workers.get(job.worker)
    note = problem(f"{job.worker} {job_state} (job {job.id}): {reason}")
    if worker is None or "crash" not in worker.messages:
        new_state, changes = with_jobs(
            state, replace(job, state=job_state, ended=now, reason=reason)
        )
        unheard = problem(
            f"nothing follows from the crash of {job.worker}: the message registry gives it no "
            f"`crash` message"
        )
        return Step(new_state, changes, (note, unheard)).then(
            pass_barrier(new_state, job.worker, now)
        )
    record = MessageRecord(
        number=state.last_message + 1,
        id=f"crash-{job.id}",
        received=now,
        source=job.worker,
        type="crash",
        body=None,
        job=job.id,
        chain=job.chain,
        outcome="crash",
        state="received",
    )
    ended = replace(job, state=job_state, ended=now, reason=reason, final_message=record.number)
    new_state, changes = with_jobs(replace(state, last_message=record.number), ended)
    return Step(
        new_state,
        (MessageReceived(record), *changes),
        (note,),
        entries=(Entry(record.number, record.source, record.type, None),),
        journalled=record,
    )


def cancel(state: State, job: JobRecord, reason: str, now: str) -> Step:
    """End a job by order: it becomes no message, and nothing follows from it.

    A job that was not yet given to its executor is closed; the process of another is to be ended,
    and is seen to end later.
    """
    never_started = job.state in ("waiting", "held")
    ended = replace(
        job,
        state="cancelled",
        ended=now,
        reason=reason,
        exit={} if never_started else job.exit,
    )
    new_state, changes = with_jobs(state, ended)
    step = Step(new_state, changes, (info(f"{job.worker} cancelled (job {job.id}): {reason}"),))
    return step if job.state == "held" else step.then(pass_barrier(new_state, job.worker, now))
