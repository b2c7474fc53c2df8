"""An action worker: the process in which components are called, one call after the other.

``python -m nowcast_cli.actions.worker CONFIG SOCKET TOKENS REFUSED`` (the descriptors of a socket
pair and of a pipe, and JSON of components that brought an earlier one down). A token is taken from
the pipe before an order is begun, and each result is written before the next one is: so the host
knows in which call a process was when it dies, and can take back what is not begun.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from nowcast_cli.actions import wire
from nowcast_cli.actions.components import Components, look_in
from nowcast_cli.actions.context import ActionContext, ActionFailed
from nowcast_cli.actions.directory import Directory, directory_of
from nowcast_cli.actions.performing import Performer
from nowcast_cli.config import Config
from nowcast_cli.config.limits import limits
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NowcastError
from nowcast_cli.messages.performing import (
    Answer,
    Ask,
    Order,
    PerformingError,
    Progress,
    Renewed,
    frames_of,
    read_order,
    to_performer,
)

_PR_SET_PDEATHSIG = 1


class HostGone(BaseException):
    """The host has closed its end; it goes through what components catch."""


def main(arguments: list[str]) -> int:
    """Import the components, then carry out orders until the host closes its end."""
    config_file, refused = Path(arguments[0]), arguments[3]
    descriptor, tokens = int(arguments[1]), int(arguments[2])
    _belong_to_the_host()
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)  # nothing that a component starts is to have them
    os.set_inheritable(tokens, False)
    config = Config()
    config.load(config_file)
    _log_where_possible(config)
    look_in(config.file.parent)
    worker = ActionWorker(connection, tokens, directory_of(config), config)
    worker.preload(json.loads(refused))
    gc.collect()
    gc.freeze()
    worker.serve()
    return 0


class ActionWorker:
    """Calls components as the host orders. It is the desk of the calls, too."""

    def __init__(
        self, connection: socket.socket, tokens: int, directory: Directory, config: Config
    ) -> None:
        self._connection = connection
        self._tokens = tokens
        self._directory = directory
        self._components = Components()
        self._performer = Performer(self._components, limits(config))
        self._reader = wire.FrameReader()
        self._inbox: deque[tuple[bytes, bytes]] = deque()
        self._writing = threading.Lock()  # a component's threads may say how far they are
        self._pid = os.getpid()

    def preload(self, refused: Mapping[str, str]) -> None:
        """Import what the mapping names, and say which of it cannot be used."""
        for name, sentence in refused.items():
            self._components.refuse(name, sentence)
        troubles = {}
        for component in self._directory.mapping.components.values():
            self._write(wire.frame(wire.IMPORTING, component.name.encode()))
            trouble = self._components.preload(component.name)
            if trouble is not None:
                troubles[component.name] = trouble
            self._leave_if_forked()
        self._write(wire.frame(wire.IMPORTING))
        self._write(wire.frame(wire.READY, json.dumps(troubles).encode()))

    def serve(self) -> None:
        """Carry out orders. Raises HostGone."""
        while True:
            kind, content = self._next()
            if kind == wire.ORDER:
                until, text = wire.number_and_text(content)
                reached("action_worker.received")
                if self._may_begin(until):
                    self._carry_out(read_order(text))
                else:
                    self._write(wire.frame(wire.NOT_BEGUN))

    def _may_begin(self, until: float) -> bool:
        """Say whether an order is still ours, and not given too long ago."""
        try:
            os.read(self._tokens, 1)
        except BlockingIOError:  # the host has taken it back
            return False
        return time.clock_gettime(time.CLOCK_BOOTTIME) < until

    def say(self, word: Progress | Renewed) -> None:
        """Pass on a word of a call."""
        kind = wire.PROGRESS if isinstance(word, Progress) else wire.RENEWED
        if os.getpid() == self._pid:
            self._write(wire.frame(kind, frames_of(word)[1]))

    def ask(self, call: ActionContext, key: str, values: Mapping[str, Any]) -> Any:
        """Have another action done: here, or by a service."""
        component = self._directory.component_for(key, values)
        if component is not None:
            return self._performer.call_within(component, values, call.called_for(key))
        ask = Ask(f"ask-{uuid4().hex}", key, values, call.seconds_left)
        try:
            text = frames_of(ask)[1]
        except (TypeError, ValueError, RecursionError) as error:
            raise ActionFailed(f"{key} cannot be asked with these values: {error}") from None
        if threading.current_thread() is not threading.main_thread():
            raise ActionFailed(f"{key} is a service's, and is asked from the call's own thread")
        self._write(wire.frame(wire.ASK, text))
        answer = self._answer_to(ask, call)
        if answer.state != "done":
            raise ActionFailed(f"{key}: {answer.reason or answer.state}")
        return answer.gave

    def _carry_out(self, order: Order) -> None:
        began = time.monotonic()
        text = self._performer.perform(order, self)
        self._leave_if_forked()
        reached("action_worker.carried_out")
        self._write(wire.numbered(wire.RESULT, time.monotonic() - began, text))
        reached("action_worker.answered")

    def _leave_if_forked(self) -> None:
        """End the child of a component's fork, which came back beside its parent."""
        if os.getpid() != self._pid:
            os._exit(0)

    def _answer_to(self, ask: Ask, call: ActionContext) -> Answer:
        """Wait for an answer; orders that come meanwhile wait in the inbox."""
        others: deque[tuple[bytes, bytes]] = deque()
        try:
            while True:
                self._connection.settimeout(max(0.001, call.seconds_left))
                kind, content = self._next()
                if kind != wire.ANSWER:
                    others.append((kind, content))
                    continue
                answer = to_performer([b"answer", content])
                if isinstance(answer, Answer) and answer.id == ask.id:
                    return answer
        except TimeoutError:
            raise ActionFailed(f"{ask.key} has not answered in the time of the call") from None
        finally:
            self._connection.settimeout(None)
            self._inbox.extendleft(reversed(others))

    def _next(self) -> tuple[bytes, bytes]:
        while not self._inbox:
            part = self._connection.recv(1 << 18)
            if not part:
                raise HostGone
            self._inbox.extend(self._reader.feed(part))
        return self._inbox.popleft()

    def _write(self, frame: bytes) -> None:
        with self._writing:
            self._connection.sendall(frame)


def _belong_to_the_host() -> None:
    host = os.getppid()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != host:
        os._exit(1)
    # Where a component has crashed the interpreter, or hangs, is printed, and so logged.
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def _log_where_possible(config: Config) -> None:
    """Set up logging; without it components are called all the same."""
    try:
        configure_logging(config, "action_workers")
    except NowcastError as error:
        print(f"an action worker logs to here: {error.what}: {error.cause}", file=sys.stderr)
        logging.basicConfig(level=logging.INFO)


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except (HostGone, BrokenPipeError, ConnectionResetError):
        code = 0
    except (NowcastError, PerformingError) as error:
        print(error, file=sys.stderr)
        code = 2
    # Threads that components have left behind must not keep it alive.
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a component may have closed it, or put another in its place
            stream.flush()
    os._exit(code)
