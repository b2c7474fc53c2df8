"""What a file holds, and whether it is whole: it is read to its end once, by a scanner.

A scanner is a module. It is found by an entry point of the group ``nowcast.scanners``, whose name
is that of the format. It has ``recognises(name, head)``, which is asked with the file's name and
its first bytes, and ``scan(file)``, which gives :class:`Contents` or raises :class:`NotWhole`.
Those of other packages are asked before those that are here; what none of them knows is plain.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from nowcast_cli.errors import NowcastError

GROUP = "nowcast.scanners"
PLAIN = "plain"
_HOME = "nowcast_cli."
_HEAD = 64  # bytes
_CHUNK = 1 << 20  # bytes


class NotWhole(NowcastError):
    """A file is not what its format asks for: cut off, empty, or something else altogether."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a file, as far as its format tells; times are in UTC.

    ``begin`` and ``end`` are the first and the last time it is valid for, ``reference`` the time
    that the forecast starts from, ``member`` the one of an ensemble, where all of it is of one.
    """

    variables: tuple[str, ...] = ()
    begin: datetime | None = None
    end: datetime | None = None
    reference: datetime | None = None
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Scanned:
    """A file that is whole: ``size`` in bytes, ``sha256`` in hexadecimal digits."""

    path: Path
    format: str
    size: int
    sha256: str
    contents: Contents


class Scanner(Protocol):
    """What reads files of one format."""

    def recognises(self, name: str, head: bytes) -> bool:
        """Say whether a file of that name, which begins so, is one to :meth:`scan`."""

    def scan(self, file: ScannedFile) -> Contents:
        """Read a file. Raises NotWhole."""


class ScannedFile:
    """A file that is read from its begin; what was read is in its checksum."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def opened(self) -> str:
        """A path by which a library opens this very file, whatever has its name by now."""
        return f"/proc/{os.getpid()}/fd/{self._file.fileno()}"

    def read(self, size: int = _CHUNK) -> bytes:
        """Give the next bytes: fewer than asked for only at the end of the file."""
        found = self._file.read(size)
        self._digest.update(found)
        return found

    def readline(self) -> bytes:
        """Give the next line with its end; empty at the end of the file."""
        found = self._file.readline()
        self._digest.update(found)
        return found

    def rest(self) -> str:
        """Read to the end, and give the checksum of all of it."""
        while self.read():
            pass
        return self._digest.hexdigest()

    def refused(self, why: str) -> NotWhole:
        """Give the error that says why this file is not taken."""
        return NotWhole(f"{self.path} {why}")


def scan(path: Path) -> Scanned:
    """Read a file to its end.

    Raises NotWhole where it is empty, cut off, or changes meanwhile; OSError where it cannot be
    read; NowcastError where what reads its format is not installed.
    """
    with path.open("rb") as stream:
        before = os.fstat(stream.fileno())
        if not before.st_size:
            raise NotWhole(f"{path} is empty")
        name, scanner = _scanner_for(path.name, os.pread(stream.fileno(), _HEAD, 0))
        file = ScannedFile(path, stream)
        contents = scanner.scan(file)
        digest = file.rest()
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise NotWhole(
            f"{path} is being written still",
            hint="write it under another name, and rename it once it is whole",
        )
    return Scanned(path, name, before.st_size, digest, contents)


def _scanner_for(name: str, head: bytes) -> tuple[str, Scanner]:
    for entry in _entries():
        scanner = _loaded(entry)
        if scanner.recognises(name, head):
            return entry.name, scanner
    from nowcast_cli.products.scanners import plain

    return PLAIN, plain


@cache
def _entries() -> tuple[EntryPoint, ...]:
    """Give the scanners that are installed, those of other packages first."""
    found = [each for each in entry_points(group=GROUP) if each.name != PLAIN]
    return tuple(sorted(found, key=lambda each: (each.value.startswith(_HOME), each.name)))


@cache
def _loaded(entry: EntryPoint) -> Scanner:
    try:
        return cast(Scanner, entry.load())
    except Exception as error:
        raise NowcastError(
            f"the scanner {entry.name} cannot be used: {entry.value} does not load",
            cause=str(error) or type(error).__name__,
            hint="mend or remove the package that brings it",
        ) from error


def not_installed(file: ScannedFile, what: str, package: str) -> NowcastError:
    """Give the error that says which extra reads this format."""
    return NowcastError(
        f"{file.path} is {what}, and cannot be looked into: {package} is not installed",
        hint="pip install 'nowcast-cli[formats]'",
    )
