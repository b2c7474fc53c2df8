"""How many are connected to a socket that is bound: by its monitor."""

from __future__ import annotations

from collections.abc import Callable

import zmq

from nowcast_cli.broker.quiet_sockets import QuietSockets
from nowcast_cli.security.monitor import PEERS, next_event


class Connections:
    """The connections of a socket; those whose handshake is under way count, too.

    Parameters
    ----------
    on_change
        Called when their number may have changed.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.on_change = on_change
        self.listen: Callable[[], None] = lambda: None  # takes in what has happened; never waits
        self._descriptors: set[int] = set()

    def __len__(self) -> int:
        return len(self._descriptors)

    def happened(self, event: int, descriptor: int) -> None:
        """Take in an event of the monitor, and its value."""
        if event == zmq.EVENT_ACCEPTED:
            self._descriptors.add(descriptor)
        elif event == zmq.EVENT_DISCONNECTED:
            self._descriptors.discard(descriptor)
        self.on_change()

    def begin_anew(self, listen: Callable[[], None]) -> None:
        """Count those of another socket; ``listen`` calls :meth:`happened` for each event."""
        self.listen = listen
        self._descriptors.clear()
        self.on_change()


def follow(
    socket: zmq.Socket[bytes], connections: Connections, quiet: QuietSockets
) -> zmq.Socket[bytes]:
    """Have a bound socket's own monitor, which is given back, tell of its connections."""
    monitor = socket.get_monitor_socket(PEERS)

    def listen() -> None:
        while monitor.poll(0):
            connections.happened(*next_event(monitor))

    quiet.add(monitor, listen)
    connections.begin_anew(listen)
    return monitor
