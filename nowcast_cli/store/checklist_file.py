"""The checklist file: the projection of the checklist that people and programs read.

It is complete at every instant. Its first line tells which message of the journal it holds:
``# nowcast checklist: journal 123, written 2026-11-22T03:04:05.678Z``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.errors import NotFound, NowcastError

SHORTEST_INTERVAL = 0.2
_HEADER = re.compile(rb"# nowcast checklist: journal (\d+), written (\S+)\n")


class ChecklistFile:
    """Writes the file at most once in ``SHORTEST_INTERVAL`` seconds, the first change at once."""

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._last_written = float("-inf")
        self._dirty = False
        self.written_journal = -1

    def mark(self) -> None:
        """Say that the file no longer holds what is committed."""
        self._dirty = True

    def due_in(self) -> float | None:
        """Give the seconds until the file is to be written, None where it holds everything."""
        if not self._dirty:
            return None
        return max(0.0, self._last_written + SHORTEST_INTERVAL - self._monotonic())

    def postpone(self) -> None:
        """Say that it cannot be written now: it is tried again after the interval, not at once."""
        self._last_written = self._monotonic()

    def write(self, document: str, journal: int, now: str) -> None:
        """Write ``document``, which holds the effects of the journal up to ``journal``.

        Raises OSError; then the file of before stays, and this is to be written again.
        """
        self.begin()
        self.finish(document, journal, now)

    def begin(self) -> None:
        """Say that what is committed by now is about to be written.

        To be called where :meth:`mark` is, not in the thread that writes: a mark that comes before
        that thread does would be lost.
        """
        self._last_written = self._monotonic()
        self._dirty = False

    def finish(self, document: str, journal: int, now: str) -> None:
        """Write what was begun, as :meth:`write` does; may be called in another thread."""
        try:
            write_atomically(self._path, (header_line(journal, now) + document).encode())
        except BaseException:
            self._dirty = True
            raise
        self.written_journal = journal


def header_line(journal: int, now: str) -> str:
    """Give the first line of a file that holds the effects of the journal up to ``journal``."""
    return f"# nowcast checklist: journal {journal}, written {now}\n"


def read_header(path: Path) -> int | None:
    """Give the number of the last message that the file holds; None without file or header."""
    try:
        with path.open("rb") as file:
            match = _HEADER.match(file.readline(200))
    except FileNotFoundError:
        return None
    return int(match[1]) if match else None


def read_checklist(path: Path) -> dict[Any, Any]:
    """Read the file as a mapping.

    Raises NotFound without a file, NowcastError for one that is not a YAML mapping.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"there is no checklist file {path}", hint="nowcast start writes it"
        ) from None
    try:
        checklist = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if checklist is None:
        return {}
    if not isinstance(checklist, dict):
        raise _damaged(path, f"it holds a {type(checklist).__name__}, not a mapping")
    return checklist


def _damaged(path: Path, cause: str) -> NowcastError:
    return NowcastError(
        f"the checklist file {path} cannot be read",
        cause=cause,
        hint="move it away; a running manager writes it anew at the next message, "
        "and nowcast start writes it from the store",
    )
