"""Restoring a backup, and repairing a damaged store: whole, while no daemon runs."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from nowcast_cli.config import SystemPaths
from nowcast_cli.config.paths import ensure
from nowcast_cli.errors import NowcastError
from nowcast_cli.manager.clock import as_stored
from nowcast_cli.manager.mending import Report, bring_up_to_date, change_places, mending
from nowcast_cli.store.backup import DATABASE, backups_in, copy_database, extract
from nowcast_cli.store.integrity import damage_in
from nowcast_cli.store.salvage import Salvage


def restore(paths: SystemPaths, backup: Path, seconds: float) -> Report:
    """Put a backup in the place of the state; the present one is set aside.

    ``seconds`` is now, since 1970. Raises NowcastError while a daemon runs, for a backup that is
    damaged, and when something cannot be written.
    """
    ensure(paths)
    try:
        with mending(paths) as folder:
            extract(backup, folder)
            new = folder / DATABASE
            report = bring_up_to_date(paths, new, None, "store restored", as_stored(seconds))
            report.source = str(backup.absolute())
            _change_places(paths, new, seconds, report)
            aside = Path(report.aside)
            _put_keys(paths, folder / "keys", aside)
            if not any(aside.iterdir()):
                aside.rmdir()
                report.aside = ""
    except OSError as error:
        raise _not_written(paths, error) from error
    return report


def repair(paths: SystemPaths, seconds: float) -> Report:
    """Rebuild a store from its last backup, what can be read of it, and what lies beside it.

    ``seconds`` is now, since 1970. Raises NowcastError while a daemon runs, and when something
    cannot be written.
    """
    ensure(paths)
    try:
        with mending(paths) as folder:
            new = folder / DATABASE
            source = _copy_of_the_store(paths, new) or _last_backup(paths, folder)
            with closing(Salvage(paths.database)) as salvage:
                now = as_stored(seconds)
                report = bring_up_to_date(paths, new, salvage, "store repaired", now)
                report.unread = sorted(name for name, whole in salvage.whole.items() if not whole)
            report.source = source
            _change_places(paths, new, seconds, report)
    except OSError as error:
        raise _not_written(paths, error) from error
    return report


def _copy_of_the_store(paths: SystemPaths, new: Path) -> str:
    """Copy a store whose file is sound, though it may lack something; '' where it is not."""
    try:
        if damage_in(paths.database, 1):
            return ""
        copy_database(paths.database, new)
    except (FileNotFoundError, sqlite3.DatabaseError):
        new.unlink(missing_ok=True)
        return ""
    return str(paths.database)


def _last_backup(paths: SystemPaths, folder: Path) -> str:
    """Take out the newest backup that is sound; '' where there is none."""
    for backup in backups_in(paths.state / "backups"):
        try:
            extract(backup, folder)
        except NowcastError:
            (folder / DATABASE).unlink(missing_ok=True)
            continue
        return str(backup)
    return ""


def _change_places(paths: SystemPaths, new: Path, seconds: float, report: Report) -> None:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    report.aside = str(change_places(paths, new, stamp))


def _put_keys(paths: SystemPaths, keys: Path, aside: Path) -> None:
    """Put the keys of a backup in their place, where it has any."""
    if not keys.is_dir():
        return
    if paths.keys.exists():
        paths.keys.replace(aside / paths.keys.name)
    keys.chmod(0o700)
    keys.replace(paths.keys)


def _not_written(paths: SystemPaths, error: OSError) -> NowcastError:
    return NowcastError(
        f"the store {paths.database} is as it was: another cannot be put in its place",
        cause=f"{error.filename}: {error.strerror}" if error.filename else str(error),
        hint="see whether the disk is full, or the folder read-only",
    )
