"""Files that are deleted leave the disk, and rows are held against what is there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from nowcast_cli.crash_points import reached
from nowcast_cli.store.product_records import DataInstanceRecord

Trouble = Literal["missing", "other size", "other checksum", "unreadable", "left over"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a file, by its id, URL and size in the index; ``words`` say more."""

    file: str
    url: str
    size: int
    trouble: Trouble
    words: str


def path_of(url: str) -> Path | None:
    """Give the path of a file that is in a folder here, None for what is elsewhere."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.path else None


def remove_files(
    files: Iterable[tuple[str, str, int]], is_known: Callable[[str], bool]
) -> tuple[list[str], dict[str, str]]:
    """Remove files, each an id, a URL and a size, that the index knows as deleted.

    What is elsewhere is for others to remove. Where another file has the same place by now, that
    one stays: by its size, or as it is registered. To be repeated without harm.

    Returns
    -------
    tuple
        The ids of those that are not on the disk, and why others could not be removed, by URL.
    """
    removed: list[str] = []
    failed: dict[str, str] = {}
    for file_id, url, size in files:
        path = path_of(url)
        if path is not None and not is_known(url):
            try:
                if not path.is_symlink() and path.exists() and path.stat().st_size != size:
                    removed.append(file_id)
                    continue
                path.unlink(missing_ok=True)
                reached("products.removed_a_file")
            except OSError as error:
                failed[url] = error.strerror or str(error)
                continue
        removed.append(file_id)
    return removed, failed


def trouble_with(file: DataInstanceRecord, checksums: bool) -> Finding | None:
    """Hold a file of the index against the disk; with ``checksums`` all of it is read."""
    path = path_of(file.url)
    if path is None:
        return None
    try:
        size = path.stat().st_size
        if size != file.size:
            words = f"it has {size} bytes, and {file.size} were registered"
            return Finding(file.id, file.url, file.size, "other size", words)
        if checksums and _sha256(path) != file.sha256:
            words = "its content is not the one that was registered"
            return Finding(file.id, file.url, file.size, "other checksum", words)
    except FileNotFoundError:
        return Finding(file.id, file.url, file.size, "missing", "it is not there")
    except OSError as error:
        return Finding(file.id, file.url, file.size, "unreadable", error.strerror or str(error))
    return None


def left_over(file: DataInstanceRecord, is_known: Callable[[str], bool]) -> Finding | None:
    """Say of a file that was deleted whether it is on the disk still."""
    path = path_of(file.url)
    if path is None or not os.path.lexists(path) or is_known(file.url):
        return None
    if path.exists() and path.stat().st_size != file.size:
        return None  # another one, which nobody has registered
    return Finding(file.id, file.url, file.size, "left over", "it was deleted, and is there still")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
