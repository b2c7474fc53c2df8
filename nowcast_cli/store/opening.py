"""Opening the store to read it, beside whoever writes it or while nobody does."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def open_to_read(database: Path) -> sqlite3.Connection:
    """Open a store without ever writing to it. Raises sqlite3.DatabaseError.

    Without a write-ahead log nobody has the database open. To open it then in mode=ro would leave
    a -shm file of this user's, which locks out an owner that is another user.
    """
    wal = database.with_name(database.name + "-wal")
    mode = "mode=ro" if wal.exists() else "immutable=1"
    connection = sqlite3.connect(
        f"{database.resolve().as_uri()}?{mode}", uri=True, isolation_level=None
    )
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection
