"""The database of a system: opened by its one writer, migrated, and written in transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NowcastError
from nowcast_cli.store import agents, ensembles, events, flows, products
from nowcast_cli.store.checklist_text import ChecklistText, Fragment, FragmentChanges
from nowcast_cli.store.event_records import EventBatchPut, EventPut
from nowcast_cli.store.flow_records import FlowChange, FlowRunRecord
from nowcast_cli.store.integrity import MENDED_BY
from nowcast_cli.store.job_figures import run_times
from nowcast_cli.store.leader import lead, leading
from nowcast_cli.store.network_folders import network_file_system_of
from nowcast_cli.store.product_records import ProductChange
from nowcast_cli.store.records import (
    AgentDropped,
    AgentPut,
    AgentRecord,
    AssignmentDropped,
    AssignmentPut,
    AssignmentRecord,
    BarrierPut,
    BarrierRecord,
    Change,
    ChecklistCleared,
    ChecklistPut,
    EnsemblePut,
    EnsembleRecord,
    HoldDropped,
    HoldPut,
    HoldRecord,
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
    MessageSettled,
    RowsRemoved,
    ScheduleDropped,
    SchedulePut,
    ScheduleRecord,
)
from nowcast_cli.store.removing import remove
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
    row_of_barrier,
    row_of_job,
    row_of_message,
    row_of_schedule,
    schedule_of_row,
    upsert,
)

_INSERT_MESSAGE = (
    f"INSERT INTO message ({', '.join(MESSAGE_COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(MESSAGE_COLUMNS))})"
)
_PUT_JOB = upsert("job", JOB_COLUMNS)
_PUT_BARRIER = upsert("barrier", BARRIER_COLUMNS)
_PUT_SCHEDULE = upsert("schedule", SCHEDULE_COLUMNS)
_WRITTEN_TOGETHER = (*get_args(FlowChange), *get_args(ProductChange), EventPut)
# Bytes that the write-ahead log keeps once a long reader, such as a backup, has let it grow.
_LARGEST_IDLE_LOG = 64_000_000
_PUT_HOLD = upsert("hold", HOLD_COLUMNS)


def cannot_be_used(path: Path, error: sqlite3.DatabaseError) -> NowcastError:
    """Give the error for a store that cannot be opened, or turns out to be damaged."""
    return NowcastError(
        f"the store {path} cannot be used",
        cause=str(error),
        hint="see whether the disk is full, or the folder read-only; if the file itself is "
        f"damaged: {MENDED_BY}",
    )


class Store:
    """The store as its one writer has it: the process that opened it last.

    Raises NowcastError where the database cannot be opened, is damaged, is of a newer version, or
    lies on a network file system (its write-ahead log needs memory shared by all who use it).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file_system = network_file_system_of(path.parent)
        if file_system is not None:
            raise NowcastError(
                f"the state directory {path.parent} lies on a network file system "
                f"({file_system}), where the store cannot live",
                hint="set `state directory` in nowcast.yaml to a folder on a local disk",
            )
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA busy_timeout = 5000")
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new store alone
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_IDLE_LOG}")
            self._migrate()
            self._epoch = lead(self._connection)
            self.text = ChecklistText(self._fragments())
            self.events = events.KeptEvents(self._connection)
            self.products = products.Products(self._connection)
        except sqlite3.DatabaseError as error:
            raise cannot_be_used(path, error) from error

    def _migrate(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        migrations = sorted(
            (
                file
                for file in resources.files("nowcast_cli.store.schema").iterdir()
                if file.name.endswith(".sql")
            ),
            key=lambda file: file.name,
        )
        if version > len(migrations):
            raise NowcastError(
                f"the store {self.path} was written by a newer nowcast (schema {version}; "
                f"this one knows {len(migrations)})",
                hint="upgrade nowcast-cli",
            )
        for number, migration in enumerate(migrations[version:], start=version + 1):
            self._connection.executescript(
                f"BEGIN IMMEDIATE;\n{migration.read_text()}\n"
                f"PRAGMA user_version = {number};\nCOMMIT;"
            )

    def _fragments(self) -> Iterator[Fragment]:
        for row in self._connection.execute("SELECT key, subkey, line, fragment FROM checklist"):
            yield Fragment(*row)

    def commit(self, changes: Sequence[Change]) -> None:
        """Write all ``changes`` in one transaction; they are on the disk when this returns.

        Raises sqlite3.Error when they could not be written, Deposed when the store was opened by
        another writer after this one; then none of them is.
        """
        with self._leading():
            reached("store.begun")
            for change in changes:
                if not isinstance(change, _WRITTEN_TOGETHER):
                    self._write(change)
            flows.write(self._connection, changes)
            products.write(self._connection, changes)
            reached("store.written")
        reached("store.committed")
        self._take_into_text(changes)

    def _leading(self) -> AbstractContextManager[None]:
        return leading(self._connection, self._epoch, self.path)

    def _take_into_text(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if isinstance(change, ChecklistPut):
                self.text.put(change.key, change.value, change.subkeys)
            elif isinstance(change, ChecklistCleared):
                self.text.clear()

    def _write(self, change: Change) -> None:
        execute = self._connection.execute
        match change:
            case MessageReceived(message):
                execute(_INSERT_MESSAGE, row_of_message(message))
            case MessageSettled(number, state, decided, error):
                execute(
                    "UPDATE message SET state = ?, decided = ?, error = ? WHERE number = ?",
                    (state, decided, error, number),
                )
            case JobPut(job):
                execute(_PUT_JOB, row_of_job(job))
            case EnsemblePut(ensemble):
                ensembles.write(self._connection, ensemble)
            case BarrierPut(barrier):
                execute(_PUT_BARRIER, row_of_barrier(barrier))
            case SchedulePut(schedule):
                execute(_PUT_SCHEDULE, row_of_schedule(schedule))
            case ScheduleDropped(item):
                execute("DELETE FROM schedule WHERE item = ?", (item,))
            case HoldPut(hold):
                execute(_PUT_HOLD, (hold.worker or "", hold.since))
            case HoldDropped(worker):
                execute("DELETE FROM hold WHERE worker = ?", (worker or "",))
            case AgentPut() | AgentDropped() | AssignmentPut() | AssignmentDropped():
                agents.write(execute, change)
            case EventBatchPut():
                events.write(execute, change)
            case RowsRemoved():
                remove(self._connection, change)

    def give_back(self, pages: int) -> bool:
        """Give unused pages, at most ``pages``, back to the disk; say whether there are many more.

        A store that was made before pages could be given back keeps them for its own use.
        """
        if not self.has_much_unused() or self._pragma("auto_vacuum") != 2:
            return False
        # A script, as each step of this statement gives one page back and is a row of no columns.
        self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        return self.has_much_unused()

    def has_much_unused(self) -> bool:
        """Say whether more than a tenth of the pages hold nothing; fewer wait for new rows."""
        return self._pragma("freelist_count") > self._pragma("page_count") / 10

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def compact(self) -> None:
        """Write the store anew without unused pages, and so that later ones can be given back.

        Needs as much room again on the disk, and nobody else may have the store open.
        Raises sqlite3.Error.
        """
        execute = self._connection.execute
        execute("PRAGMA auto_vacuum = INCREMENTAL")
        execute("VACUUM")
        execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def save_checklist(self, journal: int) -> str:
        """Keep the checklist as it is after the message ``journal``; gives it as a document.

        After this only later messages of the journal are read to know the checklist again.
        """
        document = self.text.document()
        with self._leading():
            self._save(self.text.unsaved())
            self._connection.execute("UPDATE checklist_state SET journal = ?", (journal,))
            reached("store.saving_the_checklist")
        reached("store.saved_the_checklist")
        self.text.saved()
        return document

    def _save(self, changes: FragmentChanges) -> None:
        if changes.cleared:
            self._connection.execute("DELETE FROM checklist")
        self._connection.executemany(
            "DELETE FROM checklist WHERE key = ?", [(key,) for key in changes.dropped_keys]
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO checklist VALUES (?, ?, ?, ?)",
            [(row.key, row.subkey, row.line, row.text) for row in changes.put],
        )

    def effects_since_saved(self) -> list[MessageRecord]:
        """Give the messages that changed the checklist after it was saved, in order."""
        return [
            message_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(MESSAGE_COLUMNS)} FROM message "
                "WHERE number > (SELECT journal FROM checklist_state) AND effect IS NOT NULL "
                "ORDER BY number"
            )
        ]

    def last_number(self) -> int:
        """Give the number of the last message of the journal, 0 where there is none."""
        return int(self._connection.execute("SELECT max(number) FROM message").fetchone()[0] or 0)

    def message_by_id(self, message_id: str) -> MessageRecord | None:
        """Give the message of that id, None where it has not been received."""
        return self._message("id", message_id)

    def message_by_number(self, number: int) -> MessageRecord | None:
        """Give the message of that number, None where there is none."""
        return self._message("number", number)

    def _message(self, column: str, value: str | int) -> MessageRecord | None:
        row = self._connection.execute(
            f"SELECT {', '.join(MESSAGE_COLUMNS)} FROM message WHERE {column} = ?", (value,)
        ).fetchone()
        return None if row is None else message_of_row(row)

    def undecided_messages(self) -> list[MessageRecord]:
        """Give the messages that are received or stuck, in the order of arrival."""
        return [
            message_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(MESSAGE_COLUMNS)} FROM message "
                "WHERE state <> 'decided' AND state IN ('received', 'stuck') ORDER BY number"
            )
        ]

    def open_jobs(self) -> list[JobRecord]:
        """Give the jobs that have not ended, and those whose process has not been seen to end."""
        return [
            job_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(JOB_COLUMNS)} FROM job WHERE state IN "
                "('waiting', 'held', 'submitting', 'running') OR exit IS NULL ORDER BY id"
            )
        ]

    def run_times(self, worker: str, most: int) -> list[float]:
        """Give how long jobs of a worker ran (see ``job_figures.run_times``)."""
        return run_times(self._connection, worker, most)

    def job(self, job_id: str) -> JobRecord | None:
        """Give the job of that id, None where there is none."""
        row = self._connection.execute(
            f"SELECT {', '.join(JOB_COLUMNS)} FROM job WHERE id = ?", (job_id,)
        ).fetchone()
        return None if row is None else job_of_row(row)

    def open_ensembles(self) -> list[EnsembleRecord]:
        """Give the ensembles whose ending is not decided."""
        return ensembles.open_ones(self._connection)

    def ensemble(self, ensemble_id: str) -> EnsembleRecord | None:
        """Give the ensemble of that id, None where there is none."""
        return ensembles.of_id(self._connection, ensemble_id)

    def last_members(
        self, ensemble: EnsembleRecord, changed: Iterable[JobRecord]
    ) -> dict[int, JobRecord]:
        """Give the last job of each member by its place; ``changed`` are not yet committed."""
        return ensembles.last_jobs(self._connection, ensemble, changed)

    def active_barriers(self) -> list[BarrierRecord]:
        """Give the barriers that hold jobs, the oldest first."""
        return [
            barrier_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(BARRIER_COLUMNS)} FROM barrier "
                "WHERE state = 'active' ORDER BY number"
            )
        ]

    def last_barrier_number(self) -> int:
        """Give the number of the last barrier, 0 where there is none."""
        return int(self._connection.execute("SELECT max(number) FROM barrier").fetchone()[0] or 0)

    def schedule(self) -> list[ScheduleRecord]:
        """Give what is known of the items of the schedule."""
        return [
            schedule_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(SCHEDULE_COLUMNS)} FROM schedule"
            )
        ]

    def holds(self) -> list[HoldRecord]:
        """Give the workers of which nothing is launched."""
        rows = self._connection.execute(f"SELECT {', '.join(HOLD_COLUMNS)} FROM hold")
        return [hold_of_row(row) for row in rows]

    def open_flow_runs(self) -> list[FlowRunRecord]:
        """Give the runs of flows that have not ended, with their steps."""
        return flows.open_runs(self._connection)

    def flow_run(self, run_id: str) -> FlowRunRecord | None:
        """Give the run of that id with its steps, None where there is none."""
        return flows.run_of(self._connection, run_id)

    def flow_definition(self, digest: str) -> tuple[str, Any] | None:
        """Give the name of a flow, and what it said by that digest."""
        return flows.definition_of(self._connection, digest)

    def agents(self) -> list[AgentRecord]:
        """Give the agents that are known, by name."""
        return agents.agents_in(self._connection)

    def assignment(self, job_id: str) -> AssignmentRecord | None:
        """Give on which agent a job is or was, None where it was never placed."""
        return agents.assignment_in(self._connection, job_id)

    def open_assignments(self) -> list[AssignmentRecord]:
        """Give the assignments of the jobs that have not ended, or were not seen to end."""
        return agents.open_assignments_in(self._connection)

    def close(self) -> None:
        """Close the database; what is committed stays."""
        self._connection.close()
