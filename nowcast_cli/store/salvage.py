"""Reading what can still be read of a damaged store, around its damage. Writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from nowcast_cli.store import agents, ensembles, events, flows, products
from nowcast_cli.store.event_records import EventBatchPut
from nowcast_cli.store.flow_records import FlowChange, FlowRunPut, FlowStepPut
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.product_records import ProductChange
from nowcast_cli.store.records import (
    AgentPut,
    AssignmentPut,
    BarrierRecord,
    BarrierState,
    EnsembleRecord,
    EnsembleState,
    HoldRecord,
    JobRecord,
    JobState,
    MessageRecord,
    MessageState,
    ScheduleRecord,
)
from nowcast_cli.store.rows import (
    BARRIER_COLUMNS,
    HOLD_COLUMNS,
    JOB_COLUMNS,
    MESSAGE_COLUMNS,
    SCHEDULE_COLUMNS,
    barrier_of_row,
    hold_of_row,
    job_of_row,
    message_of_row,
    schedule_of_row,
    selected,
)

_WINDOW = 1024  # numbers of messages that are read at once, where nothing is damaged
_ROWS = 256
# Windows without a row after which a store that cannot tell its last message is at its end.
_IN_VAIN = 4
Record = TypeVar("Record")


class Salvage:
    """What is left of a damaged store; a file that is none at all gives nothing.

    ``whole`` says of each table that was read to its end whether all of it could be.
    """

    def __init__(self, database: Path) -> None:
        self.whole: dict[str, bool] = {}
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        try:
            self._connection = open_to_read(database)
            # Else a file that was cut is not read at all; nothing is written by it.
            self._connection.execute("PRAGMA writable_schema = ON")
            self._version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error:
            self.close()

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]] | None:
        """Give rows, None where they cannot be read."""
        if self._connection is None:
            return None
        try:
            return self._connection.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError):
            return None

    def messages(self, after: int, known: int) -> Iterator[MessageRecord]:
        """Give the readable messages after a number, in order.

        ``known`` is the last that is known of otherwise: the search goes at least so far.
        """
        self.whole["message"] = True
        newest = self._rows("SELECT max(number) FROM message", ())
        last = max(known, int(newest[0][0] or 0) if newest else 0)
        begin, in_vain = after, 0
        # The last number may be damaged, too, and then be in the thousands of millions.
        while begin < known or ((newest is None or begin < last) and in_vain < _IN_VAIN):
            end = begin + _WINDOW
            in_vain += 1
            for row in self._between(begin, end):
                in_vain = 0
                record = _proved(row, message_of_row, _is_message)
                if record is not None:
                    yield record
            begin = self._before_next(end) if in_vain else end

    def _before_next(self, number: int) -> int:
        """Give the number before the next message, or the same where that cannot be read."""
        rows = self._rows("SELECT min(number) FROM message WHERE number > ?", (number,))
        found = rows[0][0] if rows else None
        return found - 1 if isinstance(found, int) and found > number else number

    def _between(self, after: int, upto: int) -> Iterator[tuple[Any, ...]]:
        rows = self._rows(
            f"SELECT {selected(MESSAGE_COLUMNS, self._version)} FROM message NOT INDEXED "
            "WHERE number > ? AND number <= ? ORDER BY number",
            (after, upto),
        )
        if rows is not None:
            yield from rows
        elif self._connection is not None and upto - after > 1:
            middle = (after + upto) // 2
            yield from self._between(after, middle)
            yield from self._between(middle, upto)
        else:
            self.whole["message"] = False

    def message(self, number: int) -> MessageRecord | None:
        """Give the message of that number, None where it cannot be read."""
        for row in self._between(number - 1, number):
            return _proved(row, message_of_row, _is_message)
        return None

    def jobs(self) -> Iterator[JobRecord]:
        """Give the readable jobs: from the first on, and where damage is met from the last."""
        columns = selected(JOB_COLUMNS, self._version)
        for row in self._from_both_ends("job", "id", columns, ""):
            job = _proved(row, job_of_row, _is_job)
            if job is not None:
                yield job

    def barriers(self) -> Iterator[BarrierRecord]:
        """Give the readable barriers."""
        for row in self._from_both_ends("barrier", "number", ", ".join(BARRIER_COLUMNS), 0):
            barrier = _proved(row, barrier_of_row, _is_barrier)
            if barrier is not None:
                yield barrier

    def ensembles(self) -> Iterator[EnsembleRecord]:
        """Give the readable ensembles."""
        if self._version < ensembles.SINCE:
            return
        for row in self._from_both_ends("ensemble", "id", ", ".join(ensembles.COLUMNS), ""):
            ensemble = _proved(row, lambda found: EnsembleRecord(*found), _is_ensemble)
            if ensemble is not None:
                yield ensemble

    def flows(self) -> Iterator[FlowChange]:
        """Give what is readable of flows: definitions, and the runs that have theirs."""
        if self._version < flows.SINCE:
            return
        known = set()
        for row in self._from_both_ends(
            "flow_definition", "digest", "digest, flow, definition", ""
        ):
            definition = _proved(row, flows.definition_of_row, flows.is_definition)
            if definition is not None:
                known.add(definition.digest)
                yield definition
        for row in self._from_both_ends("flow_run", "id", ", ".join(flows.RUN_COLUMNS), ""):
            run = _proved(row, flows.run_of_row, flows.is_run)
            if run is not None and run.digest in known:
                yield FlowRunPut(run)
                yield from self._steps(run.id)

    def _steps(self, run: str) -> Iterator[FlowChange]:
        columns = ", ".join(flows.step_columns(self._version))
        rows = self._rows(f"SELECT {columns} FROM flow_step WHERE run = ?", (run,))
        for row in rows or ():
            step = _proved(row, flows.step_of_row, flows.is_step)
            if step is not None:
                yield FlowStepPut(run, step)

    def events(self) -> Iterator[EventBatchPut]:
        """Give the readable batches of events."""
        if self._version < events.SINCE:
            self.whole["event_batch"] = True
            return
        for row in self._from_both_ends("event_batch", "place", ", ".join(events.COLUMNS), 0):
            batch = _proved(row, events.batch_of_row, events.is_batch)
            if batch is not None:
                yield batch

    def products(self) -> Iterator[ProductChange]:
        """Give what is readable of the index of operational files."""
        if self._version < products.SINCE:
            return
        for table, put in products.SALVAGED:
            for row in self._from_both_ends(table.name, "id", ", ".join(table.columns), ""):
                record = _proved(row, table.record_of, lambda found: isinstance(found.id, str))
                if record is not None:
                    yield put(record)

    def agents(self) -> Iterator[AgentPut | AssignmentPut]:
        """Give what is readable of agents, and of where jobs were placed."""
        if self._version < agents.SINCE:
            return
        for row in self._from_both_ends("agent", "name", ", ".join(agents.AGENT_COLUMNS), ""):
            agent = _proved(row, agents.agent_of_row, agents.is_agent)
            if agent is not None:
                yield agent
        columns = ", ".join(agents.ASSIGNMENT_COLUMNS)
        for row in self._from_both_ends("assignment", "job", columns, ""):
            assignment = _proved(row, agents.assignment_of_row, agents.is_assignment)
            if assignment is not None:
                yield assignment

    def schedule(self) -> Iterator[ScheduleRecord]:
        """Give the readable items of the schedule."""
        for row in self._from_both_ends("schedule", "item", ", ".join(SCHEDULE_COLUMNS), ""):
            yield schedule_of_row(row)

    def holds(self) -> Iterator[HoldRecord]:
        """Give the readable holds."""
        for row in self._from_both_ends("hold", "worker", ", ".join(HOLD_COLUMNS), None):
            yield hold_of_row(row)

    def _from_both_ends(
        self, table: str, key: str, columns: str, least: object
    ) -> Iterator[tuple[Any, ...]]:
        """Give rows, the key first, upwards until damage is met, then downwards to it."""
        self.whole[table] = True
        seen: set[object] = set()
        for row in self._upto_damage(table, key, columns, ">", "ASC", least):
            seen.add(row[0])
            yield row
        if not self.whole[table]:
            for row in self._upto_damage(table, key, columns, "<", "DESC", None):
                if row[0] in seen:
                    return
                yield row

    def _upto_damage(
        self, table: str, key: str, columns: str, beyond: str, order: str, place: object
    ) -> Iterator[tuple[Any, ...]]:
        rows_at_once = _ROWS
        while True:
            where, values = (f"WHERE {key} {beyond} ?", (place,)) if place is not None else ("", ())
            rows = self._rows(
                f"SELECT {columns} FROM {table} {where} ORDER BY {key} {order} LIMIT ?",
                (*values, rows_at_once),
            )
            if rows is None and rows_at_once > 1:
                rows_at_once = 1
            elif rows is None:
                self.whole[table] = False
                return
            elif not rows:
                return
            elif not _leads_on(place, rows[-1][0], order):  # else damage could lead in a circle
                self.whole[table] = False
                return
            else:
                yield from rows
                place = rows[-1][0]

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _leads_on(place: Any, key: Any, order: str) -> bool:
    if place is None or type(place) is not type(key):
        return place is None
    return bool(key > place if order == "ASC" else key < place)


def _proved(
    row: tuple[Any, ...],
    read: Callable[[tuple[Any, ...]], Record],
    is_sound: Callable[[Record], bool],
) -> Record | None:
    """Give the record of a row; None where what was read makes none."""
    try:
        record = read(row)
        return record if is_sound(record) else None
    except (ValueError, TypeError, KeyError):
        return None


def _is_message(record: MessageRecord) -> bool:
    texts = (record.id, record.received, record.source, record.type, record.chain)
    return record.state in get_args(MessageState) and all(isinstance(text, str) for text in texts)


def _is_job(job: JobRecord) -> bool:
    texts = (job.id, job.worker, job.module, job.host, job.chain, job.created)
    return job.state in get_args(JobState) and all(isinstance(text, str) for text in texts)


def _is_ensemble(ensemble: EnsembleRecord) -> bool:
    texts = (ensemble.id, ensemble.worker, ensemble.members, ensemble.chain, ensemble.created)
    numbers = (ensemble.size, ensemble.succeeded, ensemble.failed, ensemble.crashed)
    return (
        ensemble.state in get_args(EnsembleState)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in numbers)
    )


def _is_barrier(barrier: BarrierRecord) -> bool:
    return barrier.state in get_args(BarrierState)
