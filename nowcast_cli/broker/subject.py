"""The subject: passes on what performers and the manager say to each other.

It knows who has said hello and when each was last heard, and nothing of orders and results: what
is in whose hands, and what to do about one who is gone, the manager alone knows.

========================  ==============================================================
performer to broker       kind, frames; ``alive`` and ``hello`` are kinds, too
broker to performer       ``alive``; ``hello?`` where it is not known
through to the manager    ``performer``, identity, kind, frames
========================  ==============================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable

import zmq

from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.frames import NOW, NOW_AND_MORE, receive, sizes
from nowcast_cli.broker.performers import TURN, Performers
from nowcast_cli.broker.quiet_sockets import QuietSockets
from nowcast_cli.broker.side_talk import GONE, SideTalk
from nowcast_cli.crash_points import reached
from nowcast_cli.messages.performing import ALIVE, ASK_HELLO

# What performers say to the manager.
_WORDS = frozenset({b"hello", b"done", b"progress", b"renewed", b"ask", b"bye"})


class Subject:
    """Passes on what comes by a ROUTER for performers.

    Parameters
    ----------
    performers
        The bound ROUTER socket, with ``router_mandatory``; closed by :meth:`close`.
    side_talk
        The way to the manager.
    quiet
        Polls the socket.
    faults
        Where messages of a wrong shape are reported.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        performers: zmq.Socket[bytes],
        side_talk: SideTalk,
        quiet: QuietSockets,
        faults: FaultLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = performers
        self._side_talk = side_talk
        self._quiet = quiet
        self._faults = faults
        self._clock = clock
        self._send = super(zmq.Socket, performers).send  # see RequestQueue
        self._known = Performers()
        self._turn_began = clock()
        quiet.add(performers, self._take_from_performer)
        side_talk.hear(b"performer", self._take_from_manager)
        side_talk.on_greeting(self._greeted)

    def due_in(self) -> float | None:
        """Give the seconds until silence is to be counted; None while no performer is there."""
        if not self._known:
            return None
        return max(0.0, self._turn_began + TURN - self._clock())

    def turn(self) -> None:
        """Look who was silent; when it is due."""
        now = self._clock()
        seconds, self._turn_began = now - self._turn_began, now
        for identity in self._known.turn(seconds):
            self._side_talk.tell(GONE, identity)

    @property
    def performers(self) -> int:
        """How many have said hello and are not gone."""
        return len(self._known)

    def close(self) -> None:
        """Close the socket."""
        self._quiet.remove(self._socket)
        self._socket.close()

    def _take_from_performer(self) -> None:
        frames = receive(self._socket)
        reached("broker.heard_a_performer")
        identity, kind = frames[0].bytes, frames[1].bytes if len(frames) > 1 else b""
        if kind == ALIVE and len(frames) == 2:
            self._say(identity, ALIVE if self._known.heard(identity) else ASK_HELLO)
        elif kind not in _WORDS:
            self._faults.report(
                "dropped a message on the socket for actions that is no word of a performer: "
                f"{sizes(frames[1:])}"
            )
        elif kind == b"hello":
            self._says_hello(identity, frames)
        elif not self._known.heard(identity):  # the hello tells all that matters of it
            self._say(identity, ASK_HELLO)
        else:
            self._side_talk.tell(b"performer", *frames)
            if kind == b"bye":
                self._known.forget(identity)

    def _says_hello(self, identity: bytes, frames: list[zmq.Frame]) -> None:
        if not self._known:
            self._turn_began = self._clock()
        self._known.said_hello(identity)
        self._side_talk.tell(b"performer", *frames)

    def _take_from_manager(self, frames: list[zmq.Frame]) -> None:
        """Pass on frames: an empty one, the kind, the identity, and what is for the performer."""
        if len(frames) < 4:
            self._faults.report(
                f"dropped a message on the manager's port that is for no performer: {sizes(frames)}"
            )
            return
        identity = frames[2].bytes
        if identity in self._known and not self._say(identity, *frames[3:]):
            self._has_gone(identity)
        reached("broker.told_a_performer")

    def _say(self, identity: bytes, *frames: zmq.Frame | bytes) -> bool:
        """Send frames to a performer; False where its connection has ended."""
        self._quiet.use(self._socket)
        try:
            self._send(identity, NOW_AND_MORE)
        except zmq.ZMQError:  # no such connection
            return False
        for frame in frames[:-1]:
            self._send(frame, NOW_AND_MORE)
        self._send(frames[-1], NOW)
        return True

    def _greeted(self, is_new: bool) -> None:
        """Ask everybody for a hello: the manager knows of nobody, or may have missed a word."""
        if not is_new:
            return
        for identity in self._known:
            if not self._say(identity, ASK_HELLO):
                self._has_gone(identity)

    def _has_gone(self, identity: bytes) -> None:
        if self._known.forget(identity):
            self._side_talk.tell(GONE, identity)
