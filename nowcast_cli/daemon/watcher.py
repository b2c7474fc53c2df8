"""Wakes a loop when something changes in folders, by watchdog where the file system tells."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.inotify import InotifyObserver

from nowcast_cli.config.log_settings import Watch
from nowcast_cli.store.network_folders import network_file_system_of

BETWEEN_POLLS = 1.0  # seconds, where changes are not told
SAFETY_POLL = 5.0  # seconds, where they are: an event may be lost, and then it is only late

_MOST_FOLDERS = 64  # each has a thread; those beyond are found by the safety poll
_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent, FileCreatedEvent, FileModifiedEvent, FileMovedEvent,
]  # fmt: skip


class Watcher(FileSystemEventHandler):
    """A descriptor that becomes readable when something has changed.

    Nothing relies on it but the speed with which a change is seen: after ``interval`` seconds
    the loop looks by itself. Who asks for ``events`` of other kinds learns, too, of files that
    come from folders that are not watched as having been moved.
    """

    def __init__(
        self,
        how: Watch,
        logger: logging.Logger,
        events: list[type[FileSystemEvent]] | None = None,
    ) -> None:
        self._how = how
        self._logger = logger
        self._events = events
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watches: dict[tuple[Path, bool, int], ObservedWatch] = {}
        self._polled: set[Path] = set()
        self._observer: BaseObserver | None = None
        # It logs each event at DEBUG, and a log file may be what is watched.
        logging.getLogger("watchdog").setLevel(logging.WARNING)
        # A folder that is made while it is looked for is found twice, which does no harm.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)

    @property
    def interval(self) -> float:
        """After how many seconds to look without having been woken."""
        return BETWEEN_POLLS if self._how == "poll" or self._polled else SAFETY_POLL

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._reader

    def drain(self) -> None:
        """Take note of having been woken."""
        with suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    def watch(self, folders: Mapping[Path, bool]) -> set[Path]:
        """Watch these folders and no others; the value says whether with all below them.

        Gives those that were not watched before, as they were not there, or were others.
        """
        if self._how == "poll":
            return set()
        wanted = {
            (folder, recursive, inode)
            for folder, recursive in list(folders.items())[:_MOST_FOLDERS]
            if (inode := _inode(folder)) is not None
        }
        for key in self._watches.keys() - wanted:
            self._forget(key)
        fresh = {key for key in wanted - self._watches.keys() if key[0] not in self._polled}
        for key in fresh:
            self._begin(key)
        return {folder for folder, _, _ in fresh}

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
        os.close(self._reader)
        os.close(self._writer)

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002
        """Wake the loop; called by watchdog's thread."""
        with suppress(OSError):  # the pipe is full: it is awake
            os.write(self._writer, b"!")

    def _begin(self, key: tuple[Path, bool, int]) -> None:
        folder, recursive, _ = key
        if self._how == "auto" and (kind := network_file_system_of(folder)) is not None:
            self._poll(folder, f"it lies on {kind}, which tells nothing of other hosts")
            return
        try:
            if self._observer is None:
                self._observer = InotifyObserver(generate_full_events=self._events is not None)
                self._observer.start()
            watch = self._observer.schedule(
                self, str(folder), recursive=recursive, event_filter=self._events or _EVENTS
            )
        except FileNotFoundError:
            return  # gone again
        except OSError as error:
            self._poll(folder, f"{error.strerror}; see /proc/sys/fs/inotify")
            return
        self._watches[key] = watch

    def _poll(self, folder: Path, reason: str) -> None:
        if not self._polled:
            self._logger.warning("%s is looked at every second: %s", folder, reason)
        self._polled.add(folder)

    def _forget(self, key: tuple[Path, bool, int]) -> None:
        watch = self._watches.pop(key)
        if self._observer is not None:
            with suppress(KeyError, OSError):  # watchdog forgets a folder that has gone by itself
                self._observer.unschedule(watch)


def _inode(folder: Path) -> int | None:
    """Tell one folder from another of the same name; None where there is none."""
    try:
        return folder.stat().st_ino if folder.is_dir() else None
    except OSError:
        return None
