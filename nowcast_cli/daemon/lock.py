"""One daemon of a name per system."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config import SystemPaths
from nowcast_cli.errors import NowcastError
from nowcast_cli.process_identity import ProcessIdentity, from_json, identity_of, is_alive, to_json

_BETWEEN_TRIES = 0.05  # seconds


class AlreadyRuns(NowcastError):
    """Another process holds the name."""


@dataclass(frozen=True)
class Lock:
    """A daemon's name, held until :meth:`release` or until the process ends, however it ends."""

    file_lock: FileLock
    pid_file: Path

    @property
    def name(self) -> str:
        """The name of the daemon."""
        return self.pid_file.stem

    def release(self) -> None:
        """Give the name back; the lock file stays: an unlinked one locks nobody out.

        So may the ``pid`` file where nothing can be removed: who reads it sees that its process has
        ended.
        """
        with contextlib.suppress(OSError):
            self.pid_file.unlink(missing_ok=True)
        self.file_lock.release()

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def hold(paths: SystemPaths, name: str) -> Lock:
    """Take the name of a daemon for this process and write ``run/<name>.pid``.

    Raises AlreadyRuns that says who holds it when somebody does, and another NowcastError when
    something cannot be written. No child inherits the lock: its descriptor is closed on exec.
    """
    # A log of everything from DEBUG on is to tell of the system, not of its locks.
    logging.getLogger("filelock").setLevel(logging.INFO)
    pid_file = paths.run / f"{name}.pid"
    file_lock = FileLock(paths.run / f"{name}.lock", fallback_to_soft=False)
    identity = identity_of(os.getpid())
    assert identity is not None, "a process that runs has an identity"
    try:
        file_lock.acquire(timeout=0)
        write_atomically(pid_file, json.dumps(to_json(identity)).encode())
    except Timeout:
        raise _already_runs(name, pid_file) from None
    except OSError as error:
        file_lock.release()
        raise NowcastError(
            f"{name}.lock and {name}.pid cannot be written in {paths.run}",
            cause=str(error),
            hint="see who owns that folder, and whether its disk has room",
        ) from error
    return Lock(file_lock, pid_file)


def hold_first(paths: SystemPaths, names: Sequence[str], patience: float) -> Lock:
    """Take the first of several names that is free, for up to ``patience`` seconds until one is.

    So a process may leave one of the names for another one meanwhile. Raises as :func:`hold`.
    """
    give_up = time.monotonic() + patience
    while True:
        for name in names:
            try:
                return hold(paths, name)
            except AlreadyRuns:
                if name == names[-1] and time.monotonic() > give_up:
                    raise
        time.sleep(_BETWEEN_TRIES)


def read_pid_file(path: Path) -> ProcessIdentity | None:
    """Return who wrote ``run/<name>.pid``, alive or not; None when it is missing or not ours."""
    try:
        return from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _already_runs(name: str, pid_file: Path) -> AlreadyRuns:
    words = name.replace("_", " ")
    holder = read_pid_file(pid_file)
    if holder is None or not is_alive(holder):  # it has the lock, and has not written its pid yet
        what = f"the {words} of this system already runs (or is just starting)"
    else:
        since = datetime.fromtimestamp(pid_file.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        what = f"the {words} of this system already runs as process {holder.pid} (since {since})"
    return AlreadyRuns(
        what,
        cause=f"it holds the lock {pid_file.with_suffix('.lock')}",
        hint="see `nowcast status`; `nowcast stop` ends it",
    )
