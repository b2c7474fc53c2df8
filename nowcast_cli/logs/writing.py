"""Writes what was read from other files to the system's logs, and tells whether that worked."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nowcast_cli.config.log_spool import forget_what_was_not_written
from nowcast_cli.errors import NowcastError


class CannotWrite(NowcastError):
    """A log file could not be written."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line for the logs: the logger that it goes to, its level, and its text."""

    logger: str
    level: int
    text: str


class LogWriter:
    """Hands lines to the handlers of this process, which configure_logging has set up.

    Handlers usually keep a failure to themselves; here it must be known, so that what could not
    be written is read again later.
    """

    def __init__(self) -> None:
        self._failure: BaseException | None = None
        for handler in _handlers():
            handler.handleError = self._failed_in(handler)  # type: ignore[method-assign, assignment]

    def write(self, lines: Iterable[Line | logging.LogRecord]) -> None:
        """Log lines, and records of other processes as they are, with their own times.

        Raises CannotWrite at the first that a handler could not write. What a handler will never
        write, by its format or its encoding, is printed.
        """
        for line in lines:
            self._failure = None
            if isinstance(line, Line):
                logging.getLogger(line.logger).log(line.level, "%s", line.text)
            elif (logger := logging.getLogger(line.name)).isEnabledFor(line.levelno):
                logger.handle(line)
            if isinstance(self._failure, OSError):
                raise CannotWrite(f"the logs cannot be written: {self._failure}")
            if self._failure is not None:
                print(f"not written to the logs: {self._failure!r}: {line}", file=sys.stderr)

    def sync(self) -> None:
        """Put what was logged on the disk. Raises CannotWrite."""
        for handler in _handlers():
            stream = getattr(handler, "stream", None)
            if not isinstance(handler, logging.FileHandler) or stream is None:
                continue
            try:
                os.fsync(stream.fileno())
            except OSError as error:
                if error.errno != 22:  # EINVAL: what cannot be synced, a terminal for one
                    raise CannotWrite(f"the logs cannot be written: {error}") from None

    def _failed_in(self, handler: logging.Handler) -> Callable[[logging.LogRecord], None]:
        def note(record: logging.LogRecord) -> None:  # noqa: ARG001
            self._failure = sys.exc_info()[1]
            if isinstance(handler, logging.FileHandler):
                forget_what_was_not_written(handler)

        return note


def _handlers() -> Iterator[logging.Handler]:
    yield from logging.getLogger().handlers
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            yield from logger.handlers
