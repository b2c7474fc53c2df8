"""How many jobs each executor has, and which of those that run take far too long."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from nowcast_cli.store.records import JobState


@dataclass(frozen=True, slots=True)
class Load:
    """So many (``count``) jobs of one executor and host that are in one state.

    ``native`` is their state in the system beneath, with the reason, None where there is none;
    ``unknown`` whether that is as last known.
    """

    executor: str
    host: str
    state: JobState
    native: str | None
    unknown: bool
    count: int


def loads(connection: sqlite3.Connection) -> list[Load]:
    """Count the jobs that are launched and have not ended; of a store of before, without native."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    native = "native" if version >= 6 else "NULL"
    reason = f"json_extract({native}, '$.reason')"
    words = (
        f"json_extract({native}, '$.state') || iif(coalesce({reason}, '') = '', '', "
        f"' (' || {reason} || ')')"
    )
    rows = connection.execute(
        f"SELECT executor, host, state, {words}, "
        f"coalesce(json_extract({native}, '$.unknown'), 0), count(*) FROM job "
        "WHERE state IN ('submitting', 'running') GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 6 DESC"
    )
    return [
        Load(executor, host, state, said, bool(unknown), count)
        for executor, host, state, said, unknown, count in rows
    ]
