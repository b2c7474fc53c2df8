"""Keeps the log records of a process on another host in a file, from which they are sent.

Each record is put into a file of this host, and that is all that logging it costs. Who sends
what the file holds is told in :mod:`nowcast_cli.messages.log_sending`.

The file of a job that was begun from the system's host lies in the folder of the job, and comes
back with that folder, too. That of another process lies in a spool folder.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from nowcast_cli.config.log_records import lines_of


class RecordsHandler(logging.Handler):
    """Puts each record into a file, once, however many loggers pass it on."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        with suppress(OSError):  # while it is held, nobody takes the file for one that was left
            fcntl.flock(self._file, fcntl.LOCK_SH)
        self._torn = False
        self._told = False
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            if getattr(record, "nowcast_is_kept", False):
                return
            record.nowcast_is_kept = True
            for line in lines_of(record, self.format(record)):
                data = b"\n" + line if self._torn else line  # a full disk leaves half a line
                self._torn = os.write(self._file, data) < len(data)
            self._told = False
        except OSError as error:  # a full disk is no mistake of ours: a sentence, and once
            self._torn = True
            self._tell(error)
        except Exception:
            self._torn = True
            self.handleError(record)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            with suppress(OSError):
                print(f"log records cannot be kept: {error.strerror}", file=sys.stderr)


# What this process logs to: logging may be set up again.
_handlers: dict[Path, RecordsHandler] = {}


def records_handler(spool: Path, job_file: Path | None) -> RecordsHandler:
    """Give what keeps the records of this process. Raises OSError.

    Parameters
    ----------
    spool
        The folder for records of processes that are no jobs.
    job_file
        The file for those of the job that this process belongs to.
    """
    file = job_file or kept_file() or spool / f"{uuid.uuid4()}.jsonl"
    if file not in _handlers:
        _handlers[file] = RecordsHandler(file)
    return _handlers[file]


def kept_file() -> Path | None:
    """Give the file in which this process keeps its records; None where it does not."""
    return next(iter(_handlers), None)
