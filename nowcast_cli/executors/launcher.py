"""The launcher: a warm process that forks a runner and a worker for each job it is asked for.

``python -m nowcast_cli.executors.launcher CONFIG`` listens at ``run/launcher.sock``, one per
system. A request is the content of a ``job.json``; it may be repeated, since nothing but the
claim in the job's folder decides whether a job has begun. To every manager that is connected it
sends hints, ``{"claimed": id}``, ``{"ended": id}`` and ``{"trouble": sentence}``;
they may get lost.

One pair of a runner and a worker is forked ahead of its job, so that the next job costs no fork
before its code begins. Single-threaded, with no ZeroMQ context and no database open, so that a
fork holds nothing that does not survive one.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.config.paths import ensure
from nowcast_cli.crash_points import reached
from nowcast_cli.daemon.signals import Signals
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.child import become_job
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.warm import first_uses, warm_up
from nowcast_cli.process_identity import identity_of, to_json
from nowcast_cli.runner import LONGEST_ORDER, fork_worker

_PATIENCE = 1.0  # s in which a runner is trusted to come to its claim
_LOOK_AROUND = 30.0  # s between looks whether a manager is there and the run folder still ours
_LULL = 0.005  # s without a request after which the next pair is forked
_LULL_WITHOUT_PROCESSES = 1.0  # s, when the last fork failed
_ALL_SIGNALS = signal.valid_signals()


@dataclass(frozen=True)
class _Pair:
    """A runner, with its worker, that waits for its order at the other end of ``orders``."""

    runner: int
    orders: socket.socket


class Launcher:
    """The loop. :meth:`serve` ends with None when it is over, in a forked child with its orders."""

    def __init__(self, listener: socket.socket, signals: Signals, lock_file: Path, lock: int):
        self._listener = listener
        self._signals = signals
        self._lock_file = lock_file
        self._lock = lock
        self._managers: dict[int, socket.socket] = {}
        self._jobs: dict[int, str] = {}  # by the process id of their runner
        self._begun: dict[str, float] = {}  # when the last runner of a job was forked
        self._spare: _Pair | None = None
        self.ahead = False
        self._lull = _LULL
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
            idle = _LOOK_AROUND if self._spare else self._lull
            ready = [descriptor for descriptor, _ in self._poll.poll(idle)]
            if not ready and self._spare is None:
                self._spare, orders = self._fork()
                if orders is not None:
                    self.ahead = True
                    return orders
            elif not ready and not (self._managers and _is_ours(self._lock_file, self._lock)):
                return None
            for descriptor in ready:
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor == self._signals.fileno():
                    if set(self._signals.read()) - {signal.SIGCHLD}:
                        return None
                    self._reap()
                elif descriptor == self._told.fileno():
                    self._pass_on()
                elif descriptor in self._managers:
                    orders = self._take_requests(self._managers[descriptor])
                    if orders is not None:
                        return orders

    def close(self) -> None:
        """Close everything but the descriptor on which a child tells of its claim."""
        for end in (*self._managers.values(), self._listener, self._told):
            end.close()
        if self._spare is not None:
            self._spare.orders.close()
        self._poll.close()

    def _accept(self) -> None:
        try:
            manager, _ = self._listener.accept()
        except OSError:  # it has gone again; or no descriptor is free, and it is kept waiting
            time.sleep(_LULL)
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
            job = _decode(request)
            if job is not None and self._is_needed(*job):
                orders = self._assign(job[0], request)
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

    def _is_needed(self, job: str, folder: str) -> bool:
        """Never false for a job without a claim, but while a young runner is on its way to it."""
        if time.monotonic() - self._begun.get(job, -_PATIENCE) < _PATIENCE:
            return False
        if not os.access(folder + "/pid", os.F_OK):
            return True
        self._hint({("ended" if os.access(folder + "/exit", os.F_OK) else "claimed"): job})
        return False

    def _assign(self, job: str, request: bytes) -> socket.socket | None:
        """Give a job to the spare pair or to a new one; gives the orders' socket in a child."""
        pair, self._spare = self._spare, None
        reached("launcher.took_the_spare_pair")
        if pair is not None and self._order(pair, job, request):
            return None
        pair, orders = self._fork()
        if pair is not None:
            self._order(pair, job, request)
        return orders

    def _order(self, pair: _Pair, job: str, request: bytes) -> bool:
        """False when the pair was killed while it waited."""
        try:
            pair.orders.send(request)
        except OSError:
            return False
        finally:
            pair.orders.close()
        reached("launcher.ordered")
        self._jobs[pair.runner] = job
        self._begun[job] = time.monotonic()
        return True

    def _fork(self) -> tuple[_Pair | None, socket.socket | None]:
        """Fork a runner: (pair, None) here, (None, its orders) in it, where signals are blocked."""
        try:
            ours, orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            self._cannot_fork(error)
            return None, None
        signal.pthread_sigmask(signal.SIG_SETMASK, _ALL_SIGNALS)
        try:
            pid = os.fork()
        except OSError as error:
            pid = -1
            self._cannot_fork(error)
        if pid == 0:
            ours.close()
            return None, orders
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        orders.close()
        reached("launcher.forked")
        if pid < 0:
            ours.close()
            return None, None
        self._lull = _LULL
        return _Pair(pid, ours), None

    def _cannot_fork(self, error: OSError) -> None:
        """Tell why there is no new pair; whoever needs one asks again, and we try in a while."""
        self._hint({"trouble": f"no process can be started: {error}"})
        self._lull = _LULL_WITHOUT_PROCESSES

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            reached("launcher.reaped")
            if self._spare is not None and self._spare.runner == pid:
                self._spare.orders.close()
                self._spare = None
            job = self._jobs.pop(pid, None)
            if job is not None:
                self._begun.pop(job, None)
                self._hint({"ended": job})

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
        orders = launcher.serve()
        launcher.close()
    if orders is not None:
        os.close(lock)
        _run(orders, launcher.tell_end, first_uses(config) if launcher.ahead else ())
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


def _decode(request: bytes) -> tuple[str, str] | None:
    """The id and the folder of the job that is asked for; None when it is no request."""
    try:
        job: dict[str, Any] = json.loads(request)
        return str(job["id"]), str(job["folder"])
    except (ValueError, KeyError, TypeError) as error:
        print(f"a request that is none was dropped: {error!r}", file=sys.stderr, flush=True)
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv))
