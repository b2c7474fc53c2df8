"""Log records that processes publish, as NEMO_Nowcast's and pyzmq's ``PUBHandler`` send them.

Each message is a topic, ``<process>.<LEVEL>``, and the formatted text. What arrives is logged
here under the name of its process, so that this process' handlers write it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass

import zmq

# Publishers that are not there are looked for this often, in milliseconds. On other hosts they
# wait for it (`PATIENCE` of log_publishing); on this host only NEMO_Nowcast's publish.
ELSEWHERE = 1000
HERE = 4000
_AT_ONCE = 200
# What a publisher's own format has put before the message.
_HEAD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<level>[A-Z]+) \[(?P<name>[^\]]+)\] ")


@dataclass(frozen=True)
class PublishedRecord:
    """A record as it came: who logged it, at which level (a number), and the text."""

    process: str
    level: int
    text: str


def read_published(frames: list[bytes]) -> PublishedRecord | None:
    """Read the frames of one record; None when they are none."""
    if len(frames) != 2:
        return None
    topic, text = (frame.decode("utf-8", "replace") for frame in frames)
    process, _, rest = topic.partition(".")
    name, _, subtopic = rest.partition(".")
    level = logging.getLevelNamesMapping().get(name)
    if not process or level is None:
        return None
    text = text.rstrip("\n")
    head = _HEAD.match(text)
    if head and (head["level"], head["name"]) == (logging.getLevelName(level), process):
        text = text[head.end() :]
    # A PUBHandler takes what stands before "::" in a message for a topic.
    return PublishedRecord(process, level, f"{subtopic}::{text}" if subtopic else text)


def log_published(record: PublishedRecord) -> None:
    """Log it here as if it had been logged here, with ``logger_name`` for the format."""
    logging.getLogger(record.process).log(
        record.level, "%s", record.text, extra={"logger_name": record.process}
    )


class Published:
    """Subscribed to publishers, also those that are to come.

    ``elsewhere`` and ``here`` are their addresses, ``host:port``, on other hosts and on this one.
    Without any it opens nothing.
    """

    def __init__(self, elsewhere: Collection[str], here: Collection[str] = ()) -> None:
        self.strange = 0
        self._socket: zmq.Socket[bytes] | None = None
        if elsewhere or here:
            self._socket = _subscribed(elsewhere, here)

    def descriptors(self) -> list[int]:
        """Give what to poll; it tells of news once, so take all that has come."""
        return [] if self._socket is None else [int(self._socket.getsockopt(zmq.FD))]

    def log_what_has_come(self) -> bool:
        """Log records that have arrived; True when there may be more.

        What is no record is counted in ``strange``.
        """
        if self._socket is None:
            return False
        for _ in range(_AT_ONCE):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            record = read_published(frames)
            if record is None:
                self.strange += 1
            else:
                log_published(record)
        return True

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.context.destroy(linger=0)


def _subscribed(elsewhere: Collection[str], here: Collection[str]) -> zmq.Socket[bytes]:
    subscriber: zmq.Socket[bytes] = zmq.Context().socket(zmq.SUB)
    subscriber.rcvhwm = 0  # what has arrived is never thrown away
    subscriber.subscribe(b"")
    for addresses, reconnect in ((elsewhere, ELSEWHERE), (here, HERE)):
        subscriber.reconnect_ivl = reconnect
        for address in addresses:
            subscriber.connect(f"tcp://{address}")
    return subscriber
