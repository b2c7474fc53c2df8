"""What is older than it has to be kept, and how it is removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nowcast_cli.config.log_settings import Retention
from nowcast_cli.executors.job_folder import read_claim
from nowcast_cli.logs.search import rotated_files
from nowcast_cli.process_identity import is_alive

Kind = Literal["job", "scratch", "log"]

_LENGTH_OF_AN_ID = 36
_FILES = ("pid", "stdout", "stderr", "job.json")


@dataclass(frozen=True)
class Removal:
    """A file or folder that goes: its age in seconds, and the bytes on the disk that it frees."""

    kind: Kind
    path: Path
    age: float
    size: int


def removals(
    jobs: Path, logs: Iterable[Path], open_jobs: Collection[str] | None, keep: Retention, now: float
) -> list[Removal]:
    """Find what goes, the oldest first.

    Parameters
    ----------
    jobs
        The folder of the folders of jobs.
    logs
        Log files; what rotation has made of them may go, they themselves never do.
    open_jobs
        Ids of jobs that have not ended, which are left alone; None where that is not known:
        then all are.
    now
        The time, in seconds.
    """
    found = [*_rotated(logs, keep.logs, now)]
    if open_jobs is not None:
        found += _of_jobs(jobs, open_jobs, keep, now)
    return sorted(found, key=lambda removal: (-removal.age, removal.path))


def remove(removal: Removal) -> None:
    """Remove a file or folder, and the day that is empty then. Raises OSError."""
    if not removal.path.is_dir():
        removal.path.unlink(missing_ok=True)
        return
    shutil.rmtree(removal.path)
    if removal.kind == "job":
        with suppress(OSError):  # other jobs of the day are kept
            removal.path.parent.rmdir()


def _rotated(logs: Iterable[Path], kept: float, now: float) -> Iterator[Removal]:
    rotated = {path for file in logs for path in rotated_files(file)}
    for path in rotated:
        with suppress(OSError):
            status = path.stat()
            if now - status.st_mtime >= kept:
                yield Removal("log", path, now - status.st_mtime, status.st_blocks * 512)


def _of_jobs(
    jobs: Path, open_jobs: Collection[str], keep: Retention, now: float
) -> Iterator[Removal]:
    for folder in (path for path in jobs.glob("*/*") if path.is_dir()):
        with suppress(OSError):
            yield from _of_job(folder, open_jobs, keep, now)


def _of_job(
    folder: Path, open_jobs: Collection[str], keep: Retention, now: float
) -> Iterator[Removal]:
    if folder.name[:_LENGTH_OF_AN_ID] in open_jobs or folder.name[_LENGTH_OF_AN_ID:][:1] != "-":
        return
    age = now - _ended(folder)
    scratch = folder / "scratch"
    if age < min(keep.jobs, keep.scratch) or _is_needed(folder):
        return
    if age >= keep.jobs:
        yield Removal("job", folder, age, _size(folder))
    elif age >= keep.scratch and scratch.is_dir() and any(scratch.iterdir()):
        yield Removal("scratch", scratch, age, _size(scratch))


def _ended(folder: Path) -> float:
    """Tell when a job ended, or else when the last thing happened to it."""
    if (folder / "exit").exists():
        return (folder / "exit").stat().st_mtime
    there = [path for name in _FILES if (path := folder / name).exists()]
    return max(path.stat().st_mtime for path in there or [folder])


def _is_needed(folder: Path) -> bool:
    """Tell whether a message waits there to be taken in, or a process of the job still lives."""
    outbox = folder / "outbox"
    if outbox.is_dir() and any(outbox.glob("*.yaml")):
        return True
    claim = read_claim(folder)
    return claim is not None and is_alive(claim.process)


def _size(folder: Path) -> int:
    total = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(OSError):
                total += (Path(parent) / name).lstat().st_blocks * 512
    return total
