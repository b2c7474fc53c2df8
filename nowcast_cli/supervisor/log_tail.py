"""The end of what a daemon has printed, for a person who asks why it does not run."""

from __future__ import annotations

from pathlib import Path

_ENOUGH = 64 * 1024  # bytes


def size_of(log: Path) -> int:
    """Return the size of a log in bytes, 0 when there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def last_lines(log: Path, count: int, since: int = 0) -> list[str]:
    """Return the last ``count`` lines that were written after byte ``since`` of a log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(since if since <= size else 0, size - _ENOUGH))
            text = file.read()
    except OSError:
        return []
    return text.decode(errors="replace").splitlines()[-count:]
