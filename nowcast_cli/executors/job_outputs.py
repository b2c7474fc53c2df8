"""The end of a job whose outputs are fetched: they are put in place here, then ``exit`` is written.

All of it is done as the runner of a job of this machine does it, by the same intent: whoever comes
after a manager that was killed ends what that had decided, or begins again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from nowcast_cli import publishing
from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.command_end import PUBLISHED, TOLD, has_succeeded, publish_outputs
from nowcast_cli.executors.file_transfer import NotTransferred, NotYetTransferred, Way, fetch
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.publishing import Output
from nowcast_cli.runner import roll_forward


def end_here(way: Way, job: JobRequest, ending: Mapping[str, Any]) -> None:
    """Fetch what a job has left, put it in place, and write its ``exit``, which is ``ending``.

    Raises NotYetTransferred, and Stopped.
    """
    try:
        if roll_forward(job.folder):
            return
        trouble = _fetched(way, job, ending)
        way.went_on()
        with _as_runner(job):
            trouble = trouble or publish_outputs(job.to_json(), ending)
            text = json.dumps(dict(ending) if trouble is None else {**ending, "reason": trouble})
            write_atomically(Path(job.folder, "exit"), text.encode())
            publishing.forget(job.folder)
    except OSError as error:
        raise NotYetTransferred(
            f"the end of job {job.id} cannot be written to {job.folder}: {error}"
        ) from error


def _fetched(way: Way, job: JobRequest, ending: Mapping[str, Any]) -> str | None:
    """Fetch what is wanted of a job; gives a sentence when that is not to be had."""
    folder = Path(job.folder)
    declared = [name for name, *_ in job.command["outputs"]] if job.command else []

    def choose(left: Mapping[str, Any]) -> list[str]:
        if left["told"] is not None:
            write_atomically(folder / TOLD, left["told"].encode())
        try:
            if not has_succeeded(job.to_json(), ending):
                return []
            published = published_here(job, left["published"] or "", left["scratch"])
        except ValueError as error:  # these files are in the hands of the command
            raise NotTransferred(
                f"what the command has told and published cannot be read: {error}"
            ) from None
        if published:
            lines = "".join(json.dumps(each.to_json()) + "\n" for each in published)
            write_atomically(folder / PUBLISHED, lines.encode())
        more = [str(Path(each.source).relative_to(folder / "scratch")) for each in published]
        return list(dict.fromkeys((*declared, *more)))

    try:
        fetch(way, job, declared, choose)
    except NotTransferred as error:
        return str(error)
    return None


def published_here(job: JobRequest, lines: str, scratch: str) -> list[Output]:
    """Give what ``nowcast publish`` was told on a host, with its files where they will be here.

    ``lines`` are those of the job's file, ``scratch`` is its scratch folder there. Pure. Raises
    NotTransferred for a file that lies elsewhere, ValueError for what is no line of that file.
    """
    found = []
    for output in (Output.from_json(json.loads(line)) for line in lines.splitlines()):
        source = PurePosixPath(output.source)
        if not source.is_relative_to(scratch):
            raise NotTransferred(
                f"nowcast publish was given {source}, which is not in the scratch folder of the "
                f"job, {scratch}: nothing else is fetched from a host without shared storage"
            )
        here = f"{job.folder}/scratch/{source.relative_to(scratch)}"
        found.append(Output(here, output.destination, output.link))
    return found


@contextmanager
def _as_runner(job: JobRequest) -> Iterator[None]:
    """Hold what the runner of a job holds until its end, so that nobody takes it for dead."""
    lock = os.open(f"{job.folder}/runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
