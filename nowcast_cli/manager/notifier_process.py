"""The notifier as the manager sees it: kept up where it is wanted, and never waited for."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nowcast_cli.manager.clock import now
from nowcast_cli.messages.event import topic_of
from nowcast_cli.store.event_records import EventPut

MODULE = "nowcast_cli.notify"
SHORTEST_LIFE = 30.0  # seconds between two starts


class NotifierProcess:
    """Starts ``nowcast_cli.notify`` where the configuration asks for notifications.

    The process holds one end of a pipe: however the manager ends, the other end closes. When the
    manager was killed the notifier says so before it goes; :meth:`close` ends it at once. By a
    second pipe it says what it has sent; what it sends while no manager runs is no event.
    """

    def __init__(
        self, config_file: Path, monotonic: Callable[[], float], logger: logging.Logger
    ) -> None:
        self._config_file = config_file
        self._monotonic = monotonic
        self._logger = logger
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._next_start = float("-inf")
        self._said, self._says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def fileno(self) -> int:
        """Give the descriptor that is readable when the notifier has sent something."""
        return self._said

    def happened(self) -> list[EventPut]:
        """Give what it has sent, as events, also before it ended; does not wait."""
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self._said, 1 << 16)
        *lines, self._rest = self._rest.split(b"\n")
        return [_event(line) for line in lines]

    def tend(self, config: Mapping[str, Any], last_message: int) -> None:
        """Start it where it is wanted and does not run, at most each ``SHORTEST_LIFE``.

        ``last_message`` is where one begins that has never followed this journal.
        """
        if not (config.get("notify") or config.get("slack notifications")):
            return
        if self._monotonic() < self._next_start:
            return
        # It ends by itself, with 0, where it can tell nobody; then only a reload changes that.
        if self._process is not None and self._process.poll() in (None, 0):
            return
        self.close()
        self._next_start = self._monotonic() + SHORTEST_LIFE
        try:
            self._start(last_message)
        except OSError as error:
            self._logger.error("notifications cannot be sent: %s", error)

    def reload(self) -> None:
        """Have it started with the configuration as it is now."""
        self.close()
        self._next_start = float("-inf")

    def close(self) -> None:
        """End it; what it had not sent is sent by the next one."""
        if self._process is not None:
            self._process.terminate()  # which it does not handle: it ends at once
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            self._process = None
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _start(self, last_message: int) -> None:
        reader, self._pipe = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", MODULE,
                    str(self._config_file), str(reader), str(last_message), now(), str(self._says),
                ],
                pass_fds=(reader, self._says),
                stdin=subprocess.DEVNULL,
                cwd=self._config_file.parent,
            )  # fmt: skip
        finally:
            os.close(reader)


def _event(line: bytes) -> EventPut:
    said = json.loads(line)
    return EventPut(topic_of("notifications", said["channel"], "sent"), said)
