"""One decider as the manager sees it: started, fed, read, ended. Nothing here blocks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from nowcast_cli.manager.decider_wire import FrameReader, frame, pack_entry
from nowcast_cli.manager.signal_words import signal_words
from nowcast_cli.manager.state import Entry


class DeciderProcess:
    """A process of ``nowcast_cli.manager.decider``; after :meth:`begin` it takes messages.

    ``began`` is when it began to load, in nanoseconds since 1970, as files are stamped.
    ``pending`` holds the entries that it was sent and has not answered, oldest first. After
    :meth:`end`, ``was_killed`` tells whether its process ended by SIGKILL.
    """

    def __init__(self, config_file: Path) -> None:
        self.began = time.time_ns()
        ours, theirs = socket.socketpair()
        stop_reader, self._stop_writer = os.pipe()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "nowcast_cli.manager.decider",
                    str(config_file), str(theirs.fileno()), str(stop_reader),
                ],
                pass_fds=(theirs.fileno(), stop_reader),
                stdin=subprocess.DEVNULL,
                cwd=config_file.parent,
            )  # fmt: skip
        os.close(stop_reader)
        ours.setblocking(False)
        self._socket = ours
        self._reader = FrameReader()
        self._unsent = bytearray()
        self.pending: deque[Entry] = deque()
        self.after_functions: frozenset[str] | None = None
        self.head_since = 0.0
        self.gone = False
        self.was_killed = False

    def fileno(self) -> int:
        """Give the descriptor that is readable when there are answers."""
        return self._socket.fileno()

    def begin(self, checklist_document: str) -> None:
        """Give it the checklist as it is now, with the next flush; before any message."""
        self._unsent += frame(checklist_document.encode())

    def lives(self) -> bool:
        """Say whether the process has not ended."""
        return self._process.poll() is None

    def send(self, entry: Entry, now: float) -> None:
        """Give it a message, with the next flush, to decide on where the entry says so."""
        self._unsent += frame(pack_entry(entry))
        if entry.decide:
            if not self.pending:
                self.head_since = now
            self.pending.append(entry)

    def flush(self) -> bool:
        """Send what the socket takes; say whether all is sent."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                sent = self._socket.send(memoryview(self._unsent)[: 1 << 18])
                del self._unsent[:sent]
        return not self._unsent

    def answers(self, now: float) -> list[dict[str, Any]]:
        """Give what it has said; ``gone`` is set when it has ended."""
        answers: list[dict[str, Any]] = []
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.gone = True
                break
            answers.extend(json.loads(content) for content in self._reader.feed(data))
        for answer in answers:
            if "number" in answer and self.pending:
                self.pending.popleft()
                self.head_since = now
        return answers

    def tell_to_stop(self) -> None:
        """Ask it to end after the call that it is in."""
        if self._stop_writer >= 0:
            os.close(self._stop_writer)
            self._stop_writer = -1

    def end(self) -> str:
        """End it at once and say how its process ended."""
        self.tell_to_stop()
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2 if self.gone else 0)
        self._process.kill()
        code = self._process.wait()
        if code < 0:
            self.was_killed = -code == signal.SIGKILL
            return f"it was killed by signal {signal_words(-code)}"
        return f"it exited with code {code}"
