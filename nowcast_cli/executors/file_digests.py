"""What files hold, told by their sizes and SHA-256, so that two machines can compare them.

Standard library only, Python 3.9 and newer: it is shipped to the other host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

# By path below a folder: the size in bytes and the SHA-256 in hexadecimal digits.
Digests = dict[str, tuple[int, str]]

_PART = 1 << 20  # bytes; while it is hashed other threads run


def files_of(places: Mapping[str, Path], *, links: bool) -> dict[str, Path]:
    """Give the regular files of what lies at ``places``, by their paths below its names.

    Of a folder all that lies in it, however deep. ``links`` says whether what symlinks lead to
    counts. Raises FileNotFoundError for a place where nothing is.
    """
    return {
        below: path
        for name, place in places.items()
        if links or not place.is_symlink()
        for below, path in _files_at(place, name)
        if (links or not path.is_symlink()) and path.is_file()
    }


def _files_at(place: Path, name: str) -> Iterator[tuple[str, Path]]:
    if not place.is_dir():
        place.stat()  # raises where there is nothing
        yield name, place
        return
    for where, _, files in os.walk(place):
        below = os.path.relpath(where, place)
        for file in files:
            yield os.path.normpath(os.path.join(name, below, file)), Path(where, file)  # noqa: PTH118


def sizes_of(files: Mapping[str, Path]) -> dict[str, int]:
    """Give the size of each file in bytes. Raises OSError."""
    return {name: path.stat().st_size for name, path in files.items()}


def digests_of(files: Mapping[str, Path], went_on: Callable[[], None] = lambda: None) -> Digests:
    """Read all files; ``went_on`` is called after each MiB. Raises OSError."""
    return {name: _digest(path, went_on) for name, path in files.items()}


def differing(wanted: Mapping[str, Sequence[object]], found: Digests) -> list[str]:
    """Give the names of files that are not there, or hold something else."""
    return [name for name, digest in wanted.items() if found.get(name) != tuple(digest)]


def _digest(path: Path, went_on: Callable[[], None]) -> tuple[int, str]:
    size, told = 0, sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(_PART):
            told.update(part)
            size += len(part)
            went_on()
    return size, told.hexdigest()
