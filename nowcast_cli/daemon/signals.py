"""Signals as something a poll loop can wait for, beside its sockets."""

from __future__ import annotations

import signal
import socket
from types import FrameType, TracebackType
from typing import Any


class Signals:
    """A context manager in which the given signals arrive on a file descriptor.

    Nothing is interrupted and nothing runs in a handler: the loop polls the descriptor and
    calls :meth:`read`. Leaving the context puts the former handlers back. Main thread only, as
    Python's signal handling is.

    Parameters
    ----------
    numbers
        Signal numbers, such as ``signal.SIGTERM``.
    """

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self._reader, self._writer = socket.socketpair()
        self._former_handlers: dict[int, Any] = {}
        self._former_wakeup = -1

    def __enter__(self) -> Signals:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._former_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._former_handlers[number] = signal.signal(number, _noticed_by_the_descriptor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_wakeup)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a signal has arrived."""
        return self._reader.fileno()

    def read(self) -> list[int]:
        """Return the numbers of the signals that have arrived, in order; empty when none has."""
        arrived = b""
        while True:
            try:
                arrived += self._reader.recv(4096)
            except BlockingIOError:
                return [number for number in arrived if number in self._numbers]


def _noticed_by_the_descriptor(number: int, frame: FrameType | None) -> None:
    """Do nothing: without a Python handler the wake-up descriptor would not be written."""
