"""Publishes the log of a process on a host where the log files of the system are not.

On the broker's own host processes write the files themselves, which loses nothing. On another
host a process binds a port of ``zmq.ports.logging`` for it and publishes to the aggregator; when
none is free, or nobody subscribes, it sends its records instead (see ``log_keeping``). What is
logged while the aggregator is away is kept until it is back, and at the end of the process in a
file of records that is sent later.
"""

from __future__ import annotations

import atexit
import logging
import socket
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.log_keeping import RecordsHandler
from nowcast_cli.config.logging_ports import publisher_ports

if TYPE_CHECKING:
    import zmq

# The aggregator looks for us every second; records sent before it has found us would be lost.
PATIENCE = 2500  # milliseconds
_PAUSE = 0.05  # seconds without a record after which a subscriber may have gone unheard
_TIME_TO_HEAR = 5  # milliseconds
_LINGER = 1000  # milliseconds for the last records to leave
_MOST = 10_000  # records that wait in memory
# The publisher of this process, by the name that it logs as: logging may be set up again.
_open: dict[str, Publisher] = {}


def is_elsewhere(host: str) -> bool:
    """Whether ``host`` is not this machine: no address of it can be bound here."""
    if host in ("localhost", "127.0.0.1"):
        return False
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return True
    return not any(_is_ours(family, address) for family, _, _, _, address in found)


class Publisher:
    """A bound XPUB socket with a subscriber; keeps records while the subscriber is away.

    Parameters
    ----------
    socket
        Told its subscription already.
    spare
        The file of records for what nobody has taken when the process ends, or has long not.
    """

    def __init__(self, socket: zmq.Socket[bytes], spare: Path) -> None:
        self._socket = socket
        self._spare = spare
        self._spared: RecordsHandler | None = None
        self._subscribed = True
        self._heard_at = 0.0
        self._unsent: deque[tuple[logging.LogRecord, list[bytes]]] = deque()

    def send(self, record: logging.LogRecord, topic: str, text: str) -> None:
        """Send a record after those before it, as soon as there is a subscriber."""
        self._unsent.append((record, [topic.encode(), text.encode("utf-8", "replace")]))
        self._hear_of_subscriptions()
        while self._subscribed and self._unsent:
            self._socket.send_multipart(self._unsent.popleft()[1])
        if len(self._unsent) >= _MOST:
            self._spare_what_is_unsent()

    def finish(self) -> None:
        """Let the last records leave; write those that nobody takes to a file of this host."""
        if self._unsent and not self._subscribed and self._socket.poll(_LINGER):
            self._hear_of_subscriptions()
        while self._subscribed and self._unsent:
            self._socket.send_multipart(self._unsent.popleft()[1])
        self._spare_what_is_unsent()
        # waits until what was sent has left, but not for ever
        self._socket.context.destroy(linger=_LINGER)

    def _spare_what_is_unsent(self) -> None:
        if self._unsent and self._spared is None:
            self._spared = RecordsHandler(self._spare)
        while self._unsent and self._spared is not None:
            self._spared.emit(self._unsent.popleft()[0])

    def _hear_of_subscriptions(self) -> None:
        # That a subscriber has gone is told in several steps between libzmq's threads: after a
        # pause the first look only begins them.
        now = time.monotonic()
        paused, self._heard_at = now - self._heard_at > _PAUSE, now
        if paused:
            self._socket.poll(0)
        while self._socket.poll(_TIME_TO_HEAR if paused else 0):
            self._subscribed = self._socket.recv().startswith(b"\x01")


class PublishingHandler(logging.Handler):
    """Sends each record through a publisher: its topic ``<process>.<LEVEL>``, and its text."""

    def __init__(self, publisher: Publisher, process: str) -> None:
        super().__init__()
        self._publisher = publisher
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            topic = f"{self._process}.{record.levelname}"
            self._publisher.send(record, topic, self.format(record))
        except Exception:
            self.handleError(record)


def open_publisher(config: Mapping[str, Any], process: str, unsent: Path) -> Publisher | None:
    """Bind a free port for the log of ``process``, and wait for the aggregator to subscribe.

    ``unsent`` is the file for records that could not be sent. None when there is no port for it,
    none is free, or nobody subscribes.
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
        _open[process] = Publisher(publisher, unsent)
        atexit.register(_open[process].finish)
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
