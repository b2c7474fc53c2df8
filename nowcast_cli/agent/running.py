"""Which jobs run on this host, as the folders of jobs tell it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from nowcast_cli.identifiers import time_of
from nowcast_cli.process_identity import is_alive
from nowcast_cli.runner import Claim

_LENGTH_OF_ID = 36


class RunningJobs:
    """Looks at all folders of jobs below ``root``; one that has ended is not looked at again."""

    def __init__(self, root: Path) -> None:
        self._jobs = root / "jobs"
        self._ended: set[str] = set()
        self._days: dict[str, tuple[int, list[str]]] = {}

    def ids(self) -> tuple[str, ...]:
        """Give the ids of jobs of which a process lives, the oldest first. Raises OSError."""
        days = self._names(self._jobs)
        self._days = {day: known for day, known in self._days.items() if day in days}
        there = [folder for day in days for folder in self._of_day(day)]
        self._ended.intersection_update(there)
        running = []
        for folder in there:
            if folder in self._ended:
                continue
            lives = _lives(self._jobs / folder)
            if lives:
                running.append(Path(folder).name[:_LENGTH_OF_ID])
            elif lives is not None:
                self._ended.add(folder)
        return tuple(sorted(running))

    def _of_day(self, day: str) -> list[str]:
        """Give the folders of a day; they are listed only when one has come or gone."""
        try:
            changed = (self._jobs / day).stat().st_mtime_ns
        except FileNotFoundError:
            return []
        known = self._days.get(day)
        if known is None or known[0] != changed:
            folders = [f"{day}/{name}" for name in self._names(self._jobs / day) if _is_job(name)]
            self._days[day] = known = (changed, folders)
        return known[1]

    def _names(self, folder: Path) -> list[str]:
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            return []


def _is_job(name: str) -> bool:
    try:
        time_of(name[:_LENGTH_OF_ID])
    except ValueError:
        return False
    return True


def _lives(folder: Path) -> bool | None:
    """Tell whether a process of a job lives; None where none has begun as yet."""
    if (folder / "exit").exists():
        return False
    try:
        claim = Claim.from_json(json.loads((folder / "pid").read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return False
    with suppress(OSError):
        return any(
            process is not None and is_alive(process) for process in (claim.process, claim.runner)
        )
    return True  # nobody can tell just now
