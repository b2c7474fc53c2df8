"""How a daemon is seen to be at work by the process that would take its place.

The daemon answers each byte on ``run/lease.sock`` from a thread that does nothing else, so that a
long transaction, a full disk or a slow function of its main loop do not matter; without a follower
the thread sleeps. A process that was stopped answers nothing.

The follower counts for how long nothing was answered. It counts its own turns, none for longer
than ``LONGEST_TURN``: what the machine slept, or the follower itself was stopped, is no silence of
the daemon. And it does not count while the kernel says that the daemon is not stopped: it waits for
a processor or a disk, or has used time of a processor. So a daemon that hardly runs on an
overloaded machine keeps its lease.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ASK_EVERY = 0.5  # seconds
LONGEST_TURN = 2 * ASK_EVERY
# Six questions. A daemon that is not stopped answers within milliseconds, and where the machine
# keeps it from that, its silence does not count.
LEASE = 3.0

_PEER = struct.Struct("3i")  # process, user, group


class Lease:
    """The daemon's side: answers whoever asks, until it is closed or the process is stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._end, ending = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for end in (self._listener, ending):
            end.setblocking(False)
            self._selector.register(end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, args=(ending,), daemon=True)
        self._thread.start()

    def _serve(self, ending: socket.socket) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is ending:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._answer(key.fileobj)

    def _accept(self) -> None:
        try:
            follower, _ = self._listener.accept()
        except OSError:
            time.sleep(ASK_EVERY)  # no descriptor is free, and it is kept waiting
            return
        follower.setblocking(False)
        self._selector.register(follower, selectors.EVENT_READ)

    def _answer(self, follower: socket.socket) -> None:
        try:
            if question := follower.recv(64):
                follower.send(question)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._selector.unregister(follower)
        follower.close()

    def close(self) -> None:
        """Answer nobody any more, and remove the socket file."""
        self._end.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        self._path.unlink(missing_ok=True)


class Question:
    """The follower's side: a connection to the lease of process ``pid``; never blocks.

    Raises OSError when nobody listens there, or another process does.
    """

    def __init__(self, path: Path, pid: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect(str(path))
            peer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            if _PEER.unpack(peer)[0] != pid:
                raise ConnectionRefusedError(f"{path} is not of process {pid}")
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Give the descriptor that is readable when there is an answer."""
        return self._socket.fileno()

    def ask(self) -> None:
        """Ask for a sign of life. Raises OSError when the other end is closed."""
        with suppress(BlockingIOError):  # it has not read what was asked before
            self._socket.send(b"?")

    def was_answered(self) -> bool:
        """Say whether an answer has come. Raises OSError when the other end is closed."""
        try:
            answer = self._socket.recv(4096)
        except BlockingIOError:
            return False
        if not answer:
            raise ConnectionResetError
        return True

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


@dataclass(frozen=True)
class Activity:
    """What the kernel says of a process: the states of its threads, and ticks of CPU time."""

    states: frozenset[str]
    ticks: int


def activity_of(pid: int) -> Activity:
    """Look at the threads of a process; those that have just gone are left out."""
    states, ticks = set(), 0
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(OSError):
                stat = Path(f"/proc/{pid}/task/{thread}/stat").read_bytes()
                fields = stat.rpartition(b")")[2].split()
                states.add(fields[0].decode("ascii"))
                ticks += int(fields[11]) + int(fields[12])
    return Activity(frozenset(states), ticks)


def silence_after(silence: float, turn: float, before: Activity, now: Activity) -> float:
    """Give for how many seconds a daemon has been silent, after a turn without an answer.

    Parameters
    ----------
    silence
        For how many seconds it had been before.
    turn
        How long the turn took by the follower's monotonic clock.
    before, now
        What the kernel said of the daemon at the end of the turn before, and says now.
    """
    if now.ticks != before.ticks or now.states & {"R", "D"}:
        return silence
    return silence + min(turn, LONGEST_TURN)
