"""Talking to supervisord: XML-RPC over its Unix socket, with the standard library.

Importing this takes some milliseconds (``http.client``); who only looks and finds all well does
without.
"""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nowcast_cli.errors import NotRunning

ANSWER_TIME = 30.0  # seconds; stopping a daemon is answered when it has stopped

_T = TypeVar("_T")
_NOT_KNOWN, _ALREADY_STARTED, _NOT_RUNNING, _ALREADY_ADDED = 10, 60, 70, 90


@dataclass(frozen=True)
class Process:
    """What supervisord knows of a daemon.

    ``state`` is supervisord's word (STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL),
    ``since`` the instant of its last start in seconds since 1970, 0 when there was none.
    """

    name: str
    state: str
    pid: int
    since: int
    trouble: str


class Supervisord:
    """The supervisord that listens on a socket; all methods raise NotRunning if none does."""

    def __init__(self, socket_file: Path, timeout: float = ANSWER_TIME) -> None:
        self._socket_file = socket_file
        self._proxy: Any = xmlrpc.client.ServerProxy(
            "http://supervisord", transport=_UnixTransport(socket_file, timeout)
        )

    def pid(self) -> int:
        """Return the process id of supervisord."""
        return int(self._call(lambda s: s.getPID()))

    def processes(self) -> dict[str, Process]:
        """Return what there is to say of every daemon, by name."""
        infos = self._call(lambda s: s.getAllProcessInfo())
        return {info["name"]: _process_of(info) for info in infos}

    def process(self, name: str) -> Process:
        """Return what there is to say of one daemon; raises NotRunning when it knows none such."""
        return _process_of(self._call(lambda s: s.getProcessInfo(name)))

    def learn(self) -> tuple[list[str], list[str]]:
        """Take in what is new in its configuration; what it has goes on.

        Returns the names of the programs that it has otherwise than the configuration, and of
        those that are not there any more.
        """
        ((added, changed, removed),) = self._call(lambda s: s.reloadConfig())
        for name in added:
            self._add(str(name))
        return [str(name) for name in changed], [str(name) for name in removed]

    def forget(self, name: str) -> None:
        """Forget a program that is stopped."""
        self._call(lambda s: s.removeProcessGroup(name), tolerate=_NOT_KNOWN)

    def take_anew(self, name: str) -> None:
        """Take a program that is stopped as the configuration has it by now."""
        self.forget(name)
        self._add(name)

    def _add(self, name: str) -> None:
        self._call(lambda s: s.addProcessGroup(name), tolerate=_ALREADY_ADDED)

    def start(self, name: str) -> bool:
        """Start a daemon and do not wait; returns False when it ran already."""
        return self._call(lambda s: s.startProcess(name, False), tolerate=_ALREADY_STARTED) is True

    def stop(self, name: str) -> None:
        """Stop a daemon and wait for its end; do nothing when it does not run."""
        self._call(lambda s: s.stopProcess(name, True), tolerate=_NOT_RUNNING)

    def begin_to_stop(self, name: str) -> None:
        """Stop a program, and do not wait for its end."""
        self._call(lambda s: s.stopProcess(name, False), tolerate=_NOT_RUNNING)

    def kill(self, name: str) -> None:
        """Send SIGKILL to a program; do nothing when it does not run."""
        self._call(lambda s: s.signalProcess(name, "KILL"), tolerate=_NOT_RUNNING)

    def shut_down(self) -> None:
        """Ask supervisord to end; it stops what still runs. Does not wait."""
        self._call(lambda s: s.shutdown())

    def close(self) -> None:
        """Close the connection."""
        self._proxy("close")()

    def _call(self, method: Callable[[Any], _T], tolerate: int | None = None) -> Any:
        try:
            return method(self._proxy.supervisor)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == tolerate:
                return None
            raise NotRunning(
                "supervisord refused what it was asked",
                cause=fault.faultString,
                hint="`nowcast restart` starts it anew with the configuration of today",
            ) from fault
        except TimeoutError as error:
            raise NotRunning(
                f"supervisord accepts a request on {self._socket_file} and does not answer it",
                cause="its process is stopped, or the machine is overloaded",
                hint="kill -9 the process whose number is in "
                f"{self._socket_file.with_name('supervisord.pid')}, then `nowcast start`",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise NotRunning(
                f"supervisord does not answer on {self._socket_file}",
                cause=str(error) or type(error).__name__,
                hint="nowcast start",
            ) from error


def _process_of(info: dict[str, Any]) -> Process:
    return Process(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        since=info["start"],
        trouble=info["spawnerr"],
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, socket_file: Path, timeout: float) -> None:
        super().__init__("supervisord", timeout=timeout)
        self._socket_file = socket_file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._socket_file))
        except OSError:
            self.sock.close()
            raise


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, socket_file: Path, timeout: float) -> None:
        super().__init__()
        self._socket_file = socket_file
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        with suppress(AttributeError, TypeError):
            if self._connection[1] is not None:
                return self._connection[1]
        self._connection = host, _UnixConnection(self._socket_file, self._timeout)
        return self._connection[1]
