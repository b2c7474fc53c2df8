"""Reading the store, with the system up or down; used by everybody but the manager."""

from __future__ import annotations

from typing import Any

from nowcast_cli.errors import NotFound
from nowcast_cli.store import agents, flows
from nowcast_cli.store.flow_records import FlowRunRecord
from nowcast_cli.store.job_reading import JobReading
from nowcast_cli.store.message_reading import MessageReading
from nowcast_cli.store.products import Products
from nowcast_cli.store.records import (
    UNFINISHED_STATES,
    AgentRecord,
    AssignmentRecord,
    BarrierRecord,
    HoldRecord,
    ScheduleRecord,
)
from nowcast_cli.store.rows import (
    BARRIER_COLUMNS,
    HOLD_COLUMNS,
    SCHEDULE_COLUMNS,
    barrier_of_row,
    hold_of_row,
    schedule_of_row,
)

_UNFINISHED = ", ".join(f"'{state}'" for state in sorted(UNFINISHED_STATES))


class Reader(JobReading, MessageReading):
    """A read-only view of the store. A context manager.

    Raises NotFound where the system has never been started, NowcastError where the store cannot
    be read.
    """

    def schedule(self) -> list[ScheduleRecord]:
        """Give what is known of the items of the schedule; of a store of an old form, nothing."""
        if self._version < 2:
            return []
        return [
            schedule_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(SCHEDULE_COLUMNS)} FROM schedule ORDER BY item"
            )
        ]

    def holds(self) -> list[HoldRecord]:
        """Give what nothing is launched of, the whole system first; of an old store, nothing."""
        if self._version < 3:
            return []
        rows = self._connection.execute(f"SELECT {', '.join(HOLD_COLUMNS)} FROM hold ORDER BY 1")
        return [hold_of_row(row) for row in rows]

    def flow_runs(self, flow: str | None = None, limit: int = 20) -> list[FlowRunRecord]:
        """Give runs of flows with their steps, the newest first."""
        if self._version < flows.SINCE:
            return []
        return flows.latest_runs(self._connection, flow, limit)

    def open_flow_runs(self) -> list[FlowRunRecord]:
        """Give the runs of flows that have not ended, with their steps, the oldest first."""
        return [] if self._version < flows.SINCE else flows.open_runs(self._connection)

    def flow_run(self, text: str) -> FlowRunRecord:
        """Give the run whose id is ``text`` or ends with it; raises NotFound."""
        ids = [] if self._version < flows.SINCE else flows.run_ids(self._connection, text)
        found = flows.run_of(self._connection, ids[0]) if len(ids) == 1 else None
        if found is None:
            what = "several runs have" if ids else "there is no run with"
            raise NotFound(f"{what} the id {text!r}", hint="nowcast flow runs")
        return found

    def flow_definition(self, digest: str) -> tuple[str, Any] | None:
        """Give the name of a flow, and what it said by that digest."""
        return flows.definition_of(self._connection, digest)

    @property
    def products(self) -> Products:
        """Give what the index of operational files holds."""
        return Products(self._connection, self._version)

    def agents(self) -> list[AgentRecord]:
        """Give the agents that are known, by name; of an old store, nothing."""
        return agents.agents_in(self._connection) if self._version >= agents.SINCE else []

    def assignment(self, job_id: str) -> AssignmentRecord | None:
        """Give on which agent a job is or was, None where it was never placed."""
        if self._version < agents.SINCE:
            return None
        return agents.assignment_in(self._connection, job_id)

    def open_assignments(self) -> list[AssignmentRecord]:
        """Give the assignments of the jobs that have not ended, or were not seen to end."""
        if self._version < agents.SINCE:
            return []
        return agents.open_assignments_in(self._connection)

    def barriers(self, active_only: bool = True) -> list[BarrierRecord]:
        """Give barriers, the oldest first."""
        where = "WHERE state = 'active'" if active_only else ""
        return [
            barrier_of_row(row)
            for row in self._connection.execute(
                f"SELECT {', '.join(BARRIER_COLUMNS)} FROM barrier {where} ORDER BY number"
            )
        ]

    def counts(self, since: str = "") -> dict[str, int]:
        """Count unfinished jobs by state, ``stuck`` and ``undecided`` messages, and bad endings.

        ``failed``, ``crashed``, ``timed out`` and ``lost`` jobs count when created at or after
        ``since`` (ISO 8601 UTC).
        """
        counts = dict.fromkeys(
            ("waiting", "held", "submitting", "running", "failed", "crashed", "timed out", "lost",
             "stuck", "undecided"),
            0,
        )  # fmt: skip
        # One statement, so that all are counted at one instant: between two, what is decided
        # would become jobs, and counted as neither.
        counts.update(
            self._connection.execute(
                f"SELECT state, count(*) FROM job WHERE state IN ({_UNFINISHED}) GROUP BY state "
                "UNION ALL SELECT state, count(*) FROM job WHERE state IN "
                "('failed', 'crashed', 'timed out', 'lost') AND created >= ? GROUP BY state "
                "UNION ALL SELECT iif(state = 'stuck', 'stuck', 'undecided'), count(*) "
                "FROM message WHERE state <> 'decided' AND state IN ('received', 'stuck') "
                "GROUP BY state",
                (since,),
            ).fetchall()
        )
        return counts

    def chain_is_over(self, chain: str) -> bool:
        """Say whether nothing of the chain runs, waits, or is yet to be decided.

        A stuck message does not count as open: nothing follows from it until somebody acts.
        """
        open_jobs, open_messages = self._connection.execute(
            f"SELECT (SELECT count(*) FROM job WHERE +chain = ?1 AND state IN ({_UNFINISHED})), "
            "(SELECT count(*) FROM message WHERE chain = ?1 AND state = 'received' "
            "AND state <> 'decided')",
            (chain,),
        ).fetchone()
        return int(open_jobs) == 0 and int(open_messages) == 0
