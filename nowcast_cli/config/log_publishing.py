"""Publishes the log of a process on a host where the log files of the system are not.

On the broker's own host processes write the files themselves, which loses nothing. On another
host a process binds a port of ``zmq.ports.logging`` for it and publishes to the aggregator; when
none is free, or nobody subscribes, it logs to files of its own host: it never fails for that.
"""

from __future__ import annotations

import atexit
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.logging_ports import publisher_ports

if TYPE_CHECKING:
    import zmq

# The aggregator looks for us every second; records sent before it has found us would be lost.
PATIENCE = 2500  # milliseconds
_LINGER = 1000  # milliseconds for the last records to leave
# The publisher of this process, by the name that it logs as: logging may be set up again.
_open: dict[str, zmq.Socket[bytes]] = {}


def is_elsewhere(host: str) -> bool:
    """Whether ``host`` is not this machine: no address of it can be bound here."""
    if host in ("localhost", "127.0.0.1"):
        return False
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return True
    return not any(_is_ours(family, address) for family, _, _, _, address in found)


def open_publisher(config: Mapping[str, Any], process: str) -> zmq.Socket[bytes] | None:
    """Bind a free port for the log of ``process``, and wait for the aggregator to subscribe.

    None when there is no port for it, none is free, or nobody subscribes.
    """
    ports = publisher_ports(config, process)
    if not ports:
        return None
    if process not in _open:
        import zmq

        context = zmq.Context()
        publisher = context.socket(zmq.XPUB)
        publisher.sndhwm = 0
        if not (any(_binds(publisher, port) for port in ports) and publisher.poll(PATIENCE)):
            context.destroy(linger=0)
            return None
        publisher.recv()
        # the end of the context waits until the last records have left, but not for ever
        atexit.register(context.destroy, linger=_LINGER)
        _open[process] = publisher
    return _open[process]


def _binds(publisher: zmq.Socket[bytes], port: int) -> bool:
    import zmq

    try:
        publisher.bind(f"tcp://*:{port}")
    except zmq.ZMQError:
        return False
    return True


def _is_ours(family: int, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address[0], 0))
        except OSError:
            return False
    return True
