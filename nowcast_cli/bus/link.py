"""A subscriber's connection to the broker; ZeroMQ makes it again by itself.

It is read by a thread, whatever the program is doing: a SUB socket that is full when its connection
is made anew ends the process by an assertion of libzmq (4.3.5; its issue 3937). So the socket has
no limit, and the queue here has one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import zmq

from nowcast_cli.messages.event import BEACON, DELIMITER, prefix_of, topic_of

if TYPE_CHECKING:
    from nowcast_cli.security.source import KeySource

# Events that wait here for a program that takes its time; what comes then is dropped, and comes by
# a replay.
_QUEUE = 10_000
_RECONNECT_MS = 20
_LONGEST_RECONNECT_MS = 500
_SIGN_OF_LIFE_MS = 5_000

Frames = tuple[bytes, bytes]


class Link:
    """Gives what is published in some streams, beacons included.

    Parameters
    ----------
    address
        Of the broker: ``ipc://`` on its host, else ``tcp://``.
    streams
        Those that are wanted; of none, all.
    key
        Where the key is, for a broker with keys.
    """

    def __init__(
        self, address: str, streams: Collection[str], key: KeySource | None = None
    ) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._queue: deque[Frames] = deque()
        self._has_come = threading.Event()
        socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.rcvhwm = 0
        socket.reconnect_ivl = _RECONNECT_MS
        socket.reconnect_ivl_max = _LONGEST_RECONNECT_MS
        socket.heartbeat_ivl = _SIGN_OF_LIFE_MS
        if key is not None:
            self._show_key(socket, key)
        for prefix in _prefixes(streams):
            socket.subscribe(prefix)
        socket.connect(address)
        # From here on the socket is the thread's alone.
        name = f"events of {address}"
        threading.Thread(target=self._read, args=(socket,), name=name, daemon=True).start()

    def _show_key(self, socket: zmq.Socket[bytes], key: KeySource) -> None:
        from nowcast_cli.security.curve import present
        from nowcast_cli.security.key import KeyTrouble

        try:
            present(socket, key.read())
        except KeyTrouble:
            self._context.destroy(linger=0)
            raise

    def _read(self, socket: zmq.Socket[bytes]) -> None:
        """Take what comes, until the context is terminated."""
        try:
            while True:
                frames = socket.recv_multipart()
                if len(frames) == 2 and len(self._queue) < _QUEUE:
                    self._queue.append((frames[0], frames[1]))
                    self._has_come.set()
        except zmq.ContextTerminated:
            socket.close(0)

    def wait(self, seconds: float) -> bool:
        """Wait until something has come, at most so long; say whether it has."""
        if not self._queue:
            self._has_come.wait(seconds)
            self._has_come.clear()
        return bool(self._queue)

    def take(self) -> list[Frames]:
        """Give what has come, topic and body; does not wait."""
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def close(self) -> None:
        """Hang up."""
        self._context.term()


def _prefixes(streams: Collection[str]) -> list[str]:
    if not streams:
        return [""]
    return [prefix_of(stream) for stream in streams] + [
        prefix_of(topic_of(BEACON, stream)) for stream in streams
    ]


def is_beacon(topic: bytes) -> bool:
    """Say whether a topic is that of a beacon."""
    return topic.startswith(f"{BEACON}{DELIMITER}".encode())
