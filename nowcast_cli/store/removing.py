"""Taking out of the database what is older than it has to be kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from nowcast_cli.store import agents, flows, products
from nowcast_cli.store.records import RowsRemoved


def remove(connection: sqlite3.Connection, rows: RowsRemoved) -> None:
    """Remove rows within the transaction of the caller."""
    _remove(connection, "message", "number", rows.messages)
    _remove(connection, "job", "id", rows.jobs)
    agents.remove_of_jobs(connection, rows.jobs)
    _remove(connection, "barrier", "number", rows.barriers)
    _remove(connection, "ensemble", "id", rows.ensembles)
    flows.remove_runs(connection, rows.flow_runs)
    products.remove(connection, rows.product_instances)
    _remove(connection, "event_batch", "place", rows.event_batches)


def _remove(
    connection: sqlite3.Connection, table: str, column: str, keys: Sequence[object]
) -> None:
    connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(key,) for key in keys])
