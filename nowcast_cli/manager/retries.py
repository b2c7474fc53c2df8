"""Whether a job that ended badly is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from nowcast_cli.config.durations import duration_words
from nowcast_cli.config.registry import Registry
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.state import Note, State, Step, warning, with_jobs
from nowcast_cli.store.records import JobRecord

BadEnding = Literal["crash", "failure", "lost"]
# Gives the next attempt of a job after that ending; the time is UTC, ISO 8601.
TryAgain = Callable[[JobRecord, BadEnding, str], JobRecord | None]


def next_attempt(
    registry: Registry,
    job: JobRecord,
    ending: BadEnding,
    now: str,
    *,
    new_id: Callable[[], str],
    uptime: Callable[[], Uptime],
) -> JobRecord | None:
    """Give the job that tries once more what ``job`` did not do; None where nothing does.

    It waits for the worker's delay. Its chain, cause and barrier are those of ``job``.
    """
    retry = registry.jobs_of(job.worker).retry
    if retry is None or ending not in retry.on or job.tried >= retry.tries:
        return None
    seconds = retry.delay_after(job.tried)
    return JobRecord(
        id=new_id(),
        worker=job.worker,
        module=job.module,
        arguments=job.arguments,
        host=job.host,
        executor=job.executor,
        state="waiting",
        attempt=job.attempt + 1,
        predecessor=job.id,
        cause=job.cause,
        chain=job.chain,
        barrier=job.barrier,
        created=now,
        tried=job.tried + 1,
        delay=uptime().after(seconds) if seconds else None,
        ensemble=job.ensemble,
        member=job.member,
        flow_step=job.flow_step,
        environment=job.environment,
    )


def note_of(job: JobRecord, following: JobRecord) -> Note:
    """Say that a job is tried again."""
    when = f"in {duration_words(following.delay.seconds)}" if following.delay else "at once"
    return warning(
        f"{job.worker} (job {job.id}) is tried again {when} as job {following.id}, "
        f"attempt {following.attempt}"
    )


def counted_anew(state: State, uptime: Uptime) -> Step:
    """Begin delays of another boot anew: nobody knows how long the machine was off."""
    jobs = (
        replace(job, delay=uptime.after(job.delay.seconds))
        for job in state.jobs.values()
        if job.delay is not None and job.delay.boot != uptime.boot
    )
    new_state, changes = with_jobs(state, *jobs)
    return Step(new_state, changes)
