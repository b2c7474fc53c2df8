"""What the store keeps of events: batches, one row a commit and stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class EventPut(NamedTuple):
    """Something has happened that subscribers are told of.

    A tuple, as each move of a step makes one: that takes a quarter of the time.

    ``topic`` are its fields joined by ``~``, the first of which is its stream. ``payload`` is what
    JSON can hold, or its JSON text. ``correlation`` is the id of the outermost run, chain or
    request that it belongs to, ``attempt`` that of the step or job. With ``status`` the last one
    of its topic is told to whoever subscribes. Not written by itself: the number that it gets is
    of its batch.
    """

    topic: str
    payload: Mapping[str, Any] | str
    correlation: str | None = None
    attempt: int | None = None
    status: bool = False

    @property
    def stream(self) -> str:
        """The first field of the topic."""
        return self.topic.partition("~")[0]


@dataclass(frozen=True, slots=True)
class EventBatchPut:
    """The events of one commit in one stream; they have the numbers ``first`` to :attr:`last`.

    ``texts`` are what each says in JSON (``messages.event.said_in_json``), without its number and
    time. ``skipped`` counts numbers after these that are never used.
    """

    stream: str
    first: int
    time: str
    texts: tuple[str, ...]
    skipped: int = 0

    @property
    def last(self) -> int:
        """The number of the last event, or of the last number that is skipped."""
        return self.first + len(self.texts) + self.skipped - 1


EventChange = EventPut | EventBatchPut
