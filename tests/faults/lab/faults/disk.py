"""The disk is full, or a folder is read-only, for a while."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from lab.environment import mount_read_only, unmount
from lab.plans import PlannedFault
from lab.system import LabSystem

_LONGEST = 1.2  # seconds


def fill(system: LabSystem, fault: PlannedFault) -> bool:
    """Leave no byte on the disk of the state directory."""
    filler = system.paths.state / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            free = os.statvfs(filler).f_bavail * os.statvfs(filler).f_frsize
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, free))
            file.seek(0, os.SEEK_END)
            while True:
                file.write(b"x" * 4096)
        time.sleep(0.05 + fault.strength / 100 * _LONGEST)
    finally:
        filler.unlink(missing_ok=True)
    return True


def make_read_only(system: LabSystem, fault: PlannedFault) -> bool:
    """Refuse all new writing in a folder."""
    folder = _folder(system, fault.place)
    mount_read_only(folder)
    try:
        time.sleep(0.05 + fault.strength / 100 * _LONGEST)
    finally:
        unmount(folder)
    return True


def _folder(system: LabSystem, place: str) -> Path:
    paths = system.paths
    return {
        "jobs": paths.jobs,
        "logs": paths.logs,
        "run": paths.run,
        "outbox": paths.outbox,
        "state directory": paths.state,
    }[place]
