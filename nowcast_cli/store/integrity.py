"""Looking for damage in the store, without writing to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def damage_in(path: Path, limit: int = 3) -> list[str]:
    """Give what SQLite finds wrong in the database, at most ``limit`` findings; empty when sound.

    Reads all of the file. Works beside a manager that runs. Raises OSError where it is not there.
    """
    path.stat()
    wal = path.with_name(path.name + "-wal")
    mode = "mode=ro" if wal.exists() else "immutable=1"
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
        try:
            connection.execute("PRAGMA busy_timeout = 5000")
            rows = connection.execute(f"PRAGMA quick_check({limit})").fetchall()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [str(text) for (text,) in rows if text != "ok"]
