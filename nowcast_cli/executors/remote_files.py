"""The files of a job that are sent here before it begins, and fetched when it has ended.

What is sent lies in ``incoming`` of the job's folder until it is whole; the process that has
claimed the job takes it into its scratch folder. So whatever still writes there, on a connection
that hung, can do the job no harm.

Standard library only, Python 3.9 and newer: it is shipped to the other host.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nowcast_cli.command_end import PUBLISHED, TOLD, published_in
from nowcast_cli.executors.file_digests import differing, digests_of, files_of, sizes_of

INCOMING = "incoming"
PARTIAL = ".partial"  # what rsync keeps of files that were cut off, in the folder that they go to

_SIGN_OF_LIFE = 5.0  # s, at most, between two signs to whoever waits while long files are read


def make_room(order: Mapping[str, Any]) -> dict[str, Any]:
    """Get ready for the files of a job.

    Parameters
    ----------
    order
        ``root``, the state directory on this host; ``folder``, that of the job below it.

    Returns
    -------
    dict
        ``folder``, where the job's folder is; ``claimed``, whether the job has begun, so that
        nothing is to be sent; ``rsync``, whether there is one; ``free``, bytes on the disk;
        ``there``, bytes that were sent before.
    """
    folder = _folder_of(order)
    incoming = folder / INCOMING
    claimed = (folder / "pid").exists()
    if not claimed:
        incoming.mkdir(parents=True, exist_ok=True)
    disk = os.statvfs(folder)
    return {
        "folder": str(folder),
        "claimed": claimed,
        "rsync": shutil.which("rsync") is not None,
        "free": disk.f_bavail * disk.f_frsize,
        "there": 0 if claimed else _size(incoming),
    }


def examine(order: Mapping[str, Any]) -> dict[str, Any]:
    """Compare what was sent with what was meant.

    ``files`` of the order has sizes and SHA-256 by name; ``wrong`` of the answer is the names of
    those that are otherwise here, ``claimed`` says that the job has begun, and nothing matters.
    """
    folder = _folder_of(order)
    if (folder / "pid").exists():
        return {"wrong": [], "claimed": True}
    there = {name: path for name in order["files"] if (path := folder / INCOMING / name).is_file()}
    return {"wrong": differing(order["files"], digests_of(there, _alive())), "claimed": False}


def outputs(order: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a job has left under ``names`` of its scratch folder, and what it has said.

    Returns
    -------
    dict
        ``files``, sizes and SHA-256 by name, also of what the command has published from scratch;
        ``there``, the names at which something lies; ``told`` and ``published``, the texts of
        these files, None without one; ``scratch``, where the scratch folder is; ``rsync``,
        whether there is one.
    """
    folder = _folder_of(order)
    scratch = folder / "scratch"
    try:
        published = [Path(output.source) for output in published_in(str(folder))]
    except ValueError:  # whoever has asked sees it in the text
        published = []
    more = [str(path.relative_to(scratch)) for path in published if scratch in path.parents]
    names = dict.fromkeys((*order["names"], *more))
    there = {name: scratch / name for name in names if os.path.lexists(scratch / name)}
    return {
        "files": digests_of(files_of(there, links=False), _alive()),
        "there": list(there),
        "told": _text(folder / TOLD),
        "published": _text(folder / PUBLISHED),
        "scratch": str(scratch),
        "rsync": shutil.which("rsync") is not None,
    }


# By the `what` of an order.
ORDERS = {"make room": make_room, "examine": examine, "outputs": outputs}


def take_in(folder: Path, names: Sequence[str]) -> None:
    """Put what was sent into the scratch folder of the job. Raises OSError."""
    for name in names:
        place = folder / "scratch" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / INCOMING / name).rename(place)
    shutil.rmtree(folder / INCOMING, ignore_errors=True)


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove what was sent for a job, and what was fetched of it; other files stay."""
    shutil.rmtree(folder / INCOMING, ignore_errors=True)
    for name in names:
        place = folder / "scratch" / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        elif place.is_symlink() or place.exists():
            place.unlink()


def _folder_of(order: Mapping[str, Any]) -> Path:
    root = os.path.abspath(os.path.expanduser(os.path.expandvars(order["root"])))  # noqa: PTH100, PTH111
    return Path(root, order["folder"])


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else None


def _size(folder: Path) -> int:
    return sum(sizes_of(files_of({"": folder}, links=False)).values())


def _alive() -> Callable[[], None]:
    """Give what writes an empty line on stdout now and then, which is before the answer."""
    last = time.monotonic()

    def tell() -> None:
        nonlocal last
        if time.monotonic() - last > _SIGN_OF_LIFE:
            last = time.monotonic()
            sys.stdout.write("\n")
            sys.stdout.flush()

    return tell
