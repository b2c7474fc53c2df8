"""The launcher: a warm process that forks a runner and a worker for each job it is asked for.

``python -m nowcast_cli.executors.launcher CONFIG`` listens at ``run/launcher.sock``, one per
system. A request is the content of a ``job.json``; it may be repeated, since nothing but the
claim in the job's folder decides whether a job has begun. To every manager that is connected it
sends hints, ``{"claimed": id}``, ``{"ended": id}`` and ``{"trouble": sentence}``;
they may get lost.

One pair of a runner and a worker is forked ahead of its job, so that the next job costs no fork
before its code begins. Commands are left to a helper, which has little loaded
(``command_launcher``). Single-threaded, with no ZeroMQ context and no database open, so that a fork
holds nothing that does not survive one.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.config.paths import ensure
from nowcast_cli.config.settings import registered_workers
from nowcast_cli.crash_points import reached
from nowcast_cli.daemon.signals import Signals
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.child import become_job
from nowcast_cli.executors.command_launcher import KEPT
from nowcast_cli.executors.forks import LULL, Forks, decode
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.warm import first_uses, warm_up
from nowcast_cli.process_identity import identity_of, to_json
from nowcast_cli.runner import LONGEST_ORDER, fork_worker

_LONGEST_SILENCE = 5.0  # s in which the helper has to answer; to replace it costs next to nothing
_LOOK_AROUND = 30.0  # s between looks whether a manager is there and the run folder still ours


@dataclass
class _Helper:
    """The process that runs commands; ``asked`` is when it was that has not answered since."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    asked: float | None = None

    def fileno(self) -> int:
        return self.channel.fileno()


class Launcher:
    """The loop. :meth:`serve` ends with None when it is over, in a forked child with its orders."""

    def __init__(self, listener: socket.socket, signals: Signals, lock_file: Path, lock: int):
        self._listener = listener
        self._signals = signals
        self._lock_file = lock_file
        self._lock = lock
        self._managers: dict[int, socket.socket] = {}
        self._helper: _Helper | None = None
        self.forks = Forks(self._hint)
        # Children tell by one end that a claim was made; the other is polled here.
        self._told, self.tell_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._poll = select.epoll()
        for polled in (listener, signals, self._told):
            self._poll.register(polled.fileno(), select.EPOLLIN)
        for end in (listener, self._told, self.tell_end):
            end.setblocking(False)

    def serve(self) -> socket.socket | None:
        """Receive, fork, tell; until SIGTERM comes, or no manager does, or the run folder goes."""
        while True:
            idle = _LOOK_AROUND if self.forks.has_spare else self.forks.lull
            ready = [descriptor for descriptor, _ in self._poll.poll(idle)]
            if not ready and not self.forks.has_spare:
                orders = self.forks.fork_ahead()
                if orders is not None:
                    return orders
            elif not ready and not (self._managers and _is_ours(self._lock_file, self._lock)):
                return None
            for descriptor in ready:
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor == self._signals.fileno():
                    if set(self._signals.read()) - {signal.SIGCHLD}:
                        return None
                    self.forks.reap()
                elif descriptor == self._told.fileno():
                    self._pass_on()
                elif self._helper is not None and descriptor == self._helper.fileno():
                    self._pass_on_hints()
                elif descriptor in self._managers:
                    orders = self._take_requests(self._managers[descriptor])
                    if orders is not None:
                        return orders

    def close(self) -> None:
        """Close everything but the descriptor on which a child tells of its claim."""
        for end in (*self._managers.values(), self._listener, self._told):
            end.close()
        if self._helper is not None:
            self._helper.channel.close()
        self.forks.close()
        self._poll.close()

    def _accept(self) -> None:
        try:
            manager, _ = self._listener.accept()
        except OSError:  # it has gone again; or no descriptor is free, and it is kept waiting
            time.sleep(LULL)
            return
        manager.setblocking(False)
        self._managers[manager.fileno()] = manager
        self._poll.register(manager.fileno(), select.EPOLLIN)

    def _forget(self, manager: socket.socket) -> None:
        if self._managers.pop(manager.fileno(), None) is not None:
            self._poll.unregister(manager.fileno())
            manager.close()

    def _take_requests(self, manager: socket.socket) -> socket.socket | None:
        """Serve what one manager has asked for by now; give the orders' socket in a child."""
        for request in self._received(manager):
            reached("launcher.received")
            job = decode(request)
            if job is not None and job.get("command") is not None:
                self._pass_to_commands(request)
            elif job is not None:
                orders = self.forks.take(job["id"], job["folder"], request)
                if orders is not None:
                    return orders
        return None

    def _received(self, manager: socket.socket) -> Iterator[bytes]:
        while True:
            try:
                data = manager.recv(LONGEST_ORDER)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._forget(manager)
                return
            yield data

    def begin_helper(self) -> None:
        """Start the process that runs commands, so that it is warm when the first one comes."""
        try:
            self._helper = _begin_helper()
        except OSError as error:  # it is tried again with the next command
            self._hint({"trouble": f"no process can be started: {error}"})
            return
        self._poll.register(self._helper.fileno(), select.EPOLLIN)

    def _pass_to_commands(self, request: bytes) -> None:
        """Have a command run by the helper, which is begun for the first one; or it is dropped."""
        if self._helper is None:
            self.begin_helper()
        if self._helper is None:
            return
        try:
            self._helper.channel.send(request)
        except BlockingIOError:
            pass  # it has its hands full, and will be asked again
        except OSError:
            self._lose_helper()
            return
        if self._helper.asked is None:
            self._helper.asked = time.monotonic()
        elif time.monotonic() - self._helper.asked > _LONGEST_SILENCE:
            print("the helper for commands is silent: it is ended", file=sys.stderr, flush=True)
            self._helper.process.kill()
            self._lose_helper()

    def _lose_helper(self) -> None:
        if self._helper is not None:
            self._poll.unregister(self._helper.fileno())
            self._helper.channel.close()
            self._helper = None

    def _pass_on_hints(self) -> None:
        """Pass on what the helper tells; it is begun anew for the next command when it has died."""
        while self._helper is not None:
            try:
                data = self._helper.channel.recv(LONGEST_ORDER)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lose_helper()
                return
            self._helper.asked = None
            if KEPT not in json.loads(data):
                self._send(data)

    def _pass_on(self) -> None:
        while True:
            try:
                data = self._told.recv(LONGEST_ORDER)
            except BlockingIOError:
                return
            self._send(data)

    def _hint(self, hint: dict[str, str]) -> None:
        self._send(json.dumps(hint).encode())

    def _send(self, data: bytes) -> None:
        for manager in list(self._managers.values()):
            try:
                manager.send(data)
            except BlockingIOError:
                pass  # a hint may get lost
            except OSError:
                self._forget(manager)


def main(arguments: list[str]) -> int:
    """Serve as the launcher of the system whose configuration file is named; the exit code."""
    try:
        config = Config()
        config.load(arguments[1])
        paths = system_paths(config)
        ensure(paths)
    except NowcastError as error:
        print(f"error: {error.what}", file=sys.stderr)
        return error.exit_code
    lock_file = paths.run / "launcher.lock"
    try:
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        print(f"error: {lock_file} cannot be opened: {error.strerror}", file=sys.stderr)
        return 1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # another one serves this system: whoever started this one finds it
    reached("launcher.locked")
    warm_up(config)
    reached("launcher.warm")
    return _serve(config, paths, lock_file, lock)


def _serve(config: Config, paths: SystemPaths, lock_file: Path, lock: int) -> int:
    address = paths.run / "launcher.sock"
    pid_file = paths.run / "launcher.pid"
    identity = identity_of(os.getpid())
    assert identity is not None, "a process that runs has an identity"
    with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD) as signals:
        # Before the socket: whoever reaches the launcher can also tell who it is.
        try:
            write_atomically(pid_file, json.dumps(to_json(identity)).encode())
            listener = _listen(address)
        except OSError as error:
            print(f"error: {error.filename or address}: {error.strerror}", file=sys.stderr)
            return 1
        launcher = Launcher(listener, signals, lock_file, lock)
        if any("command" in entry for _, entry in registered_workers(config)):
            launcher.begin_helper()
        orders = launcher.serve()
        launcher.close()
    if orders is not None:
        os.close(lock)
        _run(orders, launcher.tell_end, first_uses(config) if launcher.forks.ahead else ())
    if _is_ours(lock_file, lock):
        address.unlink(missing_ok=True)
        pid_file.unlink(missing_ok=True)
    return 0


def _run(
    orders: socket.socket, tell_end: socket.socket, rehearsal: Sequence[Callable[[], None]]
) -> NoReturn:
    """Be the runner of a job in one process and the job in another."""

    def tell(kind: str, text: str) -> None:
        with suppress(OSError):
            tell_end.send(json.dumps({kind: text}).encode())

    try:
        job, runner = fork_worker(orders, tell, rehearsal)
        tell_end.close()
        become_job(JobRequest.from_json(job), runner)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _is_ours(lock_file: Path, lock: int) -> bool:
    try:
        return os.path.samestat(lock_file.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def _listen(address: Path) -> socket.socket:
    address.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(address))
    listener.listen(64)
    return listener


def _begin_helper() -> _Helper:
    """Start the process that runs commands."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "nowcast_cli.executors.command_launcher"]
    # The configuration is named for people alone, who see it in the list of processes.
    command += [str(theirs.fileno()), *sys.argv[1:]]
    with theirs:
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    ours.setblocking(False)
    return _Helper(process, ours)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
