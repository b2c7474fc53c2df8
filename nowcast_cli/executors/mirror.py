"""The folder on this machine of a job that runs elsewhere: as the one over there, a little later.

Files are whole at every instant, and ``exit`` comes last: who finds it finds all the rest.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.command_end import TOLD
from nowcast_cli.executors.job_folder import RECORDS, JobRequest

STREAMS = ("stdout", "stderr", RECORDS)


class News(IntEnum):
    """What was new of a job: nothing, what it has printed, or a step of its way to its end."""

    NOTHING = 0
    OUTPUT = 1
    STEP = 2


def prepare(job: JobRequest) -> None:
    """Make the folder, and ``job.json`` in it. Raises OSError."""
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Not for others to read: the environment of a job may hold a password.
    write_atomically(folder / "job.json", json.dumps(job.to_json()).encode(), 0o600)


def as_begun(job: JobRequest) -> JobRequest:
    """Give the request with which a job was begun, by an earlier manager, from its folder.

    The configuration may be another one since then. ``job`` where that is not known.
    """
    try:
        return JobRequest.from_json(json.loads(Path(job.folder, "job.json").read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return job


def folder_there(job: JobRequest) -> str:
    """Give the folder of a job on its host, below the state directory."""
    return "/".join(("jobs", *job.folder.rsplit("/", 2)[1:]))


def have(folder: Path) -> dict[str, Any]:
    """Say what there is, in the form of ``look`` in an order."""
    return {
        **{name: _size(folder / name) for name in STREAMS},
        "outbox": [path.name for path in folder.glob("outbox/*.yaml")],
    }


def take_in(folder: Path, news: Mapping[str, Any]) -> News:
    """Write what an answer tells of a job; gives what was new. Raises OSError."""
    found = News.STEP if news["gone"] or news["more"] else News.NOTHING
    for name in STREAMS:
        if news[name] is not None:
            part = base64.b64decode(news[name])
            _write_at(folder / name, news["at"][name], part)
            found = max(found, News.OUTPUT if part else News.NOTHING)
    for name, text in news["outbox"].items():
        (folder / "outbox").mkdir(exist_ok=True)
        write_atomically(folder / "outbox" / Path(name).name, text.encode())
        found = News.STEP
    if news["left"] is not None:
        write_atomically(folder / "left", json.dumps({"left": news["left"]}).encode())
    for name in ("pid", TOLD, "exit"):
        if news.get(name) is not None and not (folder / name).exists():
            write_atomically(folder / name, news[name].encode())
            found = News.STEP
    return found


def _write_at(path: Path, place: int, part: bytes) -> None:
    # What is there says where to go on, so half of a part is no harm. Records may also have come
    # to the log aggregator meanwhile: it writes the same bytes to the same place.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while part:
            written = os.pwrite(descriptor, part, place)
            place, part = place + written, part[written:]
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
