"""The launcher's lean helper, which forks runners for commands: it has next to nothing loaded.

A fork costs by the memory of who forks, and a command needs none of what the launcher keeps warm
for modules. It is a child of the launcher: requests and hints go by their socket pair, ``python -m
nowcast_cli.executors.command_launcher DESCRIPTOR CONFIG``, and it ends with that. Its jobs go on.

Standard library only.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from nowcast_cli.crash_points import reached
from nowcast_cli.executors.command_runner import serve
from nowcast_cli.executors.forks import decode
from nowcast_cli.process_identity import boot_id
from nowcast_cli.runner import LONGEST_ORDER

KEPT = "kept"  # tells the launcher, and nobody else, that a request is seen to

# Jobs that are on their way to their claim, at once: more only take each other's processor.
_AT_ONCE = 2 * (os.cpu_count() or 1) + 2
_KEPT = 4  # runners that wait for jobs when there are none
_LULL = 2.0  # s without anything to do, after which the others end
_PAUSE = 1.0  # s until a fork is tried again that has failed


@dataclass
class _Runner:
    """A runner by its orders; ``job`` is what it runs, None while it waits."""

    orders: socket.socket
    job: str | None = None
    starting: bool = False


class CommandLauncher:
    """The loop; :meth:`serve` gives the orders of a runner in a forked child, None at the end."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._poll = select.epoll()
        self._poll.register(channel, select.EPOLLIN)
        self._runners: dict[int, _Runner] = {}  # by the descriptor of their orders
        self._idle: list[int] = []
        self._waiting: dict[str, tuple[str, bytes]] = {}  # folder and request by job
        self._running: set[str] = set()
        self._starting = 0
        self._is_short = False  # of processes: the last fork has failed

    def serve(self) -> socket.socket | None:
        """Receive, hand out, tell; until the launcher goes."""
        while True:
            wait = _PAUSE if self._is_short else _LULL if len(self._idle) > _KEPT else None
            ready = [descriptor for descriptor, _ in self._poll.poll(wait)]
            self._is_short = False
            if not ready:
                self._dismiss_idle()
            for descriptor in ready:
                if descriptor != self._channel.fileno():
                    self._hear(descriptor)
                elif not self._receive():
                    return None
            orders = self._hand_out()
            if orders is not None:
                return orders

    def close(self) -> None:
        """Let go of all runners; those that run a job end when that has."""
        for runner in self._runners.values():
            runner.orders.close()
        self._poll.close()
        self._channel.close()

    def _receive(self) -> bool:
        """Take the requests that have come; False when the launcher has gone."""
        while True:
            try:
                request = self._channel.recv(LONGEST_ORDER)
            except BlockingIOError:
                return True
            except OSError:
                request = b""
            if not request:
                return False
            reached("launcher.received")
            job = decode(request)
            if job is None:
                continue
            if job["id"] in self._waiting or job["id"] in self._running:
                self._hint({KEPT: job["id"]})
            else:
                self._waiting[job["id"]] = (job["folder"], request)

    def _hand_out(self) -> socket.socket | None:
        """Give the jobs that wait to runners; gives the orders' socket in a forked child."""
        while self._waiting and self._starting < _AT_ONCE:
            job, (folder, request) = next(iter(self._waiting.items()))
            if os.access(folder + "/pid", os.F_OK):
                del self._waiting[job]
                has_ended = os.access(folder + "/exit", os.F_OK)
                self._hint({("ended" if has_ended else "claimed"): job})
                continue
            if not self._idle:
                orders = self._fork()
                if orders is not None:
                    return orders
                if not self._idle:
                    return None
            del self._waiting[job]
            self._order(self._idle.pop(), job, request)
        return None

    def _order(self, descriptor: int, job: str, request: bytes) -> None:
        runner = self._runners[descriptor]
        try:
            runner.orders.send(request)
        except OSError:  # it was killed while it waited; its end is heard of next
            return
        reached("launcher.ordered")
        runner.job, runner.starting = job, True
        self._running.add(job)
        self._starting += 1

    def _fork(self) -> socket.socket | None:
        """Fork one more runner, which is idle as yet; gives its orders in the child."""
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            self._cannot_fork(error)
            return None
        try:
            child = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            self._cannot_fork(error)
            return None
        if child == 0:
            ours.close()
            return theirs
        reached("launcher.forked")
        theirs.close()
        ours.setblocking(False)
        self._runners[ours.fileno()] = _Runner(ours)
        self._idle.append(ours.fileno())
        self._poll.register(ours, select.EPOLLIN)
        return None

    def _cannot_fork(self, error: OSError) -> None:
        """Tell why there is no new runner; it is tried again in a while."""
        self._hint({"trouble": f"no process can be started: {error}"})
        self._is_short = True

    def _hear(self, descriptor: int) -> None:
        """Take what a runner tells: its job has started, ended, or could not begin."""
        runner = self._runners[descriptor]
        try:
            data = runner.orders.recv(LONGEST_ORDER)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(descriptor, runner)
            return
        for kind, text in json.loads(data).items():
            if runner.starting:
                runner.starting = False
                self._starting -= 1
            if kind == "ended":
                self._running.discard(text)
                runner.job = None
                self._idle.append(descriptor)
            self._hint({(KEPT if kind == "started" else kind): text})

    def _lose(self, descriptor: int, runner: _Runner) -> None:
        """Forget a runner that has ended."""
        self._starting -= runner.starting
        del self._runners[descriptor]
        if descriptor in self._idle:
            self._idle.remove(descriptor)
        self._poll.unregister(descriptor)
        runner.orders.close()
        if runner.job is not None:
            self._running.discard(runner.job)
            self._hint({"ended": runner.job})

    def _dismiss_idle(self) -> None:
        for descriptor in self._idle[_KEPT:]:
            self._lose(descriptor, self._runners[descriptor])

    def _hint(self, about: dict[str, str]) -> None:
        with suppress(OSError):  # a hint may get lost
            self._channel.send(json.dumps(about).encode())


def main(arguments: list[str]) -> None:
    """Serve by the descriptor that is named, until it closes."""
    channel = socket.socket(fileno=int(arguments[1]))
    channel.setblocking(False)
    boot_id()
    # It ends by the channel, whatever is sent to the launcher's session; nobody waits for runners.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    launcher = CommandLauncher(channel)
    orders = launcher.serve()
    launcher.close()
    if orders is not None:
        _be_runner(orders)


def _be_runner(orders: socket.socket) -> NoReturn:
    try:
        serve(orders)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv)
