"""Daemons and services that go on when their supervisord was killed: found, and ended.

Daemons by their pid files; services, which need none, by what supervisord and we have put into
their environment.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from nowcast_cli.errors import NowcastError
from nowcast_cli.process_identity import ProcessIdentity, identity_of, is_alive
from nowcast_cli.supervisor.daemons import Daemon
from nowcast_cli.supervisor.holders import live_identity

_SERVICE = b"NOWCAST_SERVICE="
KILL_TIME = 5.0  # seconds in which a process must be gone after SIGKILL


def end_orphans(
    run: Path, daemons: Sequence[Daemon], grace: float, tell: Callable[[str], None]
) -> list[str]:
    """End the daemons of a system that nothing supervises, the last started first.

    Each is sent SIGTERM, and SIGKILL when it has not ended after ``grace`` seconds. Returns the
    names of those that were ended. Raises NowcastError when one cannot be.
    """
    ended = []
    for daemon in reversed(daemons):
        identity = live_identity(run, daemon.name)
        if identity is not None:
            tell(f"ending the {daemon.words} (process {identity.pid}), which nothing supervises")
            end_process(identity, daemon.words, grace)
            ended.append(daemon.name)
    return ended


def end_orphaned_services(
    run: Path, grace: float, tell: Callable[[str], None], only: Collection[str] | None = None
) -> list[str]:
    """End the services of a system that nothing supervises, and what they have started.

    All of them, or the ``only`` ones. Returns the names of those that were ended. Raises
    NowcastError when one cannot be.
    """
    ended = []
    for name, identity in orphaned_services(run):
        if only is not None and name not in only:
            continue
        tell(f"ending the service {name} (process {identity.pid}), which nothing supervises")
        end_process(identity, f"service {name}", grace)
        ended.append(name)
    return list(dict.fromkeys(ended))


def orphaned_services(run: Path) -> list[tuple[str, ProcessIdentity]]:
    """Give the processes of the services that were started from this run folder, by name.

    Call it where no supervisord runs: those that are kept up look the same.
    """
    address = b"SUPERVISOR_SERVER_URL=unix://" + os.fsencode(run / "supervisor.sock")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is another user's
            continue
        names = [each.partition(b"=")[2] for each in variables if each.startswith(_SERVICE)]
        identity = identity_of(int(process.name)) if names and address in variables else None
        if identity is not None:
            found.append((os.fsdecode(names[0]), identity))
    return found


def end_process(identity: ProcessIdentity, words: str, grace: float) -> None:
    """End one process and wait until it is gone."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_TIME)):
        _send(identity, number, words)
        if _is_gone_within(identity, patience):
            return
    raise NowcastError(
        f"the {words} (process {identity.pid}) does not end, even by SIGKILL",
        cause="it hangs in the kernel, most likely on a file system that does not answer",
        hint=f"look at /proc/{identity.pid}/stack and at its file systems, then try again",
    )


def _send(identity: ProcessIdentity, number: int, words: str) -> None:
    try:
        with suppress(ProcessLookupError):
            if is_alive(identity):
                os.kill(identity.pid, number)
    except PermissionError as error:
        raise NowcastError(
            f"the {words} (process {identity.pid}) cannot be ended",
            cause="it belongs to another user",
            hint="let that user run `nowcast stop`",
        ) from error


def _is_gone_within(identity: ProcessIdentity, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while is_alive(identity):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True
