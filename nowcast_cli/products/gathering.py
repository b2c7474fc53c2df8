"""Which files are to be registered, and what of them: names, folders and patterns; times."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from nowcast_cli.errors import NotFound
from nowcast_cli.products.request import FoundFile
from nowcast_cli.products.scanning import NotWhole, Scanned
from nowcast_cli.products.times import NotATime, read_time, stored_time

# 2026112206, 20261122T06Z, 2026-11-22T06:00Z, 2026-11-22_06; or a day alone, from its begin.
_TIME = re.compile(
    r"(?<!\d)(\d{4})(-?)([01]\d)\2([0-3]\d)(?:[T_-]?([0-2]\d)(?::?([0-5]\d)(?::?[0-5]\d)?)?Z?)?(?!\d)"
)


def files_of(given: Iterable[str]) -> Iterator[Path]:
    """Give the files that are named, lie in folders, or fit patterns; each once, by whole paths.

    What is hidden is left out, unless it is named: others write there what is not done yet.
    Raises NotFound for what names none.
    """
    seen: set[str] = set()  # texts: a hundred thousand paths weigh more
    for text in given:
        is_empty = True
        for path in _found(text):
            is_empty = False
            if str(path) not in seen:
                seen.add(str(path))
                yield path
        if is_empty:
            what = "is no file in" if Path(text).is_dir() else "is no such file:"
            raise NotFound(f"there {what} {text}")


def _found(text: str) -> Iterator[Path]:
    path = Path(os.path.abspath(text))  # noqa: PTH100 - a symlink keeps its name
    if path.is_dir():
        yield from _below(path)
    elif path.exists():
        yield path
    else:
        for each in sorted(glob.iglob(text, recursive=True)):  # noqa: PTH207 - `**` with links
            found = Path(os.path.abspath(each))  # noqa: PTH100
            if found.is_file():
                yield found


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                yield path


def found_file(
    scanned: Scanned, reference: str | None = None, member: str | None = None
) -> FoundFile:
    """Give what is registered of a file, in its place.

    The reference time is the one that is given, as the index has it; else that of the contents,
    else the one in its name. Raises NotWhole where there is none.
    """
    contents = scanned.contents
    if reference is None and contents.reference is not None:
        reference = stored_time(contents.reference)
    return FoundFile(
        scanned.path.as_uri(),
        scanned.format,
        scanned.size,
        scanned.sha256,
        reference or reference_in(scanned.path),
        scanned.path.name,
        contents.variables,
        None if contents.begin is None else stored_time(contents.begin),
        None if contents.end is None else stored_time(contents.end),
        contents.member if member is None else member,
    )


def reference_in(path: Path) -> str:
    """Give the one time that a file's name has, else that of its folder. Raises NotWhole."""
    for name in (path.name, path.parent.name):
        times = {time for time in map(_time, _TIME.finditer(name)) if time is not None}
        if len(times) == 1:
            return times.pop()
        if times:
            break
    raise NotWhole(
        f"{path} does not say of which reference time it is, neither within nor by its name",
        hint="--reference-time 2026-11-22T00:00:00Z",
    )


def _time(found: re.Match[str]) -> str | None:
    year, _, month, day, hour, minute = found.groups()
    try:
        return read_time(f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}Z")
    except NotATime:
        return None
