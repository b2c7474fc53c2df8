"""Reads on in one open file, from a place."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

from nowcast_cli.logs.lines import last_line, split
from nowcast_cli.logs.place import ANCHOR, Place

LARGEST_READ = 256 * 1024  # bytes


class Tail:
    """One file, held open, so that it can be read to its end after it was renamed or removed.

    ``quiet_since`` is the time at which it was last found to have grown.
    """

    def __init__(self, descriptor: int, place: Place, now: float) -> None:
        self._descriptor = descriptor
        self.place = place
        self.quiet_since = now

    @classmethod
    def open(cls, path: Path, place: Place | None, now: float, *, at_end: bool = False) -> Tail:
        """Open a file at a place of its own, by default its begin.

        Raises OSError, also when the name is by now that of another file than the place's.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(descriptor)
        if place is not None and place.identity != (status.st_dev, status.st_ino):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        if place is None:
            place = Place(status.st_dev, status.st_ino, changed=status.st_mtime)
            if at_end:
                before = max(0, status.st_size - ANCHOR)
                anchor = os.pread(descriptor, status.st_size - before, before)
                place = replace(place, position=before + len(anchor), anchor=anchor)
        return cls(descriptor, place, now - max(0.0, time.time() - status.st_mtime))

    def was_cut(self) -> bool:
        """Tell whether what was read before is not what stands there now. Raises OSError."""
        before = self.place.position - len(self.place.anchor)
        found = os.pread(self._descriptor, len(self.place.anchor), before)
        return found != self.place.anchor

    def read(self, now: float) -> tuple[list[bytes], bool]:
        """Give the lines that have come, and whether there may be more. Raises OSError."""
        place = self.place
        chunk = os.pread(self._descriptor, LARGEST_READ, place.position)
        if not chunk:
            return [], False
        lines, held = split(place.held, chunk)
        self.quiet_since = now
        self.place = replace(
            place,
            changed=self.changed,
            position=place.position + len(chunk),
            anchor=(place.anchor + chunk)[-ANCHOR:],
            held=held,
        )
        return lines, len(chunk) == LARGEST_READ

    @property
    def changed(self) -> float:
        """When the file last changed, as a time in seconds."""
        return os.fstat(self._descriptor).st_mtime

    def finish(self) -> list[bytes]:
        """Give what is held as a line: nobody will end it."""
        lines = last_line(self.place.held)
        self.place = replace(self.place, held=b"")
        return lines

    def begin_again(self, held: bytes = b"") -> None:
        """Read from the begin of the file, which goes on from ``held``."""
        device, inode = self.place.identity
        self.place = Place(device, inode, held=held, changed=self.changed)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
