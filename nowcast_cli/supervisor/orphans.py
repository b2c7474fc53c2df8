"""Daemons that go on when their supervisord was killed: found by their pid files, and ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from nowcast_cli.errors import NowcastError
from nowcast_cli.process_identity import ProcessIdentity, is_alive
from nowcast_cli.supervisor.daemons import Daemon
from nowcast_cli.supervisor.holders import live_identity

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
