"""Signals that end a worker become an exception, so that the manager can still be told."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never


class Stopped(BaseException):
    """The worker has been told to stop; not an Exception, so that user code lets it through."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def by_the_terminal(self) -> bool:
        """Whether somebody has pressed Ctrl-C."""
        return self.number == signal.SIGINT

    @property
    def words(self) -> str:
        """What has happened, for the log."""
        if self.by_the_terminal:
            return "interrupt signal (SIGINT or Ctrl-C) received; shutting down"
        return "termination signal (SIGTERM) received; shutting down"


@contextmanager
def signals_raise_stopped() -> Iterator[None]:
    """Let SIGTERM and SIGINT raise :class:`Stopped` in the main thread.

    Afterwards they do what they did before, so that a second one ends the process at once.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, _raise) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> Never:
    # nothing is logged here: the signal may have interrupted the logging of a line
    raise Stopped(number)
