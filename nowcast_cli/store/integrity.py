"""Looking for damage in the store, without writing to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nowcast_cli.errors import NowcastError
from nowcast_cli.store.opening import open_to_read

MENDED_BY = "nowcast store check says what is wrong with it; nowcast store repair rebuilds it"


def cannot_be_read(path: Path, error: sqlite3.DatabaseError) -> NowcastError:
    """Give the error for a store that cannot be read."""
    return NowcastError(
        f"the store {path} cannot be read",
        cause=str(error),
        hint=f"see whether it is yours to read; if it is damaged: {MENDED_BY}",
    )


def damage_in(path: Path, limit: int = 3) -> list[str]:
    """Give what SQLite finds wrong in the database, at most ``limit`` findings; empty when sound.

    Reads all of the file. Works beside a manager that runs. Raises OSError where it is not there.
    """
    path.stat()
    try:
        connection = open_to_read(path)
        try:
            rows = connection.execute(f"PRAGMA quick_check({limit})").fetchall()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [str(text) for (text,) in rows if text != "ok"]
