"""Whether a process of this machine holds a file open for writing, as far as /proc tells us."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR


def is_open_somewhere(path: Path) -> bool:
    """Tell whether somebody may still write to a file; processes of other users are not seen."""
    with suppress(OSError):
        wanted = path.stat()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                for entry in (process / "fd").iterdir():
                    if _is_writing(process, entry, wanted):
                        return True
    return False


def _is_writing(process: Path, entry: Path, wanted: os.stat_result) -> bool:
    try:
        found = entry.stat()
        if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino):
            return False
        lines = (process / "fdinfo" / entry.name).read_text().splitlines()
    except OSError:
        return False  # closed in the meantime
    flags = next((line.split()[1] for line in lines if line.startswith("flags:")), "0")
    return bool(int(flags, 8) & _WRITES)
