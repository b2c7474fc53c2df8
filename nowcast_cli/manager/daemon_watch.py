"""Daemons of the system that begin and end, as events. The kernel tells of both.

A daemon that begins puts its pid file into the run folder, which inotify tells; that it ends is
told by a pidfd. So there is nothing to look at while nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.daemon.lock import read_pid_file
from nowcast_cli.messages.event import Event, topic_of
from nowcast_cli.process_identity import ProcessIdentity, from_json, is_alive, to_json
from nowcast_cli.store.event_records import EventPut

STREAM = "daemons"
REMEMBERED = 200  # events of daemons that are looked at for what was told already
BETWEEN_LOOKS = 2.0  # s, where the kernel has no inotify to give
_MOVED_TO = 0x80  # of <sys/inotify.h>
_BUFFER = 1 << 16


@dataclass(frozen=True, slots=True)
class _Watched:
    identity: ProcessIdentity
    pidfd: int


class DaemonWatch:
    """Gives an event for each daemon that has begun or ended.

    Parameters
    ----------
    run
        The run folder.
    told
        The last events of daemons that were told, in order.
    """

    def __init__(
        self,
        run: Path,
        told: Iterable[Event],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._monotonic = monotonic
        self._told = _running_as_told(told)
        self._watched: dict[str, _Watched] = {}
        self._epoll = select.epoll()
        self._inotify = _inotify_of(run)
        if self._inotify is not None:
            self._epoll.register(self._inotify, select.EPOLLIN)
        self._look_at: float | None = monotonic()

    def fileno(self) -> int:
        """Give the descriptor that is readable when there may be something new."""
        return self._epoll.fileno()

    def due_in(self) -> float | None:
        """Give the seconds until it is to be looked unasked, None for never."""
        return None if self._look_at is None else max(0.0, self._look_at - self._monotonic())

    def happened(self) -> list[EventPut]:
        """Give what has happened; does not wait."""
        if not self._epoll.poll(0) and self.due_in() != 0.0:
            return []
        if self._inotify is None:
            self._look_at = self._monotonic() + BETWEEN_LOOKS
        else:
            self._look_at = None
            with suppress(BlockingIOError):
                os.read(self._inotify, _BUFFER)
        found: list[EventPut] = []
        try:
            found.extend(self._ended())
            found.extend(self._begun())
        except OSError:  # for want of descriptors or memory: it is looked again
            self._look_at = self._monotonic() + BETWEEN_LOOKS
        return found

    def _ended(self) -> Iterator[EventPut]:
        for name, watched in list(self._watched.items()):
            if not is_alive(watched.identity):
                self._epoll.unregister(watched.pidfd)
                os.close(watched.pidfd)
                del self._watched[name]
        for name, identity in list(self._told.items()):
            if name not in self._watched and not is_alive(identity):
                del self._told[name]
                yield ended(name, identity.pid)

    def _begun(self) -> Iterator[EventPut]:
        for file in sorted(self._run.glob("*.pid")):
            identity = read_pid_file(file)
            if identity is None or file.stem in self._watched or not self._watch(file, identity):
                continue
            if self._told.get(file.stem) != identity:
                self._told[file.stem] = identity
                yield _event(file.stem, "started", to_json(identity))

    def _watch(self, file: Path, identity: ProcessIdentity) -> bool:
        """Begin to watch a process; False where it is gone."""
        try:
            pidfd = os.pidfd_open(identity.pid)
        except OSError:
            return False
        if not is_alive(identity):
            os.close(pidfd)
            return False
        self._epoll.register(pidfd, select.EPOLLIN)
        self._watched[file.stem] = _Watched(identity, pidfd)
        return True

    def close(self) -> None:
        """Let go of all descriptors."""
        self._epoll.close()
        for watched in self._watched.values():
            os.close(watched.pidfd)
        if self._inotify is not None:
            os.close(self._inotify)


def _event(name: str, what: str, more: dict[str, object]) -> EventPut:
    return EventPut(topic_of(STREAM, name, what), {"daemon": name, **more}, status=True)


def ended(name: str, pid: int) -> EventPut:
    """Give the event of a daemon that has ended."""
    return _event(name, "ended", {"pid": pid})


def _running_as_told(told: Iterable[Event]) -> dict[str, ProcessIdentity]:
    """Give the daemons that run as far as events tell."""
    running: dict[str, ProcessIdentity] = {}
    for event in told:
        name, what = event.fields[1], event.fields[-1]
        if what == "started":
            with suppress(ValueError):
                running[name] = from_json(event.payload)
        elif what == "ended":
            running.pop(name, None)
    return running


def _inotify_of(folder: Path) -> int | None:
    """Give a descriptor that tells of files that are moved into a folder; None without inotify."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _MOVED_TO) < 0:
        os.close(descriptor)
        return None
    return int(descriptor)


def own_end() -> EventPut:
    """Give the event of this manager's end."""
    return ended("manager", os.getpid())
