"""The authenticator of a process that binds ports: ZeroMQ's ZAP, served from its own loop.

A connection shows its key once, at its beginning. A key that is revoked later is found by
:meth:`Doorkeeper.sender`, which is asked for every message.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

from nowcast_cli.errors import NowcastError
from nowcast_cli.security.curve import ADMITTED, Door, bind_again, demand
from nowcast_cli.security.key import Key, key_file, read_key
from nowcast_cli.security.key_ring import BROKER, LIST, KeyRing, text_of_now
from nowcast_cli.security.monitor import PEERS, next_event
from nowcast_cli.security.roster import Entry, Roster

_ZAP = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_REFUSED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_LOOK_INTERVAL = 0.1  # seconds between two looks at the files of keys, while messages come

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Guarded:
    """A socket, the address that it is bound to, its monitor, and who hears of its peers."""

    socket: zmq.Socket[bytes]
    address: str
    door: Door
    monitor: zmq.Socket[bytes]
    happened: Callable[[int, int], None] | None = None


class Doorkeeper:
    """Admits to guarded sockets who shows a key of the list; follows the files of keys.

    Parameters
    ----------
    context
        The ZeroMQ context of the sockets that are guarded.
    folder
        The folder of keys.
    tell
        Hears of keys that were refused, a sentence each.
    tell_of_strangers
        Hears of those that have shown none. There may be many: they are to hide no key.

    Raises KeyTrouble where the folder has no key of the broker, or a damaged list.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        folder: Path,
        tell: Callable[[str], None],
        tell_of_strangers: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._tell_of_strangers = tell_of_strangers
        self._ring = KeyRing(folder)
        self.broker: Key = read_key(key_file(folder, BROKER))
        self._roster: Roster = self._ring.roster()
        self._by_public: dict[str, Entry] = {}
        self._index()
        self._stamp = self._files()
        self._looked_at = time.monotonic()
        self._guarded: list[Guarded] = []
        self._zap = context.socket(zmq.ROUTER)
        self._zap.linger = 0
        self._zap.bind(_ZAP)
        self._poll = select.epoll()
        self._poll.register(_descriptor(self._zap), select.EPOLLIN)
        self.manager_changed = False

    def demand(self, socket: zmq.Socket[bytes], door: Door) -> None:
        """Have a socket admit nobody but who may pass ``door``; before it is bound."""
        demand(socket, self.broker, door)

    def watch(
        self,
        socket: zmq.Socket[bytes],
        address: str,
        door: Door,
        happened: Callable[[int, int], None] | None = None,
    ) -> None:
        """Take note of a socket that was bound: the key of its port may change.

        ``happened`` is called with each event of ``PEERS``, and its value.
        """
        monitor = socket.get_monitor_socket(_REFUSED if happened is None else _REFUSED | PEERS)
        self._guarded.append(Guarded(socket, address, door, monitor, happened))
        self._poll.register(_descriptor(monitor), select.EPOLLIN)

    def let_go(self, socket: zmq.Socket[bytes]) -> None:
        """Forget a socket that is to be closed."""
        for guarded in [each for each in self._guarded if each.socket is socket]:
            self._guarded.remove(guarded)
            self._poll.unregister(_descriptor(guarded.monitor))
            socket.disable_monitor()
            guarded.monitor.close(0)

    def fileno(self) -> int:
        """Give one descriptor for all of :meth:`sockets`, which costs a poll next to nothing."""
        return self._poll.fileno()

    def sockets(self) -> list[zmq.Socket[bytes]]:
        """Give what to poll: when one is readable, call :meth:`serve`."""
        return [self._zap, *(guarded.monitor for guarded in self._guarded)]

    def serve(self) -> None:
        """Answer all who knock, and take in what has changed; never waits."""
        while self._zap.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self._look()
            self._answer(self._zap.recv_multipart(zmq.NOBLOCK))
        for guarded in self._guarded.copy():
            self._hear(guarded)

    def hear(self, socket: zmq.Socket[bytes]) -> None:
        """Take in what the monitor of one socket has to tell; never waits."""
        for guarded in self._guarded.copy():
            if guarded.socket is socket:
                self._hear(guarded)

    def sender(self, frame: zmq.Frame) -> Entry | None:
        """Give whose key a message came with; None where it is not valid (any more)."""
        if time.monotonic() - self._looked_at > _LOOK_INTERVAL:
            self._look()
        entry = self._by_public.get(str(frame.get("User-Id")))
        if entry is None or (entry.until is not None and not entry.is_valid(text_of_now())):
            return None
        return entry

    def may_pass(self, door: Door) -> frozenset[str]:
        """Give the public keys that ``door`` is open to now."""
        self._look()
        now = text_of_now()
        return frozenset(
            entry.public
            for entry in self._roster.entries
            if entry.is_valid(now) and entry.role in ADMITTED[door]
        )

    def close(self) -> None:
        """Close what was opened here; the guarded sockets are their owners'."""
        for guarded in self._guarded.copy():
            self.let_go(guarded.socket)
        self._poll.close()
        self._zap.close(0)

    # --- who knocks

    def _answer(self, frames: list[bytes]) -> None:
        if len(frames) < 8 or frames[2] != _VERSION:
            return
        way, request, domain, address = frames[0], frames[3], frames[4], frames[5]
        mechanism, credentials = frames[7], frames[8:]
        public = ""
        if mechanism == b"CURVE" and len(credentials) == 1 and len(credentials[0]) == 32:
            public = z85.encode(credentials[0]).decode()
        refusal = self._refusal(public, domain.decode())
        if refusal is not None:
            self._tell(f"refused a connection from {address.decode()} to {_port(domain)}{refusal}")
        code, words = (b"200", b"OK") if refusal is None else (b"400", b"refused")
        user = b"" if refusal is not None else public.encode()
        self._zap.send_multipart([way, b"", _VERSION, request, code, words, user, b""])

    def _refusal(self, public: str, door: str) -> str | None:
        entry = self._by_public.get(public)
        if entry is None:
            return ": its key is not on the list (nowcast key list)"
        if not entry.is_valid(text_of_now()):
            return f": its key, {entry.name}, was revoked at {entry.until}"
        if entry.role not in ADMITTED.get(door, ()):
            return f": its key, {entry.name}, is one of a {entry.role}"
        return None

    def _hear(self, guarded: Guarded) -> None:
        """Take note of handshakes that failed before a key was seen."""
        while guarded in self._guarded and guarded.monitor.poll(0):
            event, value = next_event(guarded.monitor)
            if guarded.happened is not None and event & PEERS:
                guarded.happened(event, value)
                continue
            self._look()
            if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:  # that was answered, and told
                door = _port(guarded.door.encode())
                self._tell_of_strangers(
                    f"refused a connection to {door}: it showed no key, or is for another broker"
                )

    # --- what has changed

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        stamp = self._files()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            roster, broker = self._ring.roster(), read_key(key_file(self._folder, BROKER))
        except (OSError, NowcastError) as error:
            _logger.error("the keys of before are used on: %s", error)
            return
        before = self._roster.current("manager")
        self._roster = roster
        self._index()
        self.manager_changed |= roster.current("manager") != before
        if broker.public != self.broker.public:
            self.broker = broker
            self._change_locks()
        _logger.info("took in the changed keys of %s", self._folder)

    def _index(self) -> None:
        self._by_public = {entry.public: entry for entry in self._roster.entries}

    def _files(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(
            _stamp_of(path) for path in (self._folder / LIST, key_file(self._folder, BROKER))
        )

    def _change_locks(self) -> None:
        """Bind the ports anew with the broker's new key; connections that there are go on."""
        for guarded in self._guarded:
            guarded.socket.unbind(guarded.address)
            demand(guarded.socket, self.broker, guarded.door)
            bind_again(guarded.socket, guarded.address)


def _descriptor(socket: zmq.Socket[bytes]) -> int:
    return int(socket.getsockopt(zmq.FD))


def _stamp_of(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = os.stat(path)  # noqa: PTH116  less than half of Path.stat, and asked often
        return status.st_mtime_ns, status.st_ino
    return None


def _port(domain: bytes) -> str:
    names = {
        b"clients": "the workers' port",
        b"manager": "the manager's port",
        b"events": "the port for events",
    }
    return names.get(domain, "the port for logs")


__all__ = ["Doorkeeper"]
