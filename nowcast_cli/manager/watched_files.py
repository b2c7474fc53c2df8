"""The files that a module was loaded from: whether they have changed since."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

CHECK_INTERVAL = 0.005
# What the kernel's time stamps may be behind its clock, and to spare.
_COARSENESS_NS = 10_000_000

Signature = tuple[int, int, int]
_CHANGED_WHILE_LOADED: Signature = (-1, -1, -1)


class WatchedFiles:
    """Looks at its files at most once in ``CHECK_INTERVAL`` seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._signatures: dict[str, Signature | None] = {}
        self._loading_since = 0
        self._next_look = float("-inf")

    def begin_loading(self, since: int) -> None:
        """Say since when the files are being read, in nanoseconds since 1970."""
        self._loading_since = since

    def loaded(self, files: Iterable[str]) -> None:
        """Say which files were read; one that was written meanwhile counts as changed."""
        self._signatures = {file: self._signature_when_read(file) for file in files}

    def _signature_when_read(self, file: str) -> Signature | None:
        try:
            # Not mtime: a file that was renamed into place keeps the time at which it was written.
            changed = Path(file).stat().st_ctime_ns
        except OSError:
            return None
        if self._loading_since - _COARSENESS_NS <= changed <= time.time_ns():
            return _CHANGED_WHILE_LOADED
        return _signature(file)

    def changed(self) -> bool:
        """Say whether a file has changed, gone, or come; False between two looks."""
        now = self._monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + CHECK_INTERVAL
        return any(_signature(file) != before for file, before in self._signatures.items())


def _signature(file: str) -> Signature | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
