"""Members of an ensemble as one job array: which go together, and what lies in their folders.

::

    <folder of the first>/array/1    a link to the folder of the first member, and so on
    <folder of the first>/array.sh   the job script of all
    <folder of each>/array.json      by which token the array is found, and which element it is

The links let the script, and the batch system itself, find the folder of an element by its number.
"""

from __future__ import annotations

import json
import logging
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nowcast_cli.config.executors import LARGEST_ARRAY
from nowcast_cli.executors.batch_folder import put_request, write
from nowcast_cli.executors.batch_job import BatchJob
from nowcast_cli.executors.batch_system import Arrays, BatchSystem
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.node import OWN_ID

GATHERED_WITHIN = 0.3  # s after the last member that has come, where others are still missing
_NOTE = "array.json"
_LINKS = "array"
_SCRIPT = "array.sh"

_logger = logging.getLogger(__name__)


def batches(due: Sequence[BatchJob], has_arrays: bool, now: float) -> Iterator[list[BatchJob]]:
    """Give jobs that are to be submitted, those together that make an array.

    Members come one after the other, in a turn of the manager: while some are missing, those that
    are there wait a moment for them. ``now`` is in seconds of the clock of ``BatchJob.since``.
    """
    members: dict[str, list[BatchJob]] = defaultdict(list)
    for job in due:
        if job.request.ensemble is None or not has_arrays:
            yield [job]
        else:
            members[job.request.ensemble.id].append(job)
    for jobs in members.values():
        part = jobs[0].request.ensemble
        is_whole = part is not None and len(jobs) >= part.size
        if is_whole or now >= max(job.since for job in jobs) + GATHERED_WITHIN:
            jobs.sort(key=lambda job: _place(job.request))
            for start in range(0, len(jobs), LARGEST_ARRAY):
                yield jobs[start : start + LARGEST_ARRAY]


def _place(job: JobRequest) -> int:
    return 0 if job.ensemble is None else job.ensemble.index


def prepare(
    system: BatchSystem,
    arrays: Arrays,
    jobs: Sequence[JobRequest],
    words: tuple[Sequence[str], Sequence[str]],
    token: str,
) -> Path:
    """Write all that the nodes need of these jobs, the intent last; gives the script.

    ``words`` are those of the program on the node before and after the job's folder.
    Raises OSError.
    """
    for number, job in enumerate(jobs, start=1):
        put_request(job)
        write(Path(job.folder, _NOTE), json.dumps({"token": token, "number": number}))
    links = folder_of_links(jobs[0])
    links.mkdir(exist_ok=True)
    for number, job in enumerate(jobs, start=1):
        link = links / str(number)
        if not link.is_symlink() or str(link.readlink()) != job.folder:
            with suppress(FileNotFoundError):
                link.unlink()
            link.symlink_to(job.folder)
    before, after = words
    folder = f'{shlex.quote(f"{links}/")}"{arrays.number}"'
    lines = (
        "#!/bin/sh",
        *system.header(jobs[0]),
        f"export {OWN_ID}={arrays.own_id}",
        f"exec {shlex.join(before)} {folder} {shlex.join(after)}",
        "",
    )
    script = Path(jobs[0].folder, _SCRIPT)
    write(script, "\n".join(lines))
    return script


def folder_of_links(first: JobRequest) -> Path:
    """Give the folder with a link for each element of the array that begins with this job."""
    return Path(first.folder, _LINKS)


def element_of(folder: Path) -> tuple[str, int] | None:
    """Give the token of the array that a job was submitted in, and its number there, if it was."""
    try:
        note = json.loads((folder / _NOTE).read_text())
        return str(note["token"]), int(note["number"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _logger.error("%s cannot be read, the job is looked up alone: %s", folder / _NOTE, error)
        return None


def forget(folder: Path) -> None:
    """Let a job be submitted by itself that was to be an element of an array."""
    (folder / _NOTE).unlink(missing_ok=True)
