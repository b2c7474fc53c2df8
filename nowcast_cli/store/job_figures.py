"""What jobs have cost: how long they waited and ran, their memory and processor time.

All is found by the index ``job_worker``, so it costs what it gives, however many jobs there are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from nowcast_cli.store.records import JobRecord, JobState
from nowcast_cli.store.rows import selected

# Reckoned by SQLite: to make records of a hundred thousand rows takes seconds.
_SECONDS_A_DAY = 86_400
_RUN_TIME = (
    "(julianday(coalesce(json_extract(exit, '$.finished_at'), ended)) - julianday(started)) "
    f"* {_SECONDS_A_DAY}"
)
_QUEUE_WAIT = f"(julianday(started) - julianday(submitted)) * {_SECONDS_A_DAY}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a job has cost, as far as it is known.

    ``queue_wait`` from when its executor had taken it to its begin, ``run_time`` from there to the
    end of its process, ``cpu_seconds`` user and system time together, all in seconds;
    ``peak_memory`` in bytes.
    """

    queue_wait: float | None = None
    run_time: float | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A job that has begun and ended, and what it has cost."""

    job: str
    state: JobState
    figures: Figures


def figures_of(job: JobRecord) -> Figures:
    """Give what a job has cost."""
    exit_record = job.exit or {}
    return Figures(
        queue_wait=_seconds(job.submitted, job.started),
        run_time=_seconds(job.started, exit_record.get("finished_at") or job.ended),
        peak_memory=exit_record.get("peak_memory"),
        cpu_seconds=exit_record.get("cpu_seconds"),
    )


def runs_of(connection: sqlite3.Connection, worker: str, since: str = "") -> Iterator[Run]:
    """Give the jobs of a worker that have begun and ended, made at or after ``since``.

    ``since`` is ISO 8601 UTC. The newest come first. The store may be of an old version.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    submitted = selected(("submitted",), int(version))
    wait = _QUEUE_WAIT if submitted == "submitted" else "NULL"
    rows = connection.execute(
        f"SELECT id, state, {wait}, {_RUN_TIME}, json_extract(exit, '$.peak_memory'), "
        "json_extract(exit, '$.cpu_seconds') FROM job WHERE worker = ? AND created >= ? "
        "AND started IS NOT NULL AND ended IS NOT NULL ORDER BY id DESC",
        (worker, since),
    )
    for job, state, waited, ran, memory, cpu in rows:
        yield Run(job, state, Figures(_positive(waited), _positive(ran), memory, cpu))


def run_times(connection: sqlite3.Connection, worker: str, most: int) -> list[float]:
    """Give how long jobs of a worker ran that succeeded, of its last ``most`` jobs; in seconds."""
    rows = connection.execute(
        f"SELECT {_RUN_TIME} FROM (SELECT state, started, ended, exit FROM job WHERE worker = ? "
        "ORDER BY id DESC LIMIT ?) WHERE state = 'succeeded' AND started IS NOT NULL "
        "AND exit IS NOT NULL",
        (worker, most),
    )
    return [max(0.0, seconds) for (seconds,) in rows if seconds is not None]


def _seconds(begin: str | None, end: str | None) -> float | None:
    if begin is None or end is None:
        return None
    return _positive((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())


def _positive(seconds: float | None) -> float | None:
    """Take what clocks of two hosts make negative for nothing."""
    return None if seconds is None else max(0.0, seconds)
