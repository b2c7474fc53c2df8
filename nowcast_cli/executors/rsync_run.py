"""One rsync at a time for a job: it tells how far it has come, and can be ended.

It outlives whoever began it. The next one to send or fetch files of the job ends it first, and
goes on from where it was.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli import process_identity
from nowcast_cli.executors import rsync
from nowcast_cli.process_identity import identity_of, is_alive

LOCK = "transfer.lock"  # held by rsync itself, and tells who that is
_PAUSE = 0.05  # s
_MOMENT = 1.0  # s in which the other side notices that its rsync has lost the one here


class Stopped(Exception):
    """The files are wanted no more."""


@dataclass(frozen=True)
class Ended:
    """How rsync has ended: its exit code and what it said."""

    code: int
    stderr: str


class RsyncRun:
    """Runs rsync for the job whose folder is ``folder``, until :meth:`stop` is called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped

    def stop(self) -> None:
        """End what is under way, from another thread; what has come over stays."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()

    def run(self, command: Sequence[str], data: bytes, came: Callable[[int], None]) -> Ended:
        """Run the command to its end; ``came`` is told the bytes that have come over.

        Raises Stopped, and OSError when it cannot be run.
        """
        with self._alone() as lock, tempfile.TemporaryFile() as stdin:
            stdin.write(data)
            stdin.seek(0)
            with tempfile.TemporaryFile() as stderr:
                self._process = subprocess.Popen(
                    command,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    pass_fds=(lock,),
                    env={**os.environ, "LC_ALL": "C"},
                    start_new_session=True,
                )
                _sign(lock, self._process.pid)
                if self._stopped:
                    self._process.terminate()
                with self._process as process:
                    _tell_of(process, came)
                if self._stopped:
                    raise Stopped
                stderr.seek(0)
                return Ended(process.returncode, stderr.read().decode(errors="replace"))

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Give a descriptor with the lock on it, once no other rsync has it."""
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _locked(lock):
                self._take_over(lock)
            yield lock
        finally:
            os.close(lock)

    def _take_over(self, lock: int) -> None:
        """End the one that has the lock, and let the host keep what has come of its files."""
        while not _locked(lock):
            if self._stopped:
                raise Stopped
            _end_holder(lock)
            time.sleep(_PAUSE)
        time.sleep(_MOMENT)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(lock: int, pid: int) -> None:
    identity = identity_of(pid)
    if identity is not None:
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(process_identity.to_json(identity)).encode(), 0)


def _end_holder(lock: int) -> None:
    with suppress(ValueError, KeyError, TypeError, ProcessLookupError):
        holder = process_identity.from_json(json.loads(os.pread(lock, 4096, 0)))
        if is_alive(holder):
            os.kill(holder.pid, signal.SIGTERM)


def _tell_of(process: subprocess.Popen[bytes], came: Callable[[int], None]) -> None:
    assert process.stdout is not None
    while printed := os.read(process.stdout.fileno(), 1 << 16):
        count = rsync.bytes_in(printed)
        if count is not None:
            came(count)
