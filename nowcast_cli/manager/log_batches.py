"""Log lines of a turn, written together: one look at the file and one write, not one a line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from logging.handlers import WatchedFileHandler

from nowcast_cli.config.log_spool import forget_what_was_not_written
from nowcast_cli.config.sentry import is_wanted

LARGEST = 1000
_OF_THE_CALLER = ("pathname", "filename", "module", "lineno", "funcName")


class BatchingHandler(logging.Handler):
    """Stands before a handler that writes a file, and gives it the lines of a turn at once."""

    def __init__(self, target: WatchedFileHandler) -> None:
        super().__init__(target.level)
        self.name = target.name
        self.filters = target.filters
        self.formatter = target.formatter
        self._target = target
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; many of them, or one that is critical, are written at once."""
        try:
            self._lines.append(self.format(record) + self._target.terminator)
        except Exception:
            self.handleError(record)
        if len(self._lines) >= LARGEST or record.levelno >= logging.CRITICAL:
            self.flush()

    def flush(self) -> None:
        """Write what was kept."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._target.reopenIfNeeded()
            if self._target.stream is None:  # opened late, as `delay: true` asks for
                self._target.stream = self._target._open()
            self._target.stream.write("".join(lines))
            self._target.flush()
        except OSError:
            forget_what_was_not_written(self._target)
            self._lines = lines[-LARGEST:]  # a full disk: the latest are kept for later

    def close(self) -> None:
        """Write what was kept and close the file."""
        self.flush()
        self._target.close()
        super().close()


def _loggers() -> Iterator[logging.Logger]:
    yield logging.getLogger()
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            yield logger


def batch_log_files() -> list[BatchingHandler]:
    """Put a batching handler before each handler of this process that writes a file."""
    batching: dict[WatchedFileHandler, BatchingHandler] = {}
    for logger in _loggers():
        for index, handler in enumerate(logger.handlers):
            if isinstance(handler, WatchedFileHandler):
                known = batching.setdefault(handler, BatchingHandler(handler))
                logger.handlers[index] = known
    find_out_what_lines_show_only()
    return list(batching.values())


def find_out_what_lines_show_only() -> None:
    """Let the records of this process do without what no line shows, half of what a record costs.

    Formatters that are not logging's own, and Sentry, may look at anything: then nothing is spared.
    """
    handlers = [handler for logger in _loggers() for handler in logger.handlers]
    formatters = [handler.formatter or logging.Formatter() for handler in handlers]
    if is_wanted() or any(type(each) is not logging.Formatter for each in formatters):
        return
    shown = " ".join(str(each._fmt) for each in formatters)
    logging.logThreads = "thread" in shown
    logging.logProcesses = "process" in shown
    logging.logMultiprocessing = "processName" in shown
    if not any(name in shown for name in _OF_THE_CALLER):
        logging._srcfile = None  # as logging's documentation says
