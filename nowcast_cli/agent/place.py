"""The place of an agent on its host: its state directory, which one process holds."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.daemon.lock import AlreadyRuns, read_pid_file
from nowcast_cli.errors import NowcastError
from nowcast_cli.identifiers import new_id
from nowcast_cli.process_identity import identity_of, is_alive, to_json


@contextmanager
def take_place(state: Path, name: str) -> Iterator[None]:
    """Hold the state directory for this process, whatever ends it; makes it where it is missing.

    Raises AlreadyRuns when another agent holds it, and another NowcastError when it cannot be
    written.
    """
    logging.getLogger("filelock").setLevel(logging.INFO)
    pid_file = state / "agent.pid"
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        # No child inherits it: its descriptor is closed on exec.
        lock = FileLock(state / "agent.lock", fallback_to_soft=False)
        lock.acquire(timeout=0)
    except Timeout:
        raise _already_runs(state, name, pid_file) from None
    except OSError as error:
        raise _cannot_be_written(state, error) from None
    try:
        identity = identity_of(os.getpid())
        assert identity is not None, "a process that runs has an identity"
        try:
            write_atomically(pid_file, json.dumps(to_json(identity)).encode())
        except OSError as error:
            raise _cannot_be_written(state, error) from None
        yield
    finally:
        with suppress(OSError):
            pid_file.unlink(missing_ok=True)
        lock.release()


def id_of(state: Path) -> str:
    """Give the id of a state directory, made once: it says of which jobs the folders are there.

    Raises NowcastError when it cannot be written.
    """
    file = state / "id"
    try:
        if not file.exists():
            write_atomically(file, f"{new_id()}\n".encode())
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _cannot_be_written(state, error) from None


def _already_runs(state: Path, name: str, pid_file: Path) -> AlreadyRuns:
    holder = read_pid_file(pid_file)
    who = "" if holder is None or not is_alive(holder) else f", as process {holder.pid}"
    return AlreadyRuns(
        f"the agent {name} runs on this host already{who}",
        cause=f"it holds {state}",
        hint="end it, or start this one with another --name and its key",
    )


def _cannot_be_written(state: Path, error: OSError) -> NowcastError:
    return NowcastError(
        f"the state directory {state} of the agent cannot be written",
        cause=error.strerror or str(error),
        hint="see who owns it, and whether its disk has room; or name another by --state-directory",
    )
