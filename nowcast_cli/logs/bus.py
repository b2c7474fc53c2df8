"""The port to which processes on other hosts send what they log.

What comes are parts of files of those hosts, each with the place at which it stands. They are
written to a copy of the file here, and then confirmed; the copy is followed like what jobs print.
So a part that comes twice, or by ssh as well, changes nothing, and a sender that is told of a
shorter copy than it thought goes back to its end.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq

from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import RECORDS, folder_of
from nowcast_cli.logs.received import END
from nowcast_cli.security.doorkeeper import Doorkeeper

_AT_ONCE = 64  # messages; each may hold 128 KiB
_STRANGERS = 100  # of whom it is remembered that they were told of
_WAITING = 16  # messages of one sender; one of ours waits for its answer
_LARGEST = 1 << 20  # bytes; who sends more is disconnected
_BETWEEN_TRIES = 5.0  # seconds, for a port that is taken
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORKER = re.compile(r"\w[\w.-]{0,199}")


class Bus:
    """Takes in files of records; without an address it opens nothing.

    Parameters
    ----------
    host, port
        Where to listen; ``port`` None opens nothing.
    jobs
        The folder of the folders of jobs.
    received
        The folder for records of processes that are no jobs.
    keys
        The folder of keys, by which senders are admitted; None for a system without.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        jobs: Path,
        received: Path,
        logger: logging.Logger,
        keys: Path | None = None,
    ) -> None:
        self._host, self._port, self._keys = host, port, keys
        self._jobs, self._received = jobs, received
        self._doorkeeper: Doorkeeper | None = None
        self._logger = logger
        self._socket: zmq.Socket[bytes] | None = None
        self._try_at = 0.0
        self._told: set[str] = set()
        self.trouble: str | None = None

    @property
    def interval(self) -> float:
        """After how many seconds to look without having been woken."""
        return _BETWEEN_TRIES if self._port is not None and self._socket is None else 3600.0

    def descriptors(self) -> list[int]:
        """Give what to poll; it tells of news once, so take all that has come."""
        sockets = [] if self._socket is None else [self._socket]
        sockets += [] if self._doorkeeper is None else self._doorkeeper.sockets()
        return [int(socket.getsockopt(zmq.FD)) for socket in sockets]

    def take_in(self) -> bool:
        """Write what has arrived, and confirm it; True when there may be more."""
        if not self._is_open():
            return False
        assert self._socket is not None
        if self._doorkeeper is not None:
            self._doorkeeper.serve()
        answers: list[tuple[bytes, dict[str, Any]]] = []
        touched: set[int] = set()
        for frames in self._arrived():
            answer = self._taken(frames, touched)
            if answer is not None:
                answers.append((frames[0], answer))
        self._sync(touched)
        for sender, answer in answers:
            with suppress(zmq.ZMQError):
                self._socket.send_multipart([sender, json.dumps(answer).encode()], zmq.NOBLOCK)
        return bool(int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    def close(self) -> None:
        """Close the port."""
        if self._doorkeeper is not None:
            self._doorkeeper.close()
            self._doorkeeper = None
        if self._socket is not None:
            self._socket.context.destroy(linger=0)
            self._socket = None

    def _arrived(self) -> Iterator[list[bytes]]:
        assert self._socket is not None
        keeper = self._doorkeeper
        with suppress(zmq.Again):
            for _ in range(_AT_ONCE):
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
                if keeper is None or keeper.sender(frames[-1]) is not None:
                    yield [frame.bytes for frame in frames]

    def _taken(self, frames: list[bytes], touched: set[int]) -> dict[str, Any] | None:
        """Write one part to its file. None for what is no part, and what cannot be written."""
        try:
            _, header, part = frames
            value = json.loads(header)
            file, at = self._file_of(value), abs(int(value["at"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            return None
        try:
            if value.get("end") is True and "job" not in value:
                if file.exists():
                    file.with_name(file.name + END).touch()
                return {"have": at}
            return {"have": _written(file, at, part, touched)}
        except OSError as error:
            self._complain(f"the records of other hosts cannot be written: {error}")
            return None

    def _file_of(self, value: dict[str, Any]) -> Path:
        """Give the copy of a sender's file. Raises ValueError for a name that is none of ours."""
        job, worker, name = (str(value.get(key)) for key in ("job", "worker", "file"))
        if "job" not in value:
            if not _ID.fullmatch(name):
                raise ValueError(name)
            return self._received / name
        if not _ID.fullmatch(job) or not _WORKER.fullmatch(worker):
            raise ValueError(job)
        return folder_of(self._jobs, job, worker) / RECORDS

    def _sync(self, touched: set[int]) -> None:
        for descriptor in touched:
            os.fsync(descriptor)
            os.close(descriptor)
        if touched and self.trouble is not None:
            self._complain(None)

    def _complain(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            self._logger.warning("%s", trouble)
        elif trouble is None and self.trouble is not None:
            self._logger.info("the records of other hosts are taken in again")
        self.trouble = trouble

    def _is_open(self) -> bool:
        if self._socket is None and self._port is not None and time.monotonic() >= self._try_at:
            self._try_at = time.monotonic() + _BETWEEN_TRIES
            try:
                self._open(self._host, self._port)
                self._complain(None)
            except NowcastError as error:
                self._complain(f"{error.what}: {error.cause}; {error.hint}")
        return self._socket is not None

    def _open(self, host: str, port: int) -> None:
        """Listen. Raises NowcastError."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        listening = context.socket(zmq.ROUTER)
        listening.linger = 0
        listening.rcvhwm, listening.maxmsgsize = _WAITING, _LARGEST  # memory stays bounded
        keeper = None
        try:
            if self._keys is not None:
                keeper = Doorkeeper(context, self._keys, self._refused, self._refused)
                keeper.demand(listening, "logs")
            address = _bind(listening, host, port)
        except NowcastError:
            if keeper is not None:
                keeper.close()
            context.destroy(linger=0)
            raise
        if keeper is not None:
            keeper.watch(listening, address, "logs")
        self._socket, self._doorkeeper = listening, keeper

    def _refused(self, sentence: str) -> None:
        """Tell of a stranger, but not of each time that it knocks."""
        if sentence not in self._told:
            self._told = {*self._told, sentence} if len(self._told) < _STRANGERS else {sentence}
            self._logger.warning("%s", sentence)


def _written(file: Path, at: int, part: bytes, touched: set[int]) -> int:
    """Add what is new of a part to a file; gives the size of the file. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    touched.add(descriptor)
    size = os.fstat(descriptor).st_size
    new = part[size - at :] if at <= size else b""
    return size + (os.pwrite(descriptor, new, size) if new else 0)


def _bind(listening: zmq.Socket[bytes], host: str, port: int) -> str:
    """Bind, and give the address. Raises NowcastError."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
        address = f"tcp://{ipaddress.ip_address(found[0][4][0])}:{port}"
        listening.bind(address)
    except (OSError, zmq.ZMQError) as error:  # an unknown name, or a port that is taken
        raise NowcastError(
            f"port {port} of {host}, for the log records of other hosts, cannot be opened",
            cause=getattr(error, "strerror", None) or str(error),
            hint="name a free one as zmq.ports.logs, here and on the other hosts",
        ) from None
    return address
