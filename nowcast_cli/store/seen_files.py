"""The files that have begun their runs, on the disk: a restart does not begin them again.

The manager knows each request by its id, too, for as long as its journal goes back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from nowcast_cli.errors import NowcastError

FILE_NAME = "files_seen.db"
# After so long a file is forgotten that is not there any more; it may be on a disk that is away.
_KEPT = timedelta(days=90)
_TABLE = "CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, last TEXT) WITHOUT ROWID"


class Memory:
    """Ids of requests that were answered. Raises NowcastError where the file cannot be used."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._connection = sqlite3.connect(file, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_TABLE)
            rows = self._connection.execute("SELECT id FROM seen")
            self._ids = {str(row[0]) for row in rows}
        except sqlite3.Error as error:
            raise NowcastError(
                f"{file}, which says which files were seen, cannot be used",
                cause=str(error),
                hint="move it away: then files begin runs again that the journal does not go back "
                "to",
            ) from None
        self._pruned: date | None = None

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Collection[str], today: date) -> None:
        """Remember these."""
        self._ids.update(ids)
        self._write("INSERT OR REPLACE INTO seen VALUES (?, ?)", ids, today)

    def there(self, ids: Iterable[str], today: date) -> None:
        """Take in, once a day, which files are there; those that long are not are forgotten."""
        if self._pruned == today:
            return
        self._pruned = today
        self._write("UPDATE seen SET last = ?2 WHERE id = ?1", ids, today)
        oldest = str(today - _KEPT)
        try:
            with closing(self._connection.execute("DELETE FROM seen WHERE last < ?", (oldest,))):
                pass
            self._ids = {str(row[0]) for row in self._connection.execute("SELECT id FROM seen")}
        except sqlite3.Error as error:
            raise self._trouble(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _write(self, statement: str, ids: Iterable[str], today: date) -> None:
        try:
            self._connection.execute("BEGIN")
            self._connection.executemany(statement, ((each, str(today)) for each in ids))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise self._trouble(error) from None

    def _trouble(self, error: sqlite3.Error) -> NowcastError:
        return NowcastError(
            f"{self._file} cannot be written",
            cause=str(error),
            hint="see whether the disk of the state directory is full, or read-only",
        )
