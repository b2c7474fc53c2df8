"""How far the files of a job have come that are sent to its host, or fetched: for people."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

_FILE = "transfer.json"
_INTERVAL = 1.0  # s between two notes


@dataclass(frozen=True)
class TransferNote:
    """A transfer that is under way: ``came`` of ``bytes`` have come over."""

    what: Literal["sending inputs", "fetching outputs"]
    host: str
    files: int
    bytes: int
    came: int = 0


def read_note(folder: Path) -> TransferNote | None:
    """Give what is under way for the job of the folder; None for nothing."""
    try:
        return TransferNote(**json.loads((folder / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


class Notes:
    """Keeps the note in the folder of a job while a transfer goes on. Never fails."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = folder / _FILE
        self._clock = clock
        self._next = 0.0

    def write(self, note: TransferNote) -> None:
        """Keep the note, unless one was kept a moment ago."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + _INTERVAL
        part = self._file.with_suffix(".part")
        with suppress(OSError):  # a power cut may take it: the next one comes soon
            part.write_text(json.dumps(asdict(note)))
            os.replace(part, self._file)  # noqa: PTH105

    def remove(self) -> None:
        """Nothing is under way any more."""
        with suppress(OSError):
            self._file.unlink()
