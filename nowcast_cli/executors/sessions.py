"""Signals for all processes of a job. Standard library only: it is shipped to other hosts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nowcast_cli.process_identity import ProcessIdentity, boot_id, identity_of, is_alive


def signal_session(leader: ProcessIdentity, signal_number: int) -> bool:
    """Send a signal to all processes of a job's session; False when there are none any more."""
    found = members(leader)
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal_number)
    return bool(found)


def members(leader: ProcessIdentity) -> list[int]:
    """Give the living processes of a session, which may be without its leader by now.

    The leader comes first: it should not see its children end before. The kernel gives the
    leader's number to no other process as long as one of its session is there.
    """
    now = identity_of(leader.pid)
    if leader.boot != boot_id() or (now is not None and now != leader):
        return []
    found = [leader.pid, *(pid for pid in _pids() if pid != leader.pid and _is_in(pid, leader))]
    return [pid for pid in found if _lives(pid)]


def remaining(job_id: str, leader: ProcessIdentity) -> str | None:
    """Say which processes are there still of a job that was ended; None where none is.

    Those are what even SIGKILL has not ended, and what had left the job's session: that is known
    by the job's id in its environment.
    """
    in_session = members(leader)
    mark = f"NOWCAST_JOB_ID={job_id}\0".encode()
    left = [pid for pid in _pids() if pid not in in_session and mark in _environment(pid)]
    words = [f"{_name(pid)}" for pid in in_session]
    words += [f"{_name(pid)}, which had left its session" for pid in left if _lives(pid)]
    return f"still there: {'; '.join(words)}" if words else None


def _pids() -> Iterator[int]:
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit():
            yield int(entry)


def _is_in(pid: int, leader: ProcessIdentity) -> bool:
    try:
        return os.getsid(pid) == leader.pid
    except (ProcessLookupError, PermissionError):
        return False


def _lives(pid: int) -> bool:
    identity = identity_of(pid)
    return identity is not None and is_alive(identity)


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
    except OSError:
        return b""


def _name(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({name})"
