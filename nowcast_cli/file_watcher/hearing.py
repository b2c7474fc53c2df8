"""What the kernel tells of files, by watchdog, in the words of the candidates."""

from __future__ import annotations

import logging
import os
from collections import deque

from watchdog.events import (
    FileClosedEvent,
    FileClosedNoWriteEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileOpenedEvent,
    FileSystemEvent,
)

from nowcast_cli.daemon.watcher import Watcher
from nowcast_cli.file_watcher.candidates import Heard

_WORDS: dict[type[FileSystemEvent], Heard] = {
    FileCreatedEvent: "made",
    FileOpenedEvent: "opened",
    FileModifiedEvent: "written",
    FileClosedEvent: "closed",
    FileClosedNoWriteEvent: "closed unwritten",
    FileMovedEvent: "renamed",
}


class Ear(Watcher):
    """Keeps what was told until it is taken; ``has_missed`` says that something was lost."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__("auto", logger, list(_WORDS))
        self._heard: deque[tuple[Heard, str]] = deque()
        self._warnings = _Warnings()
        logging.getLogger("watchdog").addHandler(self._warnings)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Keep it; called by watchdog's thread."""
        word = _WORDS.get(type(event))
        path = event.dest_path if word == "renamed" else event.src_path
        if word is not None and path:
            self._heard.append((word, os.fsdecode(path)))
            super().on_any_event(event)

    def heard(self) -> list[tuple[Heard, str]]:
        """Take what was told since the last time."""
        self.drain()
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def has_missed(self) -> bool:
        """Tell, once, whether the kernel had too much to tell, as watchdog warns then."""
        missed, self._warnings.any = self._warnings.any, False
        return missed

    def close(self) -> None:
        """Stop watching."""
        logging.getLogger("watchdog").removeHandler(self._warnings)
        super().close()


class _Warnings(logging.Handler):
    """Notices that watchdog warns; the warning itself goes into the log of the daemon."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.any = False

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        self.any = True
