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

from collections.abc import Callable

import zmq

from nowcast_cli.crash_points import reached

Said = bytes | zmq.Frame


class SideTalk:
    """What the devices of the broker say to the manager, and hear from it.

    ``send`` sends these frames to the manager, and says whether there was room for them; it is
    set by who has the socket.
    """

    def __init__(self) -> None:
        self.send: Callable[[tuple[Said, ...]], bool] = lambda _: False
        self._hears: dict[bytes, Callable[[list[zmq.Frame]], None]] = {}
        self._greets: list[Callable[[bool], None]] = []
        self._greeting = b""
        self._owed = False  # something could not be said

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
        is_new = self._owed or greeting != self._greeting
        self._greeting, self._owed = greeting, False
        if greeting:
            for greets in self._greets:
                greets(is_new)

    def take(self, frames: list[zmq.Frame]) -> bool:
        """Pass on what the manager has said; False for what nobody here hears."""
        hears = self._hears.get(frames[1].bytes)
        if hears is None:
            return False
        hears(frames)
        return True

    def tell(self, *frames: Said) -> bool:
        """Say something to a manager that has greeted; False when it was not said.

        It is not kept. All that the devices can know is said anew after the next greeting.
        """
        if not self._greeting:
            return False
        if self.send((b"", *frames)):
            reached("broker.told_the_manager")
            return True
        self._owed = True
        return False
