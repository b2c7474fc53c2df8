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
from typing import Any

import zmq

from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.frames import WaitFor
from nowcast_cli.broker.subject import Subject
from nowcast_cli.config.log_records import LONGEST, record_of
from nowcast_cli.messages.event import LOGS, Event, encode_event, topic_of, wire_topic

_A_TURN = 100  # datagrams


class LogRecords:
    """One device of the broker's loop: a socket for datagrams.

    Parameters
    ----------
    path
        Of the socket.
    subject
        Says whether somebody wants them, and publishes them.
    faults
        Where datagrams of a wrong form are reported.
    """

    def __init__(self, path: Path, subject: Subject, faults: FaultLog) -> None:
        self._path = path
        self._subject = subject
        self._faults = faults
        self._socket: socket.socket | None = None
        self._number = 0
        self._remove()

    def waits_for(self) -> WaitFor:
        """Return the descriptor to wait for, none while nobody wants records."""
        if self._subject.wants(LOGS) != (self._socket is not None):
            if self._socket is None:
                self._open()
            else:
                self.close()
        return [] if self._socket is None else [(self._socket.fileno(), int(zmq.POLLIN))]

    def due_in(self) -> float | None:
        """Give None: all work here is by events."""
        return None

    def work(self, ready: WaitFor) -> None:
        """Publish what has come."""
        if self._socket is None or not any(s == self._socket.fileno() for s, _ in ready):
            return
        with contextlib.suppress(BlockingIOError):
            for _ in range(_A_TURN):
                self._publish(self._socket.recv(LONGEST + 1))

    def status(self) -> dict[str, Any]:
        """Return what a health answer says of records: nothing."""
        return {}

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._remove()

    def _open(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(os.fspath(self._path))

    def _remove(self) -> None:
        self._path.unlink(missing_ok=True)

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
        self._subject.publish(wire_topic(topic), encode_event(event))
