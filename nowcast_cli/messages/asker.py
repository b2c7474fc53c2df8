"""Requests to the manager, one after the other, each repeated until it is answered.

Never blocks, so that the daemon's loop goes on while the manager is down.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import zmq

from nowcast_cli.config.settings import Endpoints
from nowcast_cli.crash_points import reached
from nowcast_cli.messages.handshake import Handshakes
from nowcast_cli.messages.message import Message, MessageError
from nowcast_cli.security.curve import present
from nowcast_cli.security.key import KeyTrouble

if TYPE_CHECKING:
    from nowcast_cli.security.source import KeySource

_logger = logging.getLogger(__name__)

_WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before a request is repeated; the last one goes on
_RECONNECT_INTERVAL = 20  # milliseconds


class Asker:
    """Keeps requests in order and sends them; give :meth:`socket` to the poll of the loop."""

    def __init__(
        self,
        context: zmq.Context[Any],
        endpoints: Endpoints,
        monotonic: Callable[[], float],
        key: KeySource | None = None,
    ) -> None:
        self._context = context
        self._key = key
        self._handshakes: Handshakes | None = None
        self._trouble: str | None = None
        self._where = f"{endpoints.host} port {endpoints.workers}"
        self._address = f"tcp://{endpoints.host}:{endpoints.workers}"
        self._monotonic = monotonic
        self._waiting: deque[Message] = deque()
        self._socket: zmq.Socket[bytes] | None = None
        self._attempt = 0
        self._repeat_at = 0.0

    def put(self, message: Message) -> None:
        """Ask this, which has an id, after all that waits already."""
        self._waiting.append(message)

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet."""
        return len(self._waiting)

    def socket(self) -> zmq.Socket[bytes] | None:
        """Give the socket on which an answer may come; another one after each turn."""
        return self._socket

    def wait_at_most(self) -> float | None:
        """Give the seconds until there is something to do without an answer."""
        if not self._waiting:
            return None
        return max(0.0, self._repeat_at - self._monotonic()) if self._attempt else 0.0

    def turn(self) -> list[tuple[Message, Message]]:
        """Give what was asked with its answer, where one has come; send what is next, or again."""
        answered = []
        while self._waiting:
            reply = self._reply(self._waiting[0])
            if reply is None:
                self._send_if_due()
                break
            answered.append((self._waiting.popleft(), reply))
            reached("scheduler.answered")
            self._attempt, self._repeat_at = 0, 0.0
        return answered

    def _reply(self, asked: Message) -> Message | None:
        if self._attempt == 0 or self._socket is None or not self._socket.poll(0):
            return None
        text = b"".join(self._socket.recv_multipart())
        try:
            reply = Message.deserialize(text)
        except MessageError:
            reply = None
        if reply is None or reply.type == "busy" or reply.id not in (None, asked.id):
            self._hang_up()  # and ask again in time
            return None
        return reply

    def _send_if_due(self) -> None:
        now = self._monotonic()
        if self._attempt and now < self._repeat_at:
            return
        if self._attempt:
            self._look_why()
            self._hang_up()
        if self._socket is None:
            self._socket = self._connected()
        try:
            reached("scheduler.before_asking")
            if self._socket is not None:
                self._socket.send(self._waiting[0].encode(), zmq.NOBLOCK)
            reached("scheduler.asked")
        except zmq.Again:  # it has lost its connection
            self._hang_up()
        self._repeat_at = now + _WAITS[min(self._attempt, len(_WAITS) - 1)]
        self._attempt += 1

    def _connected(self) -> zmq.Socket[bytes] | None:
        """Connect with the key as it is now; None without one."""
        connecting: zmq.Socket[bytes] = self._context.socket(zmq.REQ)
        connecting.linger = 0
        connecting.reconnect_ivl = _RECONNECT_INTERVAL
        if self._key is not None:
            try:
                present(connecting, self._key.read())
            except KeyTrouble as error:
                connecting.close()
                self._complain(f"{error.what}: {error.cause}; {error.hint}")
                return None
        self._handshakes = Handshakes(connecting, self._where, self._key)
        connecting.connect(self._address)
        return connecting

    def _look_why(self) -> None:
        refusal = self._handshakes.refusal() if self._handshakes is not None else None
        if refusal is not None:
            self._complain(refusal.text)

    def _complain(self, trouble: str) -> None:
        """Tell why nobody answers, once."""
        if trouble != self._trouble:
            _logger.error("%s", trouble)
        self._trouble = trouble

    def _hang_up(self) -> None:
        if self._handshakes is not None:
            self._handshakes.close()
            self._handshakes = None
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def close(self) -> None:
        """Let go of the socket; what waits is asked again by the next scheduler."""
        self._hang_up()
