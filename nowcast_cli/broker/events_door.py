"""One socket at which subscribers are told of events, and how many are there."""

from __future__ import annotations

from collections.abc import Callable

import zmq
from zmq.utils.monitor import recv_monitor_message

from nowcast_cli.broker.frames import IN, WaitFor
from nowcast_cli.security.doorkeeper import PEERS

# Events that wait for one subscriber; what comes then is lost to that one alone.
_QUEUE = 10_000
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
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.look: Callable[[], None] = lambda: None  # once a second, while somebody is there
        self._monitor: zmq.Socket[bytes] | None = None
        self._connections: set[int] = set()

    @property
    def peers(self) -> int:
        """How many are connected; those whose handshake is under way count, too."""
        return len(self._connections)

    def use(self, socket: zmq.Socket[bytes], *, is_watched: bool) -> None:
        """Take a bound socket; where nobody else tells of its peers, its monitor does."""
        self.socket = socket
        self.send = super(zmq.Socket, socket).send  # see RequestQueue
        self._connections.clear()
        self._monitor = None if is_watched else socket.get_monitor_socket(PEERS)

    def waits_for(self) -> WaitFor:
        """Return the sockets and the events to poll for."""
        monitor = [] if self._monitor is None else [(self._monitor, IN)]
        return [(self.socket, IN), *monitor]

    def hear(self, source: object) -> None:
        """Take in what the monitor has to tell, where it is what is ready."""
        if source is not self._monitor or self._monitor is None:
            return
        while self._monitor.poll(0):
            told = recv_monitor_message(self._monitor, zmq.NOBLOCK)
            self.happened(told["event"], told["value"])

    def happened(self, event: int, descriptor: int) -> None:
        """Take in an event of the monitor, and its value."""
        if event == zmq.EVENT_ACCEPTED:
            self._connections.add(descriptor)
        elif event == zmq.EVENT_DISCONNECTED:
            self._connections.discard(descriptor)

    def close(self) -> None:
        """Close the socket."""
        if self._monitor is not None:
            self.socket.disable_monitor()
            self._monitor.close(0)
            self._monitor = None
        self.socket.close(0)


def new_publisher(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """Make the XPUB socket of a door, not bound as yet."""
    publisher = context.socket(zmq.XPUB)
    publisher.linger = 0
    publisher.sndhwm = _QUEUE
    publisher.maxmsgsize = _LONGEST_SUBSCRIPTION
    publisher.heartbeat_ivl = _SIGN_OF_LIFE_EVERY_MS
    publisher.heartbeat_timeout = _PATIENCE_MS
    # Each subscription is told of, that of a second subscriber to the same, too.
    publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
    return publisher
