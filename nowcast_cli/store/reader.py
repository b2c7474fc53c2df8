"""Reading the store, with the system up or down; used by everybody but the manager."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from heapq import merge
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.store import agents, ensembles, flows
from nowcast_cli.store.flow_records import FlowRunRecord
from nowcast_cli.store.integrity import cannot_be_read
from nowcast_cli.store.job_figures import Run, runs_of
from nowcast_cli.store.job_loads import Load, loads
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.records import (
    SHORT_ID,
    UNFINISHED_STATES,
    AgentRecord,
    AssignmentRecord,
    BarrierRecord,
    EnsembleRecord,
    HoldRecord,
    JobRecord,
    MessageRecord,
    Outcome,
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

_UNFINISHED = ", ".join(f"'{state}'" for state in sorted(UNFINISHED_STATES))
# The index has the outcome, by which last successes are found; the number orders each by itself.
_OUTCOMES = ("IS NULL", *(f"= '{outcome}'" for outcome in get_args(Outcome)))
_LAST_OF_SOURCE = " UNION ALL ".join(
    "SELECT number FROM (SELECT number FROM message {where} "
    f"AND outcome {outcome} ORDER BY number DESC LIMIT {{most}})"
    for outcome in _OUTCOMES
)


class Reader:
    """A read-only view of the store. A context manager.

    Raises NotFound where the system has never been started, NowcastError where the store cannot
    be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFound(
                f"this system has never been started: there is no store {path}",
                hint="nowcast start",
            )
        try:
            self._connection = open_to_read(path)
            self._connection.execute("SELECT 1 FROM message LIMIT 1")
            # A manager that begins brings the store up to date; until then it is read as it is.
            self._version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.DatabaseError as error:
            raise cannot_be_read(path, error) from error
        self._job = selected(JOB_COLUMNS, self._version)
        self._message = selected(MESSAGE_COLUMNS, self._version)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def jobs(
        self,
        *,
        worker: str | None = None,
        states: Collection[str] | None = None,
        chain: str | None = None,
        cause: int | None = None,
        alone: bool = False,
        limit: int | None = 50,
    ) -> list[JobRecord]:
        """Give jobs, the newest first; ``cause`` is the number of the message that they follow.

        With ``alone`` those that are members of no ensemble.
        """
        where, values = _where(
            ("worker", worker), ("state", states), ("chain", chain), ("cause", cause)
        )
        if alone and self._version >= ensembles.SINCE:
            where = f"{where} AND ensemble IS NULL" if where else "WHERE ensemble IS NULL"
        return [
            job_of_row(row)
            for row in self._connection.execute(
                f"SELECT {self._job} FROM job {where} ORDER BY id DESC LIMIT ?",
                (*values, -1 if limit is None else limit),
            )
        ]

    def loads(self) -> list[Load]:
        """Count the jobs that are launched and have not ended, by executor and state."""
        return loads(self._connection)

    def slow_jobs(self) -> list[JobRecord]:
        """Give the jobs that run for far longer than any of their worker before."""
        if self._version < 6:
            return []
        rows = self._connection.execute(
            f"SELECT {self._job} FROM job WHERE state = 'running' AND slow IS NOT NULL ORDER BY id"
        )
        return [job_of_row(row) for row in rows]

    def runs(self, worker: str, since: str = "") -> Iterator[Run]:
        """Give what the jobs of a worker have cost (see ``job_figures.runs_of``)."""
        return runs_of(self._connection, worker, since)

    def job(self, id_or_part: str) -> JobRecord:
        """Give the job whose id is, begins or ends so.

        Raises NotFound where there is none, NowcastError where there are several.
        """
        rows = self._by_begin("job", self._job, id_or_part) or self._by_end(id_or_part)
        if not rows:
            raise NotFound(
                f"there is no job {id_or_part}",
                hint="nowcast job list",
            )
        if len(rows) > 1:
            raise NowcastError(
                f"several jobs have an id that begins or ends with {id_or_part}: "
                f"{', '.join(str(row[0]) for row in rows[:5])}",
                hint="give more of the id",
            )
        return job_of_row(rows[0])

    def ensemble(self, id_or_part: str) -> EnsembleRecord | None:
        """Give the ensemble whose id is, begins or ends so; None where there is none.

        Raises NowcastError where there are several.
        """
        if self._version < ensembles.SINCE or not _may_be_part(id_or_part):
            return None
        found = ensembles.found(self._connection, id_or_part)
        if len(found) > 1:
            raise NowcastError(
                f"several ensembles have an id that begins or ends with {id_or_part}: "
                f"{', '.join(each.id for each in found[:5])}",
                hint="give more of the id",
            )
        return found[0] if found else None

    def ensembles(
        self,
        *,
        worker: str | None = None,
        chain: str | None = None,
        cause: int | None = None,
        limit: int | None = None,
    ) -> list[EnsembleRecord]:
        """Give ensembles, the newest first; of a store of an old form, none."""
        if self._version < ensembles.SINCE:
            return []
        return ensembles.newest(
            self._connection, worker=worker, chain=chain, cause=cause, limit=limit
        )

    def open_ensembles(self) -> list[EnsembleRecord]:
        """Give the ensembles whose ending is not decided, the oldest first."""
        if self._version < ensembles.SINCE:
            return []
        return ensembles.open_ones(self._connection)

    def last_members(self, ensemble: EnsembleRecord) -> list[JobRecord]:
        """Give the last job of each member, in their order."""
        return [*ensembles.last_jobs(self._connection, ensemble).values()]

    def unfinished_members(self, ensemble: EnsembleRecord) -> Mapping[str, int]:
        """Count the members that have not ended, by state."""
        return ensembles.unfinished(self._connection, ensemble.id)

    def launched_members(self, ensemble_id: str) -> int:
        """Count the members of an ensemble whose process is to begin, runs, or is yet to end."""
        return ensembles.launched(self._connection, ensemble_id)

    def _by_begin(self, table: str, columns: str, part: str) -> list[tuple[Any, ...]]:
        """Give the row whose id is ``part``, else at most 6 rows whose id begins so."""
        select = f"SELECT {columns} FROM {table} WHERE"
        whole = self._connection.execute(f"{select} id = ?", (part,)).fetchall()
        if whole or not _may_be_part(part):
            return whole
        return self._connection.execute(
            f"{select} id >= ? AND id < ? LIMIT 6", (part, part + "~")
        ).fetchall()

    def _by_end(self, part: str) -> list[tuple[Any, ...]]:
        """Give at most 6 jobs whose id ends with ``part``."""
        if not _may_be_part(part):
            return []
        short = f"substr(id, -{SHORT_ID})"
        found = f"{short} = ?1 AND id GLOB ?2" if len(part) >= SHORT_ID else f"{short} GLOB ?2"
        return self._connection.execute(
            f"SELECT {self._job} FROM job WHERE id IN (SELECT id FROM job WHERE {found} LIMIT 6)",
            (part[-SHORT_ID:], "*" + part),
        ).fetchall()

    def messages(
        self,
        *,
        source: str | None = None,
        states: Collection[str] | None = None,
        chain: str | None = None,
        limit: int | None = 50,
    ) -> list[MessageRecord]:
        """Give messages, the newest first; those of a ``chain`` only with ``states``."""
        most = -1 if limit is None else limit
        # A store has a few messages that are not decided and, maybe, millions that are.
        special = states is not None and "decided" not in states
        where, values = _where(("state", states), ("+chain", chain), ("source", source))
        if special:
            chosen = f"{where} AND state <> 'decided'"
        elif source is not None:
            chosen = f"WHERE number IN ({_LAST_OF_SOURCE.format(where=where, most=most)})"
            values = values * len(_OUTCOMES)
        else:
            chosen = where
        return [
            message_of_row(row)
            for row in self._connection.execute(
                f"SELECT {self._message} FROM message {chosen} ORDER BY number DESC LIMIT {most}",
                values,
            )
        ]

    def message(self, id_or_number: str) -> MessageRecord:
        """Give the message of that number, or whose id is or begins so.

        Raises NotFound where there is none, NowcastError where there are several.
        """
        numbered = self._connection.execute(
            f"SELECT {self._message} FROM message WHERE number = ?",
            (_number(id_or_number),),
        ).fetchall()
        rows = numbered or self._by_begin("message", self._message, id_or_number)
        if not rows:
            raise NotFound(
                f"there is no message {id_or_number}",
                hint="nowcast message list",
            )
        if len(rows) > 1:
            raise NowcastError(
                f"several messages have an id that begins with {id_or_number}",
                hint="give the number that nowcast message list shows",
            )
        return message_of_row(rows[0])

    def last_number(self) -> int:
        """Give the number of the last message of the journal, 0 where there is none."""
        return int(self._connection.execute("SELECT max(number) FROM message").fetchone()[0] or 0)

    def news(self, after: int, upto: int, sources: Collection[str]) -> list[MessageRecord]:
        """Give the messages after one number up to another that somebody may want to be told of.

        Those are bad endings after which nothing is tried again, what is overdue or slow, and
        all messages of ``sources``; the oldest first. Only messages of nowcast itself have their
        ``body``: others may be large.
        """
        body = "CASE WHEN source = 'nowcast' THEN body END AS body"
        columns = self._message.replace(" body,", f" {body},")
        last = "AND note IS NULL" if self._version >= 3 else ""  # else it is tried again
        marks = ", ".join("?" * len(sources))
        return [
            message_of_row(row)
            for row in self._connection.execute(
                f"SELECT {columns} FROM message WHERE number > ? AND number <= ? "
                f"AND (outcome IN ('failure', 'crash') {last} "
                f"OR (source = 'nowcast' AND type IN ('overdue', 'slow')) OR source IN ({marks})) "
                "ORDER BY number",
                (after, upto, *sources),
            )
        ]

    def ended_without_message(self, since: str) -> list[JobRecord]:
        """Give jobs that came to a bad end at or after ``since``, and of which no message tells."""
        return [
            job_of_row(row)
            for row in self._connection.execute(
                f"SELECT {self._job} FROM job "
                "WHERE state IN ('crashed', 'lost', 'timed out') AND final_message IS NULL "
                "AND ended >= ? ORDER BY ended, id",
                (since,),
            )
        ]

    def checklist_keys(self) -> list[str]:
        """Give the keys of the checklist that messages have changed, each as YAML."""
        return [
            str(key)
            for (key,) in self._connection.execute(
                # From one key to the next, over all the messages of each.
                "WITH RECURSIVE known(key) AS (SELECT min(checklist_key) FROM message "
                "WHERE effect IS NOT NULL UNION ALL SELECT (SELECT min(checklist_key) "
                "FROM message WHERE effect IS NOT NULL AND checklist_key > key) FROM known "
                "WHERE key IS NOT NULL) SELECT key FROM known WHERE key IS NOT NULL"
            )
        ]

    def checklist_effects(self, keys: Collection[str]) -> Iterator[MessageRecord]:
        """Give the messages that changed these keys (YAML) or cleared all, the newest first."""
        select = f"SELECT {self._message} FROM message WHERE effect IS NOT NULL AND"
        latest = [
            self._connection.execute(f"{select} checklist_key IS ? ORDER BY number DESC", (key,))
            for key in (None, *keys)
        ]
        for row in merge(*latest, key=itemgetter(0), reverse=True):
            yield message_of_row(row)

    def schedule(self) -> list[ScheduleRecord]:
        """Give what is known of the items of the schedule; of a store of an old form, nothing."""
        if self._version < 2:
            return []
        return [
            schedule_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(SCHEDULE_COLUMNS)} FROM schedule ORDER BY item"
            )
        ]

    def holds(self) -> list[HoldRecord]:
        """Give what nothing is launched of, the whole system first; of an old store, nothing."""
        if self._version < 3:
            return []
        rows = self._connection.execute(f"SELECT {', '.join(HOLD_COLUMNS)} FROM hold ORDER BY 1")
        return [hold_of_row(row) for row in rows]

    def flow_runs(self, flow: str | None = None, limit: int = 20) -> list[FlowRunRecord]:
        """Give runs of flows with their steps, the newest first."""
        if self._version < flows.SINCE:
            return []
        return flows.latest_runs(self._connection, flow, limit)

    def flow_run(self, text: str) -> FlowRunRecord:
        """Give the run whose id is ``text`` or ends with it; raises NotFound."""
        ids = [] if self._version < flows.SINCE else flows.run_ids(self._connection, text)
        found = flows.run_of(self._connection, ids[0]) if len(ids) == 1 else None
        if found is None:
            what = "several runs have" if ids else "there is no run with"
            raise NotFound(f"{what} the id {text!r}", hint="nowcast flow runs")
        return found

    def flow_definition(self, digest: str) -> tuple[str, Any] | None:
        """Give the name of a flow, and what it said by that digest."""
        return flows.definition_of(self._connection, digest)

    def agents(self) -> list[AgentRecord]:
        """Give the agents that are known, by name; of an old store, nothing."""
        return agents.agents_in(self._connection) if self._version >= agents.SINCE else []

    def assignment(self, job_id: str) -> AssignmentRecord | None:
        """Give on which agent a job is or was, None where it was never placed."""
        if self._version < agents.SINCE:
            return None
        return agents.assignment_in(self._connection, job_id)

    def open_assignments(self) -> list[AssignmentRecord]:
        """Give the assignments of the jobs that have not ended, or were not seen to end."""
        if self._version < agents.SINCE:
            return []
        return agents.open_assignments_in(self._connection)

    def launched(self, worker: str | None = None) -> int:
        """Count jobs, of a worker or all, whose process is to begin, runs, or is yet to end."""
        # The first condition is that of the index, word by word: else it cannot be used.
        row = self._connection.execute(
            "SELECT count(*) FROM job INDEXED BY job_open WHERE "
            "(state IN ('waiting', 'held', 'submitting', 'running') OR exit IS NULL) "
            "AND state NOT IN ('waiting', 'held') AND (?1 IS NULL OR worker = ?1)",
            (worker,),
        ).fetchone()
        return int(row[0])

    def message_of_number(self, number: int) -> MessageRecord | None:
        """Give the message of that number, None where it is not in the journal any more."""
        row = self._connection.execute(
            f"SELECT {self._message} FROM message WHERE number = ?", (number,)
        ).fetchone()
        return None if row is None else message_of_row(row)

    def message_by_exact_id(self, message_id: str) -> MessageRecord | None:
        """Give the message of that id, None where it has not been received."""
        row = self._connection.execute(
            f"SELECT {self._message} FROM message WHERE id = ?", (message_id,)
        ).fetchone()
        return None if row is None else message_of_row(row)

    def first_received(self) -> str | None:
        """Give the time of the first message of the journal, None where there is none."""
        row = self._connection.execute(
            "SELECT received FROM message ORDER BY number LIMIT 1"
        ).fetchone()
        return None if row is None else str(row[0])

    def last_success(self, worker: str, before: str = "~") -> str | None:
        """Give when the worker last succeeded, not later than ``before``; None for never.

        That one member of an ensemble has succeeded says nothing of the worker.
        """
        alone = "AND note IS NULL " if self._version >= 3 else ""
        row = self._connection.execute(
            "SELECT received FROM message "
            f"WHERE source = ? AND outcome = 'success' AND received <= ? {alone}"
            "ORDER BY number DESC LIMIT 1",
            (worker, before),
        ).fetchone()
        return None if row is None else str(row[0])

    def barriers(self, active_only: bool = True) -> list[BarrierRecord]:
        """Give barriers, the oldest first."""
        where = "WHERE state = 'active'" if active_only else ""
        return [
            barrier_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(BARRIER_COLUMNS)} FROM barrier {where} ORDER BY number"
            )
        ]

    def counts(self, since: str = "") -> dict[str, int]:
        """Count unfinished jobs by state, ``stuck`` and ``undecided`` messages, and bad endings.

        ``failed``, ``crashed``, ``timed out`` and ``lost`` jobs count when created at or after
        ``since`` (ISO 8601 UTC).
        """
        counts = dict.fromkeys(
            ("waiting", "held", "submitting", "running", "failed", "crashed", "timed out", "lost",
             "stuck", "undecided"),
            0,
        )  # fmt: skip
        # One statement, so that all are counted at one instant: between two, what is decided
        # would become jobs, and counted as neither.
        counts.update(
            self._connection.execute(
                f"SELECT state, count(*) FROM job WHERE state IN ({_UNFINISHED}) GROUP BY state "
                "UNION ALL SELECT state, count(*) FROM job WHERE state IN "
                "('failed', 'crashed', 'timed out', 'lost') AND created >= ? GROUP BY state "
                "UNION ALL SELECT iif(state = 'stuck', 'stuck', 'undecided'), count(*) "
                "FROM message WHERE state <> 'decided' AND state IN ('received', 'stuck') "
                "GROUP BY state",
                (since,),
            ).fetchall()
        )
        return counts

    def chain_is_over(self, chain: str) -> bool:
        """Say whether nothing of the chain runs, waits, or is yet to be decided.

        A stuck message does not count as open: nothing follows from it until somebody acts.
        """
        open_jobs, open_messages = self._connection.execute(
            f"SELECT (SELECT count(*) FROM job WHERE +chain = ?1 AND state IN ({_UNFINISHED})), "
            "(SELECT count(*) FROM message WHERE chain = ?1 AND state = 'received' "
            "AND state <> 'decided')",
            (chain,),
        ).fetchone()
        return int(open_jobs) == 0 and int(open_messages) == 0


def _where(
    *conditions: tuple[str, str | int | Collection[str] | None],
) -> tuple[str, list[str | int]]:
    clauses: list[str] = []
    values: list[str | int] = []
    for column, wanted in conditions:
        if wanted is None:
            continue
        if isinstance(wanted, str | int):
            clauses.append(f"{column} = ?")
            values.append(wanted)
        else:
            clauses.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values.extend(wanted)
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), values


def _may_be_part(text: str) -> bool:
    return bool(text) and set(text) <= set("0123456789abcdef-")


def _number(text: str) -> int:
    """Give the number of a message; of what is none, and of one too large for SQLite, -1."""
    return int(text) if text.isdecimal() and len(text) < 19 else -1
