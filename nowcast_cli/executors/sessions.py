"""Signals for all processes of a job. Standard library only: it is shipped to other hosts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from nowcast_cli.process_identity import ProcessIdentity, is_alive


def signal_session(leader: ProcessIdentity, signal_number: int) -> bool:
    """Send a signal to all processes of a job's session; False when its leader has ended."""
    if not is_alive(leader):
        return False
    for pid in _members(leader.pid):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal_number)
    return True


def _members(leader: int) -> Iterable[int]:
    """The processes of a session, its leader first: it should not see its children end before."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != leader:
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(entry.name)) == leader:
                    members.append(int(entry.name))
    return [leader, *members]
