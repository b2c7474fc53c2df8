"""The requests that the broker keeps: bookkeeping alone, no socket.

A request is kept from its arrival until its answer has passed, so that a manager which dies with
requests in hand costs nothing: the next one says hello and is offered all that is kept, in the
order of arrival.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sized
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

Body = TypeVar("Body", bound=Sized)


class Request(NamedTuple, Generic[Body]):
    """A client's request.

    ``stamp`` (16 bytes) tells it from every other request of every broker: 8 bytes of the run of
    the broker, 8 of a counter. A manager returns it with the answer.
    """

    client: bytes
    stamp: bytes
    body: Body


class KeptRequests(Generic[Body]):
    """All requests without an answer, in order of arrival, and which of them are to be offered.

    Parameters
    ----------
    run
        8 bytes that no other run of a broker has.
    """

    def __init__(self, run: bytes) -> None:
        self._run = run
        self._count = 0
        self.size = 0  # of all bodies kept, together
        self._kept: dict[bytes, Request[Body]] = {}
        self._newest: dict[bytes, bytes] = {}  # by topic the stamp
        self._to_offer: deque[Request[Body]] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def backlog(self) -> int:
        """How many are still to be offered to a manager, at most."""
        return len(self._to_offer)

    def keep(self, client: bytes, body: Body, topic: bytes | None = None) -> None:
        """Take in a request; it is the last one to be offered.

        One with a ``topic`` takes the place of the one before: whoever has asked that has given it
        up. So they do not pile up while there is no manager for hours.
        """
        self._count += 1
        stamp = self._run + self._count.to_bytes(8, "big")
        if topic is not None:
            self._drop(self._newest.get(topic))
            self._newest[topic] = stamp
        request = Request(client, stamp, body)
        self.size += len(body)
        self._kept[stamp] = request
        self._to_offer.append(request)

    def _drop(self, stamp: bytes | None) -> None:
        request = self._kept.pop(stamp, None) if stamp is not None else None
        if request is not None:
            self.size -= len(request.body)
            with suppress(ValueError):  # it was offered
                self._to_offer.remove(request)

    def next_to_offer(self) -> Request[Body] | None:
        """Return the first request to be offered; it stays the first until :meth:`offered`."""
        while self._to_offer:
            request = self._to_offer[0]
            if request.stamp in self._kept:
                return request
            self._to_offer.popleft()  # answered by the manager that had it before
        return None

    def offered(self) -> None:
        """Note that the request of :meth:`next_to_offer` is on its way to a manager."""
        self._to_offer.popleft()

    def answered(self, stamp: bytes) -> bytes | None:
        """Let go of the request ``stamp`` and return its client; None when it is not kept."""
        request = self._kept.pop(stamp, None)
        if request is None:
            return None
        self.size -= len(request.body)
        return request.client

    def offer_all_again(self) -> None:
        """Begin anew with the first request kept: a manager that knows of none has come."""
        self._to_offer = deque(self._kept.values())
