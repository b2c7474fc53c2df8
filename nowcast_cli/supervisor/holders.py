"""Which process is which daemon, by the pid files, and what supervisord calls it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nowcast_cli.process_identity import ProcessIdentity, from_json, is_alive
from nowcast_cli.supervisor.daemons import MANAGER, STANDBY

_MARK = b"SUPERVISOR_PROCESS_NAME="  # in the environment of all that supervisord starts


def live_identity(run: Path, name: str) -> ProcessIdentity | None:
    """Return the process that holds the name of a daemon, by its pid file, if it is alive."""
    try:
        identity = from_json(json.loads((run / f"{name}.pid").read_bytes()))
    except (OSError, ValueError):
        return None
    return identity if is_alive(identity) else None


def program_of(name: str, run: Path) -> str:
    """Return the name of the program by which supervisord keeps the daemon ``name``.

    Manager and standby are two programs that are the same, and which of them leads changes with
    each take-over: then the manager is the program ``standby``, and the standby ``manager``.
    """
    other = {MANAGER.name: STANDBY.name, STANDBY.name: MANAGER.name}.get(name)
    if other is not None and (_started_as(name, run) == other or _started_as(other, run) == name):
        return other
    return name


def _started_as(name: str, run: Path) -> str | None:
    """Return the program that the process of a daemon is, if supervisord has started it."""
    holder = live_identity(run, name)
    if holder is None:
        return None
    try:
        variables = Path(f"/proc/{holder.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    marks = [each.removeprefix(_MARK) for each in variables if each.startswith(_MARK)]
    return os.fsdecode(marks[0]) if marks else None
