"""What the broker remembers of events: the last number of each stream, and what has a status.

Bookkeeping alone, no socket. The store has all events; this is for those who subscribe now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from nowcast_cli.messages.event import beacon_topic, encode_beacon

Pair = tuple[bytes, bytes]  # a topic as on the wire, and the body of the event

MOST_STATUSES = 1000
_LARGEST_STATUS = 16 * 1024  # bytes; what is longer is found by a snapshot


class WrongNumbers(ValueError):
    """What was told is no mapping of streams to numbers."""


class Streams:
    """The last number of each stream, and the last event of each topic that is a status."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._statuses: dict[bytes, bytes] = {}

    def forget(self) -> None:
        """Know nothing, as in the beginning."""
        self._numbers.clear()
        self._statuses.clear()

    def forget_numbers(self) -> None:
        """Know no number: there is a manager that tells them anew."""
        self._numbers.clear()

    def told(self, numbers: bytes) -> None:
        """Take in numbers, a JSON mapping by stream. Raises WrongNumbers."""
        try:
            value = json.loads(numbers)
        except (ValueError, RecursionError) as error:
            raise WrongNumbers(str(error)) from None
        if not isinstance(value, dict) or not all(type(each) is int for each in value.values()):
            raise WrongNumbers("it is no mapping of streams to numbers")
        self._numbers.update(value)

    def published(self, topic: bytes, body: bytes) -> None:
        """Remember an event that is a status; of too many, those that have changed last."""
        if b'"status"' not in body or not _is_status(body):
            return
        self._statuses.pop(topic, None)
        if len(body) > _LARGEST_STATUS:
            return
        self._statuses[topic] = body
        if len(self._statuses) > MOST_STATUSES:
            del self._statuses[next(iter(self._statuses))]

    def beacons(self) -> Iterator[Pair]:
        """Give a beacon for each stream."""
        for stream, last in self._numbers.items():
            yield beacon_topic(stream), encode_beacon(stream, last)

    def statuses(self, prefixes: frozenset[bytes]) -> Iterator[Pair]:
        """Give the last event of each status that one of ``prefixes`` is for, oldest first."""
        wanted = tuple(prefixes)
        for topic, body in self._statuses.items():
            if topic.startswith(wanted):
                yield topic, body


def _is_status(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("status") is True
