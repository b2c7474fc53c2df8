"""A subscriber's connection to the broker; ZeroMQ makes it again by itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import zmq

from nowcast_cli.messages.event import BEACON, DELIMITER, prefix_of, topic_of

if TYPE_CHECKING:
    from nowcast_cli.security.source import KeySource

# Events that wait here for a program that takes its time; then the broker's queue fills, and what
# is lost there comes by a replay.
_QUEUE = 10_000
_RECONNECT_MS = 20
_LONGEST_RECONNECT_MS = 500
_SIGN_OF_LIFE_MS = 5_000
_MOST_AT_ONCE = 1_000

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
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvhwm = _QUEUE
        self._socket.reconnect_ivl = _RECONNECT_MS
        self._socket.reconnect_ivl_max = _LONGEST_RECONNECT_MS
        self._socket.heartbeat_ivl = _SIGN_OF_LIFE_MS
        if key is not None:
            from nowcast_cli.security.curve import present

            present(self._socket, key.read())
        for prefix in _prefixes(streams):
            self._socket.subscribe(prefix)
        self._socket.connect(address)

    def wait(self, seconds: float) -> bool:
        """Wait until something has come, at most so long; say whether it has."""
        return bool(self._socket.poll(max(0, round(seconds * 1000))))

    def take(self) -> list[Frames]:
        """Give what has come, topic and body; does not wait."""
        taken: list[Frames] = []
        while len(taken) < _MOST_AT_ONCE:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if len(frames) == 2:
                taken.append((frames[0], frames[1]))
        return taken

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=0)


def _prefixes(streams: Collection[str]) -> list[str]:
    if not streams:
        return [""]
    return [prefix_of(stream) for stream in streams] + [
        prefix_of(topic_of(BEACON, stream)) for stream in streams
    ]


def is_beacon(topic: bytes) -> bool:
    """Say whether a topic is that of a beacon."""
    return topic.startswith(f"{BEACON}{DELIMITER}".encode())
