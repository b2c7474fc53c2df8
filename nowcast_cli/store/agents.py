"""The rows of agents, and of the jobs that are on them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from nowcast_cli.store.records import (
    AgentDropped,
    AgentPut,
    AgentRecord,
    AssignmentDropped,
    AssignmentPut,
    AssignmentRecord,
)

AgentChange = AgentPut | AgentDropped | AssignmentPut | AssignmentDropped
SINCE = 8  # the version of the schema that has them first

AGENT_COLUMNS = ("name", "standing", "limits", "described", "seen")
ASSIGNMENT_COLUMNS = ("job", "agent", "placed", "failed_on")

_AGENTS = f"SELECT {', '.join(AGENT_COLUMNS)} FROM agent"
_ASSIGNMENTS = f"SELECT {', '.join(ASSIGNMENT_COLUMNS)} FROM assignment"
_OPEN = "(state IN ('waiting', 'held', 'submitting', 'running') OR exit IS NULL)"


def write(execute: Callable[..., Any], change: AgentChange) -> None:
    """Carry out a change in the transaction of ``execute``."""
    match change:
        case AgentPut(agent):
            described = None if agent.described is None else json.dumps(agent.described)
            execute(
                "INSERT OR REPLACE INTO agent VALUES (?, ?, ?, ?, ?)",
                (agent.name, agent.standing, json.dumps(agent.limits), described, agent.seen),
            )
        case AgentDropped(name):
            execute("DELETE FROM agent WHERE name = ?", (name,))
        case AssignmentPut(found):
            execute(
                "INSERT OR REPLACE INTO assignment VALUES (?, ?, ?, ?)",
                (found.job, found.agent, found.placed, json.dumps(found.failed_on)),
            )
        case AssignmentDropped(job):
            execute("DELETE FROM assignment WHERE job = ?", (job,))


def agents_in(connection: sqlite3.Connection) -> list[AgentRecord]:
    """Give the agents that are known, by name."""
    return [_agent(row) for row in connection.execute(f"{_AGENTS} ORDER BY name")]


def assignment_in(connection: sqlite3.Connection, job: str) -> AssignmentRecord | None:
    """Give where a job is or was, None where it was never placed."""
    row = connection.execute(f"{_ASSIGNMENTS} WHERE job = ?", (job,)).fetchone()
    return None if row is None else _assignment(row)


def open_assignments_in(connection: sqlite3.Connection) -> list[AssignmentRecord]:
    """Give the assignments of the jobs that have not ended, or were not seen to end."""
    return [
        _assignment(row)
        for row in connection.execute(
            f"{_ASSIGNMENTS} WHERE job IN (SELECT id FROM job WHERE {_OPEN}) ORDER BY job"
        )
    ]


def remove_of_jobs(connection: sqlite3.Connection, jobs: Iterable[str]) -> None:
    """Remove what is kept of jobs that are removed."""
    connection.executemany("DELETE FROM assignment WHERE job = ?", [(job,) for job in jobs])


def is_agent(change: object) -> bool:
    """Say whether a row that was read is one of an agent."""
    return isinstance(change, AgentPut) and isinstance(change.agent.limits, dict)


def is_assignment(change: object) -> bool:
    """Say whether a row that was read is one of an assignment."""
    return isinstance(change, AssignmentPut) and all(
        isinstance(name, str) for name in (change.assignment.agent, *change.assignment.failed_on)
    )


def agent_of_row(row: tuple[Any, ...]) -> AgentPut:
    """Give what puts an agent, of a row of ``AGENT_COLUMNS``."""
    return AgentPut(_agent(row))


def assignment_of_row(row: tuple[Any, ...]) -> AssignmentPut:
    """Give what puts an assignment, of a row of ``ASSIGNMENT_COLUMNS``."""
    return AssignmentPut(_assignment(row))


def _agent(row: tuple[Any, ...]) -> AgentRecord:
    name, standing, limits, described, seen = row
    return AgentRecord(
        name, standing, json.loads(limits), None if described is None else json.loads(described),
        seen,
    )  # fmt: skip


def _assignment(row: tuple[Any, ...]) -> AssignmentRecord:
    job, agent, placed, failed_on = row
    return AssignmentRecord(job, agent, placed, tuple(json.loads(failed_on)))
