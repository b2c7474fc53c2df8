"""Looking for damage in the store, without writing to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nowcast_cli.store.opening import open_to_read


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
