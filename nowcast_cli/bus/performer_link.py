"""A performer's link to the subject: hello, signs of life, results that are kept until taken.

Nothing here blocks or has a thread: the performer's loop polls :attr:`PerformerLink.socket`, and
calls :meth:`PerformerLink.turn` when it is readable, and when :meth:`PerformerLink.wait_at_most`
seconds are over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import zmq

from nowcast_cli.messages.performing import (
    ALIVE,
    ALIVE_EVERY,
    ASK_HELLO,
    FENCE,
    FromPerformer,
    Hello,
    Welcome,
    frames_of,
    to_performer,
)

SOCKET_NAME = "actions.sock"  # in the run folder
_HELLO_EVERY = 2.0  # s, until it is welcomed: there may be no manager as yet
_TRY_EVERY = 0.05  # s, while nobody listens
_MOST_AT_ONCE = 1000  # messages that one turn takes in
_RESULTS_A_MESSAGE = 256
_LAST_WORDS_MS = 500


def boot_time() -> float:
    """Give the seconds since the boot, those that the machine slept or we were stopped included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class PerformerLink:
    """The link of one performer, for as long as its process lives.

    Parameters
    ----------
    context
        Of ZeroMQ; the link has a socket of its own in it.
    run
        The system's run folder.
    name, takes, serves
        As in ``Hello``.
    in_hand
        Gives the ids of the orders that are in hand, begun or not; those with a result that is
        not acknowledged the link knows by itself.
    clock
        Seconds, on a clock that runs on while the process is stopped.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        run: Path,
        name: str,
        takes: int,
        serves: Literal["mapping"] | tuple[str, ...],
        in_hand: Callable[[], Iterable[str]],
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._name, self._takes, self._serves = name, takes, serves
        self._in_hand = in_hand
        self._clock = clock
        self.incarnation = uuid4().hex
        self._kept: dict[str, bytes] = {}
        self._number = 0
        self._welcomed = False
        self._said_hello = self._hello_at = self._alive_at = float("-inf")
        self._asked: float | None = None  # when the first sign of life left that is not answered
        self._heard = float("-inf")
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        self.socket.immediate = True  # what is said while nobody listens is said again, by then
        self.socket.sndhwm = self.socket.rcvhwm = 0  # bounded by the orders that it takes
        self.socket.reconnect_ivl = 20
        self.socket.linger = _LAST_WORDS_MS
        self.socket.connect(f"ipc://{run / SOCKET_NAME}")

    @property
    def begin_until(self) -> float:
        """Until when, by the clock, orders may be begun; minus infinity between hello and welcome.

        Counted from the sign of life that was answered, not from the answer: the other side
        counts from when it heard that one, which cannot be earlier.
        """
        return self._heard + FENCE if self._welcomed else float("-inf")

    def may_begin(self) -> bool:
        """Say whether an order may be begun now."""
        return self._clock() < self.begin_until

    @property
    def is_welcome(self) -> bool:
        """Whether the manager has answered the last hello, and was heard of since."""
        return self._welcomed and self._clock() < self._heard + FENCE

    @property
    def kept(self) -> int:
        """How many results are not acknowledged."""
        return len(self._kept)

    def wait_at_most(self) -> float:
        """Give the seconds after which :meth:`turn` is to be called again."""
        due = self._alive_at if self._welcomed else min(self._alive_at, self._hello_at)
        return max(0.0, due - self._clock())

    def turn(self) -> list[list[bytes]]:
        """Take in what has arrived, and say what is due.

        Returns
        -------
        list of lists of frames
            What is for the performer to see to: orders, withdraw, answer, and each welcome. See
            ``performing.to_performer``, which raises for what is no word.
        """
        for_owner = []
        with suppress(zmq.Again):
            for _ in range(_MOST_AT_ONCE):
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
                if self._is_for_owner(frames):
                    for_owner.append(frames)
        now = self._clock()
        if not self._welcomed and now >= self._hello_at:
            self._hello()
        if now >= self._alive_at:
            self._say_alive(now)
        return for_owner

    def say(self, word: FromPerformer) -> None:
        """Say something that need not arrive: progress, renewed, an ask. ValueError: not JSON."""
        self.pass_on(frames_of(word))

    def pass_on(self, frames: list[bytes]) -> None:
        """Say something that need not arrive, which is in frames already."""
        if self._welcomed:
            self._send(frames)

    def done(self, results: Mapping[str, bytes]) -> None:
        """Say how orders ended, by their ids: each a JSON text of ``performing.Result``.

        They are kept until they are acknowledged, and said again after each welcome.
        """
        self._kept.update(results)
        if self._welcomed:
            self._say_done(list(results.values()))

    def serve(self, takes: int, serves: Literal["mapping"] | tuple[str, ...]) -> None:
        """Say hello again, with another number of orders, or other keys."""
        self._takes, self._serves = takes, serves
        self._hello()

    def bye(self) -> None:
        """Say that it ends; after that results may still be said."""
        self._send([b"bye"])

    def close(self) -> None:
        """Close the socket; what was said just now still leaves."""
        self.socket.close()

    def _is_for_owner(self, frames: list[bytes]) -> bool:
        kind = frames[0]
        if kind == ALIVE:
            if self._asked is not None:
                self._heard, self._asked = max(self._heard, self._asked), None
            return False
        if kind == ASK_HELLO:
            self._hello()
            return False
        if kind == b"acknowledged":
            self._acknowledge(frames)
            return False
        return kind != b"welcome" or self._is_welcome_now(frames)

    def _acknowledge(self, frames: list[bytes]) -> None:
        for each in getattr(to_performer(frames), "ids", ()):
            self._kept.pop(each, None)

    def _is_welcome_now(self, frames: list[bytes]) -> bool:
        """Take a welcome; one that answers an older hello says nothing of what came since."""
        word = to_performer(frames)
        if not isinstance(word, Welcome) or word.number != self._number or self._welcomed:
            return False
        self._welcomed = True
        self._heard = max(self._heard, self._said_hello)
        self._say_done(list(self._kept.values()))
        return True

    def _hello(self) -> None:
        self._welcomed = False
        self._said_hello = self._clock()
        self._asked = None
        self._number += 1
        has = tuple(dict.fromkeys([*self._kept, *self._in_hand()]))
        hello = Hello(
            self._name, self.incarnation, os.getpid(), self._takes, self._serves, has, self._number
        )
        sent = self._send(frames_of(hello))
        self._hello_at = self._said_hello + (_HELLO_EVERY if sent else _TRY_EVERY)

    def _say_alive(self, now: float) -> None:
        sent = self._send([ALIVE])
        self._alive_at = now + (ALIVE_EVERY if sent else _TRY_EVERY)
        if sent and self._asked is None:
            self._asked = now

    def _say_done(self, texts: list[bytes]) -> None:
        for first in range(0, len(texts), _RESULTS_A_MESSAGE):
            self._send([b"done", *texts[first : first + _RESULTS_A_MESSAGE]])

    def _send(self, frames: list[bytes]) -> bool:
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:  # nobody listens; after the next hello it is said again
            return False
        return True
