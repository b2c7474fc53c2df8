"""The state of the system as the store, or for a new store the checklist file, tells it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.manager.state import Entry, State
from nowcast_cli.messages import wire
from nowcast_cli.store.checklist_file import read_checklist, read_header
from nowcast_cli.store.database import Store
from nowcast_cli.store.merging import merged
from nowcast_cli.store.parsed_fragments import ParsedFragments
from nowcast_cli.store.records import Change, ChecklistCleared, ChecklistPut, MessageRecord


def recover(
    store: Store,
    checklist_file: Path,
    logger: logging.Logger,
    parsed: ParsedFragments | None = None,
) -> State:
    """Read the state that the last manager left; commits a checklist file that came without one.

    ``parsed`` is what is parsed of the checklist already.
    """
    last_message = store.last_number()
    _refuse_older_store(store.path, last_message, checklist_file)
    checklist: Mapping[Any, Any] = _stored_checklist(store, parsed or ParsedFragments())
    if last_message == 0 and not checklist:
        checklist = _checklist_of_file(checklist_file, logger)
        if shown := read_header(checklist_file):
            logger.warning(
                "the journal begins anew, since there was no store, though the checklist file "
                "shows message %d of another one; if that was lost: nowcast stop, remove %s, "
                "then nowcast store repair",
                shown,
                store.path,
            )
        store.commit([ChecklistPut(key, value, None) for key, value in checklist.items()])
        reached("manager.read_the_checklist_file")
        store.save_checklist(0)  # no message of the journal tells of it
    return State(
        checklist=checklist,
        jobs={job.id: job for job in store.open_jobs()},
        barriers=tuple(store.active_barriers()),
        last_message=last_message,
        last_barrier=store.last_barrier_number(),
        schedule={record.item: record for record in store.schedule()},
        holds={record.worker: record for record in store.holds()},
        ensembles={record.id: record for record in store.open_ensembles()},
    )


def _refuse_older_store(database: Path, last_message: int, checklist_file: Path) -> None:
    """Raise NowcastError for a store that lacks what was committed: it would be undone."""
    shown = read_header(checklist_file) or 0
    if 0 < last_message < shown:
        raise NowcastError(
            f"the store {database} ends at message {last_message}, but {checklist_file} shows "
            f"message {shown}",
            cause="its write-ahead log was removed, or an older copy was put in its place",
            hint="nowcast store repair puts together what is left; after copying a store by hand, "
            f"remove {checklist_file.name} to go on from the copy",
        )


def _stored_checklist(store: Store, parsed: ParsedFragments) -> dict[Any, Any]:
    """Give the checklist as it was saved, with what the journal says of the time after that."""
    checklist = parsed.checklist_of(store.text)
    changes: list[Change] = []
    for record in store.effects_since_saved():
        if record.effect == "clear":
            checklist.clear()
            changes.append(ChecklistCleared())
        else:
            assert record.checklist_key is not None, "an effect is at a key"
            key, payload = wire.load(record.checklist_key), payload_of(record)
            checklist[key], was_merged = merged(checklist, key, payload)
            subkeys = tuple(payload) if was_merged else None
            changes.append(ChecklistPut(key, checklist[key], subkeys))
    store.commit(changes)
    return checklist


def _checklist_of_file(path: Path, logger: logging.Logger) -> Mapping[Any, Any]:
    """Read the file that another system has left (or this one, whose store was moved away)."""
    try:
        checklist = read_checklist(path)
    except NotFound:
        logger.info("running with empty checklist")
        return {}
    except NowcastError as error:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        reached("manager.set_a_checklist_aside")
        logger.error(
            "%s %s It is kept as %s; running with empty checklist.", error.what, error.cause, aside
        )
        return {}
    logger.info("checklist read from %s", path)
    return checklist


def entry_of(record: MessageRecord) -> Entry:
    """Give a message of the journal as an entry for the deciders; its effect was had already."""
    return Entry(record.number, record.source, record.type, payload_of(record))


def payload_of(record: MessageRecord) -> Any:
    """Give the payload of a message of the journal."""
    return None if record.body is None else wire.load(record.body).get("payload")
