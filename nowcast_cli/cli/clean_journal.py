"""Removing old messages and jobs from the store: by the manager that runs, or in its place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nowcast_cli.cli.asking import ask_manager, runs
from nowcast_cli.cli.context import System
from nowcast_cli.errors import NotRunning, NowcastError

if TYPE_CHECKING:
    from nowcast_cli.store.database import Store
    from nowcast_cli.store.pruning import Prunable

_LOOK = 0.2  # seconds
_ROWS = 5000


_COUNTED = ("messages", "jobs", "batches of events")


def old_messages(system: System, kept: float, events_kept: float, now: float) -> Prunable | None:
    """Tell which messages are older than ``kept`` seconds, and which events; None where none is.

    Raises NowcastError for a store that cannot be read.
    """
    import sqlite3

    from nowcast_cli.manager.clock import as_stored
    from nowcast_cli.store.integrity import cannot_be_read
    from nowcast_cli.store.pruning import prunable

    if not system.paths.database.exists():
        return None
    try:
        found = prunable(system.paths.database, as_stored(now - kept), as_stored(now - events_kept))
    except sqlite3.DatabaseError as error:
        raise cannot_be_read(system.paths.database, error) from error
    return found if found.messages or found.batches else None


def clean_journal(system: System, old: Prunable) -> dict[str, int]:
    """Remove what nothing needs of ``old``; gives how many of each kind went.

    Raises NowcastError when the manager is there and does not do it.
    """
    from nowcast_cli.manager.clock import as_stored
    from nowcast_cli.store.pruning import move_base

    try:
        move_base(system.paths.database, old.upto, as_stored(time.time()))
    except OSError as error:
        raise NowcastError(
            f"the file {error.filename} cannot be written, so the journal is not cleaned",
            cause=error.strerror,
            hint="see whether the disk is full, or the folder read-only",
        ) from error
    return _by_the_manager(system, old) if runs(system) else _in_its_place(system, old)


def _by_the_manager(system: System, old: Prunable) -> dict[str, int]:
    from nowcast_cli.daemon.health import ask_health

    ask_manager(system, "clean", _wish(old))
    while True:
        health = ask_health(system.paths.run / "manager.sock")
        if health is None:
            raise NotRunning(
                "the manager went away while it cleaned the journal",
                hint="nowcast status; what is left goes with the next `nowcast clean`",
            )
        cleaning = health.get("cleaning") or {}
        if not cleaning.get("goes on"):
            return {key: int(cleaning.get(key, 0)) for key in _COUNTED}
        time.sleep(_LOOK)


def _wish(old: Prunable) -> dict[str, object]:
    return {"upto": old.upto, "before": old.before, "events": old.events_before}


def _in_its_place(system: System, old: Prunable) -> dict[str, int]:
    from nowcast_cli.config.paths import ensure
    from nowcast_cli.daemon.lock import hold
    from nowcast_cli.store.database import Store
    from nowcast_cli.store.pruning import Pruner

    ensure(system.paths)
    done = dict.fromkeys(_COUNTED, 0)
    with hold(system.paths, "manager"):
        store = Store(system.paths.database)
        pruner = Pruner(system.paths.database, old)
        try:
            while (batch := pruner.batch(_ROWS)) is not None:
                store.commit([batch])
                done["messages"] += len(batch.messages)
                done["jobs"] += len(batch.jobs)
                done["batches of events"] += len(batch.event_batches)
            pruner.close()
            _give_back(store)
        finally:
            pruner.close()
            store.close()
    return done


def _give_back(store: Store) -> None:
    """Give what is unused back to the disk, where it is much and the disk has room to do so."""
    import sqlite3

    if store.has_much_unused():
        try:
            store.compact()
        except sqlite3.OperationalError as error:
            raise NowcastError(
                f"the store {store.path} keeps the room of what was removed",
                cause=f"it cannot be written anew: {error}",
                hint="make as much room on its disk as it takes, and run nowcast clean again",
            ) from error
