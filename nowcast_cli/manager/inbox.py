"""The manager's end of the message broker: requests in, answers out."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import zmq

from nowcast_cli.crash_points import reached
from nowcast_cli.messages.handshake import FAILED, Judge
from nowcast_cli.security.curve import present
from nowcast_cli.security.key import KeyTrouble
from nowcast_cli.security.monitor import next_event

if TYPE_CHECKING:
    from nowcast_cli.messages.handshake import Refusal
    from nowcast_cli.security.source import KeySource

LARGEST_BATCH = 100
GREETING_INTERVAL = 5.0  # seconds
# The answer to a greeting may go to a manager whose end the broker has not seen as yet; then no
# more greetings, since a broker of NEMO_Nowcast answers none.
_GREET_AGAIN = 0.3  # seconds
_GREETINGS = 3
PATIENCE_WITH_BROKER = 5.0  # seconds; its supervisor brings one that ended back much sooner
# Plain integers: flags of an enumeration cost more than the call they are given to.
_NOW, _NOW_AND_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_READABLE = int(zmq.POLLIN)
_CONNECTED = zmq.EVENT_HANDSHAKE_SUCCEEDED
_RECONNECT_INTERVAL = 20  # milliseconds
_CONNECT_AGAIN = 1.0  # seconds after the broker has refused the key
_LAST_ANSWERS_MS = 200


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request: the frames that lead back to its sender, the broker's stamp, and the body.

    The broker of NEMO_Nowcast gives no stamp: there, None.
    """

    envelope: tuple[bytes, ...]
    stamp: bytes | None
    body: bytes


Said: TypeAlias = Literal["broker", "performer", "gone"]
_SAID: dict[bytes, Said] = {b"broker": "broker", b"performer": "performer", b"gone": "gone"}


@dataclass(frozen=True, slots=True)
class Aside:
    """What the broker says beside the requests.

    Parameters
    ----------
    kind
        ``broker``: it tells of itself, in the one frame, JSON with the number of ``subscribers``;
        after each greeting, and when that becomes or no longer is 0. ``performer``: passed on
        from the performer ``identity``. ``gone``: that one was silent for its lease; no frames.
    identity
        Of a connection of a performer; empty for ``broker``.
    frames
        What was said.
    """

    kind: Said
    identity: bytes
    frames: tuple[bytes, ...]


class Inbox:
    """A connection to the broker, made again by itself whenever it breaks.

    The broker is greeted on each connection: it then offers again what it had given to a manager
    that did not answer. And now and then later, since a stranger on the manager's port may have
    been given a request in place of this manager.

    ``key`` is where the manager's key is, None for a broker without keys.
    """

    def __init__(
        self, context: zmq.Context[Any], host: str, port: int, key: KeySource | None = None
    ) -> None:
        dealer: zmq.Socket[Any] = context.socket(zmq.DEALER)
        self.socket = dealer
        self._send_frame = super(zmq.Socket, dealer).send  # without a second look at flags
        self.socket.linger = _LAST_ANSWERS_MS
        self.socket.reconnect_ivl = _RECONNECT_INTERVAL
        self.socket.rcvhwm = self.socket.sndhwm = 0
        self.socket.immediate = True
        self.monitor = self.socket.get_monitor_socket(_CONNECTED | zmq.EVENT_DISCONNECTED | FAILED)
        self.connected = False
        self._greeted_at = 0.0
        self._greeting = b""
        self._greetings_left = 0
        self._where = f"{host} port {port}"
        self._left_alone_at = time.monotonic()
        self._key = key
        self._judge = Judge(self._where, key)
        self._refusal: str | None = None
        self._doubted = False
        self._connect_again_at: float | None = None
        self._address = f"tcp://{host}:{port}"
        self._connect()

    def greet(self) -> bool:
        """Look at the connection; greet a broker that is new, and say whether there was one."""
        was_connected = self.connected
        while self.monitor.poll(0):
            event, _ = next_event(self.monitor)
            if event & FAILED:
                self._refused(self._judge.hear(event))
                continue
            self.connected = event == _CONNECTED
            if self.connected:
                self._doubted = False
                self._refusal = self._connect_again_at = None
                # New for each connection: what was on its way by the old one may be lost, so the
                # broker asks everybody to say again what they had said.
                self._greeting = os.urandom(8)
                self._greetings_left = _GREETINGS
                self._greet()
            else:
                self._left_alone_at = time.monotonic()
        return self.connected and not was_connected

    def wait_at_most(self) -> float | None:
        """Give the seconds until :meth:`greet_again` has something to do."""
        if self._connect_again_at is not None:
            return max(0.0, self._connect_again_at - time.monotonic())
        if self.connected and self._greetings_left:
            return max(0.0, self._greeted_at + _GREET_AGAIN - time.monotonic())
        return None

    def _refused(self, refusal: Refusal | None) -> None:
        # ZeroMQ does not try again where it was refused; and the key may be replaced meanwhile.
        if refusal is not None and (refusal.final or self._doubted):
            self._refusal = refusal.text
        self._doubted = True
        if self._connect_again_at is None:
            self._connect_again_at = time.monotonic() + _CONNECT_AGAIN

    def _connect(self) -> None:
        if self._key is not None:
            try:
                present(self.socket, self._key.read())
            except KeyTrouble as error:
                self._refusal = f"{error.what}: {error.cause}; {error.hint}"
                self._connect_again_at = time.monotonic() + _CONNECT_AGAIN
                return
        self.socket.connect(self._address)

    def alone(self) -> str | None:
        """Say that no broker is there; None while one is, or may just be starting."""
        if self.connected:
            return None
        if self._refusal is not None:
            return self._refusal
        if time.monotonic() - self._left_alone_at < PATIENCE_WITH_BROKER:
            return None
        return f"no message broker answers at {self._where}: no message arrives until one does"

    def greet_again(self) -> None:
        """Greet a broker that was not greeted for a while; a repeat of a request has no effect.

        And knock again at one that has refused the key.
        """
        if self._connect_again_at is not None and time.monotonic() >= self._connect_again_at:
            self._connect_again_at = None
            with contextlib.suppress(zmq.ZMQError):  # ZeroMQ has given the connection up itself
                self.socket.disconnect(self._address)
            self._connect()
        interval = _GREET_AGAIN if self._greetings_left else GREETING_INTERVAL
        if self.connected and time.monotonic() - self._greeted_at >= interval:
            self._greet()

    def _greet(self) -> None:
        self._greeted_at = time.monotonic()
        self._greetings_left = max(0, self._greetings_left - 1)
        self._send((b"", b"hello", self._greeting))

    def take(self) -> list[Arrived | Aside]:
        """Give what has arrived, in that order, at most ``LARGEST_BATCH``; does not wait."""
        batch: list[Arrived | Aside] = []
        while len(batch) < LARGEST_BATCH and self._is_readable():
            frames = self.socket.recv_multipart()
            if not frames[0]:  # no client's identity is empty
                self._greetings_left = 0  # it was answered
                batch += _asides(frames)
            elif len(frames) >= 3 and frames[-2] == b"":
                stamp = frames[-3] if len(frames) == 4 else None
                batch.append(Arrived(tuple(frames[:-2]), stamp, frames[-1]))
                reached("manager.received")
        return batch

    def _is_readable(self) -> bool:
        return bool(int(self.socket.getsockopt(zmq.EVENTS)) & _READABLE)

    def answer(self, arrived: Arrived, reply: bytes) -> None:
        """Send the answer to a request; one whose way is gone is asked for again by its sender."""
        reached("manager.before_an_answer")
        self._send((*arrived.envelope, b"", reply))
        reached("manager.answered")

    def tell(self, kind: Literal["performer", "publish"], *frames: bytes) -> None:
        """Say something to the broker that is for others; without a broker it is dropped.

        ``performer``: an identity, then the frames for that performer. ``publish``: JSON with the
        last number of each stream, then pairs of topic and body; none where only the numbers are
        told. What is lost is found out by who gets it: performers are asked for a hello by each
        broker and after each new connection of a manager, and events have numbers.
        """
        self._send((b"", kind.encode(), *frames))

    def _send(self, frames: tuple[bytes, ...]) -> None:
        try:
            for frame in frames[:-1]:
                self._send_frame(frame, _NOW_AND_MORE)
            self._send_frame(frames[-1], _NOW)
        except zmq.Again:
            self.connected = False

    def close(self) -> None:
        """Close the connection; answers on their way still leave."""
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close()


def _asides(frames: list[bytes]) -> list[Aside]:
    """Read what the broker says; what a newer broker may say besides is passed over."""
    kind = _SAID.get(frames[1]) if len(frames) > 2 else None
    if kind is None:
        return []
    if kind == "broker":
        return [Aside(kind, b"", tuple(frames[2:]))]
    return [Aside(kind, frames[2], tuple(frames[3:]))]
