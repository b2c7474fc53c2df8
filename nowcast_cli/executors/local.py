"""Runs jobs on this machine, by a launcher that outlives whoever asks it."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from nowcast_cli import process_identity
from nowcast_cli.config import SystemPaths
from nowcast_cli.executors.job_folder import Claim, JobRequest, encoded, last_lines
from nowcast_cli.executors.sessions import signal_session
from nowcast_cli.process_identity import ProcessIdentity, is_alive

_logger = logging.getLogger(__name__)

_LONGEST_HINT = 1 << 16  # bytes
_SILENCE = 5.0  # s between two log lines about jobs that cannot begin
_SHORTEST_PAUSE = 0.1  # s before a launcher that ended by itself is started once more
_LONGEST_PAUSE = 5.0  # s
# A launcher is silent for a request only while it forks, or has been stopped, or hangs.
_LONGEST_SILENCE = 15.0  # s


class LocalExecutor:
    """Submits jobs to the launcher and notices their ends; holds no truth of its own.

    Whoever uses it polls :meth:`fileno`, calls :meth:`hints` when it is readable, and reads the
    folders of the jobs that are named. Hints may get lost: a slow scan of all folders has to
    stand behind them.

    Parameters
    ----------
    paths
        The system's paths; ``paths.run`` and ``paths.logs`` exist.
    python
        The interpreter under which workers run.
    config_file
        The configuration that the launcher loads.
    """

    def __init__(self, paths: SystemPaths, python: str, config_file: Path) -> None:
        self._launcher = _LauncherProcess(paths, python, config_file)
        self._address = str(paths.run / "launcher.sock")
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._connection: socket.socket | None = None
        self._unsent: dict[str, bytes] = {}
        self._watched: dict[int, str] = {}  # job ids by the pidfd of a process of theirs
        self._ready: list[str] = []
        self._silent_until = 0.0
        self._paths = paths
        self._asked: float | None = None  # when the oldest request was that had no answer as yet

    def fileno(self) -> int:
        """A descriptor that is readable when something may have happened to a job."""
        return self._poll.fileno()

    def trouble(self) -> str | None:
        """A sentence that says why no launcher can be had, or None."""
        return self._launcher.trouble

    def connect(self) -> bool:
        """Reach the launcher, or start one when none answers; True once it is reached.

        Never blocks. Worth calling when a manager begins, so that the first job finds a warm
        launcher; :meth:`submit` calls it too.
        """
        if self._connection is not None:
            return True
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(self._address)
        except BlockingIOError:  # it is there, and does not come to accept
            connection.close()
            return False
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            self._launcher.start()
            return False
        self._launcher.answers()
        self._connection, self._asked = connection, None
        self._poll.register(connection.fileno(), select.EPOLLIN)
        return True

    def submit(self, job: JobRequest) -> None:
        """Ask for a job to be run; to be repeated until its claim is there.

        Never blocks. Raises NowcastError when the request is longer than a socket carries.
        """
        self._unsent[job.id] = encoded(job)
        if self.connect():
            self._send()
        if self._asked is None:
            self._asked = time.monotonic()
        elif time.monotonic() - self._asked > _LONGEST_SILENCE:
            self._replace_if_silent()

    def watch(self, job_id: str, claim: Claim) -> None:
        """See to it that :meth:`hints` names the job as soon as it has ended.

        That is the end of its runner, which has written ``exit`` by then; or the end of the
        worker when the runner is dead.
        """
        for process in (claim.runner, claim.process):
            descriptor = None if process is None else _open(process)
            if descriptor is not None:
                self._watched[descriptor] = job_id
                self._poll.register(descriptor, select.EPOLLIN)
                return
            if process is not None and is_alive(process):
                return  # there are no descriptors left: the slow scan has to find its end
        self._ready.append(job_id)
        os.eventfd_write(self._wake, 1)

    def hints(self) -> list[str]:
        """The ids of jobs whose folders are worth reading now; never blocks."""
        while events := self._poll.poll(0):
            for descriptor, event in events:
                self._notice(descriptor, event)
        ready = list(dict.fromkeys(self._ready))
        self._ready.clear()
        return ready

    def cancel(self, claim: Claim, signal_number: int) -> bool:
        """Send a signal to all processes of a job's session; False when the job has ended."""
        return signal_session(claim.process, signal_number)

    def close(self) -> None:
        """Let go of everything; the launcher and all jobs go on."""
        for descriptor in self._watched:
            os.close(descriptor)
        self._watched.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        os.close(self._wake)
        self._poll.close()

    def _notice(self, descriptor: int, event: int) -> None:
        if descriptor == self._wake:
            os.eventfd_read(self._wake)
        elif descriptor in self._watched:
            self._ready.append(self._watched.pop(descriptor))
            self._poll.unregister(descriptor)
            os.close(descriptor)
        elif self._connection is not None:
            if event & select.EPOLLOUT:
                self._send()
            self._receive()

    def _send(self) -> None:
        """Send what is to be sent; what the socket does not take waits until it does."""
        connection = self._connection
        if connection is None:
            return
        try:
            while self._unsent:
                job_id, data = next(iter(self._unsent.items()))
                connection.send(data)
                del self._unsent[job_id]
        except BlockingIOError:
            self._poll.modify(connection.fileno(), select.EPOLLIN | select.EPOLLOUT)
        except OSError:
            self._lose_connection()
        else:
            self._poll.modify(connection.fileno(), select.EPOLLIN)

    def _receive(self) -> None:
        while self._connection is not None:
            try:
                data = self._connection.recv(_LONGEST_HINT)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lose_connection()
                return
            self._asked = None
            for kind, text in json.loads(data).items():
                if kind == "trouble":
                    self._complain(text)
                else:
                    self._ready.append(text)

    def _replace_if_silent(self) -> None:
        """End a launcher that takes requests and does nothing; the claims keep jobs from two."""
        self._receive()  # perhaps it is this process that was stopped for a while
        if self._asked is None:
            return
        self._asked = time.monotonic()
        descriptor = _open_launcher(self._paths)
        if descriptor is None:  # none is there yet, and the one that starts has just begun
            return
        _logger.error(
            "the launcher has not answered for %g s: it is ended, and another one started",
            _LONGEST_SILENCE,
        )
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)

    def _complain(self, text: str) -> None:
        if time.monotonic() >= self._silent_until:  # each repeat of a request brings it again
            self._silent_until = time.monotonic() + _SILENCE
            _logger.error("%s", text)

    def _lose_connection(self) -> None:
        if self._connection is not None:
            self._poll.unregister(self._connection.fileno())
            self._connection.close()
            self._connection = None
        self.connect()  # a new one is warm when the next job comes


class _LauncherProcess:
    """Starts launchers, each in a session of its own; slower and slower when they end at once."""

    def __init__(self, paths: SystemPaths, python: str, config_file: Path) -> None:
        self._command = [python, "-m", "nowcast_cli.executors.launcher", str(config_file)]
        self._deployment = paths.deployment
        self._log = paths.logs / "launcher.out"
        self._process: subprocess.Popen[bytes] | None = None
        self._pause = _SHORTEST_PAUSE
        self._not_before = 0.0
        self._answered = False
        self.trouble: str | None = None

    def answers(self) -> None:
        """Take note that a launcher was reached."""
        self._pause, self._answered, self.trouble = _SHORTEST_PAUSE, True, None

    def start(self) -> None:
        """Start a launcher unless one is on its way, or has just failed."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._note_end(self._process.returncode)
            self._process = None
        if time.monotonic() < self._not_before:
            return
        self._answered = False
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._deployment,
                    start_new_session=True,
                )
        except OSError as error:
            self._slow_down(f"the launcher cannot be started with {self._command[0]}: {error}")

    def _note_end(self, code: int) -> None:
        if self._answered:
            return
        if code <= 0:  # killed, or another one holds the lock
            self._slow_down(None)
            return
        words = " ".join(last_lines(self._log, 1))
        self._slow_down(f"the launcher ended with exit code {code}: {words} (see {self._log})")

    def _slow_down(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            _logger.error("%s", trouble)
        self.trouble = trouble
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def stop_launcher(paths: SystemPaths, grace: float = 2.0) -> bool:
    """End the launcher of a system; jobs go on. False when none runs.

    It gets SIGTERM, and SIGKILL when it has not ended after ``grace`` seconds.
    """
    give_up = time.monotonic() + grace
    while (descriptor := _open_launcher(paths)) is None:
        if not _is_locked(paths.run / "launcher.lock") or time.monotonic() > give_up:
            return False
        time.sleep(0.01)  # one is getting warm: it has the lock and no pid file yet
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if select.select([descriptor], [], [], grace)[0]:
                break
    finally:
        os.close(descriptor)
    return True


def _open_launcher(paths: SystemPaths) -> int | None:
    try:
        content = (paths.run / "launcher.pid").read_bytes()
        return _open(process_identity.from_json(json.loads(content)))
    except (OSError, ValueError):
        return None


def _is_locked(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(identity: ProcessIdentity) -> int | None:
    """A descriptor of that very process, readable when it ends; None when it has."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return None
    try:
        alive = is_alive(identity)  # asked after the open: the number cannot go to another one now
    except OSError:
        os.close(descriptor)
        raise
    if alive:
        return descriptor
    os.close(descriptor)
    return None
