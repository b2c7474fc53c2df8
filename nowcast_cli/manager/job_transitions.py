"""What happens to jobs: they are made, claimed, end by their message, or without it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from nowcast_cli.config.durations import duration_words
from nowcast_cli.config.executors import Place
from nowcast_cli.config.registry import Registry
from nowcast_cli.executors.native import Native
from nowcast_cli.manager.barriers import pass_barrier
from nowcast_cli.manager.happenings import Slow
from nowcast_cli.manager.retries import TryAgain, note_of
from nowcast_cli.manager.state import Entry, State, Step, info, problem, warning, with_jobs
from nowcast_cli.messages.message import Message
from nowcast_cli.store.records import JobRecord, JobState, MessageReceived, MessageRecord, Outcome

_STATE_BY_OUTCOME: Mapping[Outcome, JobState] = {
    "success": "succeeded",
    "failure": "failed",
    "crash": "crashed",
}

# Gives where a job of a worker runs whose launch names that host.
PlaceOf = Callable[[str, str], Place]


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
    place: Place,
    *,
    cause: int | None,
    chain: str,
    now: str,
    barrier: int | None = None,
    attempt: int = 1,
    predecessor: str | None = None,
    worker: str | None = None,
) -> JobRecord:
    """Give a job that waits for its launch, or is held where there is a ``barrier``."""
    return JobRecord(
        id=job_id,
        worker=worker or worker_name(module),
        module=module,
        arguments=arguments,
        host=place.host,
        executor=place.executor,
        state="waiting" if barrier is None else "held",
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


def native_changed(state: State, job: JobRecord, native: Native, now: str) -> Step:
    """Take in what the system beneath its executor says of a job, from when it has taken it on."""
    taken = job.submitted or now
    new_state, changes = with_jobs(state, replace(job, native=native.to_json(), submitted=taken))
    return Step(new_state, changes)


def end_by_message(
    state: State,
    job: JobRecord,
    record: MessageRecord,
    outcome: Outcome,
    following: JobRecord | None,
    said: str | None,
) -> Step:
    """Take in the final message of a job: the first one decides how it ended.

    One that is sent after the job's timeout tells of its being ended, unless it is of a success.
    ``following`` is the job that tries again, ``said`` is the reason that the message gives.
    """
    overran = job.timed_out is not None and outcome != "success"
    ended = replace(
        job,
        state="timed out" if overran else _STATE_BY_OUTCOME[outcome],
        ended=record.received,
        reason=job.reason if overran else said,
        final_message=record.number,
        # Of one that was never launched no process will be seen to end.
        exit={} if job.state in ("waiting", "held") else job.exit,
    )
    return _ended(state, ended, following)


def _ended(state: State, ended: JobRecord, following: JobRecord | None) -> Step:
    """Put a job that has ended, and the one that tries again."""
    if following is None:
        new_state, changes = with_jobs(state, ended)
        return Step(new_state, changes)
    new_state, changes = with_jobs(state, ended, following)
    return Step(new_state, changes, (note_of(ended, following),))


def overran(state: State, job: JobRecord, seconds: float, now: str) -> Step:
    """Take in that a job has run for longer than its timeout: its processes are to be ended.

    It is ``timed out`` once they have, or once it says so itself. One that has told its end, and
    whose process stays, only has that process ended. What is being ended already stays as it is.
    """
    if job.timed_out is not None or job.state == "cancelled":
        return Step(state)
    words = f"it ran for longer than its timeout of {duration_words(seconds)} and was ended"
    reason = words if job.unfinished else job.reason
    new_state, changes = with_jobs(state, replace(job, timed_out=now, reason=reason))
    note = warning(f"{job.worker} (job {job.id}) has passed its timeout: it is being ended")
    return Step(new_state, changes, (note,))


def slow(state: State, job: JobRecord, happening: Slow, now: str) -> Step:
    """Take in that a job takes far longer than any of its worker before: told once, and no more.

    It is in the journal, for who follows that. One whose end is told or ordered is left alone.
    """
    if job.slow is not None or job.state != "running" or job.timed_out is not None:
        return Step(state)
    what = (
        f"{job.worker} has run for more than {duration_words(happening.seconds)}: its last "
        f"{happening.runs} jobs that succeeded took {duration_words(happening.slowest)} at most"
    )
    message = Message("nowcast", "slow", {"worker": job.worker, "job": job.id, "what": what})
    record = MessageRecord(
        number=state.last_message + 1,
        id=f"slow-{job.id}",
        received=now,
        source="nowcast",
        type="slow",
        body=message.serialize(),
        job=job.id,
        chain=job.chain,
        outcome=None,
        state="answered",
    )
    journalled = Step(
        replace(state, last_message=record.number),
        (MessageReceived(record),),
        (warning(f"{what} (job {job.id})"),),
        journalled=record,
    )
    new_state, changes = with_jobs(journalled.state, replace(job, slow=now))
    return journalled.then(Step(new_state, changes))


def process_ended(
    state: State,
    registry: Registry,
    job: JobRecord,
    exit_record: Mapping[str, Any],
    reason: str,
    now: str,
    again: TryAgain,
    by_system: Literal["crashed", "timed out"] | None = None,
) -> Step:
    """Take in what the runner wrote when the job's process had ended.

    A job that ended without its final message becomes a ``crash`` message for ``reason``. Where
    the system beneath its executor has ended it, that has the last word on how and why: a worker
    that it tells to end says so itself, and does not know on whose behalf.
    """
    seen = replace(job, exit=exit_record)
    if not job.unfinished:
        if by_system is not None and job.state == "crashed":
            seen = replace(seen, state=by_system, reason=reason)
        new_state, changes = with_jobs(state, seen)
        return Step(new_state, changes)
    if job.timed_out is not None:
        return _crash(state, registry, seen, "timed out", job.reason or reason, now, again)
    return _crash(state, registry, seen, by_system or "crashed", reason, now, again)


def closed(state: State, job: JobRecord) -> Step:
    """Take in that no process of a job that has ended is there any more, or ever was."""
    new_state, changes = with_jobs(state, replace(job, exit={}))
    return Step(new_state, changes)


def lost(
    state: State, registry: Registry, job: JobRecord, reason: str, now: str, again: TryAgain
) -> Step:
    """Take in that nobody can tell any more how the job ended."""
    if not job.unfinished or job.timed_out is not None:
        return process_ended(state, registry, job, {}, reason, now, again)
    return _crash(state, registry, replace(job, exit={}), "lost", reason, now, again)


def stayed(state: State, job: JobRecord, words: str) -> Step:
    """Take in that processes of a job that was ended could not be."""
    reason = f"{job.reason}; {words}" if job.reason else words
    new_state, changes = with_jobs(state, replace(job, reason=reason))
    return Step(new_state, changes, (problem(f"{job.worker} (job {job.id}): {words}"),))


def _crash(
    state: State,
    registry: Registry,
    job: JobRecord,
    job_state: JobState,
    reason: str,
    now: str,
    again: TryAgain,
) -> Step:
    following = again(job, "lost" if job_state == "lost" else "crash", now)
    worker = registry.workers.get(job.worker)
    note = problem(f"{job.worker} {job_state} (job {job.id}): {reason}")
    ended = replace(job, state=job_state, ended=now, reason=reason)
    if worker is None or "crash" not in worker.messages:
        step = Step(state, notes=(note,)).then(_ended(state, ended, following))
        if following is not None or job.ensemble is not None:
            return step
        unheard = problem(
            f"nothing follows from the crash of {job.worker}: the message registry gives it no "
            f"`crash` message"
        )
        passed = pass_barrier(step.state, job.worker, now)
        return replace(step, notes=(*step.notes, unheard)).then(passed)
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
    record = settled_by(record, job, following)
    ended = replace(ended, final_message=record.number)
    asks = record.state == "received"
    entry = Entry(record.number, record.source, record.type, None, decide=asks)
    step = Step(
        replace(state, last_message=record.number),
        (MessageReceived(record),),
        (note,),
        entries=(entry,),
        journalled=record,
    )
    return step.then(_ended(step.state, ended, following))


def settled_by(
    record: MessageRecord, job: JobRecord | None, following: JobRecord | None
) -> MessageRecord:
    """Give a message as it stands in the journal.

    The final one of a job that is tried again asks nobody what follows, nor does that of a member:
    its ensemble does, when it ends. From the job of a flow's step its flow goes on.
    """
    if following is not None:
        note = f"tried again as job {following.id}"
    elif job is not None and job.member is not None and record.outcome is not None:
        note = f"member {job.member.label} of ensemble {job.ensemble}"
    elif job is not None and job.flow_step is not None and record.outcome is not None:
        note = None
    else:
        return record
    return replace(record, state="decided", decided=record.received, note=note)


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
    if job.state == "held" or job.ensemble is not None:
        return step
    return step.then(pass_barrier(new_state, job.worker, now))
