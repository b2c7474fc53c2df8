"""Sends the log records of a process on another host to the system's log aggregator.

A thread sends what the file holds that the process keeps its records in, from where the aggregator
has come to: it confirms what it has written to its own disk. So whatever ends, and whenever, the
file and its length say what is left to be sent. Nobody waits for the aggregator, but for a moment
at the end of the process. What could not be sent then, the next process of the system on this host
sends; the folder of a job that was begun from the system's host comes there by ssh, too.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.log_bus import bus_port, job_records
from nowcast_cli.config.log_keeping import kept_file
from nowcast_cli.config.logging_elsewhere import spool_of_records
from nowcast_cli.config.settings import broker_host
from nowcast_cli.errors import NowcastError

if TYPE_CHECKING:
    import zmq

    from nowcast_cli.security.source import KeySource

LARGEST_PART = 128 * 1024  # bytes that are sent at once
# Seconds that the end of a process may be put off: while the aggregator takes what nobody else
# would bring; for a job, whose folder comes by ssh; and when nobody has answered last.
_WHILE_IT_TAKES, _OF_A_JOB, _AWAY = 5.0, 0.5, 0.2
_ANSWER = 1.0  # seconds after which a connection is given up, and made anew
_SOONEST, _SLOWEST = 0.05, 0.5  # seconds between two looks at the file
_LEFT = 60.0  # seconds between two looks for what other processes have left


@dataclass
class Waiting:
    """A file of records, and how far the aggregator has confirmed it.

    ``job`` is the id and the worker of whose job it is, None for a file of the spool folder,
    whose name says which it is.
    """

    file: Path
    job: tuple[str, str] | None = None
    confirmed: int = 0

    def header(self, **more: Any) -> dict[str, Any]:
        """Say which file it is, in the form in which the aggregator is told."""
        name = {"job": self.job[0], "worker": self.job[1]} if self.job else {"file": self.file.stem}
        return {**name, **more}

    def next_part(self) -> bytes:
        """Give what follows on what is confirmed; b"" when that is all, or the file is gone."""
        with suppress(OSError), self.file.open("rb") as file:
            file.seek(self.confirmed)
            return file.read(LARGEST_PART)
        return b""


class Link:
    """The way to the port of the aggregator, for one thread; connects when it is used."""

    def __init__(self, host: str, port: int, key: KeySource | None = None) -> None:
        self._key = key
        self._address = f"tcp://{host}:{port}"
        self._context: zmq.Context[Any] | None = None
        self._socket: zmq.Socket[bytes] | None = None

    def exchange(self, header: dict[str, Any], part: bytes) -> int | None:
        """Send a part of a file; gives up to where the aggregator has it, None without answer."""
        import zmq

        try:
            if self._socket is None:
                self._socket = self._connected()
            self._socket.send_multipart([json.dumps(header).encode(), part], zmq.NOBLOCK)
            if self._socket.poll(round(_ANSWER * 1000)):
                return int(json.loads(self._socket.recv_multipart()[-1])["have"])
        except (zmq.ZMQError, ValueError, KeyError, TypeError, NowcastError):
            pass  # of a key that cannot be used, who sends the worker's messages tells
        if self._socket is not None:
            self._socket.close(linger=0)  # with what it has not sent, or not been told
            self._socket = None
        return None

    def close(self) -> None:
        """Let go of the connection."""
        if self._context is not None:
            self._context.destroy(linger=0)

    def _connected(self) -> zmq.Socket[bytes]:
        import zmq

        if self._context is None:
            self._context = zmq.Context()
        made: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        made.linger = 0
        if self._key is not None:
            from nowcast_cli.security.curve import present

            present(made, self._key.read())
        made.connect(self._address)
        return made


class Sender:
    """The thread that sends the records of this process, and what others have left."""

    def __init__(self, own: Waiting, link: Link, spool: Path) -> None:
        self._own = own
        self._link = link
        self._spool = spool
        self._process = os.getpid()
        self._over = threading.Event()
        self._answers = True
        self._look_for_left_at = 0.0
        self._thread = threading.Thread(target=self._run, name="log records", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Give the last records a moment to leave. Say so when they have not."""
        if os.getpid() != self._process:
            return  # a fork has no such thread; this one sends for both
        self._over.set()
        patience = _WHILE_IT_TAKES if self._own.job is None else _OF_A_JOB
        self._thread.join(patience if self._answers else _AWAY)
        if self._own.job is None and self._own.next_part():
            print(f"log records wait in {self._own.file} for the log aggregator", file=sys.stderr)

    def _run(self) -> None:
        pause = _SOONEST
        while not self._over.is_set():
            if self._send(self._own):
                pause = _SOONEST
                continue
            if time.monotonic() >= self._look_for_left_at:
                self._send_what_is_left()
                self._look_for_left_at = time.monotonic() + _LEFT
            self._over.wait(pause)
            pause = min(_SLOWEST, 2 * pause)
        while self._send(self._own):
            pass
        if self._own.job is None and self._answers and not self._own.next_part():
            self._remove(self._own)
        self._link.close()

    def _send(self, waiting: Waiting) -> bool:
        """Send a part; False when there is none, or nobody takes it."""
        part = waiting.next_part()
        if not part:
            return False
        confirmed = self._link.exchange(waiting.header(at=waiting.confirmed), part)
        self._answers = confirmed is not None
        if confirmed is None:
            return False
        is_news = confirmed != waiting.confirmed
        waiting.confirmed = confirmed
        return is_news

    def _send_what_is_left(self) -> None:
        for file in sorted(self._spool.glob("*.jsonl")):
            with _taken(file) as is_ours:
                if not is_ours or file == self._own.file:
                    continue
                left = Waiting(file)
                while not self._over.is_set() and self._send(left):
                    self._send(self._own)
                if self._over.is_set() or not self._answers:
                    return
                if not left.next_part():
                    self._remove(left)

    def _remove(self, sent: Waiting) -> None:
        """Remove a file that has been sent, then say that no more comes of it."""
        sent.file.unlink(missing_ok=True)
        self._link.exchange(sent.header(at=sent.confirmed, end=True), b"")


@contextmanager
def _taken(file: Path) -> Iterator[bool]:
    """Lock a file; False when the process that writes it, or one that sends it, still lives."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(descriptor).st_nlink > 0
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


# The senders of this process, by the file: logging may be set up again.
_senders: dict[Path, Sender] = {}


def send_records(config: Config) -> None:
    """Begin to send the records of this process, where they are kept and a port is known.

    What a job has started adds to the file of the job, which is sent by the job itself. Raises
    ConfigError where ``security`` cannot be used.
    """
    file, port, of_job = kept_file(), bus_port(config), job_records()
    job = _job_of_this_process() if of_job is not None else None
    if file is None or port is None or file in _senders or (of_job is not None and job is None):
        return
    from nowcast_cli.security.source import own_key_source

    link = Link(broker_host(config), port, own_key_source(config, "worker"))
    _senders[file] = Sender(Waiting(file, job), link, spool_of_records(config))
    atexit.register(_senders[file].finish)


def _job_of_this_process() -> tuple[str, str] | None:
    """Give id and worker of the job that this process is; what it starts only adds to its file."""
    environment = os.environ
    if environment.get("NOWCAST_JOB_PID") != str(os.getpid()):
        return None
    folder = Path(environment.get("NOWCAST_JOB_FOLDER", "")).name
    job_id = environment.get("NOWCAST_JOB_ID", "")
    return (job_id, folder.removeprefix(f"{job_id}-")) if folder.startswith(job_id) else None
