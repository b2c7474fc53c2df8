"""Keeps log lines whose file cannot be written, until the log aggregator can write them.

A line is put into a spool file with the name of the log file that it is for. Whoever adds to a
spool file holds a lock on it, and so does the aggregator while it takes one up: no line falls
between the two.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path


def spool_folder(state: Path) -> Path:
    """Give the folder of the spool files of a system."""
    return state / "spool" / "logs"


def keep_what_cannot_be_written(folder: Path) -> None:
    """Have each handler of this process that writes a file spool what it cannot write."""
    for handler in _file_handlers():
        handler.handleError = partial(  # type: ignore[method-assign]
            _failed, handler, folder, handler.handleError
        )


def put(folder: Path, file: str, text: str) -> None:
    """Spool lines for a log file, each with its end. Raises OSError."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    # The first line end closes what a full disk has left of the line before.
    line = b"\n" + json.dumps({"file": file, "text": text}).encode() + b"\n"
    path = folder / f"{os.getpid()}.jsonl"
    while True:
        spool = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(spool, fcntl.LOCK_EX)
            if os.fstat(spool).st_nlink:  # else it was taken up in between
                _write_all(spool, line)  # part of a line is passed over by who reads it
                return
        finally:
            os.close(spool)


def take_up(folder: Path) -> None:
    """Write spooled lines to their log files. Raises OSError; what is left stays for later.

    Who is killed between the two may write the lines of one spool file a second time.
    """
    for path in sorted(folder.glob("*.jsonl")):
        with _locked(path) as lines:
            for file, text in lines:
                log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                try:
                    _write_all(log, text)
                    os.fsync(log)
                finally:
                    os.close(log)
            path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[list[tuple[str, bytes]]]:
    import json

    with path.open("rb") as spool:
        fcntl.flock(spool, fcntl.LOCK_EX)
        kept: dict[str, bytes] = {}
        for line in spool:
            with suppress(ValueError, KeyError, TypeError):  # half a line of a full disk
                value = json.loads(line)
                kept[value["file"]] = kept.get(value["file"], b"") + value["text"].encode(
                    errors="replace"
                )
        yield list(kept.items())


def _write_all(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _failed(
    handler: logging.FileHandler, folder: Path, otherwise: object, record: logging.LogRecord
) -> None:
    """Spool a record that could not be written; called where the exception is handled."""
    if isinstance(sys.exc_info()[1], OSError):
        forget_what_was_not_written(handler)
        with suppress(OSError):
            put(folder, handler.baseFilename, handler.format(record) + handler.terminator)
            return
    if callable(otherwise):
        otherwise(record)


def forget_what_was_not_written(handler: logging.FileHandler) -> None:
    """Drop what the stream of a handler holds: it would be written once more later."""
    if handler.stream is not None:
        with suppress(OSError):
            handler.stream.close()
        handler.stream = None


def _file_handlers() -> list[logging.FileHandler]:
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    handlers = (
        handler
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
    )
    unique = dict.fromkeys(each for each in handlers if isinstance(each, logging.FileHandler))
    return list(unique)
