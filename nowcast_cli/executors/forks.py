"""Pairs of a runner and a worker, forked one ahead of its job; each job gets one.

Single-threaded users only, that hold nothing which does not survive a fork. Standard library only,
and few modules of it: what a process has loaded is what its forks cost.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nowcast_cli.crash_points import reached

LULL = 0.005  # s without a request after which the next pair is forked

_PATIENCE = 1.0  # s in which a runner is trusted to come to its claim
_LULL_WITHOUT_PROCESSES = 1.0  # s, when the last fork failed
_ALL_SIGNALS = signal.valid_signals()


@dataclass(frozen=True)
class _Pair:
    """A runner, with its worker, that waits for its order at the other end of ``orders``."""

    runner: int
    orders: socket.socket


class Forks:
    """The pairs of one process.

    Where a method gives a socket, this is a forked child now: a runner, whose order comes by that
    socket, with all signals blocked. ``hint`` sends a hint, which may get lost.
    """

    def __init__(self, hint: Callable[[dict[str, str]], None]) -> None:
        self._hint = hint
        self._jobs: dict[int, str] = {}  # by the process id of their runner
        self._begun: dict[str, float] = {}  # when the last runner of a job was forked
        self._spare: _Pair | None = None
        self.lull = LULL
        self.ahead = False  # in a child: whether it was forked ahead of its job

    @property
    def has_spare(self) -> bool:
        """Whether a pair waits for a job."""
        return self._spare is not None

    def fork_ahead(self) -> socket.socket | None:
        """Fork the pair of a job that is yet to come."""
        self._spare, orders = self._fork()
        self.ahead = orders is not None
        return orders

    def take(self, job: str, folder: str, request: bytes) -> socket.socket | None:
        """Have a job begun, unless it has been."""
        return self._assign(job, request) if self._is_needed(job, folder) else None

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
        self.lull = LULL
        return _Pair(pid, ours), None

    def _cannot_fork(self, error: OSError) -> None:
        """Tell why there is no new pair; whoever needs one asks again, and we try in a while."""
        self._hint({"trouble": f"no process can be started: {error}"})
        self.lull = _LULL_WITHOUT_PROCESSES

    def reap(self) -> None:
        """Take note of the runners that have ended."""
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

    def close(self) -> None:
        """Let go of the spare pair, which ends then."""
        if self._spare is not None:
            self._spare.orders.close()


def decode(request: bytes) -> dict[str, Any] | None:
    """Read a request, which has an ``id`` and a ``folder``; None when it is none."""
    try:
        job: dict[str, Any] = json.loads(request)
        if isinstance(job["id"], str) and isinstance(job["folder"], str):
            return job
        problem = "no id and folder"
    except (ValueError, KeyError, TypeError) as error:
        problem = repr(error)
    print(f"a request that is none was dropped: {problem}", file=sys.stderr, flush=True)
    return None
