"""Who may write the store: the process that opened it last.

One daemon of a name is kept by a lock, which cannot hinder a process that was stopped in the midst
of its work, believed to be dead, and wakes. So each who opens the store to write raises its epoch,
and each transaction looks whether the epoch is still its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nowcast_cli.errors import NowcastError


class Deposed(NowcastError):
    """Another process leads by now: nothing of the transaction was written."""


def lead(connection: sqlite3.Connection) -> int:
    """Begin an epoch, in which nobody who began an earlier one can write; gives its number."""
    with _transaction(connection):
        row = connection.execute("UPDATE leader SET epoch = epoch + 1 RETURNING epoch").fetchone()
    return int(row[0])


@contextmanager
def leading(connection: sqlite3.Connection, epoch: int, path: Path) -> Iterator[None]:
    """Write all that is executed inside, or nothing, in one transaction of that epoch.

    Raises Deposed, before anything is executed, when a later epoch has begun. ``path`` is the
    store's, for the message.
    """
    with _transaction(connection):
        (now,) = connection.execute("SELECT epoch FROM leader").fetchone()
        if now != epoch:
            raise Deposed(
                f"another process writes the store {path} by now, and this one no longer may",
                cause=f"it was opened again (epoch {now}) after this process opened it (epoch "
                f"{epoch}), which was stopped for a while, or lost its lock",
                hint="nothing was lost; `nowcast status` says who leads",
            )
        yield


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
