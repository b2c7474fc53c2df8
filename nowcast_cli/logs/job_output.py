"""What jobs print: which folders of jobs are to be followed, and until when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nowcast_cli.executors.job_folder import RECORDS, read_claim
from nowcast_cli.identifiers import time_of
from nowcast_cli.process_identity import is_alive

STREAMS = ("stdout", "stderr", RECORDS)

_MARK = ".logged"  # in the folder of a job whose output is in the logs to its end
_LENGTH_OF_AN_ID = 36
_LATE = 30.0  # seconds in which processes that a job has left behind may still print
_LOST = 600.0  # seconds without a byte after which a job without an `exit` is given up
_LOST_ELSEWHERE = 86_400.0  # the same, for a job of another host: who knows whether it lives
_CLOCK_OF_FOLDERS = 1.0  # seconds; within them a folder may change and keep its time


@dataclass(frozen=True, slots=True)
class FollowedJob:
    """The folder of a job whose output is followed."""

    id: str
    worker: str
    folder: Path

    def has_ended(self) -> bool:
        """Tell whether the runner has said how it ended."""
        return (self.folder / "exit").exists()

    def is_over(self, now: float) -> bool:
        """Tell whether nothing is printed any more; ``now`` is the time of day, in seconds."""
        last = max(_changed(self.folder / name) for name in (*STREAMS, "exit"))
        last = last or _changed(self.folder)  # a job that has just been made has nothing else
        if self.has_ended():
            return now - last >= _LATE
        if now - last < _LOST:
            return False
        if not (self.folder / "runner.lock").exists():  # no runner of this machine was here
            return now - last >= _LOST_ELSEWHERE
        claim = read_claim(self.folder)
        processes = () if claim is None else (claim.process, claim.runner)
        return claim is not None and not any(one and is_alive(one) for one in processes)

    def mark(self) -> None:
        """Say that the output is in the logs to its end. Raises OSError."""
        (self.folder / _MARK).touch()


class JobFolders:
    """Finds folders of jobs that are to be followed.

    ``since`` leaves out jobs that are older.
    """

    def __init__(self, jobs: Path, since: datetime) -> None:
        self._jobs = jobs
        # An id tells whole milliseconds, and would seem older than an instant within its own.
        self._since = since.replace(microsecond=since.microsecond // 1000 * 1000)
        self._settled: dict[Path, float] = {}
        self._seen: set[Path] = set()
        self._days: set[Path] = set()

    def new(self) -> list[FollowedJob]:
        """Give the jobs that have come since the last call."""
        found = []
        days = set(_folders(self._jobs))
        self._forget(self._days - days)
        self._days = days
        for day in days:
            changed = _changed(day)
            if self._settled.get(day) == changed:
                continue
            found += [job for folder in _folders(day) if (job := self._job(folder))]
            if time.time() - changed > _CLOCK_OF_FOLDERS:
                self._settled[day] = changed
        return found

    def _forget(self, gone: set[Path]) -> None:
        """Remember nothing of days whose folders were removed: an aggregator may run for years."""
        if gone:
            self._seen = {folder for folder in self._seen if folder.parent not in gone}
            self._settled = {day: at for day, at in self._settled.items() if day not in gone}

    def days(self) -> list[Path]:
        """Give the folders of days in which something may happen soonest, the newest first."""
        return sorted(_folders(self._jobs), reverse=True)[:2]

    def _job(self, folder: Path) -> FollowedJob | None:
        if folder in self._seen:
            return None
        self._seen.add(folder)
        job_id, worker = folder.name[:_LENGTH_OF_AN_ID], folder.name[_LENGTH_OF_AN_ID + 1 :]
        try:
            if not worker or time_of(job_id) < self._since or (folder / _MARK).exists():
                return None
        except (ValueError, OSError):
            return None  # not a folder of ours
        return FollowedJob(job_id, worker, folder)


def _folders(parent: Path) -> Iterator[Path]:
    try:
        yield from (path for path in parent.iterdir() if path.is_dir())
    except OSError:
        return


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
