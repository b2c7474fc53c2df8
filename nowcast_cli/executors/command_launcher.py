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
from typing import NoReturn

from nowcast_cli.crash_points import reached
from nowcast_cli.executors.command_child import (
    become_command,
    close_all_but,
    open_streams,
    stop,
    tools_beside_the_interpreter,
    with_tools,
)
from nowcast_cli.executors.forks import Forks, decode
from nowcast_cli.process_identity import boot_id
from nowcast_cli.runner import LONGEST_ORDER, environment_of, fork_worker


def main(arguments: list[str]) -> None:
    """Serve by the descriptor that is named, until it closes."""
    channel = socket.socket(fileno=int(arguments[1]))
    channel.setblocking(False)
    boot_id()
    # Terminated with the launcher's folder, or its session: it ends by the channel all the same.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake, woken = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    gc.collect()
    gc.freeze()
    gc.disable()
    orders = _serve(channel, wake)
    if orders is not None:
        signal.set_wakeup_fd(-1)
        wake.close()
        woken.close()
        _be_runner(orders, channel)


def _serve(channel: socket.socket, wake: socket.socket) -> socket.socket | None:
    """Receive, fork, tell; gives None when the launcher has gone, in a child its orders."""

    def hint(about: dict[str, str]) -> None:
        with suppress(OSError):  # a hint may get lost
            channel.send(json.dumps(about).encode())

    forks = Forks(hint)
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        ready = poll.poll(None if forks.has_spare else forks.lull * 1000)
        if not ready and (orders := forks.fork_ahead()) is not None:
            return orders
        for descriptor, _ in ready:
            if descriptor == wake.fileno():
                with suppress(BlockingIOError):
                    wake.recv(4096)
                forks.reap()
                continue
            try:
                request = channel.recv(LONGEST_ORDER)
            except BlockingIOError:
                continue
            except OSError:
                request = b""
            if not request:
                forks.close()
                return None
            reached("launcher.received")
            job = decode(request)
            if job is not None:
                orders = forks.take(job["id"], job["folder"], request)
                if orders is not None:
                    forks.close()
                    return orders


def _be_runner(orders: socket.socket, channel: socket.socket) -> NoReturn:
    """Be the runner of a job in one process and the command in another."""

    def tell(kind: str, text: str) -> None:
        # That a job is claimed is seen soon enough: many a command has ended by then.
        if kind == "trouble":
            with suppress(OSError):
                channel.send(json.dumps({kind: text}).encode())

    try:
        job, runner = fork_worker(orders, tell)
        environment = {
            **os.environ,
            **environment_of(job),
            "NOWCAST_JOB_PID": str(os.getpid()),
        }
        try:
            open_streams(job["folder"])
            close_all_but(runner.fileno())
        except OSError as error:
            stop(runner, f"the command could not begin: {error}")
        reached("worker.opened_its_streams")
        become_command(job, runner, with_tools(environment, tools_beside_the_interpreter()))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv)
