"""Hands the log records of a process to the message broker, for who has subscribed to them.

Each record is a datagram to a socket that is there while somebody wants records. It is sent at
once or not at all: the log files have all of them, and no process waits for who looks on.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

_LOOK_EVERY = 0.2  # seconds between two looks for a socket that was not there
_TEXT = logging.Formatter("%(message)s")


class DatagramHandler(logging.Handler):
    """Sends each record to a socket, if it is there.

    Parameters
    ----------
    path
        Of the socket, ``log-records.sock`` in the run folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = os.fspath(path)
        self._look_at = 0.0
        self._socket: socket.socket | None = None
        self._opened_by = 0  # a process that was forked may have closed what it was born with

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; what does not go at once is dropped."""
        if time.monotonic() < self._look_at:
            return
        try:
            self._send(record)
        except OSError:  # nobody wants it, or the queue is full
            self._look_again_later()
        except Exception:
            self.handleError(record)

    def _send(self, record: logging.LogRecord) -> None:
        if not os.path.exists(self._path):  # noqa: PTH110  a third of Path.exists, for each record
            self._look_again_later()
            return
        import socket

        from nowcast_cli.config.log_records import lines_of

        if self._socket is None or self._opened_by != os.getpid():
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._opened_by = os.getpid()
        for line in lines_of(record, _TEXT.format(record)):
            with suppress(BlockingIOError):
                self._socket.sendto(line, self._path)

    def _look_again_later(self) -> None:
        self._look_at = time.monotonic() + _LOOK_EVERY

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None and self._opened_by == os.getpid():
            self._socket.close()
        self._socket = None
        super().close()
