"""The reason of a failure that a worker has logged before it said that it failed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST = 500  # characters


class LastError(logging.Handler):
    """Keeps the last line that was logged as an error, by whatever logger; None before that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.line: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a record; one that cannot be formatted is the business of other handlers."""
        try:
            self.line = one_line(record.getMessage()) or self.line
        except Exception:
            return


@contextmanager
def last_error_logged() -> Iterator[LastError]:
    """Listen to all that is logged in the meantime."""
    listener, root = LastError(), logging.getLogger()
    root.addHandler(listener)
    try:
        yield listener
    finally:
        root.removeHandler(listener)


def one_line(text: str) -> str:
    """Give the first line that says something, cut where it is very long."""
    lines = (line.strip() for line in text.splitlines())
    first = next(filter(None, lines), "")
    return first if len(first) <= _LONGEST else f"{first[: _LONGEST - 1]}…"
