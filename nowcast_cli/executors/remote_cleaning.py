"""Removes on another host what is not needed there any more.

What stays of a job to its very end is its claim: an order to begin it may still be on its way,
on a connection that hung, and must find that the job has been run.

Standard library only, Python 3.9 and newer: it is shipped to the other host.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

QUIET = 30.0  # seconds in which processes that a job has left behind may still print

# What the other side has a copy of, or no use for; `pid` and `exit` stay, and what is in `scratch`.
_COPIED = (
    "stdout", "stderr", "records", "told", "published",
    "job.json", "node", "cancelled", "runner.lock",
)  # fmt: skip
_PRINTED = ("stdout", "stderr", "records", "exit")
_OF_A_JOB = re.compile(r"jobs/\d{4}-\d\d-\d\d/[0-9a-f-]{36}-[^/]+(/scratch)?")


def is_quiet(folder: Path) -> bool:
    """Say whether a job has ended and nothing was printed since for a while."""
    if not (folder / "exit").exists():
        return False
    there = [path for name in _PRINTED if (path := folder / name).exists()]
    return time.time() - max(path.stat().st_mtime for path in there) >= QUIET


def clear(folder: Path) -> None:
    """Remove what the other side has of a job that has ended. Raises OSError."""
    for name in _COPIED:
        with suppress(FileNotFoundError):
            (folder / name).unlink()
    import shutil  # it loads three compression libraries, and each exchange would pay for it

    for name in ("outbox", "tools"):
        shutil.rmtree(folder / name, ignore_errors=True)
    with suppress(OSError):  # what a worker has left there is kept for a while
        (folder / "scratch").rmdir()


def remove(root: Path, name: str) -> None:
    """Remove the folder of a job below the root, or its scratch folder. Raises OSError."""
    if not _OF_A_JOB.fullmatch(name):
        raise OSError(f"{name} is no folder of a job")
    import shutil

    folder = root / name
    if folder.is_dir():
        shutil.rmtree(folder)
    if folder.name != "scratch":
        with suppress(OSError):  # other jobs of the day are kept
            folder.parent.rmdir()


def removed(
    root: Path, names: Sequence[str], lives: Callable[[Path], bool]
) -> tuple[list[str], list[str]]:
    """Remove folders, but none of a job that ``lives``; gives those that went, and sentences."""
    gone, trouble = [], []
    for name in names:
        try:
            if lives(root / name.replace("/scratch", "")):
                trouble.append(f"{name}: a process of the job still runs")
                continue
            remove(root, name)
            gone.append(name)
        except OSError as error:
            trouble.append(f"{name}: {error.strerror or error}")
    return gone, trouble
