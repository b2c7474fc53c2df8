"""What broker and manager say to each other beside requests and answers, on the manager's port.

It begins with an empty frame, which no client's identity is:

====================  ====================================================================
manager to broker     ``b""``, ``b"hello"``, greeting (new for each of its connections)
broker to manager     ``b""``, ``b"broker"``, JSON with the number of ``subscribers``
either way            ``b""``, ``b"performer"``, identity, frames from or for that performer
broker to manager     ``b""``, ``b"gone"``, identity
manager to broker     ``b""``, ``b"publish"``, JSON of numbers by stream, topic, body, …
====================  ====================================================================

A manager whose greeting is empty does not know of all this, and is told nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import zmq

from nowcast_cli.broker.connections import Connections
from nowcast_cli.crash_points import reached

Said = bytes | zmq.Frame
GONE = b"gone"  # is true for whichever manager hears of it
_MOST = 1000  # that wait for a manager which takes nothing: there is one, but it is frozen


class SideTalk:
    """What the devices of the broker say to the manager, and hear from it.

    ``send`` sends these frames to the manager, and says whether there was room for them; it is
    set by who has the socket. ``managers`` is to be told of the connections of that socket.
    """

    def __init__(self) -> None:
        self.send: Callable[[tuple[Said, ...]], bool] = lambda _: False
        self.managers = Connections(self._count)
        self._hears: dict[bytes, Callable[[list[zmq.Frame]], None]] = {}
        self._greets: list[Callable[[bool], None]] = []
        self._greeting = b""
        self._waiting: deque[tuple[Said, ...]] = deque()
        self._owed = False  # something was not said

    def hear(self, kind: bytes, hears: Callable[[list[zmq.Frame]], None]) -> None:
        """Have ``hears`` called with all frames of what the manager says of a ``kind``."""
        self._hears[kind] = hears

    def on_greeting(self, greets: Callable[[bool], None]) -> None:
        """Have ``greets`` called at each greeting.

        With True where what was said before may be unknown to the manager: it is a new one, or
        has a new connection, or had no room.
        """
        self._greets.append(greets)

    def greeted(self, greeting: bytes) -> None:
        """Take note of a manager's greeting, empty from one that does not know of side talk."""
        self.managers.listen()  # the one before may have gone since
        is_new = self._owed or greeting != self._greeting
        self._greeting, self._owed = greeting, False
        if is_new:
            self._waiting = deque(said for said in self._waiting if said[1] == GONE)
        if greeting:
            for greets in self._greets:
                greets(is_new)

    def _count(self) -> None:
        """Say nothing more when the manager has gone: the next one may not know of side talk."""
        if not self.managers:
            self._greeting = b""

    def take(self, frames: list[zmq.Frame]) -> bool:
        """Pass on what the manager has said; False for what nobody here hears."""
        hears = self._hears.get(frames[1].bytes)
        if hears is None:
            return False
        hears(frames)
        return True

    def tell(self, kind: bytes, *frames: Said) -> None:
        """Say something to a manager that has greeted, as soon as it has room.

        It is not kept for the next manager, to whom all that the devices know is said anew.
        """
        if not self._greeting:
            return
        said = (b"", kind, *frames)
        if self._waiting or not self.send(said):
            if len(self._waiting) < _MOST or kind == GONE:
                self._waiting.append(said)
            else:
                self._owed = True
        reached("broker.told_the_manager")

    @property
    def waits_for_room(self) -> bool:
        """Whether there is something to say as soon as the manager has room for it."""
        return bool(self._waiting and self._greeting)

    def go_on(self) -> None:
        """Say what has waited, as far as there is room."""
        while self.waits_for_room and self.send(self._waiting[0]):
            self._waiting.popleft()
