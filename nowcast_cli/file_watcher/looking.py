"""Looks at files: which there are below a folder, what they are, and whether they are written."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

from nowcast_cli.file_watcher.triggers import FileTrigger, Look
from nowcast_cli.store.network_folders import file_system_of

_WITH_LEASES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs"})
_LEASES_ON: dict[int, bool] = {}  # by device


def look(path: str) -> Look | None:
    """Look at a file; None where there is none of that name."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return Look.of(found) if stat.S_ISREG(found.st_mode) else None


def files_of(trigger: FileTrigger) -> Iterator[tuple[str, Look] | None]:
    """Give the files that are there for a trigger; None after each folder, for who has others.

    Folders that are links are not entered.
    """
    to_visit = [(str(trigger.pattern.base), 0)]
    deepest = trigger.pattern.depth
    while to_visit:
        folder, depth = to_visit.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if deepest is None or depth < deepest:
                            to_visit.append((entry.path, depth + 1))
                    elif trigger.wants(entry.path) and (found := look(entry.path)) is not None:
                        yield entry.path, found
        except OSError:  # it has gone, or may not be read: whoever may not enter it sees nothing
            pass
        yield None


def is_written(path: str) -> bool | None:
    """Tell whether anybody has a file open for writing; None where it is not for us to know.

    The kernel grants a lease for reading on a file of our own while nobody writes it; to open the
    file of another user would look like a reader of it. Where others than this kernel may write, as
    on NFS, it refuses leases, whoever has the file open.
    """
    try:
        found = os.stat(path)  # noqa: PTH116
        if found.st_uid != os.geteuid() or not _has_leases(found.st_dev, path):
            return None
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(file)
    return False


def _has_leases(device: int, path: str) -> bool:
    if device not in _LEASES_ON:
        _LEASES_ON[device] = file_system_of(Path(path).parent) in _WITH_LEASES
    return _LEASES_ON[device]


def ignore_broken_leases() -> None:
    """Let who opens a file while a lease is tried not end this process: it waits some µs."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)
