"""What of the journal is older than it has to be kept, and nothing needs any more.

Found here by reading alone, a batch at a time; the one writer of the store removes it. Kept are,
however old: the newest message, the last success of each worker, what is not settled, all of a
chain that is not over, and what a job that stays follows from or has said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from nowcast_cli.store import events
from nowcast_cli.store.checklist_base import base_number, read_base, write_base
from nowcast_cli.store.merging import fold
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.records import MessageRecord, RowsRemoved
from nowcast_cli.store.rows import MESSAGE_COLUMNS, message_of_row, selected

# Word by word as in the indices.
_OPEN_JOB = "(state IN ('waiting', 'held', 'submitting', 'running') OR exit IS NULL)"
_OPEN_CHAINS = (
    f"SELECT chain FROM job WHERE {_OPEN_JOB} UNION SELECT chain FROM message "
    "WHERE state <> 'decided' AND state IN ('received', 'stuck')"
)
_SOURCES = (
    "WITH RECURSIVE known(source) AS (SELECT min(source) FROM message UNION ALL "
    "SELECT (SELECT min(source) FROM message WHERE source > known.source) FROM known "
    "WHERE known.source IS NOT NULL) SELECT source FROM known WHERE source IS NOT NULL"
)
_WINDOW = 1000  # messages


@dataclass(frozen=True, slots=True)
class Prunable:
    """What may go: messages up to the number ``upto``, and jobs that ended before ``before``.

    And events that came before ``events_before``, in so many ``batches``.
    """

    before: str
    upto: int
    messages: int  # at most so many
    events_before: str = ""
    batches: int = 0  # at most so many


def prunable(database: Path, before: str, events_before: str = "") -> Prunable:
    """Tell what is older than ``before`` (ISO 8601 UTC), by the order of arrival."""
    found = _old_messages(database, before)
    with closing(open_to_read(database)) as connection:
        return replace(
            found,
            events_before=events_before,
            batches=events.batches_before(connection, events_before),
        )


def _old_messages(database: Path, before: str) -> Prunable:
    connection = open_to_read(database)
    try:
        first, last = connection.execute("SELECT min(number), max(number) FROM message").fetchone()
        if first is None:
            return Prunable(before, 0, 0)
        low, high = first, last  # messages below `low` are older than `before`
        while low < high:
            middle = (low + high) // 2
            received, number = connection.execute(
                "SELECT received, number FROM message WHERE number >= ? ORDER BY number LIMIT 1",
                (middle,),
            ).fetchone()
            low, high = (number + 1, high) if received < before else (low, middle)
        return Prunable(before, low - 1, max(0, low - first))
    finally:
        connection.close()


def move_base(database: Path, upto: int, now: str) -> None:
    """Write the base of the checklist for a journal that loses messages up to ``upto``.

    Raises NowcastError for a base that is damaged, OSError when it cannot be written.
    """
    if upto <= base_number(database):
        return
    number, checklist = read_base(database)
    connection = open_to_read(database)
    try:
        cleared = connection.execute(
            "SELECT max(number) FROM message WHERE effect IS NOT NULL AND effect = 'clear' "
            "AND checklist_key IS NULL AND +number <= ?",
            (upto,),
        ).fetchone()[0]
        if cleared is not None and cleared > number:
            number, checklist = cleared, {}
        fold(checklist, effects_between(connection, number, upto))
    finally:
        connection.close()
    write_base(database, checklist, upto, now)


def effects_between(
    connection: sqlite3.Connection, after: int, upto: int
) -> Iterator[MessageRecord]:
    """Give the messages after one number up to another that changed the checklist, in order.

    A window at a time: a long transaction would let the write-ahead log grow meanwhile.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    columns = selected(MESSAGE_COLUMNS, version)
    while after < upto:
        window = connection.execute(
            f"SELECT {columns} FROM message NOT INDEXED "
            "WHERE number > ? AND number <= ? AND effect IS NOT NULL ORDER BY number LIMIT ?",
            (after, upto, _WINDOW),
        ).fetchall()
        for row in window:
            yield message_of_row(row)
        after = window[-1][0] if len(window) == _WINDOW else upto


class Pruner:
    """Goes through the journal once, from its oldest row on; :meth:`batch` until it gives None.

    Raises ValueError where the base of the checklist does not reach to ``prunable.upto``.
    """

    def __init__(self, database: Path, prunable: Prunable) -> None:
        if base_number(database) < prunable.upto:
            raise ValueError(f"the base of the checklist ends before message {prunable.upto}")
        self._what = prunable
        self._connection = open_to_read(database)
        self._after: dict[str, int | str | None] = {
            "message": 0, "job": "", "ensemble": "", "barrier": 0, "flow run": "",
            "event batch": 0, "product instance": "",
        }  # fmt: skip
        newest = self._connection.execute("SELECT max(number) FROM message").fetchone()[0]
        self._kept = {newest, *self._last_successes()}

    def _last_successes(self) -> Iterator[int]:
        for (source,) in self._connection.execute(_SOURCES).fetchall():
            # Not that of a member of an ensemble, which says nothing of its worker.
            row = self._connection.execute(
                "SELECT number FROM message WHERE source = ? AND outcome = 'success' "
                "AND note IS NULL ORDER BY number DESC LIMIT 1",
                (source,),
            ).fetchone()
            if row is not None:
                yield row[0]

    def batch(self, rows: int) -> RowsRemoved | None:
        """Look at the next ``rows`` rows; give those that may go, None when all were seen."""
        # Jobs first: messages that a job is known by stay with it.
        looks: dict[str, Callable[[], RowsRemoved]] = {
            "job": lambda: RowsRemoved(jobs=self._jobs(rows)),
            "ensemble": lambda: RowsRemoved(ensembles=self._ensembles(rows)),
            "message": lambda: RowsRemoved(messages=self._messages(rows)),
            "barrier": lambda: RowsRemoved(barriers=self._barriers(rows)),
            "flow run": lambda: RowsRemoved(flow_runs=self._flow_runs(rows)),
            "event batch": lambda: RowsRemoved(event_batches=self._event_batches(rows)),
            "product instance": lambda: RowsRemoved(product_instances=self._instances(rows)),
        }
        for kind, look in looks.items():
            if self._after[kind] is not None:
                removed = look()
                if self._after[kind] is not None or removed != RowsRemoved():
                    return removed
        return None

    def _messages(self, rows: int) -> tuple[int, ...]:
        found = self._connection.execute(
            "SELECT number, number NOT IN (SELECT number FROM message WHERE state <> 'decided' "
            "AND state IN ('received', 'stuck')) AND received < ?1 "
            f"AND chain NOT IN ({_OPEN_CHAINS}) "
            "AND NOT EXISTS (SELECT 1 FROM job WHERE id = message.job) "
            "AND NOT EXISTS (SELECT 1 FROM job WHERE cause = message.number) "
            "AND NOT EXISTS (SELECT 1 FROM ensemble WHERE cause = message.number) "
            "FROM message WHERE number > ?2 AND number <= ?3 ORDER BY number LIMIT ?4",
            (self._what.before, self._after["message"], self._what.upto, rows),
        ).fetchall()
        self._after["message"] = found[-1][0] if found else None
        return tuple(number for number, goes in found if goes and number not in self._kept)

    def _jobs(self, rows: int) -> tuple[str, ...]:
        found = self._connection.execute(
            "SELECT id, created < ?1, "
            f"NOT {_OPEN_JOB} AND ended < ?1 AND chain NOT IN ({_OPEN_CHAINS}) "
            "AND id NOT IN (SELECT job FROM schedule WHERE job IS NOT NULL) "
            "FROM job WHERE id > ?2 ORDER BY id LIMIT ?3",
            (self._what.before, self._after["job"], rows),
        ).fetchall()
        more = bool(found) and any(old for _, old, _ in found)
        self._after["job"] = found[-1][0] if more else None
        return tuple(job_id for job_id, _, goes in found if goes)

    def _ensembles(self, rows: int) -> tuple[str, ...]:
        """Give those that have ended, and of which no member is left."""
        found = self._connection.execute(
            "SELECT id, state <> 'open' AND ended < ?1 "
            f"AND chain NOT IN ({_OPEN_CHAINS}) "
            "AND NOT EXISTS (SELECT 1 FROM job WHERE job.ensemble = ensemble.id "
            "AND job.ensemble IS NOT NULL) "
            "AND id NOT IN (SELECT job FROM schedule WHERE job IS NOT NULL) "
            "FROM ensemble WHERE id > ?2 ORDER BY id LIMIT ?3",
            (self._what.before, self._after["ensemble"], rows),
        ).fetchall()
        self._after["ensemble"] = found[-1][0] if found else None
        return tuple(ensemble_id for ensemble_id, goes in found if goes)

    def _flow_runs(self, rows: int) -> tuple[str, ...]:
        """Give those that have ended, and of whose jobs none is left."""
        found = self._connection.execute(
            "SELECT id, state <> 'running' AND ended < ?1 "
            "AND NOT EXISTS (SELECT 1 FROM job WHERE chain = flow_run.id) "
            "FROM flow_run WHERE id > ?2 ORDER BY id LIMIT ?3",
            (self._what.before, self._after["flow run"], rows),
        ).fetchall()
        self._after["flow run"] = found[-1][0] if found else None
        return tuple(run_id for run_id, goes in found if goes)

    def _event_batches(self, rows: int) -> tuple[int, ...]:
        after = self._after["event batch"]
        found, self._after["event batch"] = events.prunable(
            self._connection, self._what.events_before, int(after or 0), rows
        )
        return found

    def _instances(self, rows: int) -> tuple[str, ...]:
        """Give those that were deleted, and of which no file is on the disk any more."""
        found = self._connection.execute(
            "SELECT id, deleted < ?1 AND NOT EXISTS (SELECT 1 FROM data "
            "JOIN data_instance AS file ON file.data = data.id "
            "WHERE data.instance = product_instance.id AND file.removed IS NULL) "
            "FROM product_instance WHERE id > ?2 ORDER BY id LIMIT ?3",
            (self._what.before, self._after["product instance"], rows),
        ).fetchall()
        self._after["product instance"] = found[-1][0] if found else None
        return tuple(instance for instance, goes in found if goes)

    def _barriers(self, rows: int) -> tuple[int, ...]:
        found = self._connection.execute(
            "SELECT number, state <> 'active' AND ended < ?1 "
            "AND number < (SELECT max(number) FROM barrier) "
            "FROM barrier WHERE number > ?2 ORDER BY number LIMIT ?3",
            (self._what.before, self._after["barrier"], rows),
        ).fetchall()
        self._after["barrier"] = found[-1][0] if found else None
        return tuple(number for number, goes in found if goes)

    def close(self) -> None:
        """Let go of the store."""
        self._connection.close()
