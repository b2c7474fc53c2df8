"""Putting a store in the place of another: one from a backup, and what can be saved of the other.

The new store is made whole beside the old one first; then the old one is set aside, under its
name in a folder with the time, and the new one gets its place. Nothing is deleted.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from nowcast_cli.atomic_files import sync_folder
from nowcast_cli.config import SystemPaths
from nowcast_cli.daemon.lock import hold, read_pid_file
from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.found_jobs import FoundJob, found_jobs
from nowcast_cli.manager.mended_events import number_on, numbers_of, save_events
from nowcast_cli.manager.rebuilding import (
    Rebuilt,
    has_moved_on,
    hold_back,
    pass_over,
    rebuild_ensembles,
    rebuild_jobs,
)
from nowcast_cli.messages import wire
from nowcast_cli.process_identity import is_alive
from nowcast_cli.store.checklist_base import base_file, base_number, read_base, write_base
from nowcast_cli.store.checklist_file import read_checklist, read_header
from nowcast_cli.store.database import Store
from nowcast_cli.store.merging import fold
from nowcast_cli.store.records import (
    BarrierPut,
    Change,
    ChecklistCleared,
    ChecklistPut,
    EnsemblePut,
    HoldPut,
    JobPut,
    MessageReceived,
    MessageRecord,
    MessageSettled,
    SchedulePut,
)
from nowcast_cli.store.salvage import Salvage

_A_TRANSACTION = 5000  # changes
_NOT_DAEMONS = ("launcher",)


@dataclass
class Report:
    """What came back, and what could not.

    ``messages`` and ``jobs`` count what was ``kept`` from the copy, ``saved`` from the damaged
    store, and, of messages, is ``missing``. ``told`` is that of ``Rebuilt``. ``checklist`` says
    where it is from, ``source`` what was begun with ('' without a backup), ``aside`` where what
    was there is kept ('' where nothing was), ``unread`` the tables of the damaged store that could
    not be read to their end.
    """

    source: str = ""
    aside: str = ""
    unread: list[str] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    checklist: str = "the journal"
    told: dict[str, list[str]] = field(default_factory=dict)


def refuse_running(paths: SystemPaths) -> None:
    """Raise NowcastError while a daemon of the system runs."""
    for pid_file in sorted(paths.run.glob("*.pid")):
        process = read_pid_file(pid_file)
        if pid_file.stem not in _NOT_DAEMONS and process is not None and is_alive(process):
            raise NowcastError(
                f"the {pid_file.stem.replace('_', ' ')} of this system runs (process "
                f"{process.pid}): its store cannot be put back meanwhile",
                hint="nowcast stop; jobs go on, and are taken over afterwards",
            )


@contextmanager
def mending(paths: SystemPaths) -> Iterator[Path]:
    """Keep all daemons from beginning; gives a folder for what is being made.

    Raises NowcastError while one runs.
    """
    refuse_running(paths)
    with (
        hold(paths, "manager"),
        TemporaryDirectory(prefix=".mending-", dir=paths.state) as folder,
    ):
        refuse_others(paths)
        yield Path(folder)


def refuse_others(paths: SystemPaths) -> None:
    """Look again, now that no manager can begin: a daemon may have come in between."""
    for name in ("message_broker", "scheduler", "file_watcher", "action_workers", "log_aggregator"):
        with hold(paths, name):
            pass


def bring_up_to_date(
    paths: SystemPaths, new: Path, salvage: Salvage | None, kind: str, now: str
) -> Report:
    """Let the store ``new`` know what has happened since it was the store of the system.

    Parameters
    ----------
    salvage
        What can be read of the damaged store; None where the user wants the state of before.
    kind
        The type of the message that stands in the journal for it.
    """
    report = Report()
    shown = read_header(paths.checklist_file) or 0
    with closing(Store(new)) as store:
        kept = store.last_number()
        report.messages = {"kept": kept, "saved": 0, "missing": 0}
        report.jobs = {"saved": 0}
        if salvage is not None:
            cleaned = base_number(paths.database)
            _save_messages(store, salvage, kept, cleaned, shown, report)
            _save_the_rest(store, salvage, report)
            save_events(store, salvage, lambda batches: _commit_readable(store, batches))
        found = list(found_jobs(paths.jobs, paths.config_file))
        rebuilt = _rebuilt(store, salvage, found, shown, now)
        _commit(store, rebuilt.changes)
        report.told = rebuilt.told
        last = store.last_number()
        checklist = _checklist(store, paths, salvage is not None, shown, report)
        _mark(store, checklist, max(last, shown) + 1, kind, now, report)
        is_read = salvage is None or salvage.whole.get("event_batch", False)
        before = numbers_of(paths.database) if is_read else None
        number_on(store, before, checklist, kind, now)
    return report


def _save_messages(
    store: Store, salvage: Salvage, kept: int, cleaned: int, shown: int, report: Report
) -> None:
    settled: list[Change] = [
        MessageSettled(record.number, record.state, record.decided, record.error)
        for before in store.undecided_messages()
        if (record := salvage.message(before.number)) is not None and record.id == before.id
    ]
    _commit(store, settled)
    last = max(kept, cleaned)
    batch: list[Change] = []
    for record in salvage.messages(kept, shown):
        batch.append(MessageReceived(record))
        report.messages["missing"] += max(0, record.number - last - 1)
        last = max(last, record.number)
        if len(batch) == _A_TRANSACTION:
            report.messages["saved"] += _commit_readable(store, batch)
            batch = []
    report.messages["saved"] += _commit_readable(store, batch)
    report.messages["missing"] += max(0, shown - last)


def _save_the_rest(store: Store, salvage: Salvage, report: Report) -> None:
    batch: list[Change] = []
    for job in salvage.jobs():
        if store.job(job.id) != job:
            batch.append(JobPut(job))
        if len(batch) == _A_TRANSACTION:
            report.jobs["saved"] += _commit_readable(store, batch)
            batch = []
    report.jobs["saved"] += _commit_readable(store, batch)
    batch = []
    batch += (BarrierPut(barrier) for barrier in salvage.barriers())
    batch += (EnsemblePut(ensemble) for ensemble in salvage.ensembles())
    batch += salvage.flows()
    batch += salvage.agents()
    batch += (SchedulePut(record) for record in salvage.schedule())
    batch += (HoldPut(record) for record in salvage.holds())
    _commit_readable(store, batch)
    products = salvage.products()
    while some := list(islice(products, _A_TRANSACTION)):
        _commit_readable(store, some)


def _rebuilt(
    store: Store, salvage: Salvage | None, found: Sequence[FoundJob], shown: int, now: str
) -> Rebuilt:
    rebuilt = Rebuilt()
    moved_on = has_moved_on(store.job, found, store.last_number(), shown)
    rebuild_ensembles(rebuilt, store.ensemble, found)
    rebuild_jobs(rebuilt, store.open_jobs(), store.job, found, moved_on, now)
    if moved_on:
        hold_back(rebuilt, store.undecided_messages(), now)
        if salvage is None or not salvage.whole.get("schedule"):
            pass_over(rebuilt, store.schedule(), now)
    for barrier in store.active_barriers():
        rebuilt.add("barriers", f"{barrier.number}: {', '.join(barrier.waiting_for)}")
    return rebuilt


def _checklist(
    store: Store, paths: SystemPaths, repaired: bool, shown: int, report: Report
) -> dict[Any, Any]:
    """Give the checklist: that of the journal, or of the file where messages are missing."""
    checklist: dict[Any, Any] = yaml.load(store.text.document(), Loader=yaml.CSafeLoader)
    if repaired and not checklist:  # without a backup: what cleaning has left
        with suppress(NowcastError):
            checklist = read_base(paths.database)[1]
    fold(checklist, store.effects_since_saved())
    if repaired and report.messages["missing"]:
        try:
            checklist = read_checklist(paths.checklist_file)
        except (NotFound, NowcastError) as error:
            report.checklist = f"the journal, with gaps: {error.what}"
            return checklist
        report.checklist = f"its file, up to message {shown}, and the journal"
        fold(checklist, (r for r in store.effects_since_saved() if r.number > shown))
    return checklist


def _mark(
    store: Store, checklist: dict[Any, Any], number: int, kind: str, now: str, report: Report
) -> None:
    """End the journal with a message that tells of it, after any number that was ever used."""
    message_id = new_id()
    payload = {"messages": report.messages, "jobs": report.jobs, **report.told}
    body = {"source": "nowcast", "type": kind, "payload": payload, "id": message_id}
    record = MessageRecord(
        number, message_id, now, "nowcast", kind, wire.dump(body), None, message_id, None,
        "answered",
    )  # fmt: skip
    puts = (ChecklistPut(key, value, None) for key, value in checklist.items())
    store.commit([MessageReceived(record), ChecklistCleared(), *puts])
    store.save_checklist(number)
    report.messages["last"] = number
    write_base(store.path, checklist, number, now)


def _commit_readable(store: Store, changes: Sequence[Change]) -> int:
    """Commit what was saved, without rows that no store of ours can have held; gives how many."""
    try:
        _commit(store, changes)
        return len(changes)
    except sqlite3.IntegrityError:
        if len(changes) == 1:
            return 0
    half = len(changes) // 2
    return _commit_readable(store, changes[:half]) + _commit_readable(store, changes[half:])


def _commit(store: Store, changes: Sequence[Change]) -> None:
    if changes:
        store.commit(changes)


def change_places(paths: SystemPaths, new: Path, stamp: str) -> Path:
    """Set the store aside, and put ``new`` in its place; gives the folder of what was there.

    Raises OSError.
    """
    aside = paths.state / f"set-aside-{stamp}"
    aside.mkdir()
    database, base = paths.database, base_file(paths.database)
    for kept in (paths.checklist_file, base):
        if kept.exists():
            shutil.copy2(kept, aside / kept.name)
    mode = database.stat().st_mode & 0o777 if database.exists() else 0o644
    new.chmod(mode)  # that of a backup is for its owner alone
    base_file(new).chmod(mode)
    base_file(new).replace(base)
    for name in (database.name, f"{database.name}-wal", f"{database.name}-shm"):
        if (database.parent / name).exists():
            (database.parent / name).replace(aside / name)
    sync_folder(aside)
    new.replace(database)
    sync_folder(database.parent)
    return aside
