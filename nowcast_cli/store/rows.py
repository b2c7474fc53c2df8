"""Rows of the database as records."""

from __future__ import annotations

import json
from typing import Any

from nowcast_cli.store.records import BarrierRecord, JobRecord, MessageRecord, ScheduleRecord

MESSAGE_COLUMNS = (
    "number", "id", "received", "source", "type", "body", "job", "chain", "outcome", "state",
    "reply", "decided", "error", "effect", "checklist_key",
)  # fmt: skip
JOB_COLUMNS = (
    "id", "worker", "module", "arguments", "host", "executor", "state", "attempt", "predecessor",
    "cause", "chain", "barrier", "created", "started", "ended", "pid", "exit", "reason",
    "final_message",
)  # fmt: skip
BARRIER_COLUMNS = ("number", "cause", "workers", "waiting_for", "state", "created", "ended")

SCHEDULE_COLUMNS = ("item", "timing", "cursor", "nominal", "job", "paused")


def message_of_row(row: tuple[Any, ...]) -> MessageRecord:
    """Give the record of a row of ``MESSAGE_COLUMNS``."""
    return MessageRecord(*row)


def job_of_row(row: tuple[Any, ...]) -> JobRecord:
    """Give the record of a row of ``JOB_COLUMNS``."""
    values = dict(zip(JOB_COLUMNS, row, strict=True))
    values["arguments"] = tuple(json.loads(values["arguments"]))
    if values["exit"] is not None:
        values["exit"] = json.loads(values["exit"])
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
