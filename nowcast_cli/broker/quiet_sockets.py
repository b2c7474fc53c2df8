"""Sockets on which little happens, polled by one descriptor: so they cost the requests nothing.

A socket of ZeroMQ has a descriptor that becomes readable when there is something to look at, and
any use of the socket may take that away. So who uses one of these says so, and it is polled itself
until a poll has found nothing.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterator

import zmq

from nowcast_cli.broker.frames import IN, WaitFor

Source = zmq.Socket[bytes] | int


class QuietSockets:
    """Sockets, and descriptors, each with what is to be done when one is readable."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._itself: WaitFor = [(self._epoll.fileno(), IN)]
        self._by_descriptor: dict[int, Source] = {}
        self._work: dict[Source, Callable[[], None]] = {}
        self._used: dict[Source, None] = {}

    def add(self, source: Source, work: Callable[[], None]) -> None:
        """Have ``work`` called when there is something; it takes one message at least."""
        descriptor = _descriptor(source)
        self._by_descriptor[descriptor] = source
        self._work[source] = work
        self._epoll.register(descriptor, select.EPOLLIN)
        self.use(source)

    def remove(self, source: Source) -> None:
        """Forget a socket that is to be closed."""
        descriptor = _descriptor(source)
        del self._by_descriptor[descriptor], self._work[source]
        self._used.pop(source, None)
        self._epoll.unregister(descriptor)

    def use(self, source: Source) -> None:
        """Note that something was sent or received, or asked of a socket."""
        self._used[source] = None

    def waits_for(self) -> WaitFor:
        """Return what to poll for, which is to be polled then.

        What is used between that poll and :meth:`work`, by another device, is polled the next time.
        """
        if not self._used:
            return self._itself
        wanted: WaitFor = [*self._itself, *((source, IN) for source in self._used)]
        self._used.clear()
        return wanted

    def work(self, ready: WaitFor) -> bool:
        """Do what is to be done on what is ready; False where that is nothing."""
        readable = dict.fromkeys(self._readable(ready))  # one may be seen by either way
        for source in readable:
            work = self._work.get(source)
            if work is not None:  # else it was closed by the work on another
                self.use(source)
                with contextlib.suppress(zmq.Again):  # what was there went with its connection
                    work()
        return bool(readable)

    def close(self) -> None:
        """Let go of the descriptor."""
        self._epoll.close()

    def _readable(self, ready: WaitFor) -> Iterator[Source]:
        itself = self._itself[0][0]
        for source, events in ready:
            if source in self._work:
                if events & IN:
                    yield source
            elif source == itself:
                for descriptor, _ in self._epoll.poll(0):
                    yield self._by_descriptor[descriptor]


def _descriptor(source: Source) -> int:
    return source if isinstance(source, int) else int(source.getsockopt(zmq.FD))
