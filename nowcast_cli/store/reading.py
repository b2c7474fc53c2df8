"""What all that reads the store begins with: the database, opened to read, and its columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nowcast_cli.errors import NotFound
from nowcast_cli.store.integrity import cannot_be_read
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.rows import (
    JOB_COLUMNS,
    MESSAGE_COLUMNS,
    selected,
)


class Reading:
    """A read-only view of the store. A context manager.

    Raises NotFound where the system has never been started, NowcastError where the store cannot
    be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFound(
                f"this system has never been started: there is no store {path}",
                hint="nowcast start",
            )
        try:
            self._connection = open_to_read(path)
            self._connection.execute("SELECT 1 FROM message LIMIT 1")
            # A manager that begins brings the store up to date; until then it is read as it is.
            self._version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.DatabaseError as error:
            raise cannot_be_read(path, error) from error
        self._job = selected(JOB_COLUMNS, self._version)
        self._message = selected(MESSAGE_COLUMNS, self._version)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _by_begin(self, table: str, columns: str, part: str) -> list[tuple[Any, ...]]:
        """Give the row whose id is ``part``, else at most 6 rows whose id begins so."""
        select = f"SELECT {columns} FROM {table} WHERE"
        whole = self._connection.execute(f"{select} id = ?", (part,)).fetchall()
        if whole or not may_be_part(part):
            return whole
        return self._connection.execute(
            f"{select} id >= ? AND id < ? LIMIT 6", (part, part + "~")
        ).fetchall()


def condition(
    *conditions: tuple[str, str | int | Collection[str] | None],
) -> tuple[str, list[str | int]]:
    """Give a WHERE clause with its values, of columns and what they may be; None is anything."""
    clauses: list[str] = []
    values: list[str | int] = []
    for column, wanted in conditions:
        if wanted is None:
            continue
        if isinstance(wanted, str | int):
            clauses.append(f"{column} = ?")
            values.append(wanted)
        else:
            clauses.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values.extend(wanted)
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), values


def may_be_part(text: str) -> bool:
    """Say whether a text may be a part of an id."""
    return bool(text) and set(text) <= set("0123456789abcdef-")
