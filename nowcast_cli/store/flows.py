"""Flows in the database: their rows, written and read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args

from nowcast_cli.store.delay import Delay
from nowcast_cli.store.flow_records import (
    DefinitionPut,
    FlowRunPut,
    FlowRunRecord,
    FlowStepDropped,
    FlowStepPut,
    RunState,
    StepRecord,
    StepState,
)

RUN_COLUMNS = (
    "id", "flow", "digest", "parameters", "state", "origin", "created", "parent", "ended", "reason",
    "first_attempt",
)  # fmt: skip
STEP_COLUMNS = (
    "run", "step", "item", "state", "attempt", "value", "gave", "begun", "ended", "reason", "job",
    "delay", "deadline", "tried", "performer", "traceback",
)  # fmt: skip


def _put(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})"


_PUT_RUN = _put("flow_run", RUN_COLUMNS)
_PUT_STEP = _put("flow_step", STEP_COLUMNS)
_SELECT_RUN = f"SELECT {', '.join(RUN_COLUMNS)} FROM flow_run"
_ALONE = -1
_encode = json.JSONEncoder(default=str).encode
SINCE = 9  # the version of the schema that has them
_ACTIONS_SINCE = 11  # those of its versions that have the last two columns of a step


def write(connection: sqlite3.Connection, changes: Iterable[object]) -> None:
    """Write what of the changes is about flows, within the transaction of the caller.

    A step, of which there may be thousands, is written once: as all of them leave it.
    """
    steps = {}
    for change in changes:
        match change:
            case FlowStepPut(run, step):
                steps[(run, step.step, step.item)] = _row_of_step(run, step)
            case FlowRunPut(run):
                connection.execute(_PUT_RUN, _row_of_run(run))
            case DefinitionPut(digest, flow, definition):
                connection.execute(
                    "INSERT OR IGNORE INTO flow_definition VALUES (?, ?, ?)",
                    (digest, flow, json.dumps(definition)),
                )
            case FlowStepDropped(run, name, item):
                steps.pop((run, name, item), None)
                connection.execute(
                    "DELETE FROM flow_step WHERE run = ? AND step = ? AND item = ?",
                    (run, name, _ALONE if item is None else item),
                )
    if steps:
        connection.executemany(_PUT_STEP, steps.values())


def open_runs(connection: sqlite3.Connection) -> list[FlowRunRecord]:
    """Give the runs that have not ended, with their steps, the oldest first."""
    rows = connection.execute(f"{_SELECT_RUN} WHERE state = 'running' ORDER BY id").fetchall()
    return [with_steps(connection, run_of_row(row)) for row in rows]


def run_of(connection: sqlite3.Connection, run_id: str) -> FlowRunRecord | None:
    """Give the run of that id with its steps, None where there is none."""
    row = connection.execute(f"{_SELECT_RUN} WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else with_steps(connection, run_of_row(row))


def run_ids(connection: sqlite3.Connection, end_of_id: str) -> list[str]:
    """Give the ids of the runs whose id is that, or ends so; of eight characters at least."""
    rows = connection.execute(
        "SELECT id FROM flow_run WHERE id = ? OR substr(id, -8) = ?", (end_of_id, end_of_id)
    )
    return [row[0] for row in rows]


def latest_runs(
    connection: sqlite3.Connection, flow: str | None, limit: int
) -> list[FlowRunRecord]:
    """Give the latest runs, of one flow or of all, with their steps, the newest first."""
    where, arguments = ("", ()) if flow is None else (" WHERE flow = ?", (flow,))
    rows = connection.execute(
        f"{_SELECT_RUN}{where} ORDER BY id DESC LIMIT ?", (*arguments, limit)
    ).fetchall()
    return [with_steps(connection, run_of_row(row)) for row in rows]


def definition_of(connection: sqlite3.Connection, digest: str) -> tuple[str, Any] | None:
    """Give the name of a flow, and what it said by that digest."""
    row = connection.execute(
        "SELECT flow, definition FROM flow_definition WHERE digest = ?", (digest,)
    ).fetchone()
    return None if row is None else (row[0], json.loads(row[1]))


def with_steps(connection: sqlite3.Connection, run: FlowRunRecord) -> FlowRunRecord:
    """Give a run with its steps."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    columns = ", ".join(step_columns(version))
    rows = connection.execute(f"SELECT {columns} FROM flow_step WHERE run = ?", (run.id,))
    steps = [step_of_row(row) for row in rows]
    return replace(run, steps={(step.step, step.item): step for step in steps})


def remove_runs(connection: sqlite3.Connection, runs: Sequence[str]) -> None:
    """Remove runs with their steps, and the definitions that no run follows any more."""
    keys = [(run,) for run in runs]
    connection.executemany("DELETE FROM flow_step WHERE run = ?", keys)
    connection.executemany("DELETE FROM flow_run WHERE id = ?", keys)
    if keys:
        connection.execute(
            "DELETE FROM flow_definition WHERE digest NOT IN (SELECT digest FROM flow_run)"
        )


def run_of_row(row: Sequence[Any]) -> FlowRunRecord:
    """Give the record of a row, without its steps."""
    values = dict(zip(RUN_COLUMNS, row, strict=True))
    values["parameters"] = json.loads(values["parameters"])
    return FlowRunRecord(**values)


def step_columns(version: int) -> tuple[str, ...]:
    """Give the columns of a step in a store of that version of the schema."""
    return STEP_COLUMNS if version >= _ACTIONS_SINCE else STEP_COLUMNS[:-2]


def step_of_row(row: Iterable[Any]) -> StepRecord:
    """Give the record of a row; an older store lacks the last columns."""
    values = dict(zip(STEP_COLUMNS, row, strict=False))
    del values["run"]
    values["item"] = None if values["item"] == _ALONE else values["item"]
    for name in ("value", "gave"):
        values[name] = None if values[name] is None else json.loads(values[name])
    for name in ("delay", "deadline"):
        values[name] = None if values[name] is None else Delay(**json.loads(values[name]))
    return StepRecord(**values)


def definition_of_row(row: Sequence[Any]) -> DefinitionPut:
    """Give the record of a row of digest, flow and definition."""
    digest, flow, definition = row
    return DefinitionPut(digest, flow, json.loads(definition))


def is_definition(found: DefinitionPut) -> bool:
    """Say whether a row that was read of a damaged store has the form of one."""
    return isinstance(found.digest, str) and isinstance(found.definition, dict)


def is_run(found: FlowRunRecord) -> bool:
    """Say whether a row that was read of a damaged store has the form of one."""
    texts = (found.id, found.flow, found.digest, found.origin, found.created)
    return (
        found.state in get_args(RunState)
        and all(isinstance(text, str) for text in texts)
        and isinstance(found.parameters, dict)
    )


def is_step(found: StepRecord) -> bool:
    """Say whether a row that was read of a damaged store has the form of one."""
    return (
        found.state in get_args(StepState)
        and isinstance(found.step, str)
        and isinstance(found.item, int | None)
        and isinstance(found.attempt, int)
    )


def _row_of_run(run: FlowRunRecord) -> tuple[object, ...]:
    return (
        run.id, run.flow, run.digest, json.dumps(run.parameters), run.state, run.origin,
        run.created, run.parent, run.ended, run.reason, run.first_attempt,
    )  # fmt: skip


def _row_of_step(run: str, step: StepRecord) -> tuple[object, ...]:
    return (
        run, step.step, _ALONE if step.item is None else step.item, step.state, step.attempt,
        _json(step.value), _json(step.gave), step.begun, step.ended, step.reason, step.job,
        _delay(step.delay), _delay(step.deadline), step.tried, step.performer, step.traceback,
    )  # fmt: skip


def _json(value: Any) -> str | None:
    return None if value is None else _encode(value)


def _delay(delay: Delay | None) -> str | None:
    if delay is None:
        return None
    return _encode({"seconds": delay.seconds, "boot": delay.boot, "due": delay.due})
