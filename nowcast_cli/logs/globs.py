"""The files that globs of the configuration stand for, and where they begin to be found."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

_SIGNS = tuple(".-_")  # what stands between the name of a file and what rotation adds to it
_ADDED = re.compile(r"[.\-_]\d[\d.\-_:TZ]*(\.(gz|bz2|xz|zst|lz4|Z))?")


def base_of(pattern: str) -> Path:
    """Give the folder below which everything lies that a glob can match."""
    parts = Path(pattern).parts
    plain = parts[:-1]
    for index, part in enumerate(plain):
        if glob.has_magic(part):
            return Path(*plain[:index])
    return Path(*plain)


def existing(folder: Path) -> Path:
    """Give the folder, or the nearest above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), folder)


def matching(patterns: Iterable[str], known: Collection[Path]) -> dict[str, list[Path]]:
    """Give, by pattern, the files to follow: not those that rotation has made of another.

    ``known`` are names that are followed already, also while no file has them.
    """
    found = {pattern: _files(pattern) for pattern in patterns}
    names = {*known, *(file for files in found.values() for file in files)}
    return {
        pattern: [file for file in files if not _is_rotated(file, names)]
        for pattern, files in found.items()
    }


def _files(pattern: str) -> list[Path]:
    return sorted(Path(name) for name in glob.glob(pattern, recursive=True) if os.path.isfile(name))  # noqa: PTH113, PTH207


def _is_rotated(file: Path, names: Collection[Path]) -> bool:
    name = file.name
    beginnings = (file.with_name(name[:at]) for at in range(1, len(name)) if name[at] in _SIGNS)
    return any(begin in names and is_rotation_of(file, begin) for begin in beginnings)


def is_rotation_of(file: Path, name: Path) -> bool:
    """Tell whether a name is another one with a number or a date behind it, or compressed so."""
    added = file.name.removeprefix(name.name)
    return added != file.name and _ADDED.fullmatch(added) is not None
