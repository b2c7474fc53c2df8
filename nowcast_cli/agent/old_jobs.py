"""Removes what is left of jobs that ended long ago: two small files, and what is in ``scratch``."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from nowcast_cli.executors.remote_cleaning import remove

KEPT_DAYS = 30
_EVERY = 3600.0  # seconds
_DAY = 86400.0

_logger = logging.getLogger("agent")


class OldJobs:
    """The folders of jobs below ``root``, looked at once an hour.

    ``clock`` gives seconds since the epoch.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._clock = clock
        self._next = 0.0

    def remove(self, running: Collection[str]) -> None:
        """Remove the folders of days that are long past, but none of a job that is ``running``.

        One that the manager has not cleared is kept: it may hold what was never brought.
        """
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY
        before = time.strftime("%Y-%m-%d", time.gmtime(now - KEPT_DAYS * _DAY))
        for folder in self._of_days_before(before):
            if folder.name[:36] not in running and _is_cleared(folder):
                try:
                    remove(self._root, str(folder.relative_to(self._root)))
                except OSError as error:
                    _logger.warning("%s cannot be removed: %s", folder, error)

    def _of_days_before(self, day: str) -> Iterator[Path]:
        jobs = self._root / "jobs"
        days = sorted(os.listdir(jobs)) if jobs.is_dir() else []  # noqa: PTH208
        for each in days:
            if each < day and (jobs / each).is_dir():
                yield from sorted((jobs / each).iterdir())


def _is_cleared(folder: Path) -> bool:
    return (folder / "exit").exists() and not (folder / "stdout").exists()
