"""Exceptions that nobody caught: kept in a file until the manager has heard of them."""

from __future__ import annotations

import json
import threading
import traceback
from contextlib import suppress
from pathlib import Path

_MOST = 100  # that are kept; of more, the oldest are forgotten
_LONGEST = 8000  # characters of one


class Mishaps:
    """The exceptions of an agent, the oldest first; safe to use by several threads.

    Where the file cannot be written they are kept in memory alone.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._texts = _read(file)

    def note(self, text: str) -> bool:
        """Keep one; says whether it is another one than the last that is kept."""
        with self._lock:
            short = text.strip()[-_LONGEST:]
            if self._texts and self._texts[-1] == short:
                return False
            self._texts = [*self._texts, short][-_MOST:]
            self._write()
            return True

    def note_exception(self) -> None:
        """Keep the exception that is being handled."""
        self.note(traceback.format_exc())

    def first(self, most: int) -> tuple[str, ...]:
        """Give at most so many of them."""
        with self._lock:
            return tuple(self._texts[:most])

    def told(self, texts: tuple[str, ...]) -> None:
        """Forget those that the manager has heard of."""
        if not texts:
            return
        with self._lock:
            self._texts = [text for text in self._texts if text not in texts]
            self._write()

    def _write(self) -> None:
        # As it comes: what a crash tears is one report less.
        with suppress(OSError):
            self._file.write_text(json.dumps(self._texts), encoding="utf-8")


def _read(file: Path) -> list[str]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, list):
            return [text for text in found if isinstance(text, str)]
    return []
