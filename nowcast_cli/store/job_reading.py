"""Jobs and ensembles, as the store tells of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.store import ensembles
from nowcast_cli.store.job_figures import Run, runs_of
from nowcast_cli.store.job_loads import Load, loads
from nowcast_cli.store.reading import Reading, condition, may_be_part
from nowcast_cli.store.records import (
    SHORT_ID,
    EnsembleRecord,
    JobRecord,
)
from nowcast_cli.store.rows import (
    job_of_row,
)


class JobReading(Reading):
    """Reads jobs, and ensembles as one."""

    def jobs(
        self,
        *,
        worker: str | None = None,
        states: Collection[str] | None = None,
        chain: str | None = None,
        cause: int | None = None,
        alone: bool = False,
        limit: int | None = 50,
    ) -> list[JobRecord]:
        """Give jobs, the newest first; ``cause`` is the number of the message that they follow.

        With ``alone`` those that are members of no ensemble.
        """
        where, values = condition(
            ("worker", worker), ("state", states), ("chain", chain), ("cause", cause)
        )
        if alone and self._version >= ensembles.SINCE:
            where = f"{where} AND ensemble IS NULL" if where else "WHERE ensemble IS NULL"
        return [
            job_of_row(row)
            for row in self._connection.execute(
                f"SELECT {self._job} FROM job {where} ORDER BY id DESC LIMIT ?",
                (*values, -1 if limit is None else limit),
            )
        ]

    def loads(self) -> list[Load]:
        """Count the jobs that are launched and have not ended, by executor and state."""
        return loads(self._connection)

    def slow_jobs(self) -> list[JobRecord]:
        """Give the jobs that run for far longer than any of their worker before."""
        if self._version < 6:
            return []
        rows = self._connection.execute(
            f"SELECT {self._job} FROM job WHERE state = 'running' AND slow IS NOT NULL ORDER BY id"
        )
        return [job_of_row(row) for row in rows]

    def runs(self, worker: str, since: str = "") -> Iterator[Run]:
        """Give what the jobs of a worker have cost (see ``job_figures.runs_of``)."""
        return runs_of(self._connection, worker, since)

    def job(self, id_or_part: str) -> JobRecord:
        """Give the job whose id is, begins or ends so.

        Raises NotFound where there is none, NowcastError where there are several.
        """
        rows = self._by_begin("job", self._job, id_or_part) or self._by_end(id_or_part)
        if not rows:
            raise NotFound(
                f"there is no job {id_or_part}",
                hint="nowcast job list",
            )
        if len(rows) > 1:
            raise NowcastError(
                f"several jobs have an id that begins or ends with {id_or_part}: "
                f"{', '.join(str(row[0]) for row in rows[:5])}",
                hint="give more of the id",
            )
        return job_of_row(rows[0])

    def ensemble(self, id_or_part: str) -> EnsembleRecord | None:
        """Give the ensemble whose id is, begins or ends so; None where there is none.

        Raises NowcastError where there are several.
        """
        if self._version < ensembles.SINCE or not may_be_part(id_or_part):
            return None
        found = ensembles.found(self._connection, id_or_part)
        if len(found) > 1:
            raise NowcastError(
                f"several ensembles have an id that begins or ends with {id_or_part}: "
                f"{', '.join(each.id for each in found[:5])}",
                hint="give more of the id",
            )
        return found[0] if found else None

    def ensembles(
        self,
        *,
        worker: str | None = None,
        chain: str | None = None,
        cause: int | None = None,
        limit: int | None = None,
    ) -> list[EnsembleRecord]:
        """Give ensembles, the newest first; of a store of an old form, none."""
        if self._version < ensembles.SINCE:
            return []
        return ensembles.newest(
            self._connection, worker=worker, chain=chain, cause=cause, limit=limit
        )

    def open_ensembles(self) -> list[EnsembleRecord]:
        """Give the ensembles whose ending is not decided, the oldest first."""
        if self._version < ensembles.SINCE:
            return []
        return ensembles.open_ones(self._connection)

    def last_members(self, ensemble: EnsembleRecord) -> list[JobRecord]:
        """Give the last job of each member, in their order."""
        return [*ensembles.last_jobs(self._connection, ensemble).values()]

    def unfinished_members(self, ensemble: EnsembleRecord) -> Mapping[str, int]:
        """Count the members that have not ended, by state."""
        return ensembles.unfinished(self._connection, ensemble.id)

    def launched_members(self, ensemble_id: str) -> int:
        """Count the members of an ensemble whose process is to begin, runs, or is yet to end."""
        return ensembles.launched(self._connection, ensemble_id)

    def _by_end(self, part: str) -> list[tuple[Any, ...]]:
        """Give at most 6 jobs whose id ends with ``part``."""
        if not may_be_part(part):
            return []
        short = f"substr(id, -{SHORT_ID})"
        found = f"{short} = ?1 AND id GLOB ?2" if len(part) >= SHORT_ID else f"{short} GLOB ?2"
        return self._connection.execute(
            f"SELECT {self._job} FROM job WHERE id IN (SELECT id FROM job WHERE {found} LIMIT 6)",
            (part[-SHORT_ID:], "*" + part),
        ).fetchall()

    def launched(self, worker: str | None = None) -> int:
        """Count jobs, of a worker or all, whose process is to begin, runs, or is yet to end."""
        # The first condition is that of the index, word by word: else it cannot be used.
        row = self._connection.execute(
            "SELECT count(*) FROM job INDEXED BY job_open WHERE "
            "(state IN ('waiting', 'held', 'submitting', 'running') OR exit IS NULL) "
            "AND state NOT IN ('waiting', 'held') AND (?1 IS NULL OR worker = ?1)",
            (worker,),
        ).fetchone()
        return int(row[0])

    def ended_without_message(self, since: str) -> list[JobRecord]:
        """Give jobs that came to a bad end at or after ``since``, and of which no message tells."""
        return [
            job_of_row(row)
            for row in self._connection.execute(
                f"SELECT {self._job} FROM job "
                "WHERE state IN ('crashed', 'lost', 'timed out') AND final_message IS NULL "
                "AND ended >= ? ORDER BY ended, id",
                (since,),
            )
        ]
