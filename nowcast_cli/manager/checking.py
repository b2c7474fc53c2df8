"""Whether a store is sound, and tells the same as what lies beside it. Reads alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from nowcast_cli.config import SystemPaths
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import folder_of
from nowcast_cli.messages import wire
from nowcast_cli.store import events
from nowcast_cli.store.checklist_base import base_file, read_base
from nowcast_cli.store.checklist_file import read_checklist, read_header
from nowcast_cli.store.checklist_text import ChecklistText, Fragment
from nowcast_cli.store.integrity import damage_in
from nowcast_cli.store.merging import fold
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.pruning import effects_between

_SHOWN = 5
_DAMAGE = 20


def problems_of(paths: SystemPaths) -> Iterator[str]:
    """Give what is wrong with the store of a system, a sentence each; it may be in use.

    Raises OSError where there is none.
    """
    damage = damage_in(paths.database, _DAMAGE)
    if damage:
        yield from (f"the database is damaged: {text}" for text in damage)
        return
    # Before the store: what the file shows was committed already.
    shown, checklist, trouble = _file(paths.checklist_file)
    with closing(open_to_read(paths.database)) as connection:
        connection.execute("BEGIN")
        try:
            last = int(connection.execute("SELECT max(number) FROM message").fetchone()[0] or 0)
            yield from trouble
            if shown > last > 0:
                yield (
                    f"it ends at message {last}, but the checklist file shows message {shown}: its "
                    "write-ahead log was removed, or an older copy was put in its place"
                )
            yield from _numbers(connection, paths.database, last)
            yield from _jobs(connection, paths.jobs)
            yield from _events(connection)
            yield from _checklist(connection, paths.database, shown, checklist)
        except sqlite3.DatabaseError as error:
            yield f"the database cannot be read: {error}"
        except (yaml.YAMLError, wire.WireError) as error:
            yield f"a row of it holds no YAML: {error}"


def _file(path: Path) -> tuple[int, Mapping[Any, Any] | None, list[str]]:
    shown = read_header(path)
    if shown is None:
        return 0, None, [f"{path} is not of this store"] if path.exists() else []
    try:
        return shown, read_checklist(path), []
    except NowcastError as error:
        return shown, None, [f"{error.what}: {error.cause}"]


def _numbers(connection: sqlite3.Connection, database: Path, last: int) -> Iterator[str]:
    number = read_header(base_file(database)) or 0
    if last > number:
        (there,) = connection.execute(
            "SELECT count(*) FROM message WHERE number > ?", (number,)
        ).fetchone()
        if there < last - number:
            yield (f"{last - number - there} of the messages {number + 1} to {last} are not there")


def _jobs(connection: sqlite3.Connection, jobs: Path) -> Iterator[str]:
    def found(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    without = [
        job_id
        for job_id, worker in found("SELECT id, worker FROM job WHERE state = 'running'")
        if not folder_of(jobs, job_id, worker).is_dir()
    ]
    yield from _listed("running jobs have no folder", without)
    held = found(
        "SELECT id FROM job WHERE state = 'held' AND barrier NOT IN "
        "(SELECT number FROM barrier WHERE state = 'active')"
    )
    yield from _listed("held jobs have no barrier that holds them", [row[0] for row in held])
    nameless = found(
        "SELECT id FROM job WHERE state IN ('waiting', 'held', 'submitting', 'running') "
        "AND final_message IS NOT NULL"
    )
    yield from _listed("jobs have sent their last message and not ended", [r[0] for r in nameless])


def _events(connection: sqlite3.Connection) -> Iterator[str]:
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) < events.SINCE:
        return
    for stream, after, upto in events.holes(connection, _SHOWN):
        yield f"the events {after + 1} to {upto} of the stream {stream} are not there"
    for stream, first in events.unreadable(connection, _SHOWN):
        yield f"the events from {first} on of the stream {stream} cannot be read"


def _listed(what: str, ids: list[str]) -> Iterator[str]:
    if ids:
        more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
        yield f"{len(ids)} {what}: {', '.join(ids[:_SHOWN])}{more}"


def _checklist(
    connection: sqlite3.Connection, database: Path, shown: int, file: Mapping[Any, Any] | None
) -> Iterator[str]:
    """Hold the three pictures of the checklist against each other.

    The journal may know less: what an older system had left in the file was in no message.
    """
    (saved,) = connection.execute("SELECT journal FROM checklist_state").fetchone()
    rows = connection.execute("SELECT key, subkey, line, fragment FROM checklist")
    text = ChecklistText(Fragment(*row) for row in rows).document()
    kept: dict[Any, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    try:
        number, folded = read_base(database)
    except NowcastError as error:
        yield f"{error.what}: {error.cause}"
        return
    if number <= saved:
        fold(folded, effects_between(connection, number, saved))
        other = [key for key in folded if not _has(kept.get(key), folded[key])]
        yield from _not_as_told("what it keeps of the checklist", other)
    if file is not None and saved <= shown:
        fold(kept, effects_between(connection, saved, shown))
        other = [key for key in {**kept, **file} if key not in file or file[key] != kept.get(key)]
        yield from _not_as_told("the checklist file", other)


def _not_as_told(what: str, keys: list[Any]) -> Iterator[str]:
    if keys:
        shown = ", ".join(map(str, keys[:_SHOWN])) + (" and more" if len(keys) > _SHOWN else "")
        yield f"{what} is not what the journal says, at: {shown}"


def _has(there: Any, expected: Any) -> bool:
    if isinstance(there, dict) and isinstance(expected, dict):
        return all(key in there and there[key] == expected[key] for key in expected)
    return bool(there == expected)
