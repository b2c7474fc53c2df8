"""One socket at which subscribers are told of events, and how many are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zmq

from nowcast_cli.broker.connections import Connections, follow
from nowcast_cli.broker.frames import NOW, NOW_AND_MORE, receive
from nowcast_cli.broker.quiet_sockets import QuietSockets
from nowcast_cli.broker.side_talk import Said

# Events that wait for one subscriber; what comes then is lost to that one alone.
QUEUE = 10_000
_LONGEST_SUBSCRIPTION = 64 * 1024  # bytes
# A subscriber that is frozen, or whose host has gone, is hung up on; it comes back by itself.
_SIGN_OF_LIFE_EVERY_MS, _PATIENCE_MS = 10_000, 30_000


class EventsDoor:
    """A bound XPUB socket. It may be replaced, which all who are connected survive.

    How many are there is not counted by their subscriptions: a peer may send whatever it likes,
    and take back what others have subscribed to.

    Parameters
    ----------
    name
        As sentences call it.
    quiet
        Polls the socket.
    """

    def __init__(self, name: str, quiet: QuietSockets) -> None:
        self.name = name
        self.on_message: Callable[[EventsDoor, list[zmq.Frame]], None] = lambda *_: None
        self.connections = Connections()
        self.look: Callable[[], None] = lambda: None  # once a second, while somebody is there
        self._quiet = quiet
        self._monitor: zmq.Socket[bytes] | None = None

    def use(self, socket: zmq.Socket[bytes], listen: Callable[[], None] | None = None) -> None:
        """Take a bound socket.

        ``listen`` has whoever follows its monitor tell the ``connections`` of each event; by
        default that is done here.
        """
        self.socket = socket
        self._send = super(zmq.Socket, socket).send  # see RequestQueue
        self._quiet.add(socket, self._take)
        if listen is None:
            self._monitor = follow(socket, self.connections, self._quiet)
        else:
            self.connections.begin_anew(listen)

    def publish(self, topic: Said, body: Said) -> None:
        """Send an event; who has no room for it loses it. Never blocks."""
        self._send(topic, NOW_AND_MORE)
        self._send(body, NOW)

    def published(self) -> None:
        """Note that events were sent, however many."""
        self._quiet.use(self.socket)

    def close(self) -> None:
        """Close the socket."""
        self._quiet.remove(self.socket)
        if self._monitor is not None:
            self._quiet.remove(self._monitor)
            self.socket.disable_monitor()
            self._monitor.close(0)
            self._monitor = None
        self.socket.close(0)

    def _take(self) -> None:
        self.connections.listen()  # who says something has come before
        self.on_message(self, receive(self.socket))


def new_publisher(context: zmq.Context[Any]) -> zmq.Socket[bytes]:
    """Make the XPUB socket of a door, not bound as yet."""
    publisher: zmq.Socket[bytes] = context.socket(zmq.XPUB)
    publisher.linger = 0
    publisher.sndhwm = QUEUE
    publisher.maxmsgsize = _LONGEST_SUBSCRIPTION
    publisher.heartbeat_ivl = _SIGN_OF_LIFE_EVERY_MS
    publisher.heartbeat_timeout = _PATIENCE_MS
    # Each subscription is told of, that of a second subscriber to the same, too.
    publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
    return publisher
