"""What an action worker prints, line by line, for the log."""

from __future__ import annotations

import os
import time

_MOST_A_TURN = 1 << 16  # bytes
_MOST_LINES = 200  # a second; what is beyond is counted
_LONGEST_LINE = 2000  # bytes
_KEPT = 20_000  # bytes of the last lines, for what it was doing when it was killed
_OURS = ("/nowcast_cli/actions/", "<frozen runpy>")
_DUMP = ("Thread 0x", "Current thread 0x", "Stack (most recent call first)")


class Printed:
    """The reading end of a worker's output, which is closed when everybody has closed theirs."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        self.is_closed = False
        self._rest = b""
        self._last = b""
        self._second, self._lines, self._left_out = 0.0, 0, 0

    def fileno(self) -> int:
        """Give the descriptor that is readable when something was printed."""
        return self._descriptor

    def read(self) -> list[str]:
        """Give the lines that were printed, those that are too many left out and counted."""
        try:
            part = os.read(self._descriptor, _MOST_A_TURN)
        except BlockingIOError:
            return self._said([])
        except OSError:
            part = b""
        if not part:
            self.is_closed = True
            part = b"\n" if self._rest else b""
        self._last = (self._last + part)[-_KEPT:]
        *lines, self._rest = (self._rest + part).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return self._said(lines)

    def dumped(self) -> str | None:
        """Give the traceback that a worker has printed when it was asked where it is.

        The lines of nowcast's own files are left out.
        """
        text = self._last.decode(errors="replace")
        at = min((found for mark in _DUMP if (found := text.rfind("\n" + mark)) >= 0), default=-1)
        if at < 0:
            at = 0 if text.startswith(_DUMP) else -1
        if at < 0:
            return None
        lines = text[at:].strip().splitlines()
        return "\n".join(line for line in lines if not any(ours in line for ours in _OURS))

    def close(self) -> None:
        """Close this end."""
        self.is_closed = True
        os.close(self._descriptor)

    def _said(self, lines: list[bytes]) -> list[str]:
        now, said = time.monotonic(), []
        if now - self._second >= 1:
            if self._left_out:
                said.append(f"… and {self._left_out} lines more")
            self._second, self._lines, self._left_out = now, 0, 0
        room = max(0, _MOST_LINES - self._lines)
        self._lines += len(lines)
        self._left_out += max(0, len(lines) - room)
        return said + [line[:_LONGEST_LINE].decode(errors="replace") for line in lines[:room]]
