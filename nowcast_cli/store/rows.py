"""Rows of the database as records, and records as rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from nowcast_cli.store.records import (
    BarrierRecord,
    Delay,
    HoldRecord,
    JobRecord,
    Member,
    MessageRecord,
    ScheduleRecord,
)

MESSAGE_COLUMNS = (
    "number", "id", "received", "source", "type", "body", "job", "chain", "outcome", "state",
    "reply", "decided", "error", "effect", "checklist_key", "note",
)  # fmt: skip
JOB_COLUMNS = (
    "id", "worker", "module", "arguments", "host", "executor", "state", "attempt", "predecessor",
    "cause", "chain", "barrier", "created", "started", "ended", "pid", "exit", "reason",
    "final_message", "tried", "delay", "timed_out", "submitted", "native", "slow",
    "ensemble", "member", "flow_step", "environment",
)  # fmt: skip
BARRIER_COLUMNS = ("number", "cause", "workers", "waiting_for", "state", "created", "ended")

SCHEDULE_COLUMNS = ("item", "timing", "cursor", "nominal", "job", "paused")
HOLD_COLUMNS = ("worker", "since")
# Columns that a store has from a version of its schema on, and what stands for them before.
_ADDED = {
    **dict.fromkeys(("note", "delay", "timed_out"), (3, "NULL")),
    "tried": (3, "1"),
    **dict.fromkeys(("submitted", "native", "slow"), (6, "NULL")),
    **dict.fromkeys(("ensemble", "member"), (7, "NULL")),
    "flow_step": (9, "NULL"),
    "environment": (12, "NULL"),
}


def selected(columns: tuple[str, ...], version: int) -> str:
    """Give the columns for a SELECT from a store of that version, which may lack some."""
    found = ((name, *_ADDED.get(name, (0, ""))) for name in columns)
    return ", ".join(
        name if since <= version else f"{instead} AS {name}" for name, since, instead in found
    )


def upsert(table: str, columns: tuple[str, ...]) -> str:
    """Give the statement that puts a row in the place of that with its first column."""
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
    marks = ", ".join("?" * len(columns))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) "
        f"ON CONFLICT ({columns[0]}) DO UPDATE SET {updates}"
    )


def message_of_row(row: tuple[Any, ...]) -> MessageRecord:
    """Give the record of a row of ``MESSAGE_COLUMNS``."""
    return MessageRecord(*row)


def job_of_row(row: tuple[Any, ...]) -> JobRecord:
    """Give the record of a row of ``JOB_COLUMNS``."""
    values = dict(zip(JOB_COLUMNS, row, strict=True))
    values["arguments"] = tuple(json.loads(values["arguments"]))
    for name in ("exit", "native", "environment"):
        if values[name] is not None:
            values[name] = json.loads(values[name])
    if values["delay"] is not None:
        values["delay"] = Delay(**json.loads(values["delay"]))
    if values["member"] is not None:
        values["member"] = Member(*json.loads(values["member"]))
    return JobRecord(**values)


def barrier_of_row(row: tuple[Any, ...]) -> BarrierRecord:
    """Give the record of a row of ``BARRIER_COLUMNS``."""
    number, cause, workers, waiting_for, state, created, ended = row
    return BarrierRecord(
        number, cause, tuple(json.loads(workers)), tuple(json.loads(waiting_for)), state, created,
        ended,
    )  # fmt: skip


def schedule_of_row(row: tuple[Any, ...]) -> ScheduleRecord:
    """Give the record of a row of ``SCHEDULE_COLUMNS``."""
    return ScheduleRecord(*row)


def hold_of_row(row: tuple[Any, ...]) -> HoldRecord:
    """Give the record of a row of ``HOLD_COLUMNS``."""
    worker, since = row
    return HoldRecord(worker or None, since)


def row_of_message(message: MessageRecord) -> tuple[object, ...]:
    """Give the row of a message, in the order of ``MESSAGE_COLUMNS``."""
    return (
        message.number, message.id, message.received, message.source, message.type,
        message.body, message.job, message.chain, message.outcome, message.state,
        message.reply_text, message.decided, message.error, message.effect, message.checklist_key,
        message.note,
    )  # fmt: skip


def row_of_job(job: JobRecord) -> tuple[object, ...]:
    """Give the row of a job, in the order of ``JOB_COLUMNS``."""
    return (
        job.id, job.worker, job.module, json.dumps(job.arguments), job.host, job.executor,
        job.state, job.attempt, job.predecessor, job.cause, job.chain, job.barrier, job.created,
        job.started, job.ended, job.pid, None if job.exit is None else json.dumps(job.exit),
        job.reason, job.final_message, job.tried,
        None if job.delay is None else json.dumps(asdict(job.delay)), job.timed_out,
        job.submitted, None if job.native is None else json.dumps(job.native), job.slow,
        job.ensemble, None if job.member is None else _member(job.member), job.flow_step,
        None if job.environment is None else json.dumps(dict(job.environment)),
    )  # fmt: skip


def _member(member: Member) -> str:
    numbers = (member.index, member.size, member.at_most, member.at_least)
    return json.dumps((member.label, *numbers, member.values))


def row_of_barrier(barrier: BarrierRecord) -> tuple[object, ...]:
    """Give the row of a barrier, in the order of ``BARRIER_COLUMNS``."""
    return (
        barrier.number, barrier.cause, json.dumps(barrier.workers),
        json.dumps(barrier.waiting_for), barrier.state, barrier.created, barrier.ended,
    )  # fmt: skip


def row_of_schedule(schedule: ScheduleRecord) -> tuple[object, ...]:
    """Give the row of an item of the schedule, in the order of ``SCHEDULE_COLUMNS``."""
    return (
        schedule.item, schedule.timing, schedule.cursor, schedule.nominal, schedule.job,
        schedule.paused,
    )  # fmt: skip
