"""Log records of this host's processes, published as events of the stream ``logs``.

They come as datagrams, of the form of :mod:`nowcast_cli.config.log_records`. The socket is there
while somebody may have subscribed to them: otherwise a process that logs finds none, which costs
next to nothing. Nothing here is kept or repeated: the log files have all of it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.integration_manager import IntegrationManager
from nowcast_cli.broker.quiet_sockets import QuietSockets
from nowcast_cli.config.log_records import LONGEST, record_of
from nowcast_cli.messages.event import LOGS, Event, encode_event, topic_of, wire_topic

_A_TURN = 100  # datagrams


class LogRecords:
    """Publishes what comes by a socket for datagrams.

    Parameters
    ----------
    path
        Of the socket.
    integration_manager
        Says whether somebody wants them, and publishes them.
    quiet
        Polls the socket.
    faults
        Where datagrams of a wrong form are reported.
    """

    def __init__(
        self,
        path: Path,
        integration_manager: IntegrationManager,
        quiet: QuietSockets,
        faults: FaultLog,
    ) -> None:
        self._path = path
        self._integration_manager = integration_manager
        self._quiet = quiet
        self._faults = faults
        self._socket: socket.socket | None = None
        self._number = 0
        self._remove()

    def turn(self) -> None:
        """Open the socket when somebody wants records, and close it when nobody does."""
        if self._integration_manager.wants_logs == (self._socket is not None):
            return
        if self._socket is None:
            self._open()
        else:
            self.close()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._quiet.remove(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._remove()

    def _open(self) -> None:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._remove()
            opened.bind(os.fspath(self._path))
        except OSError as error:  # a full disk: it is tried again
            opened.close()
            self._faults.report(f"log records are not published: {self._path}: {error.strerror}")
            return
        self._socket = opened
        self._quiet.add(opened.fileno(), lambda: self._take(opened))

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # a disk that is read-only by now: nobody listens there
            self._path.unlink()

    def _take(self, opened: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(_A_TURN):
                self._publish(opened.recv(LONGEST + 1))

    def _publish(self, line: bytes) -> None:
        record = record_of(line)
        if record is None:
            self._faults.report(
                f"dropped a datagram of {len(line)} bytes on the socket for log records that is "
                "no record"
            )
            return
        self._number += 1
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        topic = topic_of(LOGS, record.name, record.levelname)
        payload = {
            "logger": record.name,
            "level": record.levelname,
            "process": record.process,
            "text": record.msg,
        }
        event = Event(LOGS, self._number, f"{time[:-3]}Z", topic, payload)
        self._integration_manager.publish(wire_topic(topic), encode_event(event))
