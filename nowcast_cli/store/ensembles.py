"""The rows of ensembles, and of their members."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields

from nowcast_cli.store.records import SHORT_ID, EnsembleRecord, JobRecord
from nowcast_cli.store.rows import JOB_COLUMNS, job_of_row

SINCE = 7  # the version of the schema that has them first

COLUMNS = tuple(field.name for field in fields(EnsembleRecord))
_ENSEMBLES = f"SELECT {', '.join(COLUMNS)} FROM ensemble"
_PUT = (
    f"INSERT INTO ensemble ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS)}"
)


def write(connection: sqlite3.Connection, ensemble: EnsembleRecord) -> None:
    """Put an ensemble."""
    connection.execute(_PUT, astuple(ensemble))


def open_ones(connection: sqlite3.Connection) -> list[EnsembleRecord]:
    """Give the ensembles whose ending is not decided, the oldest first."""
    rows = connection.execute(f"{_ENSEMBLES} WHERE state = 'open' ORDER BY id")
    return [EnsembleRecord(*row) for row in rows]


def of_id(connection: sqlite3.Connection, ensemble_id: str) -> EnsembleRecord | None:
    """Give the ensemble of that id, None where there is none."""
    row = connection.execute(f"{_ENSEMBLES} WHERE id = ?", (ensemble_id,)).fetchone()
    return None if row is None else EnsembleRecord(*row)


def found(connection: sqlite3.Connection, part: str) -> list[EnsembleRecord]:
    """Give at most 6 ensembles whose id is, begins or ends with ``part``, text of an id."""
    rows = connection.execute(
        f"{_ENSEMBLES} WHERE id >= ?1 AND id < ?1 || '~' LIMIT 6", (part,)
    ).fetchall()
    if not rows:
        short = f"substr(id, -{SHORT_ID})"
        known = f"{short} = ?1 AND id GLOB ?2" if len(part) >= SHORT_ID else f"{short} GLOB ?2"
        values = (part[-SHORT_ID:], "*" + part)
        rows = connection.execute(f"{_ENSEMBLES} WHERE {known} LIMIT 6", values).fetchall()
    return [EnsembleRecord(*row) for row in rows]


def newest(
    connection: sqlite3.Connection,
    *,
    worker: str | None = None,
    chain: str | None = None,
    cause: int | None = None,
    limit: int | None = None,
) -> list[EnsembleRecord]:
    """Give ensembles, the newest first."""
    wanted = {"worker": worker, "chain": chain, "cause": cause}
    given = {column: value for column, value in wanted.items() if value is not None}
    where = "WHERE " + " AND ".join(f"{column} = ?" for column in given) if given else ""
    rows = connection.execute(
        f"{_ENSEMBLES} {where} ORDER BY id DESC LIMIT ?",
        (*given.values(), -1 if limit is None else limit),
    )
    return [EnsembleRecord(*row) for row in rows]


def jobs(connection: sqlite3.Connection, ensemble_id: str) -> list[JobRecord]:
    """Give the jobs of an ensemble, each attempt of each member, the oldest first."""
    rows = connection.execute(
        f"SELECT {', '.join(JOB_COLUMNS)} FROM job WHERE ensemble = ? ORDER BY id", (ensemble_id,)
    )
    return [job_of_row(row) for row in rows]


def last_jobs(
    connection: sqlite3.Connection, ensemble: EnsembleRecord, changed: Iterable[JobRecord] = ()
) -> dict[int, JobRecord]:
    """Give the last job of each member by its place, in order.

    Of a member that was not run again with this ensemble, it is that of the one before.
    ``changed`` are jobs that are not in the store as they are now.
    """
    last: dict[int, JobRecord] = {}
    news = {job.id: job for job in changed if job.ensemble is not None}
    look: EnsembleRecord | None = ensemble
    while look is not None and len(last) < ensemble.size:
        known = {job.id: job for job in jobs(connection, look.id)}
        known |= {job.id: job for job in news.values() if job.ensemble == look.id}
        # By attempt, not by id: the clock that ids are made by may have been set back in between.
        attempts = sorted(known.values(), key=lambda job: (job.attempt, job.id))
        latest = {job.member.index: job for job in attempts if job.member}
        last = latest | last
        look = None if look.predecessor is None else of_id(connection, look.predecessor)
    return dict(sorted(last.items()))


def unfinished(connection: sqlite3.Connection, ensemble_id: str) -> Mapping[str, int]:
    """Count the members of an ensemble that have not ended, by state."""
    rows = connection.execute(
        "SELECT state, count(*) FROM job WHERE ensemble = ? "
        "AND state IN ('waiting', 'held', 'submitting', 'running') GROUP BY state",
        (ensemble_id,),
    )
    return Counter(dict(rows.fetchall()))


def launched(connection: sqlite3.Connection, ensemble_id: str) -> int:
    """Count the jobs of an ensemble whose process is to begin, runs, or is yet to end."""
    row = connection.execute(
        "SELECT count(*) FROM job WHERE ensemble = ? "
        "AND (state IN ('submitting', 'running') OR (exit IS NULL AND state <> 'waiting' "
        "AND state <> 'held'))",
        (ensemble_id,),
    ).fetchone()
    return int(row[0])
