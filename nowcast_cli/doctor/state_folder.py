"""The disk and the folders of a system's state."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.doctor.finding import Finding, Subject, error, warning

_MEGABYTE = 1 << 20
_TOO_LITTLE, _LITTLE = 100 * _MEGABYTE, 1024 * _MEGABYTE
_TOO_FEW, _FEW = 1_000, 20_000


def disk_space(subject: Subject) -> Iterator[Finding]:
    """Failure means that the manager will stop answering until there is room."""
    for folder in _folders_by_disk(subject.paths):
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        if free < _LITTLE:
            give = error if free < _TOO_LITTLE else warning
            yield give(
                f"{free // _MEGABYTE} MB are free on the disk of {folder}",
                f"make room there; du -sh {subject.paths.jobs} says what old jobs hold",
            )


def inodes(subject: Subject) -> Iterator[Finding]:
    """Failure means that no job folder can be made, though there seems to be room."""
    for folder in _folders_by_disk(subject.paths):
        status = os.statvfs(folder)
        if status.f_files and status.f_favail < _FEW:
            give = error if status.f_favail < _TOO_FEW else warning
            yield give(
                f"{status.f_favail} more files can be made on the disk of {folder}",
                f"remove folders of old jobs in {subject.paths.jobs}",
            )


def file_system(subject: Subject) -> Iterator[Finding]:
    """Failure means that the manager refuses to start: its store needs a local disk."""
    from nowcast_cli.store.network_folders import network_file_system_of

    kind = network_file_system_of(subject.paths.state)
    if kind is not None:
        yield error(
            f"the state directory {subject.paths.state} lies on a network file system ({kind})",
            "set `state directory` in nowcast.yaml to a folder on a local disk",
        )


def permissions(subject: Subject) -> Iterator[Finding]:
    """Failure means that others can change what runs here, or that this user cannot."""
    paths = subject.paths
    for folder in (paths.state, paths.jobs, paths.logs, paths.outbox, paths.checklist_file.parent):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            yield error(
                f"this user cannot write into {folder}",
                f"run nowcast as the user {_owner(folder)}, or chown {folder}",
            )
    for path in _trusted(paths):
        mode = path.stat().st_mode
        if mode & stat.S_IWOTH and not (path.is_dir() and mode & stat.S_ISVTX):
            yield warning(f"everybody on this machine can write to {path}", f"chmod o-w {path}")
    run = paths.run
    if run.exists():
        if run.lstat().st_uid != os.getuid():
            yield error(
                f"the folder of sockets and locks, {run}, belongs to the user {_owner(run)}",
                f"run nowcast as {_owner(run)}, or set a `state directory` of your own",
            )
        elif stat.S_IMODE(run.stat().st_mode) & 0o077:
            yield warning(f"others can reach the sockets in {run}", f"chmod 700 {run}")


def _trusted(paths: SystemPaths) -> Iterator[Path]:
    """Give what is obeyed: who writes there has the system do what they want."""
    for path in (
        paths.deployment, paths.config_file, paths.deployment / "next_workers.py",
        paths.deployment / "workers", paths.state, paths.jobs, paths.outbox, paths.database,
    ):  # fmt: skip
        if path.exists():
            yield path


def _folders_by_disk(paths: SystemPaths) -> list[Path]:
    """Give one existing folder for each disk that the system writes to."""
    found: dict[int, Path] = {}
    for folder in (paths.state, paths.logs, paths.jobs, paths.checklist_file.parent, paths.run):
        place = next(path for path in (folder, *folder.parents) if path.exists())
        found.setdefault(place.stat().st_dev, place)
    return list(found.values())


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a number without a name
        return str(path.stat().st_uid)
