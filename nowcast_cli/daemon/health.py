"""The health socket: a daemon answers from its own main loop that it does its work.

That a process lives says little; a stopped or stuck one lives too. So the answer is given by
the loop that does the work, over a Unix stream socket: whoever connects is sent one line of
JSON. Standard library only, because ``nowcast status`` must stay quick.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BACKLOG = 64
_LARGEST_ANSWER = 1 << 20  # bytes; no daemon says as much, so more is not a daemon of ours


class HealthSocket:
    """A listening Unix socket; give its file descriptor to the daemon's poll loop.

    A socket file that is there already is replaced: the caller holds the lock of the daemon's
    name, so the file is what a killed predecessor left behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        self._socket.listen(_BACKLOG)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when somebody asks."""
        return self._socket.fileno()

    def answer(self, status: Mapping[str, Any]) -> None:
        """Send ``status`` as a line of JSON to everybody who has connected; never blocks.

        Somebody who has gone, or does not read, costs nothing and gets nothing.
        """
        line = json.dumps(status).encode() + b"\n"
        while True:
            try:
                asker, _ = self._socket.accept()
            except OSError:  # nobody is left; or no descriptor is free, and they are kept waiting
                return
            with asker, contextlib.suppress(OSError):
                asker.setblocking(False)
                asker.send(line)

    def close(self) -> None:
        """Stop listening and remove the socket file."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


def ask_health(path: Path, timeout: float = 1.0) -> dict[str, Any] | None:
    """Return what the daemon behind the socket file ``path`` says of itself.

    Parameters
    ----------
    path
        The socket file, ``run/<name>.sock``.
    timeout
        Seconds to wait for the whole answer.

    Returns
    -------
    dict or None
        None when nothing listens there, or it does not answer sensibly in time.
    """
    give_up = time.monotonic() + timeout
    try:
        answer = _read_line(path, give_up)
        status = json.loads(answer)
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None


def _read_line(path: Path, give_up: float) -> bytes:
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_seconds_until(give_up))
        connection.connect(str(path))
        while not answer.endswith(b"\n") and len(answer) < _LARGEST_ANSWER:
            connection.settimeout(_seconds_until(give_up))
            part = connection.recv(65536)
            if not part:
                break
            answer += part
    return answer


def _seconds_until(instant: float) -> float:
    left = instant - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
