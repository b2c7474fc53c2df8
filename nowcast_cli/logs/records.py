"""One record of a log file: its time, level and logger, and the lines that belong to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_HEAD = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?)Z?"
    r"(?:\s+(?P<level>DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|CRIT|TRACE)\b)?"
    r"(?:\s+\[(?P<name>[^\]\s]+)\])?"
)
_SAME_LEVEL = {"WARN": "WARNING", "CRIT": "CRITICAL", "TRACE": "DEBUG"}


@dataclass(frozen=True)
class Record:
    """One log record.

    Parameters
    ----------
    time
        As written, in the local time of the system: ``2026-11-22 03:04:05,123``. It sorts.
    level, name
        Where the line says so; ``name`` is the logger, else the stem of the file's name.
    text
        The record as written, with its further lines (a traceback), without the last newline.
    file
        Where it stands.
    has_logger
        Whether the line itself says ``name``.
    """

    time: str
    level: str | None
    name: str
    text: str
    file: Path
    has_logger: bool = False

    def is_at_least(self, level: str) -> bool:
        """Tell whether the record is of ``level`` or worse; one without a level always is."""
        return self.level is None or LEVELS.index(self.level) >= LEVELS.index(level)


def parse_line(line: str, file: Path) -> Record | None:
    """Read the first line of a record; None for a line that belongs to the record before."""
    head = _HEAD.match(line)
    if head is None:
        return None
    level = head["level"]
    return Record(
        time=head["time"].replace("T", " ").replace(".", ","),
        level=_SAME_LEVEL.get(level, level),
        name=head["name"] or file.stem,
        text=line,
        file=file,
        has_logger=head["name"] is not None,
    )


def records_of(lines: Iterable[str], before: Record) -> Iterator[Record]:
    """Join lines to records; lines without a head at the start are taken as more of ``before``."""
    begun: Record | None = None
    texts: list[str] = []  # joined once: a worker may print a million lines that have no head
    for line in lines:
        head = parse_line(line, before.file)
        if head is None and texts:
            texts.append(line)
            continue
        if texts:
            yield replace(begun or before, text="\n".join(texts))
        begun, texts = head, [line]
    if texts:
        yield replace(begun or before, text="\n".join(texts))
