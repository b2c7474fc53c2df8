"""Rows of the database as records."""

from __future__ import annotations

import json
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
    "ensemble", "member", "flow_step",
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
}


def selected(columns: tuple[str, ...], version: int) -> str:
    """Give the columns for a SELECT from a store of that version, which may lack some."""
    found = ((name, *_ADDED.get(name, (0, ""))) for name in columns)
    return ", ".join(
        name if since <= version else f"{instead} AS {name}" for name, since, instead in found
    )


def message_of_row(row: tuple[Any, ...]) -> MessageRecord:
    """Give the record of a row of ``MESSAGE_COLUMNS``."""
    return MessageRecord(*row)


def job_of_row(row: tuple[Any, ...]) -> JobRecord:
    """Give the record of a row of ``JOB_COLUMNS``."""
    values = dict(zip(JOB_COLUMNS, row, strict=True))
    values["arguments"] = tuple(json.loads(values["arguments"]))
    for name in ("exit", "native"):
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
