"""The life of a manager that leads: from its sockets to the last answers."""

from __future__ import annotations

import sqlite3
from typing import Any

import zmq

from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.manager.manager import Manager
from nowcast_cli.manager.standby import TakeOver
from nowcast_cli.store.database import cannot_be_used

_LAST_ANSWERS_MS = 200


def run_manager(context: DaemonContext, taken_over: TakeOver | None = None) -> int:
    """Run the manager until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code 0.

    ``taken_over`` is what a standby brings along that leads from now on.
    """
    zmq_context: zmq.Context[Any] = zmq.Context()
    try:
        manager = Manager(context, zmq_context, taken_over)
        try:
            manager.run()
        finally:
            manager.close()
            zmq_context.destroy(linger=_LAST_ANSWERS_MS)
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # the others are mistakes of ours
            raise
        raise cannot_be_used(context.paths.database, error) from error
    return 0
