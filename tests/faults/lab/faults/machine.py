"""The machine gives no more descriptors, or its clock jumps."""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from pathlib import Path

from lab.places import process_at
from lab.plans import PlannedFault
from lab.system import LabSystem

_HOUR = 3600


def take_descriptors(system: LabSystem, fault: PlannedFault) -> bool:
    """Let a daemon open no more than a file or two for a while."""
    process = process_at(system, fault.place, fault.choice)
    if process is None:
        return False
    try:
        open_now = [int(entry.name) for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        limit = min(max(open_now) + 1 + fault.choice % 3, before[1])
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    except (OSError, ValueError):
        return False  # it has just ended
    time.sleep(0.05 + fault.strength / 100)
    with suppress(OSError, ValueError):
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
    return True


def jump(system: LabSystem, fault: PlannedFault) -> bool:
    """Set the clock of the system an hour forward or back, and later right again."""
    system.set_clock(_HOUR if fault.place == "forward" else -_HOUR)
    time.sleep(0.1 + fault.strength / 50)
    system.set_clock(0)
    return True
