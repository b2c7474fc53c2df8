"""Files of records that processes on other hosts have sent, and how long they are kept."""

from __future__ import annotations

import time
from pathlib import Path

from nowcast_cli.logs.followed import FollowedFile

RECEIVED = "spool/received"  # in the state directory
END = ".end"  # beside a file of which no more comes

_KEPT = 30 * 86_400.0  # seconds without a byte after which a sender is given up


class Received:
    """The folder of copies, which the aggregator writes, follows to their ends, and removes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = 0.0
        self._seen: set[Path] = set()

    def new(self) -> list[Path]:
        """Give the files that have come since the last call."""
        try:
            changed = self._folder.stat().st_mtime
            if changed == self._changed:
                return []
            there = {path for path in self._folder.iterdir() if path.suffix != END}
        except OSError:
            return []
        if time.time() - changed > 1.0:  # within it, a folder may change and keep its time
            self._changed = changed
        new, self._seen = sorted(there - self._seen), there
        return new

    def is_over(self, file: FollowedFile) -> bool:
        """Tell whether a file was sent to its end, or nobody has sent more of it for a month."""
        place = file.saved.current
        try:
            status = file.path.stat()
        except OSError:
            return False
        if place is None or place.position < status.st_size:
            return False
        return _end_of(file.path).exists() or time.time() - status.st_mtime > _KEPT

    def remove(self, file: Path) -> None:
        """Remove a file whose records are in the logs."""
        for path in (file, _end_of(file)):
            path.unlink(missing_ok=True)


def _end_of(file: Path) -> Path:
    return file.with_name(file.name + END)
