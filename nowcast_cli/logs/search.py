"""Find records in the log files of a system, and follow them as they are written.

A record is usually written to several files (an info log and a debug log); it is given once.
Files are read from their ends, so that the last lines of a large log cost little.
"""

from __future__ import annotations

import io
import os
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

from nowcast_cli.logs.globs import is_rotation_of
from nowcast_cli.logs.records import Record, records_of

Keep = Callable[[Record], bool]

_BLOCK = 64 * 1024
_LATE = 1 << 20  # bytes of early records in a row, before which none later is looked for
_REMEMBERED = 4096


def log_files(config: Mapping[str, Any], logs: Path) -> list[Path]:
    """List the log files that exist: those in the folder ``logs``, and those the handlers name."""
    section = config.get("logging") or {}
    parts = [section, section.get("aggregator") or {}, section.get("publisher") or {}]
    handlers = [part["handlers"] for part in parts if isinstance(part.get("handlers"), Mapping)]
    named = [handler.get("filename") for part in handlers for handler in part.values()]
    files = {Path(name) for name in named if name}
    files.update(*(logs.glob(pattern) for pattern in ("*.log", "*.out")))
    return sorted(file for file in files if file.is_file())


@dataclass(frozen=True)
class Span:
    """From when to when: local times in the form of ``Record.time``; None is open."""

    since: str | None = None
    until: str | None = None

    @classmethod
    def between(cls, since: datetime | None, until: datetime | None) -> Span:
        """Make a span of instants."""
        return cls(*(None if at is None else time_text(at) for at in (since, until)))

    def holds(self, record: Record) -> bool:
        """Tell whether a record lies in the span."""
        after = self.since is None or record.time >= self.since
        return after and (self.until is None or record.time <= self.until)


ALWAYS = Span()


def last_records(
    files: Iterable[Path],
    number: int | None,
    keep: Keep,
    ends: Mapping[Path, int] | None = None,
    span: Span = ALWAYS,
) -> list[Record]:
    """Give the last ``number`` records for which ``keep`` is true, oldest first; None is all.

    ``ends`` says where to stop in a file, for a follower that goes on from there. Files of
    which nothing lies in ``span`` are not read.
    """
    most = sys.maxsize if number is None else number
    found = [
        record
        for file in files
        for record in _last_of_file(file, most, keep, (ends or {}).get(file), span)
    ]
    # -0 would be the whole list
    return list(merged(found, Seen()))[-most:] if most else []


class Seen:
    """Tells a record that another file has already given from one that was written twice."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, Counter[Path | None]] = OrderedDict()

    def is_new(self, record: Record) -> bool:
        """Note the record; true when no other file gave it so often."""
        counts = self._given.setdefault(record.text, Counter())
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        counts[record.file] += 1
        if counts[record.file] <= counts[None]:
            return False
        counts[None] += 1
        return True


def merged(records: Iterable[Record], seen: Seen) -> Iterator[Record]:
    """Give the records in order of time, each once.

    Within one millisecond the file that holds most of the records gives the order.
    """
    ordered = sorted(records, key=attrgetter("time"))
    for _, group in groupby(ordered, key=attrgetter("time")):
        together = list(group)
        sizes = Counter(record.file for record in together)
        together.sort(key=lambda record: (-sizes[record.file], str(record.file)))
        yield from filter(seen.is_new, together)


class Follower:
    """Reads what is written to log files from now on, across rotations.

    Parameters
    ----------
    files
        Lists the files; asked again at each poll, so that new files join.
    """

    def __init__(self, files: Callable[[], Iterable[Path]]) -> None:
        self._files = files
        self._seen = Seen()
        self._open = {file: _Tail(file, at_end=True) for file in files()}

    @property
    def positions(self) -> dict[Path, int]:
        """Where in each file the next poll begins to read, in bytes."""
        return {file: tail.position for file, tail in self._open.items()}

    def poll(self) -> list[Record]:
        """Give the records that were written since the last poll, oldest first."""
        for file in self._files():
            if file not in self._open:
                self._open[file] = _Tail(file, at_end=False)
        new = [record for tail in self._open.values() for record in tail.read()]
        return list(merged(new, self._seen))

    def unfinished(self) -> list[Record]:
        """Give the last lines of files that do not end with a line end, as if they did."""
        rest = [record for tail in self._open.values() for record in tail.read_rest()]
        return list(merged(rest, self._seen))

    def close(self) -> None:
        """Close the files."""
        for tail in self._open.values():
            tail.close()


class _Tail:
    """The end of one file that others write to, rotate or cut."""

    def __init__(self, path: Path, *, at_end: bool) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._last = _headless(path)
        self._reopen()
        if self._file is not None and at_end:
            self._file.seek(0, os.SEEK_END)

    @property
    def position(self) -> int:
        return self._file.tell() if self._file is not None else 0

    def read(self) -> list[Record]:
        records = self._read_open_file()
        if self._was_replaced():
            self._reopen()
            records += self._read_open_file()
        return records

    def read_rest(self) -> list[Record]:
        whole, self._rest = self._rest, b""
        return self._records(whole) if whole else []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _reopen(self) -> None:
        self.close()
        self._rest = b""
        try:
            self._file = self._path.open("rb")
        except OSError:
            self._file = None

    def _was_replaced(self) -> bool:
        try:
            now = self._path.stat()
        except OSError:
            return False  # in the middle of a rotation: the new file comes in a moment
        if self._file is None:
            return True
        mine = os.fstat(self._file.fileno())
        is_other = (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino)
        return is_other or now.st_size < self._file.tell()

    def _read_open_file(self) -> list[Record]:
        if self._file is None:
            return []
        whole, newline, self._rest = (self._rest + self._file.read()).rpartition(b"\n")
        return self._records(whole) if newline else []

    def _records(self, whole: bytes) -> list[Record]:
        records = list(records_of(whole.decode(errors="replace").split("\n"), self._last))
        self._last = records[-1]
        return records


def time_text(instant: datetime) -> str:
    """Give an instant in the form of ``Record.time``."""
    local = instant.astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S,") + f"{local.microsecond // 1000:03}"


def _headless(file: Path) -> Record:
    """Stand for the record before the first line: it has the time of the file and its name."""
    try:
        changed = file.stat().st_mtime
    except OSError:
        changed = 0.0
    time = time_text(datetime.fromtimestamp(changed).astimezone())
    return Record(time=time, level=None, name=file.stem, text="", file=file)


def _last_of_file(file: Path, number: int, keep: Keep, end: int | None, span: Span) -> list[Record]:
    """Read backwards in one file, then in those that rotation made of it."""
    found: list[Record] = []
    for path in (file, *rotated_files(file)):
        if span.since is not None and _headless(path).time < span.since:
            break  # it was last written before, and those after it still earlier
        end_here = end if path == file else None
        found = _last_of_one(path, file, number - len(found), keep, end_here, span) + found
        if len(found) >= number:
            break
    return found


def rotated_files(file: Path) -> list[Path]:
    """List what rotation has made of a file, the newest first, compressed files too."""
    beside = (path for path in file.parent.glob("*") if is_rotation_of(path, file))
    found = [(_headless(path).time, _number(path), path) for path in beside if path.is_file()]
    return [path for _, _, path in sorted(found, reverse=True)]


def _number(path: Path) -> int:
    """Sort what was rotated within a millisecond: .1 came after .2."""
    numbers = [part for part in path.suffixes if part[1:].isdecimal()]
    return -int(numbers[-1][1:]) if numbers else 0


def _last_of_one(
    path: Path, file: Path, number: int, keep: Keep, end: int | None, span: Span
) -> list[Record]:
    try:
        with _open(path) as opened:
            return _last_of_open(opened, path, file, number, keep, end, span)
    except (OSError, EOFError):
        return []  # rotated away, or not ours to read: the other files still have lines


def _open(path: Path) -> BinaryIO:
    if path.suffix != ".gz":
        return path.open("rb")
    import gzip

    with gzip.open(path) as compressed:
        return io.BytesIO(compressed.read())


def _last_of_open(
    opened: BinaryIO,
    path: Path,
    file: Path,
    number: int,
    keep: Keep,
    end: int | None,
    span: Span,
) -> list[Record]:
    start = opened.seek(0, os.SEEK_END) if end is None else end
    size, data, known = _BLOCK, b"", 0
    before = replace(_headless(path), name=file.stem)
    while True:
        block = min(size, start)
        start -= block
        opened.seek(start)
        data = opened.read(block) + data
        # the first line of a block may be cut, or belong to a record that begins before it
        text = data.rstrip(b"\n").decode(errors="replace")
        records = list(records_of(text.split("\n"), before)) if text else []
        whole = records if start == 0 else records[1:]
        kept = [record for record in whole if span.holds(record) and keep(record)]
        # Records of other hosts may come late, so that a stretch with early times says nothing.
        earlier, known = whole[: len(whole) - known], len(whole)
        has_begin = (
            span.since is not None
            and block >= _LATE
            and all(record.time < span.since for record in earlier)
        )
        if start == 0 or len(kept) >= number or has_begin:
            return kept[-number:] if number else []
        size *= 4  # few match: read the rest in few steps
